// Header mutations: a flat list of what to add, set and remove, with Envoy's four append actions.

import { compileFormat, type RecordFormatter } from "../../observe/access-log.ts";
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
} from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { Field } from "./field.ts";

export type AppendAction = "append" | "add-if-absent" | "overwrite-or-add" | "overwrite-if-exists";

export type HeaderMutation =
  | { readonly kind: "remove"; readonly name: string }
  | {
      readonly kind: "put";
      readonly name: string;
      readonly action: AppendAction;
      readonly keepEmpty: boolean;
      readonly value: string | RecordFormatter;
    };

export interface MutationSource {
  readonly add: readonly HeaderValueOption[];
  readonly remove: readonly string[];
}

export function compileMutations(source: MutationSource, at: Field, addName: string): readonly HeaderMutation[] {
  const mutations: HeaderMutation[] = source.remove.map((name) => ({ kind: "remove", name: name.toLowerCase() }));
  for (const [index, option] of source.add.entries()) {
    const field = at.at(addName).at(index);
    const header = option.header;
    if (header === undefined || header.key === "") {
      field.at("header").refuse("a header to add needs a key");
      continue;
    }
    const name = header.key.toLowerCase();
    const text = header.rawValue.length > 0 ? header.rawValue.toString("latin1") : header.value;
    if (name.startsWith(":") && name !== ":authority" && name !== ":path" && name !== ":method") {
      field.at("header").at("key").refuse(`${name} can't be set`);
      continue;
    }
    const value = compileValue(text, field.at("header").at("value"));
    mutations.push({ kind: "put", name, action: appendAction(option), keepEmpty: option.keepEmptyValue, value });
  }
  return mutations;
}

function compileValue(text: string, at: Field): string | RecordFormatter {
  if (!text.includes("%")) return text;
  const format = compileFormat(text);
  if (format.ok) return format.value;
  at.refuse(format.error);
  return "";
}

function appendAction(option: HeaderValueOption): AppendAction {
  if (option.append === false) return "overwrite-or-add";
  switch (option.appendAction) {
    case HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT:
      return "add-if-absent";
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return "overwrite-or-add";
    case HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS:
      return "overwrite-if-exists";
    default:
      return "append";
  }
}

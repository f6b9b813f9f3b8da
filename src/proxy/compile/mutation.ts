// Header mutations: a flat list of what to add, set and remove, with Envoy's four append actions; and their effect on headers.

import type { AccessRecord, RecordFormatter } from "../../observe/access-record.ts";
import { compileFormat } from "../../observe/format.ts";
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
} from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { RequestHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import type { Field } from "./field.ts";
import type { StringPredicate } from "./matcher.ts";

export type AppendAction = "append" | "add-if-absent" | "overwrite-or-add" | "overwrite-if-exists";

export type HeaderMutation =
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "remove-matching"; readonly matches: StringPredicate }
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
    const put = compilePut(option, at.at(addName).at(index));
    if (put !== undefined) mutations.push(put);
  }
  return mutations;
}

export function compilePut(option: HeaderValueOption, at: Field): HeaderMutation | undefined {
  const header = option.header;
  if (header === undefined || header.key === "") {
    at.at("header").refuse("a header to add needs a key");
    return undefined;
  }
  const name = header.key.toLowerCase();
  const text = header.rawValue.length > 0 ? header.rawValue.toString("latin1") : header.value;
  if (name.startsWith(":") && name !== ":authority" && name !== ":path" && name !== ":method") {
    at.at("header").at("key").refuse(`${name} can't be set`);
    return undefined;
  }
  const value = compileValue(text, at.at("header").at("value"));
  return { kind: "put", name, action: appendAction(option), keepEmpty: option.keepEmptyValue, value };
}

function compileValue(text: string, at: Field): string | RecordFormatter {
  if (!text.includes("%")) return text;
  // An absent value is no value in a header, where the log writes a dash.
  const format = compileFormat(text, { omitEmpty: true });
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

/** `record` is only made where a value is computed. */
export function applyMutations(
  mutations: readonly HeaderMutation[],
  headers: HeaderList,
  pseudo: RequestHead | undefined,
  record: () => AccessRecord,
): void {
  for (const mutation of mutations) {
    if (mutation.kind === "remove") {
      headers.remove(mutation.name);
      continue;
    }
    if (mutation.kind === "remove-matching") {
      headers.removeMatching(mutation.matches);
      continue;
    }
    const value = typeof mutation.value === "string" ? mutation.value : mutation.value(record());
    const isPseudo = pseudo !== undefined && (mutation.name === "host" || mutation.name.startsWith(":"));
    if (isPseudo) setPseudo(pseudo, mutation.name, value);
    else if (value !== "" || mutation.keepEmpty) put(headers, mutation, value);
  }
}

function put(headers: HeaderList, mutation: Extract<HeaderMutation, { kind: "put" }>, value: string): void {
  switch (mutation.action) {
    case "append":
      headers.add(mutation.name, value);
      return;
    case "add-if-absent":
      if (!headers.has(mutation.name)) headers.add(mutation.name, value);
      return;
    case "overwrite-or-add":
      headers.set(mutation.name, value);
      return;
    case "overwrite-if-exists":
      if (headers.has(mutation.name)) headers.set(mutation.name, value);
      return;
  }
}

function setPseudo(head: RequestHead, name: string, value: string): void {
  if (name === ":authority" || name === "host") head.authority = value;
  else if (name === ":path") head.path = value;
  else if (name === ":method") head.method = value;
}

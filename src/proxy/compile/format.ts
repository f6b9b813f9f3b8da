// A SubstitutionFormatString to a function: what the access log and locally generated answers are written with.

import type { RecordFormatter } from "../../observe/access-record.ts";
import { compileFormat, compileJsonFormat } from "../../observe/format.ts";
import type { SubstitutionFormatString } from "../../proto/gen/envoy/config/core/v3/substitution_format_string.ts";
import { type Field, fields } from "./field.ts";
import { inlineText } from "./value.ts";

/** Operators of these extensions are always known. */
const FORMATTERS = new Set([
  "type.googleapis.com/envoy.extensions.formatter.metadata.v3.Metadata",
  "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
]);

export interface CompiledFormat {
  readonly write: RecordFormatter;
  readonly contentType: string;
}

export function compileSubstitutionFormat(format: SubstitutionFormatString, at: Field): CompiledFormat {
  at.only(format, fields("format omitEmptyValues contentType formatters jsonFormatOptions"));
  for (const [index, one] of format.formatters.entries()) {
    const url = one.typedConfig?.typeUrl ?? "";
    if (!FORMATTERS.has(url))
      at.at("formatters")
        .at(index)
        .refuse(`formatter ${url || one.name} is not built in`);
  }
  const specifier = format.format;
  const json = specifier?.$case === "jsonFormat";
  const options = {
    omitEmpty: format.omitEmptyValues,
    sortProperties: format.jsonFormatOptions?.sortProperties ?? false,
  };
  return {
    write: json
      ? compiled(compileJsonFormat(specifier.value, options), at.at("jsonFormat"))
      : compiled(compileFormat(textOf(format, at), options), at),
    contentType: format.contentType || (json ? "application/json" : "text/plain"),
  };
}

function textOf(format: SubstitutionFormatString, at: Field): string {
  const specifier = format.format;
  if (specifier?.$case === "textFormat") return specifier.value;
  if (specifier?.$case === "textFormatSource") return inlineText(specifier.value, at.at("textFormatSource")) ?? "";
  at.refuse("one of text_format, json_format and text_format_source is needed");
  return "";
}

function compiled(format: ReturnType<typeof compileFormat>, at: Field): RecordFormatter {
  if (format.ok) return format.value;
  at.refuse(format.error);
  return () => "";
}

// The filter that sets filter state: which protocols the upstream connection offers.

import type { Config as SetFilterState } from "../../proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import type { Field } from "./field.ts";

export interface FilterStateConfig {
  readonly kind: "set_filter_state";
  /** What the upstream connection offers by ALPN. */
  readonly applicationProtocols: readonly string[] | undefined;
}

export function compileFilterState(config: SetFilterState, at: Field): FilterStateConfig {
  let applicationProtocols: readonly string[] | undefined;
  for (const [index, value] of config.onRequestHeaders.entries()) {
    const field = at.at("onRequestHeaders").at(index);
    if (value.key?.value !== "envoy.network.application_protocols") {
      field.at("objectKey").refuse("only envoy.network.application_protocols can be set");
      continue;
    }
    const format = value.value?.value.format;
    if (format?.$case !== "textFormat" && format?.$case !== "textFormatSource") {
      field.at("formatString").refuse("a text format is needed");
      continue;
    }
    const text = format.$case === "textFormat" ? format.value : inlineOf(format.value.specifier);
    if (text.includes("%")) field.at("formatString").refuse("the list of protocols must be fixed");
    applicationProtocols = text.split(",").map((one) => one.trim());
  }
  return { kind: "set_filter_state", applicationProtocols };
}

function inlineOf(specifier: { $case: string; value: unknown } | undefined): string {
  return specifier?.$case === "inlineString" && typeof specifier.value === "string" ? specifier.value : "";
}

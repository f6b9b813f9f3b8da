// Extensions of the connection manager that look at a request first: where it came from, and changes before anything else.

import type { TypedExtensionConfig } from "../../proto/gen/envoy/config/core/v3/extension.ts";
import type { HttpConnectionManager } from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { HeaderMutation as EarlyHeaderMutation } from "../../proto/gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.ts";
import { CustomHeaderConfig } from "../../proto/gen/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header.ts";
import { XffConfig } from "../../proto/gen/envoy/extensions/http/original_ip_detection/xff/v3/xff.ts";
import { type Field, fields } from "./field.ts";
import { compileMutationList } from "./header-mutation.ts";
import type { HeaderMutation } from "./mutation.ts";

export type IpDetector =
  | {
      readonly kind: "header";
      readonly name: string;
      /** What it says may make a caller an internal one. */
      readonly trusted: boolean;
      /** The status of a request without such an address; undefined: the next detector is asked. */
      readonly rejectStatus: number | undefined;
    }
  | { readonly kind: "xff"; readonly hops: number };

const HTTP = "type.googleapis.com/envoy.extensions.http.";

export function compileIpDetectors(hcm: HttpConnectionManager, at: Field): readonly IpDetector[] {
  const field = at.at("originalIpDetectionExtensions");
  if (hcm.originalIpDetectionExtensions.length > 0 && (hcm.useRemoteAddress === true || hcm.xffNumTrustedHops > 0))
    field.refuse(
      "the connection's own address (use_remote_address, xff_num_trusted_hops) and extensions exclude each other",
    );
  return hcm.originalIpDetectionExtensions.flatMap((one, index) => compileDetector(one, field.at(index)));
}

function compileDetector(extension: TypedExtensionConfig, at: Field): readonly IpDetector[] {
  const any = extension.typedConfig;
  const field = at.at("typedConfig").as(any?.typeUrl ?? "");
  switch (any?.typeUrl) {
    case `${HTTP}original_ip_detection.custom_header.v3.CustomHeaderConfig`: {
      const config = CustomHeaderConfig.decode(any.value);
      field.only(config, fields("headerName allowExtensionToSetAddressAsTrusted rejectWithStatus"));
      const code: number | undefined = config.rejectWithStatus?.code;
      return [
        {
          kind: "header",
          name: config.headerName.toLowerCase(),
          trusted: config.allowExtensionToSetAddressAsTrusted,
          // Envoy takes a status that is no error for 403.
          rejectStatus: config.rejectWithStatus === undefined ? undefined : (code ?? 0) >= 400 ? code : 403,
        },
      ];
    }
    case `${HTTP}original_ip_detection.xff.v3.XffConfig`: {
      const config = XffConfig.decode(any.value);
      field.only(config, fields("xffNumTrustedHops"));
      return [{ kind: "xff", hops: config.xffNumTrustedHops }];
    }
    default:
      at.refuse(`address detection by ${any?.typeUrl ?? extension.name} is not built in`);
      return [];
  }
}

export function compileEarlyMutations(
  extensions: readonly TypedExtensionConfig[],
  at: Field,
): readonly HeaderMutation[] {
  return extensions.flatMap((one, index) => {
    const any = one.typedConfig;
    if (any?.typeUrl !== `${HTTP}early_header_mutation.header_mutation.v3.HeaderMutation`) {
      at.at(index).refuse(`early mutation by ${any?.typeUrl ?? one.name} is not built in`);
      return [];
    }
    const field = at.at(index).at("typedConfig").as(any.typeUrl);
    return compileMutationList(EarlyHeaderMutation.decode(any.value).mutations, field.at("mutations"));
  });
}

// Enough of OpenAPI that kubectl sees server-side field validation; merge keys of the built-in kinds it knows by itself.

import { apiVersionOf } from "../api/kind.ts";
import type { Registry } from "../api/registry.ts";

/** An OpenAPI v2 document without definitions in Protobuf: field 1, `swagger`, "2.0". */
export const OPENAPI_V2_PROTOBUF = Buffer.from([0x0a, 0x03, 0x32, 0x2e, 0x30]);
export const OPENAPI_V2_CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
export const OPENAPI_V2_JSON = { swagger: "2.0", info: { title: "weft", version: "v1" }, paths: {}, definitions: {} };

/** `/openapi/v3`: where the document of each group and version is. */
export function openApiRoot(registry: Registry): object {
  const groupVersions = new Set(
    registry.kinds.flatMap((kind) => kind.versions.map((version) => rootOf(kind.group, version))),
  );
  return {
    paths: Object.fromEntries([...groupVersions].map((path) => [path, { serverRelativeURL: `/openapi/v3/${path}` }])),
  };
}

/** The document of `api/v1` or `apis/apps/v1`. */
export function openApiDocument(registry: Registry, path: string): object | undefined {
  const paths: Record<string, object> = {};
  for (const kind of registry.kinds) {
    for (const version of kind.versions) {
      if (rootOf(kind.group, version) !== path) continue;
      const scope = kind.namespaced ? "/namespaces/{namespace}" : "";
      const gvk = { group: kind.group, version, kind: kind.kind };
      paths[`/${path}${scope}/${kind.plural}/{name}`] = {
        patch: {
          description: `partially update the specified ${kind.kind}`,
          operationId: `patch${apiVersionOf(kind, version).replaceAll(/[^A-Za-z0-9]/g, "")}${kind.kind}`,
          parameters: ["dryRun", "fieldManager", "fieldValidation", "force"].map((name) => ({
            name,
            in: "query",
            schema: { type: name === "force" ? "boolean" : "string", uniqueItems: true },
          })),
          responses: { "200": { description: "OK" } },
          "x-kubernetes-action": "patch",
          "x-kubernetes-group-version-kind": gvk,
        },
      };
    }
  }
  if (Object.keys(paths).length === 0) return undefined;
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.32.0" }, paths, components: {} };
}

function rootOf(group: string, version: string): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

// OpenAPI v3 of what is served, from the kinds' own schemas: `kubectl explain`, and field validation on the server.

import { apiVersionOf, type Kind } from "../api/kind.ts";
import { openApiSchema } from "../api/open-api.ts";
import type { Registry } from "../api/registry.ts";
import { objectSchema } from "../api/validate.ts";

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
  const schemas: Record<string, object> = {};
  for (const kind of registry.kinds) {
    for (const version of kind.versions) {
      if (rootOf(kind.group, version) !== path) continue;
      schemas[schemaName(kind, version)] = schemaOf(kind, version);
      const scope = kind.namespaced ? "/namespaces/{namespace}" : "";
      paths[`/${path}${scope}/${kind.plural}`] = operations(kind, version, ["get", "post", "delete"]);
      paths[`/${path}${scope}/${kind.plural}/{name}`] = operations(kind, version, ["get", "put", "patch", "delete"]);
    }
  }
  if (Object.keys(paths).length === 0) return undefined;
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.32.0" }, paths, components: { schemas } };
}

function rootOf(group: string, version: string): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

type Method = "get" | "post" | "put" | "patch" | "delete";

const ACTIONS = { get: "get", post: "post", put: "put", patch: "patch", delete: "delete" } as const;
const WRITE_PARAMETERS = ["dryRun", "fieldManager", "fieldValidation"];

function operations(kind: Kind, version: string, methods: readonly Method[]): object {
  const reference = { $ref: `#/components/schemas/${schemaName(kind, version)}` };
  const entries = methods.map((method) => [
    method,
    {
      description: `${method} ${kind.plural}`,
      operationId: `${method}${apiVersionOf(kind, version).replaceAll(/[^A-Za-z0-9]/g, "")}${kind.kind}`,
      parameters: parametersOf(method),
      responses: { "200": { description: "OK", content: { "application/json": { schema: reference } } } },
      "x-kubernetes-action": ACTIONS[method],
      "x-kubernetes-group-version-kind": { group: kind.group, version, kind: kind.kind },
    },
  ]);
  return Object.fromEntries(entries);
}

function parametersOf(method: Method): readonly object[] {
  const names = method === "get" ? [] : method === "patch" ? [...WRITE_PARAMETERS, "force"] : WRITE_PARAMETERS;
  return names.map((name) => ({
    name,
    in: "query",
    schema: { type: name === "force" ? "boolean" : "string", uniqueItems: true },
  }));
}

/** `io.k8s.api.apps.v1.Deployment`; of other groups the name of the group backwards. */
function schemaName(kind: Kind, version: string): string {
  const isKubernetes = kind.origin === "builtin";
  const short = kind.group === "" ? "core" : (kind.group.split(".")[0] ?? kind.group);
  const place = isKubernetes ? `io.k8s.api.${short}` : kind.group.split(".").reverse().join(".");
  return `${place}.${version}.${kind.kind}`;
}

function schemaOf(kind: Kind, version: string): object {
  return {
    ...openApiSchema(objectSchema(kind, version)),
    ...(kind.summary === undefined ? {} : { description: kind.summary }),
    "x-kubernetes-group-version-kind": [{ group: kind.group, version, kind: kind.kind }],
  };
}

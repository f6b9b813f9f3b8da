// A Service's endpoint, for what the API server itself has to reach.

import { eraseKind } from "../api/kind.ts";
import { type EndpointSlice, endpointSliceKind, SERVICE_NAME_LABEL } from "../api/kubernetes/endpoint-slice.ts";
import { type Service, serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import { err, ok, type Result } from "../base/result.ts";
import { collectionOf } from "./resources.ts";
import { type ApiFailure, badRequest, failure, notFound } from "./status.ts";
import type { Store } from "./store.ts";

export function endpointOf(
  store: Store,
  ref: { readonly namespace: string; readonly name: string },
  port: string | undefined,
): Result<{ readonly ip: string; readonly port: number }, ApiFailure> {
  const service = store.get(collectionOf(eraseKind(serviceKind)), ref.namespace, ref.name);
  if (service === undefined || !isService(service)) return err(notFound(eraseKind(serviceKind), ref.name));
  // By number or name; the first one where none is given.
  const named = service.spec.ports?.find(
    (each) => port === undefined || String(each.port) === port || each.name === port,
  );
  if (named === undefined) return err(badRequest(`service ${ref.name} has no port ${port ?? "at all"}`));
  const slices = store
    .list(collectionOf(eraseKind(endpointSliceKind)), ref.namespace)
    .filter(isSlice)
    .filter(({ metadata }) => metadata.labels?.[SERVICE_NAME_LABEL] === ref.name);
  for (const slice of slices) {
    const number = slice.ports?.find((each) => (each.name ?? "") === (named.name ?? ""))?.port;
    const ip = slice.endpoints.find(({ conditions }) => conditions?.ready !== false)?.addresses[0];
    if (number !== undefined && ip !== undefined) return ok({ ip, port: number });
  }
  return err(failure(503, "ServiceUnavailable", `no endpoints available for service ${JSON.stringify(ref.name)}`));
}

function isService(object: KubeObject): object is Service {
  return object.kind === serviceKind.kind;
}

function isSlice(object: KubeObject): object is EndpointSlice {
  return object.kind === endpointSliceKind.kind;
}

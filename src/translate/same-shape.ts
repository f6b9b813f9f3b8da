// Whether routes and listeners that were made for a view still hold for a later one.

import { VersionedMap } from "../base/versioned-map.ts";
import type { Service } from "../model/service.ts";
import { sameShapes } from "../model/snapshot.ts";
import type { ClientView } from "./view.ts";

/** Nothing that routes and listeners are made from differs: of endpoints they know only those of headless services. */
export function sameShape(view: ClientView, before: ClientView | undefined): boolean {
  if (before === undefined || view.sidecar !== before.sidecar) return false;
  const { snapshot } = view;
  const older = before.snapshot;
  if (snapshot.routes !== older.routes || snapshot.destinations !== older.destinations) return false;
  if (snapshot.mesh !== older.mesh || !sameShapes(snapshot.resources, older.resources)) return false;
  if (!isSameLocal(snapshot.index.local, older.index.local)) return false;
  return VersionedMap.changes(older.services, snapshot.services).every((host) => {
    const [service, other] = [snapshot.services.get(host), older.services.get(host)];
    return service !== undefined && other !== undefined && !service.headless;
  });
}

type Local = ReadonlyMap<string, ReadonlyMap<string, Service>>;

function isSameLocal(local: Local, before: Local): boolean {
  return local === before || (local.size === 0 && before.size === 0);
}

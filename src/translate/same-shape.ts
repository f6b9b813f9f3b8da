// Whether routes and listeners that were made for a view still hold for a later one.

import { sameShapes } from "../model/snapshot.ts";
import type { ClientView } from "./view.ts";

/** Nothing that routes and listeners are made from differs: of endpoints they know only those of headless services. */
export function sameShape(view: ClientView, before: ClientView | undefined): boolean {
  if (before === undefined || view.services.length !== before.services.length) return false;
  const { snapshot } = view;
  if (view.sidecar !== before.sidecar) return false;
  const older = before.snapshot;
  if (snapshot.routes !== older.routes || snapshot.destinations !== older.destinations) return false;
  if (snapshot.mesh !== older.mesh || !sameShapes(snapshot.resources, older.resources)) return false;
  return view.services.every((service, i) => {
    const other = before.services[i];
    return service === other || (!service.headless && other?.host === service.host);
  });
}

// Who may change or refuse an object before it is stored: sidecar injection, checks that need other resources.

import type { ApiError } from "../api/client.ts";
import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import type { User } from "./http.ts";

export interface AdmissionRequest {
  readonly operation: "create" | "update" | "delete";
  readonly kind: Kind;
  /** Absent for cluster-scoped objects. */
  readonly namespace: string | undefined;
  /** With defaults, before cross-field checks. On create its name is final, its uid set. */
  readonly object: KubeObject;
  /** What is stored, on an update. */
  readonly previous: KubeObject | undefined;
  readonly user: User;
  /** Nothing will be stored: a plugin must then change nothing elsewhere either. */
  readonly dryRun: boolean;
}

export type AdmissionAnswer =
  | { readonly kind: "allowed"; readonly object: KubeObject; readonly warnings: readonly string[] }
  | { readonly kind: "denied"; readonly error: ApiError };

/** Called in list order for every create and update of a main resource, not for status or other subresources. */
export interface AdmissionPlugin {
  readonly name: string;
  /** Asked about deletions too: the object is then the one that goes, and may not be changed. */
  readonly deletes?: boolean;
  admit(request: AdmissionRequest): Promise<AdmissionAnswer>;
}

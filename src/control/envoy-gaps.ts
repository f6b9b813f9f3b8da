// What upstream Envoy can't do of a resource although weft's own proxy does: a closed list. Pure.

import { type Issue, warningIssue } from "../api/issue.ts";
import type { KubeObject } from "../api/object.ts";
import { isRecord } from "../base/json.ts";
import type { ProxyNode } from "../translate/proxy.ts";

interface Gap {
  readonly kind: string;
  /** The field's name, wherever in `spec` it stands. */
  readonly field: string;
  readonly message: string;
}

const GAPS: readonly Gap[] = [
  {
    kind: "DestinationRule",
    field: "minRequestVolume",
    message: "Envoy ejects however few requests there were: it has no such bound",
  },
];

/** For a resource's condition, where proxies that it concerns are Envoy. */
export function envoyGaps(
  kind: string,
  object: KubeObject,
  concerned: readonly Pick<ProxyNode, "engine">[],
): readonly Issue[] {
  const gaps = GAPS.filter((gap) => gap.kind === kind);
  const count = gaps.length === 0 ? 0 : concerned.filter(({ engine }) => engine === "envoy").length;
  if (count === 0) return [];
  const spec: unknown = Reflect.get(object, "spec");
  return gaps.flatMap(({ field, message }) =>
    placesOf(spec, field, "spec").map((path) =>
      warningIssue(path, `${message} (${count} of ${concerned.length} proxies are Envoy)`),
    ),
  );
}

function placesOf(value: unknown, field: string, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => placesOf(item, field, `${path}[${index}]`));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === field ? [`${path}.${key}`] : placesOf(inner, field, `${path}.${key}`),
  );
}

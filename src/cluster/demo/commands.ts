// The commands that the demo proposes: each works when pasted, the kubeconfig included.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { quote } from "../../node/transparent/script.ts";
import { NAMESPACE } from "./shop.ts";

export interface CommandPlaces {
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly examples: string;
  readonly mode: "transparent" | "explicit";
  /** How weft is called here: `weft`, or `npx --no weft` in a checkout. */
  readonly weft: string;
}

export function tryNext(places: CommandPlaces, env: NodeJS.ProcessEnv): readonly string[] {
  const apply = (file: string): string =>
    `${places.weft} apply --data-dir ${quote(places.dataDir)} -f ${quote(join(places.examples, "next", file))}`;
  const page = [
    "# a page of it: who calls whom, live",
    `${places.weft} dashboard --open --data-dir ${quote(places.dataDir)}`,
  ];
  if (!isInstalled("kubectl", env)) {
    return [
      ...page,
      "# half of the traffic to v2: watch the canary",
      apply("canary-half.yaml"),
      "# customers may ask the API themselves: a no becomes a yes",
      apply("open-api.yaml"),
      "# pods and addresses; with kubectl 1.31 or later installed there is more to try",
      `${places.weft} status --data-dir ${quote(places.dataDir)}`,
    ];
  }
  return [
    ...page,
    `export KUBECONFIG=${quote(places.kubeconfig)}`,
    `kubectl get pods -n ${NAMESPACE}`,
    "# half of the traffic to v2: watch the canary",
    `kubectl apply -f ${quote(join(places.examples, "next", "canary-half.yaml"))}`,
    "# customers may ask the API themselves: a no becomes a yes",
    `kubectl apply -f ${quote(join(places.examples, "next", "open-api.yaml"))}`,
    "# one API pod fails for 20 s: retried, then ejected",
    `kubectl exec -n ${NAMESPACE} deploy/api-v1 -c api -- sh -c '${FAIL}'`,
    "# the sidecar's own view",
    `kubectl exec -n ${NAMESPACE} deploy/frontend -c istio-proxy -- ${ADMIN[places.mode]}`,
  ];
}

/** In the explicit mode pods share one loopback, so the admin interface is at the pod's own address. */
const ADMIN = {
  transparent: "curl -s localhost:15000/clusters",
  explicit: "sh -c 'curl -s $INSTANCE_IP:15000/clusters'",
} as const;

/** Past the sidecar, in either mode: a service may always talk to itself. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
const FAIL = "http_proxy= node call.js POST http://${HOST:-localhost}:8080/api/fail?seconds=20";

function isInstalled(tool: string, env: NodeJS.ProcessEnv): boolean {
  return (env["PATH"] ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, tool)));
}

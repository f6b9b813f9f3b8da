// The walk is only as good as what it takes from the post: the same rules on a small text of the same shapes.

import assert from "node:assert/strict";
import test from "node:test";
import { parsePost, readPost } from "../../e2e/post.ts";

const TEXT = `A heading

# 1. Enable it
apiVersion: v1
kind: Namespace
metadata:
  name: shop # a comment stays
---

# 2. See it
# kubectl get pods -n shop
# Output: app proxy
Pod with a sidecar:

apiVersion: v1
kind: Pod
metadata:
  name: one
  namespace: shop
spec:
  containers:
  - name: app

  # indented comments are the document's
  - name: proxy

status:
  phase: Running

Next heading

kubectl patch thing one -n shop --type merge \\
  -p '{"spec":1}'

# kubectl exec -it <pod> -- \\
#   openssl s_client
apiVersion: v1
kind: Service
metadata:
  name: last
kubectl get it
`;

test("takes each manifest as it stands", () => {
  const { manifests } = parsePost(TEXT);
  assert.deepEqual(
    manifests.map(({ kind, name, namespace, line }) => ({ kind, name, namespace, line })),
    [
      { kind: "Namespace", name: "shop", namespace: undefined, line: 4 },
      { kind: "Pod", name: "one", namespace: "shop", line: 15 },
      { kind: "Service", name: "last", namespace: undefined, line: 37 },
    ],
  );
  assert.equal(manifests[0]?.yaml, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop # a comment stays\n");
  assert.match(manifests[1]?.yaml ?? "", /indented comments[\s\S]*status:\n {2}phase: Running\n$/);
});

test("takes each command, in a comment or not, on one line or several", () => {
  assert.deepEqual(parsePost(TEXT).commands, [
    "kubectl get pods -n shop",
    `kubectl patch thing one -n shop --type merge -p '{"spec":1}'`,
    "kubectl exec -it <pod> -- openssl s_client",
    "kubectl get it",
  ]);
});

test("finds all of the post", (t) => {
  const seed = readPost();
  if ("absent" in seed) {
    t.skip(seed.absent);
    return;
  }
  const { manifests, commands } = seed.post;
  assert.deepEqual(
    manifests.map(({ kind, name }) => `${kind} ${name}`),
    [
      "Namespace production",
      "Pod app-pod",
      "PeerAuthentication default",
      "DestinationRule services",
      "AuthorizationPolicy api-policy",
      "Deployment api-v1",
      "Deployment api-v2",
      "Service api",
      "DestinationRule api",
      "VirtualService api",
      "DestinationRule api-circuit-breaker",
      "Telemetry tracing-config",
      "Service jaeger",
    ],
  );
  assert.equal(commands.length, 13);
});

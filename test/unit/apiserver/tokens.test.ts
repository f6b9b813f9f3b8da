import assert from "node:assert/strict";
import { test } from "node:test";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { serviceAccountKind } from "../../../src/api/kubernetes/service-account.ts";
import { VirtualClock } from "../../../src/base/clock.ts";
import { pod, startTestServer } from "./support/server.ts";

const NAMESPACE = "default";

test("a pod's token is good for its audience, its time and its pod, and for nothing else", async (context) => {
  const clock = new VirtualClock(Date.now());
  const server = await startTestServer(context, { clock });
  const { client } = server.api;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "web", namespace: NAMESPACE } };
  assert.ok((await client.create(serviceAccountKind, account)).ok);
  const { body: made } = await server.call("POST", `/api/v1/namespaces/${NAMESPACE}/pods`, pod("a"));
  const request = {
    namespace: NAMESPACE,
    serviceAccount: "web",
    audiences: ["istio-ca"],
    expirationSeconds: 600,
    pod: { name: "a", uid: made.metadata.uid },
  };
  const issued = await client.createToken(request);
  assert.ok(issued.ok);
  const reviewed = await client.reviewToken(issued.value, "istio-ca");
  assert.deepEqual(reviewed, {
    ok: true,
    value: { namespace: NAMESPACE, serviceAccount: "web", audiences: ["istio-ca"], pod: request.pod },
  });
  assert.equal((await client.reviewToken(issued.value, "other")).ok, false);
  const forged = issued.value.slice(0, -4) + (issued.value.endsWith("AAAA") ? "BBBB" : "AAAA");
  assert.equal((await client.reviewToken(forged, "istio-ca")).ok, false);
  const wrongPod = await client.createToken({ ...request, pod: { name: "a", uid: "other" } });
  assert.equal(wrongPod.ok, false);

  clock.advance(601_000);
  assert.equal((await client.reviewToken(issued.value, "istio-ca")).ok, false, "expired");
  const fresh = await client.createToken(request);
  assert.ok(fresh.ok);
  assert.ok((await client.remove(podKind, { namespace: NAMESPACE, name: "a" })).ok);
  const gone = await client.reviewToken(fresh.value, "istio-ca");
  assert.ok(!gone.ok);
  assert.match(gone.error.message, /pod default\/a is gone/);
});

test("a workload's token is known to the API and may read nothing", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "web" } });
  const url = "/api/v1/namespaces/default/serviceaccounts/web/token";
  const { code, body } = await server.call("POST", url, { spec: { expirationSeconds: 600 } });
  assert.equal(code, 201);
  const token: string = body.status.token;
  const pods = await server.call("GET", "/api/v1/namespaces/default/pods", undefined, { token });
  assert.equal(pods.code, 403);
  assert.match(pods.body.message, /User "system:serviceaccount:default:web" cannot list resource "pods"/);
  const review = await server.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token } });
  assert.equal(review.body.status.user.username, "system:serviceaccount:default:web");
  const bad = await server.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token: "x" } });
  assert.equal(bad.body.status.authenticated, false);
  const mayI = await server.call(
    "POST",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    { spec: {} },
    { token },
  );
  assert.equal(mayI.body.status.allowed, false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { pod, startTestServer } from "./support/server.ts";

const PODS = "/api/v1/namespaces/default/pods";
const SERVICES = "/api/v1/namespaces/default/services";

test("nobody gets in without a credential, whatever the path", async (context) => {
  const server = await startTestServer(context);
  for (const path of ["/healthz", "/version", "/api", PODS, "/nothing"]) {
    for (const token of [undefined, "wrong", "a.b.c"]) {
      const { code, body } = await server.call("GET", path, undefined, { token });
      assert.equal(code, 401, `${path} with ${token}`);
      assert.equal(body.reason, "Unauthorized");
    }
  }
  assert.equal((await server.call("GET", "/readyz")).body, "ok");
});

test("an object is created with defaults, read, and refused a second time", async (context) => {
  const server = await startTestServer(context);
  const made = await server.call("POST", PODS, pod("a"));
  assert.equal(made.code, 201);
  assert.equal(made.body.spec.restartPolicy, "Always");
  assert.equal(made.body.spec.containers[0].imagePullPolicy, "IfNotPresent");
  assert.equal(made.body.status.phase, "Pending");
  assert.match(made.body.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual((await server.call("GET", `${PODS}/a`)).body, made.body);
  const again = await server.call("POST", PODS, pod("a"));
  assert.deepEqual([again.code, again.body.reason], [409, "AlreadyExists"]);
  const generated = await server.call("POST", PODS, pod("", { generateName: "web-" }));
  assert.match(generated.body.metadata.name, /^web-[a-z0-9]{5}$/);
  const missing = await server.call("GET", `${PODS}/zz`);
  assert.deepEqual([missing.code, missing.body.message], [404, 'pods "zz" not found']);
});

test("a manifest may carry half a status: it is read and left to the controllers", async (context) => {
  const server = await startTestServer(context);
  const body = { ...pod("a"), status: { containerStatuses: [{ name: "app", ready: true }] } };
  const made = await server.call("POST", "/api/v1/namespaces/default/pods", body);
  assert.equal(made.code, 201);
  assert.equal(made.body.status?.containerStatuses, undefined);
  const wrong = { ...pod("b"), status: { containerStatuses: "none" } };
  assert.equal((await server.call("POST", "/api/v1/namespaces/default/pods", wrong)).code, 400);
});

test("bad bodies are refused with their reason", async (context) => {
  const server = await startTestServer(context);
  const strict = `${PODS}?fieldValidation=Strict`;
  const unknown = { ...pod("a"), spec: { containers: [{ name: "app", image: "app:1", imgae: "x" }] } };
  const cases: [string, { raw?: string; body?: unknown; url?: string; type?: string }, number, RegExp][] = [
    ["broken JSON", { raw: "{" }, 400, /cannot read the body as JSON/],
    ["broken YAML", { raw: "a: [", type: "application/yaml" }, 400, /cannot read the body as YAML/],
    ["a list", { body: [] }, 400, /must be one Pod object/],
    [
      "unknown field",
      { body: unknown, url: strict },
      400,
      /strict decoding error: unknown field "spec.containers\[0\].imgae"/,
    ],
    [
      "wrong type",
      { body: { ...pod("a"), spec: { containers: "x" } } },
      400,
      /spec.containers: expected array, got string/,
    ],
    [
      "no image",
      { body: { ...pod("a"), spec: { containers: [{ name: "app" }] } } },
      422,
      /spec.containers\[0\].image: Required value/,
    ],
    ["no containers", { body: { ...pod("a"), spec: {} } }, 422, /spec.containers: Required value/],
    ["bad name", { body: pod("A_b") }, 422, /metadata.name: Invalid value: "A_b"/],
    ["bad label", { body: pod("a", { labels: { x: "a b" } }) }, 422, /metadata.labels: Invalid value/],
    ["other kind", { body: { ...pod("a"), kind: "Service" } }, 400, /does not match the expected kind/],
    ["other namespace", { body: pod("a", { namespace: "kube-system" }) }, 400, /does not match the namespace sent/],
    [
      "no such namespace",
      { body: pod("a"), url: "/api/v1/namespaces/nowhere/pods" },
      404,
      /namespaces "nowhere" not found/,
    ],
    [
      "too large",
      { raw: JSON.stringify(pod("a", { annotations: { a: "x".repeat(3 * 1024 * 1024) } })) },
      413,
      /larger than the limit/,
    ],
    ["too deep", { raw: `{"a":${"[".repeat(300)}${"]".repeat(300)}}` }, 400, /nested deeper/],
  ];
  for (const [name, { raw, body, url = PODS, type }, code, message] of cases) {
    const options = { ...(raw === undefined ? {} : { raw }), ...(type === undefined ? {} : { type }) };
    const answer = await server.call("POST", url, body, options);
    assert.equal(answer.code, code, `${name}: ${JSON.stringify(answer.body)}`);
    assert.match(answer.body.message, message, name);
    assert.equal(answer.body.kind, "Status");
  }
  assert.equal((await server.call("GET", PODS)).body.items.length, 0);
});

test("an unknown field is warned of or passed over when the client asks for that, and never kept", async (context) => {
  const server = await startTestServer(context);
  const warned = await server.call("POST", `${PODS}?fieldValidation=Warn`, { ...pod("a"), foo: 1 });
  assert.equal(warned.code, 201);
  assert.equal(warned.headers["warning"], '299 - "unknown field \\"foo\\""');
  assert.equal(warned.body.foo, undefined);
  const ignored = await server.call("POST", `${PODS}?fieldValidation=Ignore`, { ...pod("b"), foo: 1 });
  assert.equal(ignored.headers["warning"], undefined);
});

test("a dry run changes nothing", async (context) => {
  const server = await startTestServer(context);
  assert.equal((await server.call("POST", `${PODS}?dryRun=All`, pod("a"))).code, 201);
  assert.equal((await server.call("GET", `${PODS}/a`)).code, 404);
});

test("writes meet: an old resourceVersion is a conflict, a patch is not", async (context) => {
  const server = await startTestServer(context);
  const { body: first } = await server.call("POST", PODS, pod("a"));
  const labelled = { ...first, metadata: { ...first.metadata, labels: { x: "1" } } };
  assert.equal((await server.call("PUT", `${PODS}/a`, labelled)).code, 200);
  const late = await server.call("PUT", `${PODS}/a`, labelled);
  assert.deepEqual([late.code, late.body.reason], [409, "Conflict"]);
  const patches = Array.from({ length: 20 }, (_, index) =>
    server.call(
      "PATCH",
      `${PODS}/a`,
      { metadata: { labels: { [`l${index}`]: "1" } } },
      { type: "application/merge-patch+json" },
    ),
  );
  for (const { code } of await Promise.all(patches)) assert.equal(code, 200);
  const { body } = await server.call("GET", `${PODS}/a`);
  assert.equal(Object.keys(body.metadata.labels).length, 21);
});

test("status and object are written apart; a no-op keeps the version; a pod's specification is fixed", async (context) => {
  const server = await startTestServer(context);
  const { body: made } = await server.call("POST", PODS, { ...pod("a"), status: { phase: "Running" } });
  assert.equal(made.status.phase, "Pending");
  const merge = { type: "application/merge-patch+json" };
  const running = await server.call(
    "PATCH",
    `${PODS}/a/status`,
    { status: { phase: "Running" }, metadata: { labels: { x: "y" } } },
    merge,
  );
  assert.equal(running.body.status.phase, "Running");
  assert.equal(running.body.metadata.labels, undefined);
  const ignored = await server.call("PATCH", `${PODS}/a`, { status: { phase: "Failed" } }, merge);
  assert.equal(ignored.body.status.phase, "Running");
  assert.equal(ignored.body.metadata.resourceVersion, running.body.metadata.resourceVersion);
  const fixed = await server.call("PATCH", `${PODS}/a`, { spec: { hostNetwork: true } }, merge);
  assert.equal(fixed.code, 422);
  assert.match(fixed.body.message, /spec: Forbidden: pod updates may not change fields other than/);
});

test("deletion waits for the node where a pod runs, for finalizers, and for a namespace's content", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", PODS, pod("idle"));
  await server.call("DELETE", `${PODS}/idle`);
  assert.equal((await server.call("GET", `${PODS}/idle`)).code, 404);
  await server.call("POST", PODS, { ...pod("busy"), spec: { nodeName: "n", containers: [{ name: "a", image: "a" }] } });
  const ending = await server.call("DELETE", `${PODS}/busy?gracePeriodSeconds=7`);
  assert.equal(ending.body.metadata.deletionGracePeriodSeconds, 7);
  assert.equal((await server.call("GET", `${PODS}/busy`)).code, 200);
  const wrong = await server.call("DELETE", `${PODS}/busy`, { preconditions: { uid: "other" } });
  assert.equal(wrong.code, 409);
  await server.call("DELETE", `${PODS}/busy`, { gracePeriodSeconds: 0 });
  assert.equal((await server.call("GET", `${PODS}/busy`)).code, 404);

  await server.call("POST", PODS, pod("held", { finalizers: ["weft.dev/test"] }));
  await server.call("DELETE", `${PODS}/held`);
  assert.ok((await server.call("GET", `${PODS}/held`)).body.metadata.deletionTimestamp);
  await server.call(
    "PATCH",
    `${PODS}/held`,
    { metadata: { finalizers: null } },
    { type: "application/merge-patch+json" },
  );
  assert.equal((await server.call("GET", `${PODS}/held`)).code, 404);

  await server.call("POST", "/api/v1/namespaces", { metadata: { name: "shop" } });
  const { body: terminating } = await server.call("DELETE", "/api/v1/namespaces/shop");
  assert.equal(terminating.status.phase, "Terminating");
  const refused = await server.call("POST", "/api/v1/namespaces/shop/pods", pod("late"));
  assert.equal(refused.code, 403);
  assert.equal(refused.body.details.causes[0].reason, "NamespaceTerminating");
  await server.call("PUT", "/api/v1/namespaces/shop/finalize", { ...terminating, spec: { finalizers: [] } });
  assert.equal((await server.call("GET", "/api/v1/namespaces/shop")).code, 404);
  assert.equal((await server.call("DELETE", "/api/v1/namespaces/default")).code, 403);
});

test("services get addresses that nobody else has, and keep them", async (context) => {
  const server = await startTestServer(context);
  const service = (name: string, spec: object = {}) => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  const made = await Promise.all(["a", "b", "c"].map((name) => server.call("POST", SERVICES, service(name))));
  const addresses = made.map(({ body }) => body.spec.clusterIP);
  assert.equal(new Set(addresses).size, 3);
  for (const address of addresses) assert.match(address, /^10\.96\.\d+\.\d+$/);
  assert.deepEqual(made[0]?.body.spec.ports, [{ port: 80, protocol: "TCP", targetPort: 80 }]);
  const taken = await server.call("POST", SERVICES, service("d", { clusterIP: addresses[0] }));
  assert.match(taken.body.message, /provided IP is already allocated/);
  const replaced = await server.call("PUT", `${SERVICES}/a`, service("a", { selector: { app: "a" } }));
  assert.equal(replaced.body.spec.clusterIP, addresses[0]);
  const moved = await server.call("PUT", `${SERVICES}/a`, service("a", { clusterIP: "10.96.77.77" }));
  assert.match(moved.body.message, /may not change once set/);
  const headless = await server.call("POST", SERVICES, service("h", { clusterIP: "None" }));
  assert.equal(headless.body.spec.clusterIP, "None");
});

test("lists select, page and say what they don't know", async (context) => {
  const server = await startTestServer(context);
  for (const name of ["a", "b", "c", "d", "e"]) {
    await server.call("POST", PODS, pod(name, { labels: { app: name, tier: name < "c" ? "front" : "back" } }));
  }
  const names = async (query: string): Promise<string> => {
    const { body } = await server.call("GET", `${PODS}?${query}`);
    return body.items.map((item: { metadata: { name: string } }) => item.metadata.name).join("");
  };
  const label = (text: string) => names(`labelSelector=${encodeURIComponent(text)}`);
  assert.equal(await label("tier=front"), "ab");
  assert.equal(await label("tier!=front,app!=e"), "cd");
  assert.equal(await label("app in (a, e),tier"), "ae");
  assert.equal(await label("app notin (a,b,c)"), "de");
  assert.equal(await label("!tier"), "");
  assert.equal(await names("fieldSelector=metadata.name%3Dc"), "c");
  assert.equal(await names("fieldSelector=status.phase!%3DPending"), "");
  assert.equal((await server.call("GET", `${PODS}?fieldSelector=spec.foo%3Dc`)).code, 400);
  assert.equal((await server.call("GET", `${PODS}?labelSelector=${encodeURIComponent("a in b")}`)).code, 400);
  const { body: page } = await server.call("GET", `${PODS}?limit=3`);
  assert.deepEqual([page.items.length, page.metadata.remainingItemCount], [3, 2]);
  assert.equal(await names(`limit=3&continue=${page.metadata.continue}`), "de");
});

test("a watch tells what its selector sees, resumes, and says when it is too late", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", PODS, pod("a", { labels: { x: "1" } }));
  const { body: list } = await server.call("GET", PODS);
  const from = list.metadata.resourceVersion;
  const merge = { type: "application/merge-patch+json" };
  await server.call("PATCH", `${PODS}/a`, { metadata: { labels: { x: "2" } } }, merge);
  const events: string[] = [];
  const watch = server.watch(`${PODS}?watch=true&labelSelector=x%3D1&resourceVersion=${from}`);
  events.push((await watch.next()).value.type);
  await server.call("PATCH", `${PODS}/a`, { metadata: { labels: { x: "1" } } }, merge);
  events.push((await watch.next()).value.type);
  await server.call("PATCH", `${PODS}/a`, { metadata: { labels: { y: "1" } } }, merge);
  events.push((await watch.next()).value.type);
  await server.call("DELETE", `${PODS}/a`);
  events.push((await watch.next()).value.type);
  await watch.return(undefined);
  assert.deepEqual(events, ["DELETED", "ADDED", "MODIFIED", "DELETED"]);
  await server.api.close();
  const restarted = await startTestServer(context, { dataDir: server.dataDir });
  for await (const { type, object } of restarted.watch(`${PODS}?watch=true&resourceVersion=2`)) {
    const status: Record<string, unknown> = object;
    assert.deepEqual([type, status["code"], status["reason"]], ["ERROR", 410, "Expired"]);
  }
});

test("a watch list begins with what is there and marks where that ends", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", PODS, pod("a"));
  const watch = server.watch(
    `${PODS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
  );
  assert.equal((await watch.next()).value.type, "ADDED");
  const { value: mark } = await watch.next();
  assert.equal(mark.type, "BOOKMARK");
  assert.equal(mark.object.metadata.annotations["k8s.io/initial-events-end"], "true");
  await watch.return(undefined);
});

test("tables have kubectl's columns", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", PODS, pod("a"));
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  const { body } = await server.call("GET", PODS, undefined, { accept });
  assert.equal(body.kind, "Table");
  const names = body.columnDefinitions.map((column: { name: string }) => column.name);
  assert.deepEqual(names, [
    "Name",
    "Ready",
    "Status",
    "Restarts",
    "Age",
    "IP",
    "Node",
    "Nominated Node",
    "Readiness Gates",
  ]);
  assert.deepEqual(body.rows[0].cells.slice(0, 4), ["a", "0/1", "Pending", "0"]);
  assert.equal(body.rows[0].object.metadata.name, "a");
});

test("patches of each type, and 415 for what is not there", async (context) => {
  const server = await startTestServer(context);
  await server.call("POST", PODS, pod("a"));
  const image = { spec: { containers: [{ name: "app", image: "app:2" }] } };
  const strategic = await server.call("PATCH", `${PODS}/a`, image, { type: "application/strategic-merge-patch+json" });
  assert.equal(strategic.body.spec.containers[0].image, "app:2");
  assert.equal(strategic.body.spec.containers[0].imagePullPolicy, "IfNotPresent");
  const json = { type: "application/json-patch+json" };
  const replaced = await server.call(
    "PATCH",
    `${PODS}/a`,
    [{ op: "replace", path: "/spec/containers/0/image", value: "app:3" }],
    json,
  );
  assert.equal(replaced.body.spec.containers[0].image, "app:3");
  const nowhere = await server.call("PATCH", `${PODS}/a`, [{ op: "remove", path: "/spec/nothing" }], json);
  assert.equal(nowhere.code, 422);
  assert.equal((await server.call("PATCH", `${PODS}/a`, {}, { type: "application/other" })).code, 415);
  const anonymous = await server.call("PATCH", `${PODS}/a`, {}, { type: "application/apply-patch+yaml" });
  assert.match(anonymous.body.message, /fieldManager is required for apply patch/);
  const VS = "/apis/networking.istio.io/v1/namespaces/default/virtualservices";
  await server.call("POST", VS, {
    metadata: { name: "v" },
    spec: { hosts: ["a"], http: [{ route: [{ destination: { host: "a" } }] }] },
  });
  const custom = await server.call(
    "PATCH",
    `${VS}/v`,
    { spec: {} },
    { type: "application/strategic-merge-patch+json" },
  );
  assert.equal(custom.code, 415);
  const beta = await server.call("GET", `${VS.replace("/v1/", "/v1beta1/")}/v`);
  assert.equal(beta.body.apiVersion, "networking.istio.io/v1beta1");
});

test("events of both groups are the same events", async (context) => {
  const server = await startTestServer(context);
  const event = {
    metadata: { name: "e" },
    involvedObject: { kind: "Pod", name: "a" },
    reason: "Pulled",
    message: "hello",
    type: "Normal",
  };
  await server.call("POST", "/api/v1/namespaces/default/events", event);
  const { body } = await server.call("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e");
  assert.deepEqual([body.note, body.regarding.name, body.apiVersion], ["hello", "a", "events.k8s.io/v1"]);
  const found = await server.call(
    "GET",
    "/api/v1/events?fieldSelector=involvedObject.name%3Da,involvedObject.kind%3DPod",
  );
  assert.equal(found.body.items.length, 1);
});

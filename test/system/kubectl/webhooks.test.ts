// Webhooks are called for real: they change, refuse, and fail open or closed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:https";
import { type TestContext, test } from "node:test";
import { startTestServer, temporaryDirectory } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;

interface Hook {
  readonly port: number;
  readonly caBundle: string;
  readonly seen: string[];
}

/** Adds a label on `/mutate`, refuses names that begin with "bad" on `/validate`, never answers on `/hang`. */
async function startHook(context: TestContext): Promise<Hook> {
  const directory = temporaryDirectory(context);
  const [key, cert] = [`${directory}/key.pem`, `${directory}/cert.pem`];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  execFileSync("openssl", [...options, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
  const seen: string[] = [];
  const server = createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const review = JSON.parse(Buffer.concat(chunks).toString());
    const { uid, operation, object, oldObject, userInfo } = review.request;
    const name = (object ?? oldObject).metadata.name;
    seen.push(`${operation} ${name} ${userInfo.username}`);
    if (request.url?.startsWith("/hang") === true) return;
    const patch = [{ op: "add", path: "/metadata/labels", value: { touched: "yes" } }];
    const change = { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
    const answer =
      request.url?.startsWith("/mutate") === true
        ? { allowed: true, ...change, warnings: ["labelled on its way"] }
        : { allowed: !name.startsWith("bad"), status: { message: "this name is bad", code: 403 } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: { uid, ...answer } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { port, caBundle: fs.readFileSync(cert).toString("base64"), seen };
}

function configuration(kind: "Validating" | "Mutating", hook: Hook, path: string, more = ""): string {
  return `
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata: {name: ${path}}
webhooks:
- name: ${path}.example.com
  clientConfig: {url: "https://localhost:${hook.port}/${path}", caBundle: ${hook.caBundle}}
  rules: [{operations: [CREATE, DELETE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]
  ${more}
`;
}

test("a mutating webhook changes, a validating one refuses, deletions too", { skip }, async (context) => {
  const server = await startTestServer(context);
  const hook = await startHook(context);
  const apply = (input: string) => kubectl(server, "apply -f -", { input });
  assert.equal((await apply(configuration("Mutating", hook, "mutate"))).code, 0);
  assert.equal((await apply(configuration("Validating", hook, "validate"))).code, 0);
  const made = await kubectl(server, "create configmap good");
  assert.equal(made.code, 0, made.err);
  assert.match(made.err, /Warning: labelled on its way/);
  assert.equal((await kubectl(server, "get cm good -o jsonpath={.metadata.labels.touched}")).out, "yes");
  const refused = await kubectl(server, "create configmap bad");
  assert.match(refused.err, /admission webhook "validate.example.com" denied the request: this name is bad/);
  assert.equal((await kubectl(server, "create secret generic bad")).code, 0);
  assert.equal((await kubectl(server, "delete cm good")).code, 0);
  assert.ok(hook.seen.includes("DELETE good kubernetes-admin"), hook.seen.join());
});

test("a webhook that does not answer refuses or is passed over, as its policy says", { skip }, async (context) => {
  const server = await startTestServer(context);
  const hook = await startHook(context);
  const use = async (more: string): Promise<void> => {
    const input = configuration("Validating", hook, "hang", `timeoutSeconds: 1\n  ${more}`);
    assert.equal((await kubectl(server, "apply -f -", { input })).code, 0);
  };
  await use("failurePolicy: Fail");
  const closed = await kubectl(server, "create configmap a");
  assert.match(closed.err, /failed calling webhook "hang.example.com": .*context deadline exceeded/);
  await use("failurePolicy: Ignore");
  const open = await kubectl(server, "create configmap a");
  assert.equal(open.code, 0);
  assert.match(open.err, /Warning: failed calling webhook .* its failurePolicy is Ignore/);
  // Where the selector leaves the namespace out, nobody is asked.
  const before = hook.seen.length;
  await use("failurePolicy: Fail\n  namespaceSelector: {matchLabels: {ask: 'yes'}}");
  assert.equal((await kubectl(server, "create configmap b")).code, 0);
  assert.equal(hook.seen.length, before);
});

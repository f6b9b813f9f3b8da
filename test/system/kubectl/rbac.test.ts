// A service account may do what its roles say, and nothing else.

import assert from "node:assert/strict";
import fs from "node:fs";
import { type TestContext, test } from "node:test";
import { startTestServer, type TestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;

const BOT = "--as=system:serviceaccount:default:bot";

async function withBot(context: TestContext): Promise<{ server: TestServer; token: string }> {
  const server = await startTestServer(context);
  assert.equal((await kubectl(server, "create serviceaccount bot")).code, 0);
  const made = await kubectl(server, "create token bot");
  assert.equal(made.code, 0, made.err);
  return { server, token: made.out.trim() };
}

test("a token without a role may only ask about itself", { skip }, async (context) => {
  const { server, token } = await withBot(context);
  // A kubeconfig without the administrator's credential.
  const path = `${server.dataDir}/bot.kubeconfig`;
  fs.writeFileSync(path, server.api.kubeconfig().replace(server.token, token), { mode: 0o600 });
  const asBot = (words: string) => kubectl(server, words, { more: ["--kubeconfig", path] });
  const refused = await asBot("get pods");
  assert.match(
    refused.err,
    /pods is forbidden: User "system:serviceaccount:default:bot" cannot list resource "pods" in API group "" in the namespace "default"/,
  );
  assert.match((await asBot("auth whoami")).out, /system:serviceaccount:default:bot/);
  assert.equal((await asBot("auth can-i list pods")).out.trim(), "no");
  assert.match((await asBot("auth can-i --list")).out, /selfsubjectaccessreviews.authorization.k8s.io/);
});

test("roles and bindings give exactly what they say", { skip }, async (context) => {
  const { server } = await withBot(context);
  const ok = async (words: string): Promise<void> => {
    const { code, err } = await kubectl(server, words);
    assert.equal(code, 0, `${words}: ${err}`);
  };
  const can = async (words: string): Promise<string> =>
    (await kubectl(server, `auth can-i ${words} ${BOT}`)).out.trim();
  await ok("create role reader --verb=get,list --resource=pods,pods/log");
  await ok("create rolebinding bot-reads --role=reader --serviceaccount=default:bot");
  assert.equal(await can("list pods"), "yes");
  assert.equal(await can("get pods/log"), "yes");
  assert.equal(await can("delete pods"), "no");
  assert.equal(await can("list pods -n kube-system"), "no");
  assert.equal(await can("list deployments.apps"), "no");
  await ok("create clusterrolebinding bot-views --clusterrole=view --serviceaccount=default:bot");
  assert.equal(await can("list deployments.apps -A"), "yes");
  assert.equal(await can("get secrets"), "no");
  assert.equal((await kubectl(server, `get deployments -A ${BOT}`)).code, 0);
  assert.match((await kubectl(server, `create configmap x ${BOT}`)).err, /cannot create resource "configmaps"/);
  // What is taken back is gone at once.
  await ok("delete clusterrolebinding bot-views");
  assert.equal(await can("list deployments.apps -A"), "no");
});

test("nobody gives away more than they have", { skip }, async (context) => {
  const { server } = await withBot(context);
  const ok = async (words: string): Promise<void> => assert.equal((await kubectl(server, words)).code, 0, words);
  await ok(
    "create role maker --verb=* --resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io",
  );
  await ok("create rolebinding bot-makes --role=maker --serviceaccount=default:bot");
  const more = await kubectl(server, `create role more --verb=get --resource=secrets ${BOT}`);
  assert.match(more.err, /is attempting to grant RBAC permissions not currently held/);
  const admin = await kubectl(
    server,
    `create rolebinding me --clusterrole=cluster-admin --serviceaccount=default:bot ${BOT}`,
  );
  assert.match(admin.err, /is attempting to grant RBAC permissions not currently held/);
  await ok(`create role same --verb=get --resource=roles.rbac.authorization.k8s.io ${BOT}`);
});

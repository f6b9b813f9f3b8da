// Mutual TLS, access control, and the certificates that one can look at.

import assert from "node:assert/strict";
import { caller, deployment, documents, named, service } from "../own.ts";
import { eventually } from "../process.ts";
import { appliesAsItStands, type Row, type Walk } from "../row.ts";
import { ask, send, tally } from "../traffic.ts";

const API = "http://api.production.svc.cluster.local:8080";
const ECHO = "http://echo.production.svc.cluster.local:8080";
const HEALTH = "http://api-health.production.svc.cluster.local:8081";
const FRONTEND_URI = "spiffe://cluster.local/ns/production/sa/frontend";

interface Access {
  readonly who: string;
  readonly namespace?: string;
  readonly method: string;
  readonly url: string;
  readonly status: number;
}

const ACCESS: readonly Access[] = [
  { who: "frontend", method: "GET", url: `${API}/api/items`, status: 200 },
  { who: "frontend", method: "POST", url: `${API}/api/items`, status: 200 },
  { who: "frontend", method: "DELETE", url: `${API}/api/items`, status: 403 },
  { who: "frontend", method: "GET", url: `${API}/admin`, status: 403 },
  { who: "frontend", method: "GET", url: `${API}/apis`, status: 403 },
  { who: "other", method: "GET", url: `${API}/api/items`, status: 403 },
  { who: "health", namespace: "istio-system", method: "GET", url: `${HEALTH}/healthz`, status: 200 },
  { who: "health", namespace: "istio-system", method: "GET", url: `${API}/api/items`, status: 403 },
  { who: "other", method: "GET", url: `${HEALTH}/healthz`, status: 403 },
];

export const MTLS: readonly Row[] = [
  ...[
    ["PeerAuthentication", "default"],
    ["DestinationRule", "services"],
    ["AuthorizationPolicy", "api-policy"],
    ["Deployment", "api-v1"],
    ["Deployment", "api-v2"],
    ["Service", "api"],
  ].map(([kind = "", name = ""]) => appliesAsItStands(kind, name)),
  {
    name: "the api and a health checker in istio-system come up",
    sets: true,
    run: async ({ cluster }) => {
      await cluster.kubectl(["create", "namespace", "istio-system"]);
      await cluster.apply(
        documents(
          service("api-health", "production", 8081, "api"),
          named("ServiceAccount", "health", "istio-system"),
          deployment({ name: "health", namespace: "istio-system", serviceAccount: "health", inject: true }),
        ),
      );
      for (const name of ["api-v1", "api-v2"]) await cluster.deploymentReady("production", name);
      await cluster.deploymentReady("istio-system", "health");
      await settled(cluster, "frontend", `${API}/api/x`, 200);
    },
  },
  { name: "STRICT refuses plaintext of a pod without a sidecar", run: strict },
  { name: "PERMISSIVE lets plaintext pass", run: permissive },
  { name: "DISABLE lets plaintext pass", run: disabled },
  ...ACCESS.map(
    ({ who, namespace, method, url, status }): Row => ({
      name: `${who} ${method} ${url.replace(/\.production\.svc\.cluster\.local/, "")} gets ${status}`,
      run: async ({ cluster }) => {
        const from = await caller(cluster, who, namespace ?? "production");
        const answer = await ask(cluster, from, { url, method });
        assert.equal(answer.status, status, JSON.stringify(answer));
        if (status === 403) assert.match(answer.body, /RBAC: access denied/);
        else assert.equal(JSON.parse(answer.body).method, method);
      },
    }),
  ),
  {
    name: "the policy that refused is named",
    run: async ({ cluster }) => {
      const answer = await ask(cluster, await caller(cluster, "other"), { url: `${API}/api/items` });
      assert.match(answer.cause ?? "", /AuthorizationPolicy|api-policy/, JSON.stringify(answer));
    },
  },
  { name: "openssl s_client, as the post does, shows the server's SPIFFE identity", run: sClient },
  {
    name: "cert-chain.pem, as the post reads it, is the pod's",
    run: async ({ cluster, command }) => {
      const out = await command(/cert-chain\.pem/, { pod: await cluster.pod("production", "app=frontend") });
      assert.ok(out.includes(`URI:${FRONTEND_URI}`), out.slice(0, 3000));
    },
  },
  { name: "the certificate file verifies against the mesh root", run: verifies },
  ...[
    ["peerauthentication", /default\s/],
    ["destinationrules", /services\s+\*\.production\.svc\.cluster\.local/],
    ["authorizationpolicies", /api-policy/],
  ].map(
    ([kind = "", shown = ""]): Row => ({
      name: `kubectl get ${kind}, as the post does`,
      run: async ({ command }) => {
        assert.match(await command(new RegExp(`^kubectl get ${kind}`)), new RegExp(shown));
      },
    }),
  ),
  {
    name: "the post's mTLS metric is among the metrics",
    run: async ({ cluster }) => {
      const pod = await cluster.pod("production", "app=frontend");
      const metrics = await cluster.admin("production", pod, "/stats/prometheus");
      assert.match(
        metrics,
        /^envoy_listener_ssl_socket_factory_downstream_tls_context_update_failure(\{[^}]*\})? \d+$/m,
      );
    },
  },
];

/** Waits out the time that configuration takes to arrive. */
async function settled(cluster: Walk["cluster"], who: string, url: string, status: number): Promise<void> {
  const from = await caller(cluster, who);
  await eventually(`${status} for ${url}`, 20_000, async () => {
    const answer = await ask(cluster, from, { url });
    return answer.status === status ? true : JSON.stringify(answer);
  });
}

/** Where plaintext knocks: the service; without interception and mesh DNS, the sidecar's own port. */
async function front(cluster: Walk["cluster"], app: string): Promise<string> {
  if (cluster.mode === "transparent") return `http://${app}.production.svc.cluster.local:8080`;
  return `http://${await cluster.podIP("production", await cluster.pod("production", `app=${app}`))}:15006`;
}

async function strict({ cluster }: Walk): Promise<void> {
  const from = await caller(cluster, "bystander", "default");
  const answers = await send(cluster, from, {
    url: `${await front(cluster, "echo")}/api/x`,
    count: 3,
    keepAlive: false,
  });
  assert.ok(
    answers.every(({ status, error }) => status === undefined && /ECONNRESET|socket hang up|EPIPE/.test(error ?? "")),
    JSON.stringify(tally(answers)),
  );
}

async function inMode(cluster: Walk["cluster"], mode: string, check: () => Promise<void>): Promise<void> {
  const policy = (value: string): string => JSON.stringify({ spec: { mtls: { mode: value } } });
  const patch = (value: string): Promise<string> =>
    cluster.kubectlOk([
      "patch",
      "peerauthentication",
      "default",
      "-n",
      "production",
      "--type",
      "merge",
      "-p",
      policy(value),
    ]);
  await patch(mode);
  try {
    await check();
  } finally {
    await patch("STRICT");
    const from = await caller(cluster, "bystander", "default");
    await eventually("STRICT again", 20_000, async () => {
      const answer = await ask(cluster, from, { url: `${await front(cluster, "echo")}/api/x`, keepAlive: false });
      return answer.status === undefined ? true : `plaintext still gets ${answer.status}`;
    });
  }
}

async function permissive({ cluster }: Walk): Promise<void> {
  await inMode(cluster, "PERMISSIVE", async () => {
    await eventuallyOk(cluster, await caller(cluster, "bystander", "default"), `${ECHO}/api/x`);
    await eventuallyOk(cluster, await caller(cluster, "frontend"), `${ECHO}/api/x`);
  });
}

async function disabled({ cluster }: Walk): Promise<void> {
  // Not from a sidecar: the post's rule for all services asks for ISTIO_MUTUAL, which a server in DISABLE doesn't speak.
  await inMode(cluster, "DISABLE", async () => {
    await eventuallyOk(cluster, await caller(cluster, "bystander", "default"), `${ECHO}/api/x`);
  });
}

async function eventuallyOk(cluster: Walk["cluster"], from: Parameters<typeof ask>[1], url: string): Promise<void> {
  await eventually(`200 for ${url} from ${from.pod}`, 20_000, async () => {
    const answer = await ask(cluster, from, { url, keepAlive: false });
    return answer.status === 200 ? true : JSON.stringify(answer);
  });
}

async function sClient({ cluster, post }: Walk): Promise<void> {
  const pod = await cluster.pod("production", "app=frontend");
  const line = post.commands.find((command) => command.includes("s_client"));
  assert.ok(line !== undefined);
  const filled = line.replaceAll("<pod>", pod).replaceAll("<service>", "api");
  // The server asks for a certificate, which s_client has none of: it shows the chain and is then refused.
  const outcome = await cluster.shell(`${filled} </dev/null 2>&1; true`);
  const [first = ""] = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(outcome.stdout) ?? [];
  assert.ok(first !== "", `no certificate shown: ${outcome.stdout.slice(0, 2000)}`);
  const text = await cluster.shell("openssl x509 -text -noout", { input: first });
  assert.match(text.stdout, /URI:spiffe:\/\/cluster\.local\/ns\/production\/sa\/default/);
  const target = { namespace: "production", pod, container: "istio-proxy" };
  const root = "/var/run/secrets/istio/root-cert.pem";
  const verified = await cluster.kubectl(
    ["exec", "-i", pod, "-n", "production", "-c", target.container, "--", "openssl", "verify", "-CAfile", root],
    { input: first },
  );
  assert.match(verified.stdout + verified.stderr, /OK/);
}

async function verifies({ cluster }: Walk): Promise<void> {
  const pod = await cluster.pod("production", "app=frontend");
  const script = `cd "\${WEFT_FILES_ROOT:-}/etc/certs/out" && openssl verify -CAfile "\${WEFT_FILES_ROOT:-}/var/run/secrets/istio/root-cert.pem" cert-chain.pem && openssl x509 -in cert-chain.pem -text -noout`;
  const outcome = await cluster.exec({ namespace: "production", pod, container: "istio-proxy" }, ["sh", "-c", script]);
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  assert.match(outcome.stdout, /cert-chain\.pem: OK/);
  assert.ok(outcome.stdout.includes(`URI:${FRONTEND_URI}`));
}

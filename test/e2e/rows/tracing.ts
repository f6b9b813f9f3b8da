// Distributed tracing: the post's Telemetry and Service as they stand, with an agent behind the Service.

import assert from "node:assert/strict";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { jaegerSpans, type SeenSpan } from "../../traces/jaeger-spans.ts";
import { caller, deployment } from "../own.ts";
import { eventually } from "../process.ts";
import { appliesAsItStands, type Row, type Walk } from "../row.ts";
import { binomialInterval } from "../statistics.ts";
import { allOk, ask, send } from "../traffic.ts";

const API = "http://api.production.svc.cluster.local:8080/api";
const REQUESTS = 2_000;
const SHARE = 0.1;

export const TRACING: readonly Row[] = [
  appliesAsItStands("Telemetry", "tracing-config"),
  appliesAsItStands("Service", "jaeger"),
  {
    name: "spans arrive at the Service jaeger, on UDP 6831, as thrift-compact",
    sets: true,
    run: async ({ cluster }) => {
      await cluster.apply(deployment({ name: "jaeger", namespace: "istio-system", image: "walk/jaeger:1.0" }));
      await cluster.kubectlOk(["rollout", "status", "-n", "istio-system", "deployment/jaeger", "--timeout=60s"]);
      const from = await caller(cluster, "frontend");
      await eventually("a span", 30_000, async () => {
        allOk(await send(cluster, from, { url: `${API}/warm`, count: 50, concurrency: 5 }));
        return (await spansOf({ cluster }, "/api/warm")).length > 0 ? true : "none yet";
      });
    },
  },
  { name: "2,000 requests: 10 % are traced, within the binomial 99.9 % interval, each as a whole", run: sampled },
  {
    name: "the application gets the headers that it is to give on, and a jaeger-traceid is kept as a tag",
    run: async (walk) => {
      const seen = await given(walk);
      assert.match(String(seen["traceparent"]), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
      const spans = await eventually("both spans", 20_000, async () => {
        const found = await spansOf(walk, "/api/given");
        return found.length >= 2 ? found : `${found.length}`;
      });
      for (const span of spans) {
        assert.equal(span.traceId, TRACE);
        assert.equal(span.tags["jaeger-traceid"], "7");
      }
    },
  },
  {
    name: "the application gets the trace in the headers of the other tracers too",
    run: async (walk) => {
      const seen = await given(walk);
      assert.match(String(seen["b3"]), new RegExp(`^${TRACE}-[0-9a-f]{16}-1-[0-9a-f]{16}$`));
      assert.match(String(seen["uber-trace-id"]), new RegExp(`^${TRACE}:`));
    },
  },
  {
    name: "access logs by Telemetry: the server's side, of failures only, in the sidecar's log",
    run: accessLogs,
  },
];

const TRACE = "463ac35c9f6413ad48485a3953bb6124";

/** The headers that the application got of a request within a trace. */
async function given({ cluster }: Walk): Promise<Readonly<Record<string, unknown>>> {
  const from = await caller(cluster, "frontend");
  const headers = { traceparent: `00-${TRACE}-a2fb4a1d1a96d312-01`, "jaeger-traceid": "7" };
  const { body } = await ask(cluster, from, { url: `${API}/given`, headers });
  const parsed = parseJson(body);
  assert.ok(parsed.ok && isRecord(parsed.value) && isRecord(parsed.value["headers"]));
  return parsed.value["headers"];
}

async function accessLogs({ cluster }: Walk): Promise<void> {
  const spec = {
    selector: { matchLabels: { app: "api" } },
    accessLogging: [
      { match: { mode: "SERVER" }, providers: [{ name: "envoy" }], filter: { expression: "response.code >= 400" } },
    ],
  };
  const metadata = { name: "logs", namespace: "production" };
  await cluster.apply(
    `${JSON.stringify({ apiVersion: "telemetry.istio.io/v1", kind: "Telemetry", metadata, spec })}\n`,
  );
  const from = await caller(cluster, "frontend");
  try {
    const line = await eventually("a line of the refused request", 20_000, async () => {
      await send(cluster, from, { url: `${API}/logged?status=418`, count: 4, concurrency: 1 });
      await send(cluster, from, { url: `${API}/quiet`, count: 4, concurrency: 1 });
      const log = await cluster.kubectlOk([
        "logs",
        "-n",
        "production",
        "-l",
        "app=api",
        "-c",
        "istio-proxy",
        "--tail=500",
      ]);
      const found = log.split("\n").find((each) => each.includes("/api/logged"));
      assert.doesNotMatch(log, /GET \/api\/quiet/);
      return found === undefined ? log.slice(-500) : { found };
    });
    assert.match(line.found, /^\[\S+\] "GET \/api\/logged\?status=418 HTTP\/1\.1" 418 - via_upstream /);
    assert.match(line.found, /inbound\|8080\|\|/);
  } finally {
    await cluster.kubectlOk(["delete", "telemetry", "logs", "-n", "production"]);
  }
}

async function sampled(walk: Walk): Promise<void> {
  const from = await caller(walk.cluster, "frontend");
  allOk(await send(walk.cluster, from, { url: `${API}/counted`, count: REQUESTS, concurrency: 8 }));
  let before = -1;
  const spans = await eventually("the last of the spans", 30_000, async () => {
    const found = await spansOf(walk, "/api/counted");
    const isSame = found.length === before;
    before = found.length;
    if (!isSame) await new Promise((resolve) => setTimeout(resolve, 1_500));
    return isSame && found.length > 0 ? found : `${found.length} spans`;
  });
  const traces = Map.groupBy(spans, ({ traceId }) => traceId);
  const { low, high } = binomialInterval(REQUESTS, SHARE);
  assert.ok(traces.size >= low && traces.size <= high, `${traces.size} traces; at 10 % it is ${low} to ${high}`);
  for (const [traceId, [first, second, ...more]] of traces) {
    assert.equal(more.length, 0, traceId);
    const client = [first, second].find((span) => span?.kind === "client");
    const server = [first, second].find((span) => span?.kind === "server");
    assert.equal(client?.parentId, undefined);
    assert.equal(server?.parentId, client?.id, `the server's span is the client's child: ${traceId}`);
    assert.equal(client?.service, "frontend.production");
    assert.equal(server?.service, "api.production");
    assert.equal(server?.name, "api.production.svc.cluster.local:8080/*");
    assert.equal(server?.tags["istio.canonical_service"], "api");
    assert.equal(server?.tags["istio.namespace"], "production");
    assert.match(server?.tags["node_id"] ?? "", /^sidecar~/);
    assert.equal(server?.tags["http.status_code"], "200");
  }
}

/** Of requests to one path: what the agent's log holds. */
async function spansOf({ cluster }: Pick<Walk, "cluster">, path: string): Promise<readonly SeenSpan[]> {
  const log = await cluster.kubectlOk(["logs", "-n", "istio-system", "deployment/jaeger"]);
  return log
    .split("\n")
    .filter((line) => line.startsWith("datagram "))
    .flatMap((line) => jaegerSpans(Buffer.from(line.slice("datagram ".length), "base64")))
    .filter(({ tags }) => tags["http.url"]?.includes(path) === true);
}

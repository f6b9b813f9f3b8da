import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bindAddresses, makeBootstrap, nodeId } from "../../../src/agent/bootstrap.ts";
import { readEnvironment, readPodInfo } from "../../../src/agent/environment.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { readAdsTarget } from "../../../src/proxy/subscribe/target.ts";

const env = {
  POD_NAME: "api-1",
  POD_NAMESPACE: "production",
  INSTANCE_IP: "10.0.0.7",
  SERVICE_ACCOUNT: "api",
  TRUST_DOMAIN: "cluster.local",
  CA_ADDR: "istiod.istio-system.svc:15012",
  PROXY_CONFIG: '{"discoveryAddress":"istiod.istio-system.svc:15012","terminationDrainDuration":"7s"}',
  ISTIO_META_POD_PORTS: '[{"containerPort":8080,"protocol":"TCP"}]',
  ISTIO_META_INTERCEPTION_MODE: "NONE",
  ISTIO_META_WORKLOAD_NAME: "api",
  WEFT_FILES_ROOT: "/files",
};

function read(over: Record<string, string | undefined> = {}, contents: Record<string, string> = {}) {
  return readEnvironment({
    proxyType: "sidecar",
    env: { ...env, ...over },
    dnsDomain: "",
    readFile: (file) => contents[file],
  });
}

describe("the sidecar's contract", () => {
  test("becomes a configuration and a bootstrap", () => {
    const config = read({}, { "/files/etc/istio/pod/labels": 'app="api"\nversion="v\\"1"\n' });
    assert.ok(config.ok);
    assert.equal(nodeId(config.value), "sidecar~10.0.0.7~api-1.production~production.svc.cluster.local");
    assert.equal(config.value.drainMs, 7_000);
    assert.equal(config.value.files.token, "/files/var/run/secrets/tokens/istio-token");
    assert.deepEqual(config.value.nodeMetadata["LABELS"], { app: "api", version: 'v"1' });
    assert.deepEqual(config.value.nodeMetadata["POD_PORTS"], [{ containerPort: 8080, protocol: "TCP" }]);
    assert.deepEqual(bindAddresses(config.value), { open: "10.0.0.7", admin: "10.0.0.7" });
    const target = readAdsTarget(makeBootstrap(config.value), {
      secrets: undefined,
      token: () => undefined,
      clock: systemClock,
      random: seededRandom(1),
    });
    assert.ok(target.ok);
    assert.equal(target.value?.target, "istiod.istio-system.svc:15012");
    assert.equal(target.value?.tls?.serverName, "istiod.istio-system.svc");
    assert.equal(target.value?.variant, "delta");
  });

  test("names all that is wrong at once", () => {
    const config = read({
      POD_NAME: undefined,
      INSTANCE_IP: "",
      CA_ADDR: "nowhere",
      PROXY_CONFIG: "{",
      ISTIO_META_INTERCEPTION_MODE: "TPROXY",
      ISTIO_KUBE_APP_PROBERS: "[]",
    });
    assert.ok(!config.ok);
    const text = config.error.join("\n");
    for (const word of ["POD_NAME", "INSTANCE_IP", "CA_ADDR", "PROXY_CONFIG", "TPROXY", "ISTIO_KUBE_APP_PROBERS"]) {
      assert.ok(text.includes(word), `${word} in ${text}`);
    }
  });

  test("the application's metrics: kept annotations first, never the sidecar's own port", () => {
    const own = { "/files/etc/istio/pod/annotations": 'prometheus.io/port="15020"\nprometheus.io/scrape="true"\n' };
    const plain = read({}, own);
    assert.ok(plain.ok);
    assert.equal(plain.value.appMetrics, undefined);
    const kept = read({ ISTIO_PROMETHEUS_ANNOTATIONS: '{"scrape":"true","port":"9100"}' }, own);
    assert.ok(kept.ok);
    assert.deepEqual(kept.value.appMetrics, { port: 9100, path: "/metrics" });
  });

  test("downward API files", () => {
    assert.deepEqual(readPodInfo('a="1"\nb="x\\ny"\nbroken\n'), { a: "1", b: "x\ny" });
  });
});

// Real Envoy accepts what is generated: each golden mesh as a static bootstrap through `envoy --mode validate`.

import assert from "node:assert/strict";
import { type StdioOptions, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { before, describe, it } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { openAuthority } from "../../../src/ca/authority.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { connectionManager, outboundHttpFilters } from "../../../src/translate/http-filters.ts";
import { type ProxyConfiguration, Translator } from "../../../src/translate/translate.ts";
import { RandomMesh } from "../../sim/random-mesh.ts";
import { PROXIES, Replica } from "../../sim/replica.ts";
import {
  API_WORKLOADS,
  apiProxy,
  gatewayProxy,
  postManifests,
  proxyOf,
  snapshotOf,
} from "../../unit/translate/mesh.ts";

const bundled = path.join(import.meta.dirname, "../../../bench/envoy/envoy/_bin/envoy");
const envoy = process.env["WEFT_ENVOY"] ?? (fs.existsSync(bundled) ? bundled : "envoy");
const found = spawnSync(envoy, ["--version"], { encoding: "utf8" });
const skip = found.status === 0 ? false : `${envoy} is not installed (WEFT_ENVOY names it)`;

const golden = path.join(import.meta.dirname, "../../golden/translate");

function meshes(): ReadonlyMap<string, string> {
  const post = postManifests();
  const all = new Map<string, string>(post === undefined ? [] : [["the post", `${API_WORKLOADS}\n---\n${post}`]]);
  for (const feature of fs.readdirSync(golden)) {
    const input = fs.readFileSync(path.join(golden, feature, "in.yaml"), "utf8");
    const workloads = input.startsWith("workloads: false") ? "" : `${API_WORKLOADS}\n---\n`;
    all.set(feature, workloads + input.slice(input.indexOf("\n---") + 4));
  }
  return all;
}

describe("Envoy", { skip }, () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-envoy-"));
  const trust = path.join(directory, "root-cert.pem");
  const crl = path.join(directory, "ca.crl");
  before(async () => {
    // Files that a rule names have to be there: this one is a real root.
    assert.ok((await openAuthority({ directory, trustDomain: "cluster.local", clock: systemClock })).ok);
    writeRevocations(directory, crl);
    writePair(directory);
  });
  for (const [name, manifests] of meshes()) {
    it(`accepts ${name}`, () => {
      const files = {
        "/etc/ca.pem": trust,
        "/etc/ca.crl": crl,
        "/etc/certs/tls.crt": path.join(directory, "tls.crt"),
        "/etc/certs/tls.key": path.join(directory, "tls.key"),
        "/etc/certs/ca.crt": trust,
      };
      const placed = Object.entries(files).reduce((text, [name, file]) => text.replaceAll(name, file), manifests);
      const translator = new Translator(snapshotOf(placed));
      for (const proxy of [proxyOf(), apiProxy, gatewayProxy]) {
        for (const mode of ["REDIRECT", "NONE"] as const) {
          for (const agent of [{}, { agent: true }] as const) {
            const configuration = translator.translate({ ...proxy, mode, engine: "envoy", ...agent });
            validate(directory, configuration, `${proxy.pod} ${mode}`);
          }
        }
      }
    });
  }
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`accepts the mesh of seed ${seed}, before and after edits`, () => {
      const mesh = new RandomMesh(seededRandom(seed));
      const replica = new Replica();
      for (const edits of [mesh.start(), Array.from({ length: 40 }, () => mesh.edit())]) {
        replica.apply(edits);
        replica.publish();
        for (const proxy of PROXIES) {
          const configuration = replica.state.translate({ ...proxy, engine: "envoy" });
          assert.ok(configuration !== undefined);
          validate(directory, configuration, `${proxy.pod} ${proxy.mode}`);
        }
      }
    });
  }
});

function validate(directory: string, configuration: ProxyConfiguration, whose: string): void {
  const file = path.join(directory, "bootstrap.pb");
  fs.writeFileSync(file, Bootstrap.encode(bootstrap(configuration)).finish());
  // A log to /dev/stdout opens it, which a socket can't be.
  const stdout = fs.openSync(path.join(directory, "stdout"), "w");
  const stdio = ["ignore", stdout, "pipe"] satisfies StdioOptions;
  const checked = spawnSync(envoy, ["--mode", "validate", "-c", file, "-l", "error"], { encoding: "utf8", stdio });
  fs.closeSync(stdout);
  assert.equal(checked.status, 0, `${whose}: ${checked.stderr.slice(0, 2_000)}`);
}

/** Routes, which would come by discovery, are held by a listener each, so that they are looked at too. */
function bootstrap(configuration: ProxyConfiguration): Bootstrap {
  const out = Bootstrap.fromPartial({
    node: { id: "test", cluster: "test" },
    staticResources: {},
    dynamicResources: {
      adsConfig: {
        apiType: 2,
        transportApiVersion: 2,
        grpcServices: [{ targetSpecifier: { $case: "envoyGrpc", value: { clusterName: "xds-grpc" } } }],
      },
    },
  });
  const http2 = (name: string) =>
    Cluster.fromPartial({
      name,
      http2ProtocolOptions: {},
      connectTimeout: { seconds: 1 },
      loadAssignment: { clusterName: name },
    });
  const holders = configuration.routes.map((config, i) => {
    const listener = Listener.fromPartial({
      name: `routes-${i}`,
      address: {
        address: {
          $case: "socketAddress",
          value: { address: "127.0.0.1", portSpecifier: { $case: "portValue", value: 20_000 + i } },
        },
      },
      filterChains: [{}],
    });
    const chain = listener.filterChains[0];
    assert.ok(chain);
    const manager = {
      statPrefix: `routes-${i}`,
      direction: "outbound",
      filters: outboundHttpFilters({ agent: false }),
    } as const;
    const route = { $case: "routeConfig", value: config } as const;
    chain.filters = [connectionManager({ ...manager, mesh: defaultMeshConfig, route })];
    return listener;
  });
  assert.ok(out.staticResources);
  out.staticResources.clusters = [...["xds-grpc", "sds-grpc", "agent-spans"].map(http2), ...configuration.clusters];
  out.staticResources.listeners = [...configuration.listeners, ...holders];
  return out;
}

/** A certificate of a server, which signs itself. */
function writePair(directory: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key"];
  const args = ["req", "-x509", ...key, "-out", "tls.crt", "-days", "2", "-subj", "/CN=files.example.org"];
  const made = spawnSync("openssl", args, { cwd: directory, encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
}

/** An empty list of the authority's, so that a rule that names one is looked at with it. */
function writeRevocations(directory: string, file: string): void {
  const config = path.join(directory, "openssl.cnf");
  const index = path.join(directory, "index.txt");
  fs.writeFileSync(index, "");
  fs.writeFileSync(
    config,
    `[ca]\ndefault_ca = own\n[own]\ndatabase = ${index}\ndefault_md = sha256\ndefault_crl_days = 1\n`,
  );
  const key = path.join(directory, "root-key.pem");
  const issuer = ["-keyfile", key, "-cert", path.join(directory, "root-cert.pem")];
  const made = spawnSync("openssl", ["ca", "-gencrl", "-config", config, ...issuer, "-out", file], {
    encoding: "utf8",
  });
  assert.equal(made.status, 0, made.stderr);
}

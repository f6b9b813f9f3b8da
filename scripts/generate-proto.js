// Generates src/proto/gen from Envoy's own protobuf definitions, which the npm package
// @grpc/grpc-js-xds carries. Idempotent: nothing runs while the hash of its inputs is unchanged.
// Plain JavaScript, because `npm install --package-lock-only` runs it under any Node >= 20.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { addNewerFields } from "./proto-additions.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const outDir = path.join(root, "src/proto/gen");
// Definitions that are in no package: their folders, by the import path that they have.
const OWN = ["istio", "weft"];
const ownDir = (name) => path.join(root, "src/proto", name);
const require = createRequire(import.meta.url);

// The messages that weft speaks. What they import is generated too.
const ROOTS = [
  "envoy/service/discovery/v3/ads.proto",
  "envoy/service/discovery/v3/discovery.proto",
  "envoy/config/bootstrap/v3/bootstrap.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/config/trace/v3/http_tracer.proto",
  "envoy/config/trace/v3/opentelemetry.proto",
  "envoy/config/trace/v3/zipkin.proto",
  "envoy/config/core/v3/extension.proto",
  "envoy/admin/v3/config_dump.proto",
  "envoy/admin/v3/certs.proto",
  "envoy/admin/v3/clusters.proto",
  "envoy/admin/v3/listeners.proto",
  "envoy/admin/v3/memory.proto",
  "envoy/admin/v3/server_info.proto",
  "envoy/data/accesslog/v3/accesslog.proto",
  "envoy/service/accesslog/v3/als.proto",
  "envoy/service/auth/v3/external_auth.proto",
  "envoy/service/secret/v3/sds.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/access_loggers/filters/cel/v3/cel.proto",
  "envoy/extensions/access_loggers/grpc/v3/als.proto",
  "envoy/extensions/access_loggers/open_telemetry/v3/logs_service.proto",
  "envoy/extensions/access_loggers/stream/v3/stream.proto",
  "envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.proto",
  "envoy/extensions/filters/common/set_filter_state/v3/value.proto",
  "envoy/extensions/filters/http/cors/v3/cors.proto",
  "envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.proto",
  "envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/filters/http/grpc_stats/v3/config.proto",
  "envoy/extensions/filters/http/header_mutation/v3/header_mutation.proto",
  "envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata.proto",
  "envoy/extensions/filters/http/jwt_authn/v3/config.proto",
  "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto",
  "envoy/extensions/filters/http/rbac/v3/rbac.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.proto",
  "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.proto",
  "envoy/extensions/filters/listener/original_dst/v3/original_dst.proto",
  "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.proto",
  "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto",
  "envoy/extensions/filters/network/connection_limit/v3/connection_limit.proto",
  "envoy/extensions/filters/network/direct_response/v3/config.proto",
  "envoy/extensions/filters/network/echo/v3/echo.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/filters/network/rbac/v3/rbac.proto",
  "envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.proto",
  "envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy.proto",
  "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
  "envoy/extensions/formatter",
  "envoy/extensions/http/early_header_mutation",
  "envoy/extensions/http/header_formatters",
  "envoy/extensions/http/original_ip_detection",
  "envoy/extensions/internal_redirect",
  "envoy/extensions/load_balancing_policies",
  "envoy/extensions/path",
  "envoy/extensions/request_id",
  "envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.proto",
  "envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.proto",
  "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto",
  "envoy/extensions/retry/host/omit_canary_hosts/v3/omit_canary_hosts.proto",
  "envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config.proto",
  "envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.proto",
  "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.proto",
  "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
  "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
  "google/rpc/status.proto",
  ...OWN,
];

const BUF_GEN = `version: v2
plugins:
  - local: [node, PLUGIN]
    out: OUT
    include_imports: true
    strategy: all
    opt:
      - enumsAsLiterals=true
      - importSuffix=.ts
      - oneof=unions-value
      - env=node
      - outputServices=none
      - exportCommonSymbols=false
      - esModuleInterop=true
`;

main();

function main() {
  const deps = locateDefinitions();
  if (deps === undefined) {
    console.warn(
      "generate-proto: @grpc/grpc-js-xds is not installed; nothing generated (a production install needs nothing)",
    );
    return;
  }
  const stamp = path.join(outDir, ".hash");
  const hash = hashInputs(deps);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === hash) return;

  const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-proto-"));
  try {
    collect(deps, work);
    const out = path.join(work, "out");
    generate(work, out);
    replaceDirectory(out, outDir);
    fs.writeFileSync(stamp, hash);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function locateDefinitions() {
  try {
    return path.join(path.dirname(require.resolve("@grpc/grpc-js-xds/package.json")), "deps");
  } catch {
    return undefined;
  }
}

function hashInputs(deps) {
  const hash = createHash("sha256");
  const packageJson = path.join(path.dirname(deps), "package.json");
  const generator = require.resolve("ts-proto/package.json");
  const additions = fileURLToPath(new URL("proto-additions.js", import.meta.url));
  for (const file of [fileURLToPath(import.meta.url), additions, packageJson, generator])
    hash.update(fs.readFileSync(file));
  for (const folder of OWN) {
    for (const name of fs.readdirSync(ownDir(folder)).sort()) {
      if (name.endsWith(".proto")) hash.update(name).update(fs.readFileSync(path.join(ownDir(folder), name)));
    }
  }
  return hash.digest("hex");
}

function collect(deps, work) {
  const protoDir = path.join(work, "proto");
  for (const tree of ["envoy-api", "googleapis", "protoc-gen-validate", "xds"]) {
    fs.cpSync(path.join(deps, tree), protoDir, { recursive: true, filter: wanted });
  }
  for (const folder of OWN) fs.cpSync(ownDir(folder), path.join(protoDir, folder), { recursive: true });
  addNewerFields(protoDir);
}

function wanted(source) {
  if (/protoc-gen-validate\/(java|tests|python|rule_comparison|bazel|templates)(\/|$)/.test(source)) return false;
  return fs.statSync(source).isDirectory() || source.endsWith(".proto");
}

function generate(work, out) {
  const plugin = require.resolve("ts-proto/protoc-gen-ts_proto");
  const template = path.join(work, "buf.gen.yaml");
  fs.writeFileSync(template, BUF_GEN.replace("PLUGIN", JSON.stringify(plugin)).replace("OUT", JSON.stringify(out)));
  fs.writeFileSync(path.join(work, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  runBuf(work, ["generate", ".", "--template", template]);
  describe(work, out);
}

/** The same messages as descriptors, for the commands that print them in protobuf's own JSON. */
function describe(work, out) {
  const set = path.join(work, "descriptors.binpb");
  runBuf(work, ["build", ".", "--as-file-descriptor-set", "--exclude-source-info", "-o", set]);
  const packed = gzipSync(fs.readFileSync(set), { level: 9 }).toString("base64");
  const text = `// Generated by scripts/generate-proto.js: a FileDescriptorSet, compressed. DO NOT EDIT.\n\nexport const DESCRIPTORS: string =\n  "${packed}";\n`;
  fs.writeFileSync(path.join(out, "descriptors.ts"), text);
}

function runBuf(work, args) {
  const buf = require.resolve("@bufbuild/buf/bin/buf");
  const paths = ROOTS.flatMap((file) => ["--path", path.join("proto", file)]);
  const result = spawnSync(process.execPath, [buf, ...args, ...paths], {
    cwd: work,
    encoding: "utf8",
    env: { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env.PATH ?? ""}` },
  });
  if (result.status !== 0) {
    console.error(`${result.stdout}${result.stderr}`.slice(0, 4000));
    throw new Error(
      `generate-proto: buf ${args[0]} failed with exit code ${result.status}: ${result.error?.message ?? "see above"}`,
    );
  }
}

// The finished tree takes the old one's place in one step, so that a second caller never sees half of it.
function replaceDirectory(from, to) {
  fs.mkdirSync(path.dirname(to), { recursive: true });
  const staged = `${to}.new-${process.pid}`;
  fs.cpSync(from, staged, { recursive: true });
  fs.rmSync(to, { recursive: true, force: true });
  fs.renameSync(staged, to);
}

// The proxy's command line: what is read, what is refused and how that is said, and the process that follows it.

import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parseJson } from "../../../src/base/json.ts";
import { compileLogFormat } from "../../../src/observe/log-format.ts";
import { parseArguments } from "../../../src/sidecar/arguments.ts";
import { readBootstrap } from "../../../src/sidecar/bootstrap-file.ts";
import { httpOrigin } from "../proxy/harness.ts";
import { file, folder, freePort, ready, runProxy, staticBootstrap, until } from "./process.ts";

function refusal(...words: string[]): string {
  const parsed = parseArguments(["proxy", ...words]);
  assert.ok(!parsed.ok, `${words.join(" ")} was accepted`);
  return parsed.error;
}

describe("arguments", () => {
  test("all of them, in both forms", () => {
    const parsed = parseArguments([
      ...["proxy", "-c", "b.yaml", "--concurrency", "2", "--drain-time-s=30", "--drain-strategy", "immediate"],
      ...["--parent-shutdown-time-s", "60", "--service-node", "n", "--service-cluster=c", "--service-zone", "z"],
      ...["--component-log-level", "main:debug,xds:trace", "-l", "warn", "--log-format", "%v", "--config-yaml", "a: 1"],
      ...["--base-id", "7", "--use-dynamic-base-id", "--restart-epoch", "0", "--log-path", "-"],
    ]);
    assert.ok(parsed.ok && parsed.value.kind === "serve");
    const { options } = parsed.value;
    assert.equal(options.configPath, "b.yaml");
    assert.equal(options.configYaml, "a: 1");
    assert.equal(options.concurrency, 2);
    assert.equal(options.drainMs, 30_000);
    assert.equal(options.drainStrategy, "immediate");
    assert.equal(options.parentShutdownMs, 60_000);
    assert.deepEqual([options.serviceNode, options.serviceCluster, options.serviceZone], ["n", "c", "z"]);
    assert.deepEqual(options.componentLevels, [
      ["main", "debug"],
      ["xds", "trace"],
    ]);
    assert.equal(options.logLevel, "warning");
    assert.deepEqual(options.withoutEffect, ["--base-id", "--use-dynamic-base-id", "--restart-epoch"]);
  });

  test("the defaults are Envoy's, but for one worker", () => {
    const parsed = parseArguments(["proxy", "-c", "b.yaml"]);
    assert.ok(parsed.ok && parsed.value.kind === "serve");
    const { concurrency, drainMs, drainStrategy, parentShutdownMs } = parsed.value.options;
    assert.deepEqual(
      { concurrency, drainMs, drainStrategy, parentShutdownMs },
      { concurrency: 1, drainMs: 600_000, drainStrategy: "gradual", parentShutdownMs: 900_000 },
    );
  });

  test("what is wrong is named with what would be right", () => {
    assert.match(refusal("--magic"), /unknown argument --magic.*--help/);
    assert.match(refusal("-c"), /--config-path needs a value/);
    assert.match(refusal("-c", "b", "--concurrency", "0"), /--concurrency can't be "0": .*1 to 64/);
    assert.match(refusal("-c", "b", "--concurrency", "1e3"), /--concurrency/);
    assert.match(refusal("-c", "b", "--drain-time-s", "-1"), /whole seconds/);
    assert.match(refusal("-c", "b", "--drain-strategy", "never"), /gradual or immediate/);
    assert.match(refusal("-c", "b", "--mode", "init_only"), /serve or validate/);
    assert.match(refusal("-c", "b", "-l", "loud"), /"loud" is not a log level/);
    assert.match(refusal("-c", "b", "--component-log-level", "main"), /LOGGER:LEVEL/);
    assert.match(refusal(), /-c FILE or --config-yaml/);
  });

  test("a sidecar ignores what Istio's agent knows", () => {
    const parsed = parseArguments(["proxy", "sidecar", "--domain", "d", "--concurrency", "2", "--proxyLogLevel=debug"]);
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, {
      kind: "sidecar",
      proxyType: "sidecar",
      dnsDomain: "d",
      logLevel: "debug",
      ignored: ["--concurrency"],
    });
  });
});

test("a log pattern writes what its flags say, and an unknown flag is named", () => {
  const compiled = compileLogFormat("[%Y-%m-%d %T.%e][%t][%l][%n] 100%% %v");
  assert.ok(compiled.ok);
  const wallMs = Date.UTC(2026, 10, 24, 20, 5, 6, 78);
  assert.equal(
    compiled.value({ wallMs, level: "info", scope: "main", text: "hello" }),
    "[2026-11-24 20:05:06.078][0][info][main] 100% hello\n",
  );
  const refused = compileLogFormat("%g:%# %v");
  assert.ok(!refused.ok);
  assert.match(refused.error, /%g/);
});

test("--config-yaml is merged over the file as protobuf merges, and the node is the command line's", () => {
  const path = file(
    "b.yaml",
    "node: {id: file, cluster: file}\nstatic_resources: {clusters: [{name: a, type: STATIC}]}\n",
  );
  const read = readBootstrap({
    configPath: path,
    configYaml: "{node: {cluster: text}, staticResources: {clusters: [{name: b, type: STATIC}]}}",
    serviceNode: "flag",
    serviceCluster: "",
    serviceZone: "z",
  });
  assert.ok(read.ok, JSON.stringify(read));
  assert.equal(read.value.node?.id, "flag");
  assert.equal(read.value.node?.cluster, "text");
  assert.equal(read.value.node?.locality?.zone, "z");
  assert.deepEqual(
    read.value.staticResources?.clusters.map(({ name }) => name),
    ["a", "b"],
  );
});

test("a bootstrap's mistakes are named by file and path", () => {
  const path = file("b.json", { static_resources: { clusters: [{ name: "a", magic: 1 }] } });
  const none = { serviceNode: "", serviceCluster: "", serviceZone: "", configYaml: "" };
  const read = readBootstrap({ configPath: path, ...none });
  assert.ok(!read.ok);
  assert.match(read.error.join("\n"), /b\.json: static_resources\.clusters\[0\]\.magic/);
  const missing = readBootstrap({ configPath: `${path}.missing`, ...none });
  assert.ok(!missing.ok);
  assert.match(missing.error.join("\n"), /b\.json\.missing/);
});

test("help, version, wrong usage and validate, as a process", async () => {
  const good = file("good.json", staticBootstrap({ admin: 0, front: 0, origin: 1 }));
  const bad = file("bad.json", {
    static_resources: { clusters: [{ name: "a", type: "STATIC", load_balancing_policy: {} }] },
  });
  const runs = [
    { args: ["--help"], code: 0, out: /Examples:\n {2}\$ weft proxy -c/ },
    { args: ["--version"], code: 0, out: /^weft weft\/\d/ },
    { args: ["--nonsense"], code: 2, out: /weft proxy: unknown argument --nonsense/ },
    { args: ["-c", good, "--mode", "validate"], code: 0, out: /configuration '.*good.json' OK/ },
    { args: ["-c", bad, "--mode", "validate"], code: 1, out: /bad\.json: a: load_balancing_policy: .*Cluster/ },
  ];
  for (const { args, code, out } of runs) {
    const run = runProxy(args);
    assert.equal(await run.ended, code, run.output());
    assert.match(run.output(), out);
  }
});

test("the running process shows its command line, writes its log and its admin address where it is told", async () => {
  const origin = await httpOrigin((_request, response) => response.end("hello"));
  const [admin, front] = [await freePort(), await freePort()];
  const path = file("b.json", staticBootstrap({ admin, front, origin }));
  const where = folder();
  const [log, address] = [join(where, "proxy.log"), join(where, "address")];
  const proxy = runProxy([
    ...["-c", path, "--drain-time-s", "7", "--log-path", log, "--log-format", "%l|%n|%v", "--base-id", "3"],
    ...["--admin-address-path", address, "--service-node", "me"],
  ]);
  await ready(admin, proxy);
  assert.equal(await (await fetch(`http://127.0.0.1:${front}/`)).text(), "hello");
  const info = parseJson(await (await fetch(`http://127.0.0.1:${admin}/server_info`)).text());
  assert.ok(info.ok);
  const options: unknown = Reflect.get(Object(info.value), "command_line_options");
  const shown = (name: string): unknown => Reflect.get(Object(options), name);
  assert.equal(shown("drain_time"), "7s");
  assert.equal(shown("config_path"), path);
  assert.equal(shown("drain_strategy"), "Gradual");
  assert.equal(shown("service_node"), "me");
  assert.equal(readFileSync(address, "utf8"), `127.0.0.1:${admin}`);
  assert.match(readFileSync(log, "utf8"), /^info\|main\|without effect.*--base-id\n/);
  renameSync(log, `${log}.1`);
  proxy.child.kill("SIGUSR1");
  await until(() => readable(log), "the log is opened anew");
  proxy.child.kill("SIGTERM");
  assert.equal(await proxy.ended, 0);
  assert.match(readFileSync(log, "utf8"), /info\|main\|ended\n$/);
});

function readable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

// What `weft up` does outside: opens the sockets, starts itself inside, waits.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { launchInNamespaces } from "../../../src/cluster/launch/launch.ts";

const here = dirname(new URL(import.meta.url).pathname);
const api = createServer().listen(0, "127.0.0.1");
await once(api, "listening");
const dns = createSocket("udp4");
const listening = once(dns, "listening");
dns.bind(0, "0.0.0.0");
await listening;
const env = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
);
const address = api.address();
const port = typeof address === "object" && address !== null ? address.port : 0;
writeFileSync(join(process.argv[2] ?? "", "port"), String(port));
const node = launchInNamespaces({
  argv: [process.execPath, join(here, "inside.ts"), ...process.argv.slice(2)],
  env,
  sockets: { api, dns },
});
if (!node.ok) throw new Error(node.error);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => node.value.signal(signal));
const exit = await node.value.exited;
process.exit(exit.kind === "exited" ? exit.code : 1);

// Writes ConfigMaps as fast as it can and prints the name of each one that was acknowledged, until it is killed.

import { configMapKind } from "../../../../src/api/kubernetes/config-map.ts";
import { kubernetesKinds } from "../../../../src/api/kubernetes/kinds.ts";
import { startApiServer } from "../../../../src/apiserver/start.ts";
import { systemClock } from "../../../../src/base/clock.ts";
import { LateRuntime } from "../../../../src/cluster/api.ts";

const started = await startApiServer({
  dataDir: process.argv[2] ?? "",
  kinds: kubernetesKinds,
  listen: { host: "127.0.0.1", port: 0 },
  admission: [],
  podRuntime: new LateRuntime(),
  clock: systemClock,
});
if (!started.ok) throw new Error(started.error);
const { client } = started.value;
for (let round = 0; ; round++) {
  const names = Array.from({ length: 5 }, (_, index) => `c-${round}-${index}`);
  await Promise.all(
    names.map(async (name) => {
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data: { name } };
      const made = await client.create(configMapKind, object);
      if (made.ok) process.stdout.write(`${name} ${made.value.metadata.resourceVersion}\n`);
    }),
  );
}

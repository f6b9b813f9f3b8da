// Run by crash.test.ts as a process of its own, to be killed: a world with one pod in the directory that it is given.

import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { isReady, openWorld, pod, podWhen, value } from "./world.ts";

const world = await openWorld({ dataDir: process.argv[2] ?? "" });
const command = ["sh", "-c", "sleep 1000 & echo started; wait"];
value(
  await world.client.create(
    podKind,
    pod("survivor", { terminationGracePeriodSeconds: 1, containers: [{ name: "app", image: "x", command }] }),
  ),
);
await podWhen(world, "survivor", isReady);
process.stdout.write("ready\n");
setInterval(() => undefined, 1000);

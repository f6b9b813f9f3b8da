// The fault table on weft's proxy.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, it } from "node:test";
import { FAULT_GET, type Fault, faults } from "../../faults/table.ts";
import { faultWorld, goesOn, nothingLeft, until } from "../../faults/world.ts";
import { refusingPort } from "../../walk/refusing.ts";
import { stat, tcpOrigin } from "../proxy/harness.ts";

for (const fault of faults) {
  it(fault.name, async () => {
    const nobody = await refusingPort();
    after(() => nobody.close());
    const origin = fault.origin === undefined ? nobody.port : await tcpOrigin(fault.origin);
    const world = await faultWorld({
      origin,
      ...(fault.route === undefined ? {} : { route: fault.route }),
      ...(fault.cluster === undefined ? {} : { cluster: fault.cluster }),
    });
    const answer = await ask(fault, world.port);
    if (fault.answer === null) assert.equal(answer, "");
    else assert.match(answer, fault.answer);
    await goesOn(world.port);
    await nothingLeft(world.registry);
    await until(() => world.log().length > 0);
    assert.equal(world.log().length, 1);
    const [line = ""] = world.log();
    assert.ok(line.startsWith(fault.log), line);
    for (const [name, value] of Object.entries(fault.counts ?? {})) {
      assert.equal(stat(world.registry, `cluster.a.${name}`), value, name);
    }
  });
}

function ask(fault: Fault, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let got = "";
    const timer = setTimeout(
      () => reject(new Error(`the connection did not end; so far ${JSON.stringify(got)}`)),
      4000,
    );
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(got);
    };
    socket.on("data", (bytes) => {
      got += bytes.toString("latin1");
    });
    socket.on("end", finish);
    socket.on("close", finish);
    socket.on("error", finish);
    socket.write(fault.send ?? FAULT_GET, "latin1");
    fault.client?.(socket);
  });
}

// The endpoints that change the running proxy: POST only.

import { type Answer, type Endpoint, text } from "./answer.ts";
import type { AdminView } from "./view.ts";

export const loggingEndpoint: Endpoint = {
  path: "/logging",
  help: "query/change logging levels; level=LEVEL for all, NAME=LEVEL or paths=NAME:LEVEL,… for some",
  mutates: true,
  run({ view }, query): Answer {
    for (const [name, value] of query.entries()) {
      const failed = setLevels(view, name, value);
      if (failed !== undefined) return text(`${failed}\n`, 400);
    }
    const lines = Object.entries(view.logLevels()).map(([name, level]) => `  ${name}: ${level}\n`);
    return text(`active loggers:\n${lines.join("")}\n`);
  },
};

function setLevels(view: AdminView, name: string, value: string): string | undefined {
  const changes =
    name === "paths" ? value.split(",").map((pair) => pair.split(":")) : [[name === "level" ? "" : name, value]];
  for (const [logger = "", level = ""] of changes) {
    if (view.setLogLevel(logger, level)) continue;
    const known = logger === "" || logger in view.logLevels();
    return `error: unknown logger ${known ? "level" : "name"}\nlevels: trace debug info warning error critical off`;
  }
  return undefined;
}

export const drainListenersEndpoint: Endpoint = {
  path: "/drain_listeners",
  help: "drain listeners; graceful: stop accepting after the drain time only; skip_exit: drain, but never stop; inboundonly",
  mutates: true,
  run({ view }, query): Answer {
    view.drainListeners({
      inboundOnly: query.has("inboundonly"),
      graceful: query.has("graceful"),
      skipExit: query.has("skip_exit"),
    });
    return text("OK\n");
  },
};

export const healthcheckFailEndpoint: Endpoint = {
  path: "/healthcheck/fail",
  help: "cause the server to fail health checks",
  mutates: true,
  run({ view }): Answer {
    view.failHealthcheck(true);
    return text("OK\n");
  },
};

export const healthcheckOkEndpoint: Endpoint = {
  path: "/healthcheck/ok",
  help: "cause the server to pass health checks",
  mutates: true,
  run({ view }): Answer {
    view.failHealthcheck(false);
    return text("OK\n");
  },
};

const RUNTIME_USAGE =
  "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\nuse an empty value to remove a previously added override\n";

export const runtimeModifyEndpoint: Endpoint = {
  path: "/runtime_modify",
  help: "adds or modifies runtime values as passed in query parameters; an empty value takes an override back",
  mutates: true,
  run({ view }, query): Answer {
    const changes = new Map(query.entries());
    if (changes.size === 0) return text(RUNTIME_USAGE, 400);
    const refused = view.modifyRuntime(changes);
    return refused === undefined ? text("OK\n") : text(refused, 503);
  },
};

export const quitEndpoint: Endpoint = {
  path: "/quitquitquit",
  help: "exit the server",
  mutates: true,
  run({ view }): Answer {
    // The answer leaves before the server does.
    setImmediate(() => view.quit());
    return text("OK\n");
  },
};

// Clients that ask all the while, and say what went wrong.

import http from "node:http";

export interface Load {
  readonly failures: readonly string[];
  served(): number;
  stop(): Promise<void>;
}

/** Half of the workers keep their connections, half don't; every third request has a body. */
export function startLoad(port: number, workers: number, expected: string): Load {
  const failures: string[] = [];
  let served = 0;
  let stopped = false;
  const agent = new http.Agent({ keepAlive: true, maxSockets: Math.max(1, workers / 2) });
  const worker = async (index: number) => {
    for (let turn = 0; !stopped; turn += 1) {
      const body = turn % 3 === 0 ? "abc" : "";
      const problem = await once(port, { agent: index % 2 === 0 ? agent : false, body, expected });
      if (problem === undefined) served += 1;
      else failures.push(problem);
    }
  };
  const running = Array.from({ length: workers }, (_, index) => worker(index));
  return {
    failures,
    served: () => served,
    async stop() {
      stopped = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}

export interface Question {
  readonly agent: http.Agent | false;
  readonly body: string | Buffer;
  readonly expected: string;
  readonly path?: string;
}

/** Undefined: it was answered as expected. */
export function once(port: number, how: Question): Promise<string | undefined> {
  const method = how.body.length === 0 ? "GET" : "POST";
  const { agent, path } = how;
  return new Promise((resolve) => {
    const request = http.request({ host: "127.0.0.1", port, agent, method, path: path ?? "/" });
    // A connection that the proxy ends while the client takes it again is the client's to try again, as any client does.
    request.on("error", (error) => resolve(request.reusedSocket ? undefined : error.message));
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("latin1").on("data", (piece: string) => {
        text += piece;
      });
      response.on("error", (error) => resolve(error.message));
      response.on("end", () => {
        const good = response.statusCode === 200 && text === how.expected;
        resolve(good ? undefined : `${response.statusCode} ${text.slice(0, 200)}`);
      });
    });
    request.end(how.body);
  });
}

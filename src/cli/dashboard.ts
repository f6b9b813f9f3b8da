// `weft dashboard`: a link to the page of the local cluster, good once.

import { spawn } from "node:child_process";
import { request } from "node:http";
import type { Command } from "commander";
import { isRecord, parseJson } from "../base/json.ts";
import { askApi, type Credentials, readCredentials } from "../cluster/remote.ts";
import { readState } from "../cluster/state.ts";
import { DASHBOARD_AUDIENCE, EDITOR_ACCOUNT, LOGIN_PATH, VIEWER_ACCOUNT } from "../dashboard/login.ts";
import { CommandFailure, examples } from "./command.ts";
import { dataDirOption, existingDataDir } from "./data-dir.ts";
import { formatOption, printStructured, readFormat } from "./output.ts";

interface Options {
  readonly dataDir: string;
  readonly open?: boolean;
  readonly allowChanges?: boolean;
  readonly output?: string;
}

export function define(command: Command): void {
  command
    .description(
      "Prints a link to the page of the local cluster: who calls whom, services, configuration, metrics, traces and " +
        "rollouts. The link is good once, for two minutes; the session that it opens may only look.",
    )
    .option("--open", "open the link in a browser")
    .option("--allow-changes", "let the page steer rollouts too: promote, pause, resume and abort them")
    .addOption(dataDirOption())
    .addOption(formatOption())
    .action(async (options: Options) => {
      const format = readFormat(options.output);
      const link = await makeLink(options);
      if (format === "table") console.log(link.url);
      else await printStructured(link, format);
      if (options.open === true) openBrowser(link.url);
    });
  examples(command, [
    "weft dashboard",
    "weft dashboard --open",
    "weft dashboard --allow-changes --data-dir .weft/demo",
  ]);
}

interface Link {
  readonly url: string;
  readonly seconds: number;
}

async function makeLink(options: Options): Promise<Link> {
  const dir = existingDataDir(options.dataDir);
  const state = readState(dir);
  if (state === undefined) {
    throw new CommandFailure(`no cluster runs on ${dir.root}`, { next: 'Start it with "weft up -d".' });
  }
  if (state.dashboard === "") {
    throw new CommandFailure("this cluster serves no page", { next: `See ${dir.log} for why, and start it again.` });
  }
  const credentials = readCredentials(dir.kubeconfig);
  if (!credentials.ok) throw new CommandFailure(`cannot read ${dir.kubeconfig}: ${credentials.error}`);
  const account = options.allowChanges === true ? EDITOR_ACCOUNT : VIEWER_ACCOUNT;
  return exchange(state.dashboard, await requestToken(credentials.value, account));
}

const TOKEN_SECONDS = 600;

/** The kubeconfig's own credential stays with the API: the page gets a token that is good for it alone. */
async function requestToken(credentials: Credentials, account: string): Promise<string> {
  const answer = await askApi(credentials, {
    method: "POST",
    path: `/api/v1/namespaces/istio-system/serviceaccounts/${account}/token`,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences: [DASHBOARD_AUDIENCE], expirationSeconds: TOKEN_SECONDS },
    },
  });
  if (!answer.ok) throw new CommandFailure(`the API does not answer: ${answer.error}`, { next: 'See "weft status".' });
  const { body, status } = answer.value;
  const token = isRecord(body) && isRecord(body["status"]) ? body["status"]["token"] : undefined;
  if (typeof token === "string") return token;
  const message = isRecord(body) ? String(body["message"] ?? "") : "";
  throw new CommandFailure(`the API gives no token for ${account}: ${message === "" ? status : message}`, {
    next: `Whoever opens the page must be allowed to create tokens of service account istio-system/${account}.`,
  });
}

function exchange(dashboard: string, token: string): Promise<Link> {
  const { promise, resolve, reject } = Promise.withResolvers<Link>();
  const fail = (why: string): void =>
    reject(new CommandFailure(`the page at ${dashboard} gives no link: ${why}`, { next: 'See "weft status".' }));
  const outgoing = request(new URL(LOGIN_PATH, dashboard), {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    timeout: ANSWER_MS,
    agent: false,
  });
  outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
  outgoing.on("error", (error) => fail(error.message));
  outgoing.on("response", (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("end", () => {
      const parsed = parseJson(text);
      const body = parsed.ok && isRecord(parsed.value) ? parsed.value : {};
      const { path, seconds } = body;
      if (response.statusCode === 200 && typeof path === "string" && typeof seconds === "number") {
        resolve({ url: new URL(path, dashboard).href, seconds });
      } else fail(String(body["error"] ?? `it answered ${response.statusCode}`));
    });
  });
  outgoing.end();
  return promise;
}

const ANSWER_MS = 5_000;

/** Where there is none the link is there to be clicked: no reason to fail. */
function openBrowser(url: string): void {
  const opener = process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(opener, [url], { stdio: "ignore", detached: true });
  child.on("error", () => console.error(`weft: ${opener} is not there: open the link yourself`));
  child.unref();
}

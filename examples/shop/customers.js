// The load: customers who look at the shop all day, some of them in the beta group. One line of figures a second.

import { call } from "./call.js";
import { log, probe } from "./serve.js";

const SHOP = process.env.SHOP_URL || "http://frontend:8080";
const RATE = Number(process.env.REQUESTS_PER_SECOND || 25);
const BETA_EVERY = Number(process.env.BETA_EVERY || 25);
const IN_FLIGHT_MAX = 50;
const OPEN_CHECK_MS = 200;

let sent = 0;
let inFlight = 0;
let second = empty();

function empty() {
  return { requests: 0, errors: 0, skipped: 0, milliseconds: [], versions: {} };
}

async function visit() {
  if (inFlight >= IN_FLIGHT_MAX) {
    second.skipped += 1;
    return;
  }
  inFlight += 1;
  sent += 1;
  const beta = sent % BETA_EVERY === 0;
  const answer = await call("GET", `${SHOP}/`, { headers: beta ? { "x-user-group": "beta" } : {} });
  inFlight -= 1;
  second.requests += 1;
  if (answer.status !== 200) {
    second.errors += 1;
    second.lastError = `${answer.status} ${answer.body.trim().slice(0, 200)}`;
    return;
  }
  second.milliseconds.push(Math.round(answer.milliseconds * 10) / 10);
  const version = `${beta ? "beta:" : ""}${JSON.parse(answer.body).version}`;
  second.versions[version] = (second.versions[version] || 0) + 1;
}

/** Nobody comes before the shop has opened: what is not there yet is no error. */
async function untilOpen() {
  for (;;) {
    const { status } = await call("GET", `${SHOP}/`);
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, OPEN_CHECK_MS));
  }
}

process.on("SIGTERM", () => process.exit(0));
probe("customers");
await untilOpen();
setInterval(visit, 1_000 / RATE);
setInterval(() => {
  log({ kind: "load", ...second });
  second = empty();
}, 1_000);

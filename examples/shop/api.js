// The shop's API, in two versions: v2 recommends something. It can be told to fail for a while, for the circuit breaker.

import { call } from "./call.js";
import { serve } from "./serve.js";

const VERSION = process.env.VERSION || "v1";
const ORDERS = process.env.ORDERS_URL || "http://orders:8080";
const PRODUCTS = ["loom", "shuttle", "yarn"];
const FAIL_SECONDS_MAX = 600;

let failingUntilMs = 0;

serve("api", async (url) => {
  if (url.pathname === "/api/fail") {
    const seconds = Math.min(Number(url.searchParams.get("seconds") || 20), FAIL_SECONDS_MAX);
    failingUntilMs = Date.now() + seconds * 1_000;
    return { status: 200, body: { version: VERSION, failingForSeconds: seconds } };
  }
  if (Date.now() < failingUntilMs) return { status: 503, body: { version: VERSION, error: "told to fail" } };
  if (url.pathname === "/api/orders") {
    const answer = await call("GET", `${ORDERS}/orders`);
    return { status: answer.status === 200 ? 200 : 502, body: { version: VERSION, orders: answer.status } };
  }
  if (url.pathname !== "/api/products") return { status: 404, body: { error: `nothing at ${url.pathname}` } };
  const body = { version: VERSION, products: PRODUCTS };
  return { status: 200, body: VERSION === "v1" ? body : { ...body, recommended: "yarn" } };
});

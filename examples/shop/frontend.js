// The shop's front: asks the API for the products and says which version answered.

import { call } from "./call.js";
import { serve } from "./serve.js";

const API = process.env.API_URL || "http://api:8080";

serve("frontend", async (url, request) => {
  if (url.pathname !== "/") return { status: 404, body: { error: `no page ${url.pathname}` } };
  const group = request.headers["x-user-group"];
  const answer = await call("GET", `${API}/api/products`, { headers: group ? { "x-user-group": group } : {} });
  if (answer.status !== 200) return { status: 502, body: { error: "the api did not answer", status: answer.status } };
  return { status: 200, body: { page: "shop", ...JSON.parse(answer.body) } };
});

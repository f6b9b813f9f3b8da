// The shop's orders: only the API may read them.

import { serve } from "./serve.js";

let count = 0;

serve("orders", (url) => {
  if (url.pathname !== "/orders") return { status: 404, body: { error: `nothing at ${url.pathname}` } };
  count += 1;
  return { status: 200, body: { orders: count } };
});

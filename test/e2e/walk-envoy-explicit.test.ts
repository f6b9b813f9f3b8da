// The walk without interception, with Envoy in every sidecar. It takes as long as the others, so it runs with --long only.

import { walk } from "./walk.ts";

const title = "the walk, explicit, with Envoy";
if (process.env["WEFT_LONG"] === "1") walk({ title, mode: "explicit", unprivileged: true, proxy: "envoy" });

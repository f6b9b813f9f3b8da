// The walk as root, with interception, and Envoy in every sidecar.

import { walk } from "./walk.ts";

walk({ title: "the walk, transparent, as root, with Envoy", mode: "transparent", proxy: "envoy" });

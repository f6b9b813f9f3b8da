// The walk as root, with interception.

import { walk } from "./walk.ts";

walk({ title: "the walk, transparent, as root", mode: "transparent" });

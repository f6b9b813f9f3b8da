// The walk as a user without any privilege, with interception.

import { walk } from "./walk.ts";

walk({ title: "the walk, transparent, unprivileged", mode: "transparent", unprivileged: true });

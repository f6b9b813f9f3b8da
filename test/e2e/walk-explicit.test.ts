// The walk without interception, as a user without any privilege.

import { walk } from "./walk.ts";

walk({ title: "the walk, explicit, unprivileged", mode: "explicit", unprivileged: true });

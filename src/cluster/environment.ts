// What every process of a pod starts with: enough to find programs, and nothing of the user's own.

import { delimiter, dirname } from "node:path";

const KEPT = ["HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** `node` is the one that weft runs on, whatever the machine has. */
export function podEnvironment(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const name of KEPT) {
    const value = env[name];
    if (value !== undefined) kept[name] = value;
  }
  return { ...kept, PATH: `${dirname(process.execPath)}${delimiter}${env["PATH"] ?? DEFAULT_PATH}` };
}

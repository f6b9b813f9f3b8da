// Whether the transparent mode works here, found out by doing it: namespaces, a veth, a redirect, a container's
// mounts. The reason names the first thing that failed and the next step.

import { execFile } from "node:child_process";
import { findTool } from "../../node/transparent/script.ts";
import { unshareOptions } from "./launch.ts";
import { PROBE_OUTPUT_BYTES_MAX, PROBE_TIMEOUT_MS } from "./limits.ts";

export type TransparentProbe = { readonly works: true } | { readonly works: false; readonly reason: string };

export async function probeTransparent(): Promise<TransparentProbe> {
  if (process.platform !== "linux") return no(`network namespaces need Linux, this is ${process.platform}`);
  for (const [tool, debianPackage] of Object.entries(PACKAGES)) {
    if (findTool(tool) === undefined) return no(`${tool} is not installed: apt-get install ${debianPackage}`);
  }
  const library = await loadKoffi();
  if (library !== undefined) return no(library);
  return tryNamespaces();
}

/** The tools that the mode uses, and the Debian package each is in. */
const PACKAGES = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  setsid: "util-linux",
  mount: "mount",
  pivot_root: "util-linux",
  ip: "iproute2",
  nft: "nftables",
} as const;

// Each step's number is the exit code when it fails.
const STEPS = [
  {
    script: "mount -t tmpfs tmpfs /tmp && touch /tmp/ns && unshare --net=/tmp/ns true",
    failed: "a network namespace could not be kept",
  },
  {
    script: "ip link add weft0 type veth peer name weft1 netns /tmp/ns && ip link set lo up",
    failed: "a veth pair could not be made (kernel module veth)",
  },
  {
    script: `nft -f - <<'END'
table ip weft {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain one { meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 80, 1 : 10.244.0.3 . 80 }; }
  chain prerouting { type nat hook prerouting priority dstnat; tcp dport 1 redirect to :15006
    ip daddr . meta l4proto . th dport vmap @services
  }
  chain postrouting { type nat hook postrouting priority srcnat; oifname "weft0" snat to 10.244.0.2
  }
}
END`,
    failed: "nft could not redirect (kernel modules nf_tables, nft_nat, nft_redir)",
  },
  {
    script: "echo 1 > /proc/sys/net/ipv4/ip_forward",
    failed: "forwarding could not be switched on (is /proc/sys read-only, as in a container?)",
  },
  {
    script: "unshare --mount --uts --pid --fork --kill-child mount -t proc proc /proc",
    failed: "a container's namespaces could not be made",
  },
] as const;

function tryNamespaces(): Promise<TransparentProbe> {
  const script = STEPS.map((step, index) => `( ${step.script}\n) || exit ${FIRST_STEP_CODE + index}`).join("\n");
  const options = {
    timeout: PROBE_TIMEOUT_MS,
    maxBuffer: PROBE_OUTPUT_BYTES_MAX,
    env: { PATH: TOOL_PATH, LC_ALL: "C" },
  };
  return new Promise((resolve) => {
    execFile(
      findTool("unshare") ?? "unshare",
      [...unshareOptions(), "/bin/sh", "-c", script],
      options,
      (error, _out, errors) => {
        if (error === null) return resolve({ works: true });
        const said = errors.trim().split("\n")[0] ?? "";
        const step = typeof error.code === "number" ? STEPS[error.code - FIRST_STEP_CODE] : undefined;
        if (step !== undefined) return resolve(no(`${step.failed}: ${said}`));
        if (error.killed) return resolve(no(`making namespaces took longer than ${PROBE_TIMEOUT_MS} ms`));
        resolve(no(`namespaces are not allowed here: ${said || error.message}${ADVICE}`));
      },
    );
  });
}

const FIRST_STEP_CODE = 100;
const TOOL_PATH = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
const ADVICE =
  " (unprivileged user namespaces may be switched off: see sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)";

/** The proxy reads the original destination through it. */
async function loadKoffi(): Promise<string | undefined> {
  try {
    const { default: koffi } = await import("koffi");
    koffi.load("libc.so.6").func("int getsockopt(int, int, int, void *, void *)");
    return undefined;
  } catch (error) {
    return `the original destination of connections can't be read: koffi: ${error instanceof Error ? error.message : error}`;
  }
}

function no(reason: string): TransparentProbe {
  return { works: false, reason };
}

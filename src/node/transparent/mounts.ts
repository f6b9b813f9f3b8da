// What a container sees of the machine's files: the machine's own tree, with the pod's mounts in it, also at paths
// that the machine does not have. Nothing is written to the machine's tree: /etc becomes an overlay, /run an own
// tmpfs, and any other directory that lacks a mount's target becomes a tmpfs of its entries.

import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Mount } from "../sandbox.ts";
import { BOUND_ENTRIES_MAX } from "./limits.ts";
import { quote } from "./script.ts";

export interface ContainerFiles {
  /** The provider's tmpfs: it hides the other pods' namespaces, and gives the container's own tmpfs its place. */
  readonly scratch: string;
  readonly mounts: readonly Mount[];
  readonly hostname: string;
  readonly podIP: string;
  readonly nameserver: string;
  readonly namespace: string;
}

/** A script for a new mount namespace, run as its first process. */
export function mountScript(files: ContainerFiles): string {
  const targets = files.mounts.map((mount) => ({ mount, target: resolveTarget(mount.target) }));
  const replaced = new Set<string>();
  for (const { mount, target } of targets) {
    if (isUnder(target, "/etc") || isUnder(target, "/run")) continue;
    const missing = replacedDirectory(target, mount.source);
    if (missing !== undefined) replaced.add(missing);
  }
  const scratch = quote(files.scratch);
  const lines = [
    "set -e",
    // The copy of the tree holds the other pods' namespaces open; its own tmpfs comes in their place.
    `umount -l ${scratch}`,
    `mount -t tmpfs -o mode=755 tmpfs ${scratch}`,
    `S=${scratch}`,
  ];
  if (replaced.has("/")) lines.push(...rootLines(files.scratch));
  const kept = [files.scratch, ...files.mounts.map((mount) => mount.source)];
  for (const directory of [...replaced].filter((path) => path !== "/").sort()) {
    lines.push(...copyLines(directory, kept));
  }
  lines.push("mount -t proc proc /proc 2>/dev/null || :", ...etcLines(files), ...runLines());
  for (const { mount, target } of sortByDepth(targets)) lines.push(...bindLines(mount, target));
  lines.push(
    `hostname ${quote(files.hostname)} 2>/dev/null || echo ${quote(files.hostname)} > /proc/sys/kernel/hostname || :`,
  );
  return lines.join("\n");
}

interface Target {
  readonly mount: Mount;
  readonly target: string;
}

/** The path behind symbolic links of the directories that exist: /var/run/secrets is /run/secrets. */
function resolveTarget(target: string): string {
  const path = join("/", target).replace(/(?<=.)\/+$/, "");
  if (path === "/") return path;
  // What lies in /run on the machine is not what the container sees there.
  if (isUnder(path, "/run")) return path;
  try {
    return isUnder(path, "/etc") ? path : realpathSync(path);
  } catch {
    return join(resolveTarget(dirname(path)), basename(path));
  }
}

/** The directory that has to be replaced so that `target` can be made in it; undefined when the target is there. */
function replacedDirectory(target: string, source: string): string | undefined {
  const existing = kindOf(target);
  if (existing !== "missing" && existing === kindOf(source)) return undefined;
  let directory = dirname(target);
  while (kindOf(directory) !== "directory") directory = dirname(directory);
  return directory;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Not readable for this user: it stays empty in the copy.
    return [];
  }
}

function kindOf(path: string): "directory" | "file" | "missing" {
  try {
    return statSync(path).isDirectory() ? "directory" : "file";
  } catch {
    return "missing";
  }
}

/** A new root of the old one's entries. The entry that holds the new root comes first, while that is still empty. */
function rootLines(scratch: string): string[] {
  const holder = scratch.split("/")[1] ?? "";
  const names = namesIn("/").sort((a, b) => Number(b === holder) - Number(a === holder));
  return [
    'mkdir "$S"/root && mount -t tmpfs -o mode=755 tmpfs "$S"/root',
    ...names.flatMap((name) => entryLines("/", name, '"$S"/root')),
    'cd "$S"/root',
    "pivot_root . .",
    "umount -l . 2>/dev/null || :",
    "cd /",
    // Seen from the new root, the container's scratch directory is where it was.
    `S=${quote(scratch)}`,
  ];
}

/**
 * Few entries are bound one by one, which keeps the mounts below them and lets writes through; many come by an
 * overlay where one works, unless something below has to stay what it is.
 */
function copyLines(directory: string, kept: readonly string[]): string[] {
  const place = `"$S"/replaced${quote(directory.replaceAll("/", "-"))}`;
  const names = namesIn(directory);
  const bind = [
    ...names.flatMap((name) => entryLines(directory, name, place)),
    `mount --rbind ${place} ${quote(directory)}`,
  ];
  if (names.length <= BOUND_ENTRIES_MAX || kept.some((path) => isUnder(path, directory)))
    return [`mkdir ${place}`, ...bind];
  const layers = `lowerdir=${quote(directory)},upperdir=${place},workdir=${place}-work`;
  return [
    `mkdir ${place} ${place}-work`,
    `if ! mount -t overlay overlay -o ${layers} ${quote(directory)} 2>/dev/null; then`,
    ...bind,
    "fi",
  ];
}

function entryLines(directory: string, name: string, place: string): string[] {
  const path = join(directory, name);
  const from = quote(path);
  const to = `${place}/${quote(name)}`;
  // An entry may go while the directory is read.
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return [];
  if (status.isSymbolicLink()) return [`ln -s ${quote(readlinkSync(path))} ${to}`];
  const make = status.isDirectory() ? `mkdir ${to}` : `: > ${to}`;
  // What can't be bound (another filesystem's stale entry, say) stays empty rather than keep the container away.
  return [`${make}; mount --rbind ${from} ${to} 2>/dev/null || :`];
}

// The machine's /run has sockets of its name services: answers from there would come past the mesh.
function runLines(): string[] {
  const lines = ['mkdir -p "$S"/run/lock "$S"/run/user'];
  if (kindOf("/run/user") === "directory") lines.push('mount --rbind /run/user "$S"/run/user');
  lines.push('mount --rbind "$S"/run /run');
  return lines;
}

/** An overlay where the kernel allows one, else a copy of what can be read. */
function etcLines(files: ContainerFiles): string[] {
  const written = Object.entries(nameFiles(files)).map(
    ([name, text]) => `rm -rf "$1/${name}"; printf %s ${quote(text)} > "$1/${name}"`,
  );
  return [
    `write_names() { ${written.join("; ")}; }`,
    'mkdir -m 755 "$S"/etc "$S"/etc-work',
    'write_names "$S"/etc',
    'if ! mount -t overlay overlay -o lowerdir=/etc,upperdir="$S"/etc,workdir="$S"/etc-work /etc 2>/dev/null; then',
    '  cp -a /etc/. "$S"/etc 2>/dev/null || :',
    '  write_names "$S"/etc',
    '  mount --bind "$S"/etc /etc',
    "fi",
  ];
}

function nameFiles(files: ContainerFiles): Record<string, string> {
  const domain = "cluster.local";
  return {
    "resolv.conf": `nameserver ${files.nameserver}\nsearch ${files.namespace}.svc.${domain} svc.${domain} ${domain}\noptions ndots:5\n`,
    hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${files.podIP}\t${files.hostname}\n`,
    hostname: `${files.hostname}\n`,
    "nsswitch.conf": hostsLine(readText("/etc/nsswitch.conf")),
  };
}

/** The machine's file with names taken from /etc/hosts and DNS only, past any local resolver daemon. */
function hostsLine(nsswitch: string): string {
  const others = nsswitch.split("\n").filter((line) => !/^\s*hosts:/.test(line));
  return `${others.join("\n").trimEnd()}\nhosts: files dns\n`.trimStart();
}

function bindLines(mount: Mount, target: string): string[] {
  const to = quote(target);
  const make =
    kindOf(mount.source) === "directory"
      ? `mkdir -p ${to}`
      : `mkdir -p ${quote(dirname(target))}; [ -e ${to} ] || : > ${to}`;
  const lines = [make, `mount --rbind ${quote(mount.source)} ${to}`];
  // An unprivileged user can't always tighten a mount (its source may carry locked flags): then it stays writable.
  if (mount.readOnly) lines.push(`mount -o remount,bind,ro ${to} 2>/dev/null || :`);
  return lines;
}

function sortByDepth(targets: readonly Target[]): Target[] {
  return [...targets].sort((a, b) => a.target.split("/").length - b.target.split("/").length);
}

function isUnder(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "passwd: files\ngroup: files\n";
  }
}

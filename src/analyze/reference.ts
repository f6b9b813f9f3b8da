// What the snapshot found while it was built, with the codes that people know.

import type { KubeObject } from "../api/object.ts";
import { type Finding as ModelFinding, refOf } from "../model/finding.ts";
import { valueAt } from "./fields.ts";
import { type Finding, finding } from "./finding.ts";
import { boundFinding } from "./gateway.ts";
import type { World } from "./world.ts";

export function analyzeReferences(world: World): readonly Finding[] {
  const findings = world.snapshot.findings.filter(({ resource }) => !ELSEWHERE.has(resource.kind));
  return findings.map((each) =>
    each.type === "reference" ? (boundFinding(each) ?? reference(each, world)) : other(each),
  );
}

/** They are looked at by themselves. */
const ELSEWHERE: ReadonlySet<string> = new Set(["Telemetry", "Gateway"]);

function other(found: ModelFinding): Finding {
  const { resource, path, message } = found;
  if (found.type === "ignored") return finding("IST0133", found, `Schema validation warning: ${message}`);
  if (resource.kind === "DestinationRule") {
    const text = message.startsWith(`${path} `) ? message.slice(path.length + 1) : message;
    return finding("WEFT0101", found, text, "Say it in one of the two rules only, or put both into one rule.");
  }
  if (resource.kind === "PeerAuthentication") {
    return finding("WEFT0108", found, message, "Keep one PeerAuthentication without a selector in a namespace.");
  }
  if (resource.kind !== "VirtualService") return finding("WEFT0111", found, message, "Keep one of the two.");
  const host = /^(\S+) is already routed by VirtualService (\S+),/.exec(message);
  const names = `${resource.namespace}/${resource.name},${host?.[2] ?? ""}`;
  return finding(
    "IST0109",
    { resource, path },
    `The VirtualServices ${names} associated with mesh gateway define the same host ${host?.[1] ?? path} which can lead to undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single resource.`,
    `In weft ${host?.[2] ?? "the older one"} wins: it is older, or first by name.`,
  );
}

function reference(found: ModelFinding, world: World): Finding {
  const { resource, path, message } = found;
  if (resource.kind !== "VirtualService") {
    return finding("WEFT0112", found, message, "Correct the name, or add what it names.");
  }
  const [reason = message] = message.split(";");
  if (path.startsWith("spec.hosts")) {
    return finding("WEFT0109", found, `${message}, so no request of the mesh takes these routes`, serviceStep(world));
  }
  const object = world.objects.find((each) => isSame(each, found));
  const destination = path.replace(/\.[^.]+$/, "");
  const host = String(valueAt(object, `${destination}.host`) ?? "");
  if (path.endsWith(".subset")) {
    const subset = String(valueAt(object, path) ?? "");
    return finding(
      "IST0101",
      { resource, path },
      `Referenced host+subset in destinationrule not found: "${host}+${subset}" (requests that reach it get a 503)`,
      `Add the subset ${subset} to the DestinationRule of ${host}, or correct the name.`,
    );
  }
  const what = path.endsWith(".port") ? "host:port" : "host";
  return finding(
    "IST0101",
    { resource, path },
    `Referenced ${what} not found: "${host}" (${reason}; requests that reach it get a 503)`,
    path.endsWith(".port") ? "Name a port that the Service has." : serviceStep(world),
  );
}

function serviceStep(world: World): string {
  const names = [...world.snapshot.services.values()].map(({ name, namespace }) => `${name}.${namespace}`);
  if (names.length === 0) return "No Service is known here: add their manifests with -f, or ask a cluster.";
  return `Correct the name, or add the Service; known: ${names.slice(0, SERVICES_NAMED_MAX).join(", ")}.`;
}

const SERVICES_NAMED_MAX = 8;

function isSame(object: KubeObject, found: ModelFinding): boolean {
  const ref = refOf(object);
  return (
    ref.kind === found.resource.kind && ref.name === found.resource.name && ref.namespace === found.resource.namespace
  );
}

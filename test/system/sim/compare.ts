// What was seen on the sockets beside what the simulator says of the call.

import type { Outcome, SimCall } from "../../sim/call.ts";
import type { Answer } from "./make-call.ts";

/** What is wrong; nothing where the two agree. */
export function disagreement(call: SimCall, expected: Outcome, seen: Answer, client: string): string | undefined {
  const problems = [...answered(expected, seen), ...arrived(call, expected, seen, client)];
  if (problems.length === 0) return undefined;
  return `${problems.join("; ")}\nseen: ${JSON.stringify(seen)}\nsimulated: ${JSON.stringify(expected)}`;
}

function answered(expected: Outcome, seen: Answer): readonly string[] {
  const { status, error, location, body } = expected;
  if (status === undefined && error === undefined) return [];
  const problems: string[] = [];
  if (seen.arrival !== undefined) problems.push("it should not have arrived");
  if (status === undefined) {
    // A codec that meets no HTTP may say so.
    if (seen.status !== undefined && !(error?.startsWith("not HTTP") === true && seen.status === 400))
      problems.push(`closed without an answer, not ${seen.status}`);
    return problems;
  }
  if (seen.status !== status) problems.push(`status ${status}, not ${seen.status}`);
  if (location !== undefined && seen.location !== location) problems.push(`location ${location}, not ${seen.location}`);
  if (body !== undefined && seen.body !== body) problems.push(`body ${body}, not ${seen.body}`);
  return problems;
}

function arrived(call: SimCall, expected: Outcome, seen: Answer, client: string): readonly string[] {
  if (expected.status !== undefined || expected.error !== undefined) return [];
  const { arrival } = seen;
  if (arrival === undefined) return ["it should have arrived"];
  const inner = call.tls !== undefined && expected.endsTls !== true ? arrival.layers.at(-1) : undefined;
  const outer = arrival.layers.length > (inner === undefined ? 0 : 1) ? arrival.layers[0] : undefined;
  const kind = outer === undefined ? "plain" : outer.peer === client ? "mesh" : "tls";
  const checks: readonly (readonly [boolean, string])[] = [
    [expected.hosts?.includes(`${arrival.at} ${kind}`) === true, `arrived at ${arrival.at} by ${kind}`],
    [inner === undefined || inner.sni === (call.tls?.sni ?? ""), `the inner SNI is ${inner?.sni}`],
    [same(expected.path, arrival.http?.path), `path ${arrival.http?.path}`],
    [same(expected.authority, arrival.http?.host), `host ${arrival.http?.host}`],
    [outer === undefined || same(expected.sni, outer.sni), `SNI ${outer?.sni}`],
    [kind !== "mesh" || outer?.alpn.startsWith("istio-http") === (expected.path !== undefined), `ALPN ${outer?.alpn}`],
  ];
  return checks.flatMap(([holds, problem]) => (holds ? [] : [problem]));
}

/** What isn't expected may be anything. */
function same(expected: string | undefined, seen: string | undefined): boolean {
  return expected === undefined || expected === seen;
}

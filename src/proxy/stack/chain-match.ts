// Which filter chain a connection belongs to, with Envoy's precedence: criterion by criterion, the most specific stays.

import type { ChainConfig, ChainMatch } from "../compile/listener.ts";
import type { IpRange } from "../compile/value.ts";

export interface MatchInput {
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly serverName: string;
  readonly transport: string;
  readonly protocols: readonly string[];
  readonly sourceIp: string;
  readonly sourcePort: number;
}

/** Higher is more specific; 0: no such criterion; undefined: doesn't match. */
type Criterion = (match: ChainMatch, input: MatchInput) => number | undefined;

const CRITERIA: readonly Criterion[] = [
  (match, input) =>
    match.destinationPort === undefined ? 0 : match.destinationPort === input.destinationPort ? 1 : undefined,
  (match, input) => rangeScore(match.destinationRanges, input.destinationIp),
  (match, input) => nameScore(match.serverNames, input.serverName),
  (match, input) => (match.transportProtocol === "" ? 0 : match.transportProtocol === input.transport ? 1 : undefined),
  (match, input) => {
    if (match.applicationProtocols.length === 0) return 0;
    // The client's first protocol that a chain knows decides, as in Envoy.
    const at = input.protocols.findIndex((protocol) => match.applicationProtocols.includes(protocol));
    return at === -1 ? undefined : input.protocols.length - at;
  },
  (match, input) => rangeScore(match.directSourceRanges, input.sourceIp),
  (match, input) => {
    if (match.sourceType === "any") return 0;
    const local =
      input.sourceIp === input.destinationIp || input.sourceIp.startsWith("127.") || input.sourceIp === "::1";
    return (match.sourceType === "same-ip-or-loopback") === local ? 1 : undefined;
  },
  (match, input) => rangeScore(match.sourceRanges, input.sourceIp),
  (match, input) => (match.sourcePorts.length === 0 ? 0 : match.sourcePorts.includes(input.sourcePort) ? 1 : undefined),
];

export function matchChain<T extends { readonly config: ChainConfig }>(
  chains: readonly T[],
  input: MatchInput,
): T | undefined {
  let left: readonly T[] = chains;
  for (const criterion of CRITERIA) {
    let best = -1;
    let kept: T[] = [];
    for (const chain of left) {
      const score = criterion(chain.config.match, input);
      if (score === undefined || score < best) continue;
      if (score > best) kept = [];
      best = score;
      kept.push(chain);
    }
    left = kept;
    if (left.length === 0) return undefined;
  }
  return left[0];
}

function rangeScore(ranges: readonly IpRange[], ip: string): number | undefined {
  if (ranges.length === 0) return 0;
  let best: number | undefined;
  for (const range of ranges) {
    if (range.contains(ip) && (best === undefined || range.prefixLength + 1 > best)) best = range.prefixLength + 1;
  }
  return best;
}

function nameScore(names: readonly string[], serverName: string): number | undefined {
  if (names.length === 0) return 0;
  let best: number | undefined;
  for (const name of names) {
    const exact = name === serverName && serverName !== "";
    const wild = name.startsWith("*.") && serverName.endsWith(name.slice(1));
    const score = exact ? 10_000 : wild ? name.length : undefined;
    if (score !== undefined && (best === undefined || score > best)) best = score;
  }
  return best;
}

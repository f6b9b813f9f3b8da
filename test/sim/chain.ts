// Envoy's choice of a listener and of its filter chain.

import { BlockList, isIPv6 } from "node:net";
import type { CidrRange } from "../../src/proto/gen/envoy/config/core/v3/address.ts";
import type { Listener } from "../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import type {
  FilterChain,
  FilterChainMatch,
} from "../../src/proto/gen/envoy/config/listener/v3/listener_components.ts";

export interface Connection {
  readonly address: string;
  readonly port: number;
  readonly from: string;
  readonly serverName: string;
  readonly transport: string;
  readonly protocols: readonly string[];
}

export function addressOf(listener: Listener): { readonly address: string; readonly port: number } {
  const address = listener.address?.address;
  if (address?.$case !== "socketAddress") return { address: "", port: 0 };
  const { portSpecifier } = address.value;
  return { address: address.value.address, port: portSpecifier?.$case === "portValue" ? portSpecifier.value : 0 };
}

/** The one of that very address before the one of all addresses. */
export function findListener(
  listeners: Iterable<Listener>,
  wanted: { readonly address: string; readonly port: number },
): Listener | undefined {
  const ofPort = [...listeners].filter((each) => addressOf(each).port === wanted.port);
  const exact = ofPort.find((each) => addressOf(each).address === wanted.address);
  return exact ?? ofPort.find((each) => ["0.0.0.0", "::"].includes(addressOf(each).address));
}

/** Each condition in Envoy's order; the most specific value that fits is followed, and there is no way back. */
export function findChain(listener: Listener, connection: Connection): FilterChain | undefined {
  let left: readonly FilterChain[] = listener.filterChains;
  for (const narrow of CONDITIONS) left = narrow(left, connection);
  return left[0] ?? listener.defaultFilterChain;
}

type Condition = (chains: readonly FilterChain[], connection: Connection) => readonly FilterChain[];

const CONDITIONS: readonly Condition[] = [
  (chains, { port }) => firstOf(chains, [port, 0], (match) => [match.destinationPort ?? 0]),
  (chains, { address }) => longestPrefix(chains, address, (match) => match.prefixRanges),
  (chains, { serverName }) => firstOf(chains, [...serverNames(serverName), ""], (match) => orNone(match.serverNames)),
  (chains, { transport }) => firstOf(chains, [transport, ""], (match) => [match.transportProtocol]),
  (chains, { protocols }) => firstOf(chains, [...protocols, ""], (match) => orNone(match.applicationProtocols)),
  (chains, { from }) => longestPrefix(chains, from, (match) => match.directSourcePrefixRanges),
  (chains, { from }) => longestPrefix(chains, from, (match) => match.sourcePrefixRanges),
];

const NO_MATCH: Partial<FilterChainMatch> = {};

function firstOf<T>(
  chains: readonly FilterChain[],
  wanted: readonly T[],
  valuesOf: (match: FilterChainMatch) => readonly T[],
): readonly FilterChain[] {
  for (const value of wanted) {
    const fitting = chains.filter(({ filterChainMatch: match }) => {
      const values = match === undefined ? wanted.slice(-1) : valuesOf(match);
      return values.includes(value);
    });
    if (fitting.length > 0) return fitting;
  }
  return [];
}

function orNone(values: readonly string[]): readonly string[] {
  return values.length === 0 ? [""] : values.map((value) => value.replace(/^\*(?=\.)/, ""));
}

/** `www.example.com`, `.example.com`, `.com`. */
function serverNames(name: string): readonly string[] {
  const labels = name.split(".");
  return [name, ...labels.slice(1).map((_, i) => `.${labels.slice(i + 1).join(".")}`)];
}

function longestPrefix(
  chains: readonly FilterChain[],
  address: string,
  rangesOf: (match: FilterChainMatch) => readonly CidrRange[],
): readonly FilterChain[] {
  const lengths = chains.map(({ filterChainMatch }) => {
    const ranges = filterChainMatch === undefined ? [] : rangesOf(filterChainMatch);
    if (ranges.length === 0) return 0;
    return Math.max(-1, ...ranges.filter((range) => contains(range, address)).map((range) => range.prefixLen ?? 0));
  });
  const longest = Math.max(-1, ...lengths);
  return longest < 0 ? [] : chains.filter((_, i) => lengths[i] === longest);
}

function contains({ addressPrefix, prefixLen }: CidrRange, address: string): boolean {
  const list = new BlockList();
  const family = isIPv6(addressPrefix) ? "ipv6" : "ipv4";
  list.addSubnet(addressPrefix, prefixLen ?? 0, family);
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** A chain's name, or what it asks for. */
export function chainText(listener: Listener, chain: FilterChain): string {
  if (chain.name !== "") return chain.name;
  if (chain === listener.defaultFilterChain) return "default";
  const match = chain.filterChainMatch ?? NO_MATCH;
  const parts = [
    ...(match.prefixRanges ?? []).map((range) => `to ${range.addressPrefix}/${range.prefixLen}`),
    ...(match.sourcePrefixRanges ?? []).map((range) => `from ${range.addressPrefix}/${range.prefixLen}`),
    ...(match.serverNames ?? []).map((name) => `sni ${name}`),
    ...(match.serverNames?.length === 0 && match.transportProtocol === "tls" ? ["tls"] : []),
    ...((match.applicationProtocols ?? []).includes("http/1.1") ? ["http"] : []),
  ];
  return parts.length === 0 ? "any" : parts.join(" ");
}

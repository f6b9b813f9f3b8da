// Names to addresses, as the system resolves them.

import { lookup, resolve4, resolve6 } from "node:dns";
import { err, ok, type Result } from "../../base/result.ts";

export interface Resolved {
  readonly addresses: readonly string[];
  /** How long the name's records hold; undefined: not asked for, or not known (a name of /etc/hosts). */
  readonly ttlMs: number | undefined;
}

export interface DnsQuery {
  readonly name: string;
  readonly family: 0 | 4 | 6;
  readonly withTtl: boolean;
}

export type Resolve = (query: DnsQuery, done: (result: Result<Resolved, string>) => void) => void;

/** Addresses come from the system's resolver, which knows no TTL: where that is wanted, the name's server is asked for it. */
export const systemResolve: Resolve = (query, done) => {
  lookup(query.name, { all: true, family: query.family }, (error, found) => {
    if (error !== null) {
      done(err(error.message));
      return;
    }
    const addresses = found.map(({ address }) => address);
    if (!query.withTtl) {
      done(ok({ addresses, ttlMs: undefined }));
      return;
    }
    const ask = found[0]?.family === 6 ? resolve6 : resolve4;
    ask(query.name, { ttl: true }, (failed, records) => {
      const ttls = failed === null ? records.map(({ ttl }) => ttl) : [];
      done(ok({ addresses, ttlMs: ttls.length === 0 ? undefined : Math.min(...ttls) * 1000 }));
    });
  });
};

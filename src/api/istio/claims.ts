// Routes by the claims of verified tokens, which are written like headers.

const PREFIX = "@request.auth.claims";

/** The claim's path of `@request.auth.claims.a.b` and `@request.auth.claims[a][b]`; undefined where it is a header. */
export function claimPath(name: string): readonly string[] | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  const rest = name.slice(PREFIX.length);
  if (/^(\[[^[\]]+\])+$/.test(rest)) return rest.slice(1, -1).split("][");
  return /^(\.[^.]+)+$/.test(rest) ? rest.slice(1).split(".") : undefined;
}

/** Meant as a claim, whether it names one or not. */
export function isClaim(name: string): boolean {
  return name.startsWith(PREFIX);
}

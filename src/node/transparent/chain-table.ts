// Chains that a map of nftables leads to, as text: the difference between two sets of them, for one transaction.

/** An element of the map (`10.96.0.7 . tcp . 80`) to the rules of its chain, one a line. */
export type ChainTable = ReadonlyMap<string, string>;

export interface ChainMap {
  readonly map: string;
  readonly verdict: "goto" | "jump";
  /** Begins the names of the chains. */
  readonly prefix: string;
}

/** What turns `applied` into `wanted`; empty when nothing differs. */
export function tableDifference(applied: ChainTable, wanted: ChainTable, { map, verdict, prefix }: ChainMap): string {
  const lines: string[] = [];
  const chainOf = (key: string) => `${prefix}_${key.replaceAll(" . ", "_").replaceAll(".", "_")}`;
  for (const [key, rules] of wanted) {
    const before = applied.get(key);
    if (before === rules) continue;
    const chain = chainOf(key);
    const filled = rules.split("\n").map((rule) => `add rule ip weft ${chain} ${rule}`);
    if (before === undefined)
      lines.push(
        `add chain ip weft ${chain}`,
        ...filled,
        `add element ip weft ${map} { ${key} : ${verdict} ${chain} }`,
      );
    else lines.push(`flush chain ip weft ${chain}`, ...filled);
  }
  for (const key of applied.keys()) {
    if (wanted.has(key)) continue;
    lines.push(`delete element ip weft ${map} { ${key} }`);
    lines.push(`flush chain ip weft ${chainOf(key)}`, `delete chain ip weft ${chainOf(key)}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

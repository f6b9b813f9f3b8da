// The graph as a table, for who reads rather than looks.

import { milliseconds, rate, share } from "../format.ts";
import { Columns } from "../parts/columns.tsx";
import type { Drawn, DrawnEdge } from "./fold.ts";

export const MTLS_WORDS: Readonly<Record<DrawnEdge["mtls"], string>> = {
  all: "mutual TLS",
  some: "partly mutual TLS",
  none: "plaintext",
  unknown: "not known",
};

export function CallTable({ drawn }: { readonly drawn: Drawn }) {
  const labels = new Map(
    drawn.nodes.map(({ id, label, group }) => [id, group === undefined ? label : `${group}/${label}`]),
  );
  const edges = [...drawn.edges].sort((a, b) => b.rate - a.rate);
  return (
    <div class="scroll">
      <table class="cards">
        <caption class="unseen">Who calls whom</caption>
        <Columns
          names={[
            "Call",
            "Protocol",
            "Security",
            { figure: "Requests" },
            { figure: "Rate" },
            { figure: "Errors" },
            { figure: "Refused" },
            { figure: "p50" },
            { figure: "p99" },
          ]}
        />
        <tbody>
          {edges.map((edge) => (
            <tr key={edge.id}>
              <th scope="row">{`${labels.get(edge.from) ?? edge.from} → ${labels.get(edge.to) ?? edge.to}`}</th>
              <td data-label="Protocol">{edge.protocols.join(", ")}</td>
              <td data-label="Security">{MTLS_WORDS[edge.mtls]}</td>
              <td data-label="Requests" class="figure">
                {edge.requests}
              </td>
              <td data-label="Rate" class="figure">
                {rate(edge.rate)}
              </td>
              <td data-label="Errors" class={edge.errorShare > 0 ? "figure bad-text" : "figure"}>
                {share(edge.errorShare)}
              </td>
              <td data-label="Refused" class="figure">
                {share(edge.refusedShare)}
              </td>
              <td data-label="p50" class="figure">
                {milliseconds(edge.p50Ms)}
              </td>
              <td data-label="p99" class="figure">
                {milliseconds(edge.p99Ms)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// All services as a list, and one of them in full.

import { useSignal } from "@preact/signals";
import type { ServiceList, ServiceRow } from "../../../src/dashboard/shapes.ts";
import { useAnswer } from "../fetch.ts";
import { count, rate, share } from "../format.ts";
import { joinEdges } from "../graph/fold.ts";
import { pulse } from "../live.ts";
import { Columns } from "../parts/columns.tsx";
import { Filter } from "../parts/controls.tsx";
import { Findings, Mtls, Nothing, Show } from "../parts/state.tsx";
import { href, hrefOf, route } from "../route.ts";
import { ServiceInFull } from "./service.tsx";

export function ServicesView() {
  const { rest } = route.value;
  const [namespace, name] = rest;
  if (namespace !== undefined && name !== undefined) {
    return (
      <div class="view narrow">
        <p class="path">
          <a href={href("services")}>Services</a>
        </p>
        <ServiceInFull id={`${namespace}/${name}`} level={1} />
      </div>
    );
  }
  return <ServiceTable />;
}

function ServiceTable() {
  const answer = useAnswer<ServiceList>("/api/services", 10_000);
  const wanted = useSignal("");
  return (
    <div class="view">
      <div class="head">
        <h1>Services</h1>
        <Filter label="Filter by name or namespace" value={wanted} />
      </div>
      <Show loaded={answer}>
        {({ rows, leftOut }) => {
          const shown = rows.filter(({ id }) => id.includes(wanted.value.trim().toLowerCase()));
          return (
            <>
              {shown.length === 0 ? <Nothing>No service has this in its name.</Nothing> : <Rows rows={shown} />}
              {leftOut > 0 && <Nothing>{`${leftOut} more are not shown.`}</Nothing>}
            </>
          );
        }}
      </Show>
    </div>
  );
}

function Rows({ rows }: { readonly rows: readonly ServiceRow[] }) {
  return (
    <div class="scroll">
      <table class="cards">
        <caption class="unseen">{count(rows.length, "service")}</caption>
        <Columns
          names={[
            "Service",
            "Ports",
            "Mutual TLS",
            { figure: "Endpoints" },
            { figure: "Requests" },
            { figure: "Errors" },
            "Findings",
          ]}
        />
        <tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row }: { readonly row: ServiceRow }) {
  const inbound = joinEdges(pulse.value?.edges.filter(({ to }) => to === row.id) ?? [], "", row.id);
  return (
    <tr>
      <th scope="row">
        <a href={hrefOf("services", row.id)}>{row.name}</a>
        <span class="sub">{row.namespace}</span>
      </th>
      <td data-label="Ports">{row.ports.map(({ number, protocol }) => `${number} ${protocol}`).join(", ")}</td>
      <td data-label="Mutual TLS">
        <Mtls mode={row.mtls} />
      </td>
      <td data-label="Endpoints" class="figure">
        {row.endpoints}
      </td>
      <td data-label="Requests" class="figure">
        {rate(inbound.rate)}
      </td>
      <td data-label="Errors" class={inbound.errorShare > 0 ? "figure bad-text" : "figure"}>
        {share(inbound.errorShare)}
      </td>
      <td data-label="Findings">
        <Findings errors={row.errors} warnings={row.warnings} />
      </td>
    </tr>
  );
}

// Every resource of the mesh with its conditions and findings; one of them with its manifest.

import { useSignal } from "@preact/signals";
import type { Configuration, ConfigurationDetail, ConfigurationRow } from "../../../src/dashboard/shapes.ts";
import { useAnswer } from "../fetch.ts";
import { count } from "../format.ts";
import { Columns } from "../parts/columns.tsx";
import { Check, Filter } from "../parts/controls.tsx";
import { ConditionBadges, FindingList, toneOf } from "../parts/resource.tsx";
import { Badge, Nothing, Show } from "../parts/state.tsx";
import { href, route } from "../route.ts";

export function ConfigurationView() {
  const { rest } = route.value;
  const [kind, namespace, name] = rest;
  if (kind !== undefined && namespace !== undefined && name !== undefined) {
    return <Resource kind={kind} namespace={namespace} name={name} />;
  }
  return <ResourceTable />;
}

function ResourceTable() {
  const answer = useAnswer<Configuration>("/api/configuration", 10_000);
  const wanted = useSignal("");
  const onlyNoted = useSignal(false);
  return (
    <div class="view">
      <div class="head">
        <h1>Configuration</h1>
        <div class="controls">
          <Check label="Only what is wrong" value={onlyNoted} />
          <Filter label="Filter by kind, name, namespace" value={wanted} />
        </div>
      </div>
      <Show loaded={answer}>
        {({ rows, leftOut }) => {
          const shown = rows.filter((row) => fits(row, wanted.value) && (!onlyNoted.value || isNoted(row)));
          return (
            <>
              <Summary rows={rows} />
              {shown.length === 0 ? <Nothing>Nothing of this kind is there.</Nothing> : <Rows rows={shown} />}
              {leftOut > 0 && <Nothing>{`${leftOut} more are not shown.`}</Nothing>}
            </>
          );
        }}
      </Show>
    </div>
  );
}

function fits({ kind, namespace, name }: ConfigurationRow, wanted: string): boolean {
  const words = wanted.toLowerCase().split(/\s+/);
  return words.every((word) => `${kind} ${namespace}/${name}`.toLowerCase().includes(word));
}

function isNoted({ conditions, findings }: ConfigurationRow): boolean {
  return findings.some(({ severity }) => severity !== "Info") || conditions.some((each) => toneOf(each) !== "good");
}

function Summary({ rows }: { readonly rows: readonly ConfigurationRow[] }) {
  const of = (severity: string): number =>
    rows.reduce((sum, { findings }) => sum + findings.filter((each) => each.severity === severity).length, 0);
  return (
    <p class="summary">
      {`${count(rows.length, "resource")}, ${count(of("Error"), "error")}, ${count(of("Warning"), "warning")}`}
    </p>
  );
}

function Rows({ rows }: { readonly rows: readonly ConfigurationRow[] }) {
  return (
    <div class="scroll">
      <table class="cards">
        <caption class="unseen">{count(rows.length, "resource")}</caption>
        <Columns names={["Resource", "Namespace", "Conditions", "Findings"]} />
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.kind} ${row.namespace}/${row.name}`}>
              <th scope="row">
                <a href={href("configuration", row.kind, row.namespace, row.name)}>{row.name}</a>
                <span class="sub">{row.kind}</span>
              </th>
              <td data-label="Namespace">{row.namespace}</td>
              <td data-label="Conditions">
                {row.conditions.length === 0 ? "–" : <ConditionBadges conditions={row.conditions} />}
              </td>
              <td data-label="Findings">{row.findings.length === 0 ? "–" : <FindingList findings={row.findings} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Resource({ kind, namespace, name }: Pick<ConfigurationRow, "kind" | "namespace" | "name">) {
  const path = ["configuration", kind, namespace, name].map(encodeURIComponent).join("/");
  const answer = useAnswer<ConfigurationDetail>(`/api/${path}`, 5_000);
  return (
    <div class="view narrow">
      <p class="path">
        <a href={href("configuration")}>Configuration</a>
      </p>
      <h1>
        {name}
        <span class="sub">{`${kind}, ${namespace}`}</span>
      </h1>
      <Show loaded={answer}>
        {(detail) => (
          <>
            <section aria-label="Conditions">
              <h3>Conditions</h3>
              {detail.conditions.length === 0 && <Nothing>This kind has none.</Nothing>}
              <ul class="rows">
                {detail.conditions.map((each) => (
                  <li key={each.type}>
                    <span>
                      <strong>{each.type}</strong>
                      <span class="sub">{each.message}</span>
                    </span>
                    <Badge tone={toneOf(each)}>{each.reason}</Badge>
                  </li>
                ))}
              </ul>
            </section>
            <section aria-label="Findings">
              <h3>Findings</h3>
              {detail.findings.length === 0 && <Nothing>The analysis has nothing to say.</Nothing>}
              <FindingList findings={detail.findings} />
            </section>
            <section aria-label="Manifest">
              <h3>Manifest</h3>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
              <pre class="manifest" tabIndex={0}>
                {detail.manifest}
              </pre>
            </section>
          </>
        )}
      </Show>
    </div>
  );
}

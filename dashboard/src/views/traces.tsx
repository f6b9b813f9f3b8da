// Traces: a search, and one of them as a waterfall.

import { signal, useSignal } from "@preact/signals";
import type { SpanRow, TraceDetail, TraceList, TraceRow } from "../../../src/dashboard/shapes.ts";
import { useAnswer } from "../fetch.ts";
import { count, milliseconds } from "../format.ts";
import { Columns } from "../parts/columns.tsx";
import { Check, Pick } from "../parts/controls.tsx";
import { Badge, Nothing, Show } from "../parts/state.tsx";
import { href, route } from "../route.ts";

const service = signal("");
const slow = signal("");
const onlyErrors = signal(false);

export function TracesView() {
  const [traceId] = route.value.rest;
  return traceId === undefined ? <Search /> : <Trace id={traceId} />;
}

function Search() {
  const query = new URLSearchParams({ service: service.value, slow: slow.value, error: String(onlyErrors.value) });
  const answer = useAnswer<TraceList>(`/api/traces?${query}`, 5_000);
  const services = answer.state === "ready" ? answer.value.services : [];
  return (
    <div class="view">
      <div class="head">
        <div>
          <h1>Traces</h1>
          <p class="summary">Of the last hour, the newest first</p>
        </div>
        <div class="controls">
          <Pick
            label="Service"
            value={service}
            all="All services"
            options={[...new Set([...services, service.value])].filter(Boolean)}
          />
          <label class="check">
            Slower than
            <input
              type="number"
              min="0"
              step="10"
              value={slow.value}
              onChange={(event) => {
                slow.value = event.currentTarget.value;
              }}
            />
            ms
          </label>
          <Check label="Only errors" value={onlyErrors} />
        </div>
      </div>
      <Show loaded={answer}>
        {({ rows }) =>
          rows.length === 0 ? (
            <Nothing>No trace fits. Which requests are traced is said by Telemetry resources and MeshConfig.</Nothing>
          ) : (
            <Rows rows={rows} />
          )
        }
      </Show>
    </div>
  );
}

function Rows({ rows }: { readonly rows: readonly TraceRow[] }) {
  const longest = Math.max(...rows.map(({ durationMs }) => durationMs));
  return (
    <div class="scroll">
      <table class="cards">
        <caption class="unseen">{count(rows.length, "trace")}</caption>
        <Columns names={["Trace", "Began", "Duration", "Services", { figure: "Spans" }, "Outcome"]} />
        <tbody>
          {rows.map((row) => (
            <tr key={row.traceId}>
              <th scope="row">
                <a href={href("traces", row.traceId)}>{row.operation}</a>
                <span class="sub">{row.service}</span>
              </th>
              <td data-label="Began">{new Date(row.startMs).toLocaleTimeString("en-GB")}</td>
              <td data-label="Duration">
                <span class="span-bar">
                  <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                    <rect width={Math.max(1, (row.durationMs / longest) * 100)} height="6" />
                  </svg>
                  {milliseconds(row.durationMs)}
                </span>
              </td>
              <td data-label="Services">{row.services.join(", ")}</td>
              <td data-label="Spans" class="figure">
                {row.spans}
              </td>
              <td data-label="Outcome">
                {row.errors > 0 ? (
                  <Badge tone="bad">{count(row.errors, "error")}</Badge>
                ) : (
                  <Badge tone="good">ok</Badge>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Trace({ id }: { readonly id: string }) {
  const answer = useAnswer<TraceDetail>(`/api/traces/${encodeURIComponent(id)}`, 60_000);
  return (
    <div class="view">
      <p class="path">
        <a href={href("traces")}>Traces</a>
      </p>
      <Show loaded={answer}>
        {(trace) => (
          <>
            <h1>
              {trace.operation}
              <span class="sub">{trace.service}</span>
            </h1>
            <p class="summary">
              {`${milliseconds(trace.durationMs)}, ${count(trace.spans, "span")} of ${count(trace.services.length, "service")}, ${new Date(trace.startMs).toLocaleString("en-GB")}`}
            </p>
            <p class="summary code">{trace.traceId}</p>
            <ol class="waterfall" aria-label="Spans in the order of the calls">
              {trace.rows.map((row) => (
                <Span key={`${row.spanId} ${row.kind}`} row={row} total={trace.durationMs} />
              ))}
            </ol>
            {trace.left > 0 && <Nothing>{`${count(trace.left, "span")} more are not shown.`}</Nothing>}
          </>
        )}
      </Show>
    </div>
  );
}

function Span({ row, total }: { readonly row: SpanRow; readonly total: number }) {
  const isOpen = useSignal(false);
  const part = (value: number): number => (total === 0 ? 0 : (value / total) * 100);
  return (
    <li class={row.isError ? "span error" : "span"}>
      <button
        type="button"
        aria-expanded={isOpen.value}
        onClick={() => {
          isOpen.value = !isOpen.value;
        }}
      >
        <span class={`span-name depth-${Math.min(row.depth, 8)}`}>
          <strong>{row.service}</strong> {row.name}
          <span class="unseen">{`, level ${row.depth + 1}`}</span>
        </span>
        <span class="span-time">
          {row.isError && <Badge tone="bad">error</Badge>}
          {milliseconds(row.durationMs)}
        </span>
        <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
          <rect x={part(row.startMs)} width={Math.max(0.4, part(row.durationMs))} height="8" />
        </svg>
      </button>
      {isOpen.value && (
        <dl class="tags">
          <dt>kind</dt>
          <dd>{row.kind}</dd>
          <dt>begins after</dt>
          <dd>{milliseconds(row.startMs)}</dd>
          {row.tags.map(([name, value]) => (
            <Tag key={name} name={name} value={value} />
          ))}
          {row.events.map(({ atMs, name }) => (
            <Tag key={`${atMs} ${name}`} name={milliseconds(atMs)} value={name} />
          ))}
        </dl>
      )}
    </li>
  );
}

function Tag({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class="code">{value}</dd>
    </>
  );
}

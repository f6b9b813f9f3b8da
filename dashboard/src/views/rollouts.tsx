// Rollouts: how far each is, how both versions do, and what may be asked of it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { RolloutAction, RolloutList, RolloutRow } from "../../../src/dashboard/shapes.ts";
import { ask, useAnswer } from "../fetch.ts";
import { count, duration, milliseconds, percent } from "../format.ts";
import { mesh } from "../mesh.ts";
import { Columns } from "../parts/columns.tsx";
import { Badge, Nothing, Show, type Tone } from "../parts/state.tsx";

export function RolloutsView() {
  const answer = useAnswer<RolloutList>("/api/rollouts", 2_000);
  return (
    <div class="view narrow">
      <h1>Rollouts</h1>
      <Show loaded={answer}>
        {({ rows }) => (
          <>
            {rows.length === 0 && (
              <Nothing>
                None is under way. <code>weft canary start SERVICE</code> begins one.
              </Nothing>
            )}
            {rows.map((row) => (
              <Rollout key={`${row.namespace}/${row.name}`} row={row} />
            ))}
          </>
        )}
      </Show>
    </div>
  );
}

const TONES: Readonly<Record<RolloutRow["phase"], Tone>> = {
  Waiting: "plain",
  Progressing: "good",
  Paused: "warn",
  RollingBack: "warn",
  Succeeded: "good",
  Aborted: "bad",
};

function Rollout({ row }: { readonly row: RolloutRow }) {
  const isOver = row.phase === "Succeeded" || row.phase === "Aborted";
  return (
    <section class="rollout" aria-label={`Rollout of ${row.namespace}/${row.name}`}>
      <div class="rollout-head">
        <h2>
          {row.name}
          <span class="sub">{`${row.namespace}, ${row.stable} to ${row.canary}`}</span>
        </h2>
        <Badge tone={TONES[row.phase]}>{row.phase}</Badge>
      </div>
      <p class="summary" role="status">
        {row.message}
      </p>
      <Steps row={row} />
      <Figures row={row} />
      {!isOver && <Actions row={row} />}
      <details>
        <summary>{`History, ${count(row.history.length, "event")}`}</summary>
        <ol class="history">
          {row.history.map(({ at, event, message }) => (
            <li key={`${at} ${event} ${message}`}>
              <time dateTime={at}>{new Date(at).toLocaleTimeString("en-GB")}</time> <strong>{event}</strong> {message}
            </li>
          ))}
        </ol>
      </details>
    </section>
  );
}

function Steps({ row }: { readonly row: RolloutRow }) {
  const isDone = row.phase === "Succeeded";
  return (
    <ol class="steps">
      {row.steps.map(({ text, intervalMs }, index) => {
        const state =
          isDone || index < row.step ? "done" : index === row.step && row.phase !== "Aborted" ? "now" : "ahead";
        const key = `${index} ${text}`;
        return (
          <li key={key} class={state} aria-current={state === "now" ? "step" : undefined}>
            <strong>{text}</strong>
            <span class="sub">{duration(intervalMs)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Figures({ row }: { readonly row: RolloutRow }) {
  const { canary, stable } = row.figures;
  if (canary === undefined && stable === undefined) return null;
  return (
    <table class="figures">
      <caption class="unseen">How both versions do at this step</caption>
      <Columns names={["Version", { figure: "Requests" }, { figure: "Errors" }, { figure: "Latency" }]} />
      <tbody>
        {[[row.canary, canary] as const, [row.stable, stable] as const].map(([name, figures]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="figure">{figures?.requests ?? "–"}</td>
            <td class="figure">{figures === undefined ? "–" : percent(figures.failurePercent)}</td>
            <td class="figure">{milliseconds(figures?.latencyMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const WORDS: Readonly<Record<RolloutAction, string>> = {
  promote: "Promote",
  pause: "Pause",
  resume: "Resume",
  abort: "Abort",
};

function Actions({ row }: { readonly row: RolloutRow }) {
  const told = useSignal("");
  const asking = useSignal<RolloutAction | undefined>(undefined);
  const isAllowed = mesh.value?.mayChange === true;
  const run = async (action: RolloutAction): Promise<void> => {
    asking.value = undefined;
    const path = ["rollouts", row.namespace, row.name, action].map(encodeURIComponent).join("/");
    const answer = await ask<object>(`/api/${path}`, "POST");
    told.value = answer.state === "failed" ? answer.message : `Asked to ${action}.`;
  };
  const offered: readonly RolloutAction[] = ["promote", row.phase === "Paused" ? "resume" : "pause", "abort"];
  return (
    <div class="actions">
      {offered.map((action) => (
        <button
          key={action}
          type="button"
          class={action === "abort" ? "act danger" : "act"}
          disabled={!isAllowed}
          onClick={() => {
            // What can't be taken back is asked twice.
            if (action === "pause" || action === "resume") void run(action);
            else asking.value = action;
          }}
        >
          {WORDS[action]}
        </button>
      ))}
      {asking.value !== undefined && (
        <Sure
          text={
            asking.value === "abort"
              ? `Send all requests to ${row.stable} again?`
              : "Go to the next step now, unjudged?"
          }
          word={WORDS[asking.value]}
          onYes={() => asking.value !== undefined && void run(asking.value)}
          onNo={() => {
            asking.value = undefined;
          }}
        />
      )}
      {!isAllowed && (
        <p class="why">
          This page may only look. <code>weft dashboard --allow-changes</code> opens one that may change things.
        </p>
      )}
      <p class="why" role="status">
        {told.value}
      </p>
    </div>
  );
}

interface SureProps {
  readonly text: string;
  readonly word: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** The browser's own dialog keeps the focus within, and closes by Esc. */
function Sure({ text, word, onYes, onNo }: SureProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="sure" aria-label={text} onClose={onNo}>
      <p>{text}</p>
      <div class="actions">
        <button type="button" class="act danger" onClick={onYes}>
          {word}
        </button>
        <button type="button" class="act" onClick={onNo}>
          Not now
        </button>
      </div>
    </dialog>
  );
}

// Who calls whom, live: a picture, and the same as a table. A click opens a service.

import { computed, signal, useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { MeshPulse } from "../../../src/dashboard/shapes.ts";
import { count } from "../format.ts";
import { type Drawn, fold } from "../graph/fold.ts";
import { Picture } from "../graph/picture.tsx";
import { seenEdges } from "../graph/seen.ts";
import { CallTable } from "../graph/table.tsx";
import { pulse } from "../live.ts";
import { Check, Choice, Pick } from "../parts/controls.tsx";
import { Icon } from "../parts/icon.tsx";
import { Nothing } from "../parts/state.tsx";
import { goTo, href, route } from "../route.ts";
import { ServiceInFull } from "./service.tsx";

/** Above so many, namespaces begin folded. */
const NODES_UNFOLDED_MAX = 30;

const mode = signal<"picture" | "table">("picture");
const showIdle = signal(false);
const onlyNamespace = signal("");
/** Undefined until somebody folds or unfolds: then it is as large as fits. */
const chosenFolds = signal<ReadonlySet<string> | undefined>(undefined);

const namespaces = computed(() =>
  [...new Set((pulse.value?.nodes ?? []).map(({ namespace }) => namespace))].filter(Boolean).sort(),
);

const folded = computed<ReadonlySet<string>>(() => {
  if (chosenFolds.value !== undefined) return chosenFolds.value;
  const busy = new Set(seenEdges.value.flatMap(({ from, to }) => [from, to]));
  return busy.size > NODES_UNFOLDED_MAX ? new Set(namespaces.value) : new Set();
});

function toggleFold(namespace: string): void {
  const next = new Set(folded.value);
  if (!next.delete(namespace)) next.add(namespace);
  chosenFolds.value = next;
}

const drawn = computed<Drawn>(() => {
  const now = pulse.value;
  if (now === undefined) return { nodes: [], edges: [] };
  const only = new Set(onlyNamespace.value === "" ? [] : [onlyNamespace.value]);
  const isQuiet = seenEdges.value.length === 0;
  return fold(now.nodes, seenEdges.value, {
    folded: folded.value,
    namespaces: only,
    showIdle: showIdle.value || isQuiet,
  });
});

export function GraphView() {
  const now = pulse.value;
  const [namespace, name] = route.value.rest;
  const selected = namespace !== undefined && name !== undefined ? `${namespace}/${name}` : undefined;
  return (
    <div class={selected === undefined ? "graph-view" : "graph-view with-panel"}>
      <div class="graph-main">
        <Head now={now} />
        {now === undefined ? <p class="loading">Waiting for the first figures…</p> : <Body selected={selected} />}
      </div>
      {selected !== undefined && <Panel id={selected} />}
    </div>
  );
}

function Body({ selected }: { readonly selected: string | undefined }) {
  if (drawn.value.nodes.length === 0) return <Nothing>There is no service yet.</Nothing>;
  if (mode.value === "table") return <CallTable drawn={drawn.value} />;
  return <Picture drawn={drawn.value} selected={selected} onOpen={open} onFold={toggleFold} />;
}

function open(id: string): void {
  if (id.endsWith("/")) {
    toggleFold(id.slice(0, -1));
    return;
  }
  const at = id.indexOf("/");
  if (at > 0) goTo(href("graph", id.slice(0, at), id.slice(at + 1)));
}

function Head({ now }: { readonly now: MeshPulse | undefined }) {
  const text = useComputed(() => {
    const { nodes, edges } = drawn.value;
    const services = nodes.reduce((sum, { size }) => sum + size, 0);
    return `${count(services, "service")}, ${count(edges.length, "call")}`;
  });
  return (
    <div class="head">
      <div>
        <h1>Graph</h1>
        <p class="summary">
          {text}
          {now !== undefined && `, the last ${now.windowSeconds} s`}
        </p>
      </div>
      <div class="controls">
        <Pick label="Namespace" value={onlyNamespace} all="All namespaces" options={namespaces.value} />
        <Check label="Idle services" value={showIdle} />
        <Choice
          label="Shown as"
          value={mode}
          options={["picture", "table"]}
          words={(each) => (each === "picture" ? "Picture" : "Table")}
        />
      </div>
    </div>
  );
}

/** Beside the picture, or over it where there is no room; Esc closes it and gives the focus back. */
function Panel({ id }: { readonly id: string }) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.querySelector<HTMLElement>(".service-name")?.focus({ preventScroll: true });
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") close(id);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [id]);
  return (
    <aside class="panel" ref={panel} aria-label={`Service ${id}`}>
      <button type="button" class="close" aria-label="Close" onClick={() => close(id)}>
        <Icon name="close" />
      </button>
      <ServiceInFull key={id} id={id} level={2} />
    </aside>
  );
}

function close(id: string): void {
  goTo(href("graph"));
  requestAnimationFrame(() => document.querySelector<SVGElement>(`[data-node="${CSS.escape(id)}"]`)?.focus());
}

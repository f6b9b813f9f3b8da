// The frame: where one can go, which mesh this is, and the view that was chosen.

import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { count } from "./format.ts";
import { connected, pulse } from "./live.ts";
import { mesh } from "./mesh.ts";
import { Icon, type IconName } from "./parts/icon.tsx";
import { href, route } from "./route.ts";
import { type Theme, theme } from "./theme.ts";
import { ConfigurationView } from "./views/configuration.tsx";
import { GraphView } from "./views/graph.tsx";
import { MetricsView } from "./views/metrics.tsx";
import { RolloutsView } from "./views/rollouts.tsx";
import { ServicesView } from "./views/services.tsx";
import { TracesView } from "./views/traces.tsx";

interface Entry {
  readonly view: string;
  readonly title: string;
  readonly icon: IconName;
  readonly component: ComponentType;
}

const ENTRIES: readonly Entry[] = [
  { view: "graph", title: "Graph", icon: "graph", component: GraphView },
  { view: "services", title: "Services", icon: "services", component: ServicesView },
  { view: "configuration", title: "Configuration", icon: "configuration", component: ConfigurationView },
  { view: "metrics", title: "Metrics", icon: "metrics", component: MetricsView },
  { view: "traces", title: "Traces", icon: "traces", component: TracesView },
  { view: "rollouts", title: "Rollouts", icon: "rollouts", component: RolloutsView },
];

export function App() {
  const entry = ENTRIES.find(({ view }) => view === route.value.view);
  const main = useRef<HTMLElement>(null);
  const title = entry?.title ?? "Not found";
  useEffect(() => {
    document.title = `${title} – weft`;
  }, [title]);
  const View = entry?.component ?? NotFound;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href={href("graph")}>
          <img src="/icon.svg" alt="" width="24" height="24" />
          weft
        </a>
        <Navigation current={entry?.view ?? ""} />
        <div class="foot">
          <Health />
          <ThemeSwitch />
        </div>
      </header>
      <main ref={main} tabIndex={-1} aria-label={title}>
        <View key={entry?.view} />
      </main>
    </div>
  );
}

function Navigation({ current }: { readonly current: string }) {
  return (
    <nav aria-label="Views">
      <ul>
        {ENTRIES.map(({ view, title, icon }) => (
          <li key={view}>
            <a href={href(view)} aria-current={view === current ? "page" : undefined}>
              <Icon name={icon} />
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Health() {
  const proxies = pulse.value?.proxies;
  const info = mesh.value;
  return (
    <div class="health">
      <p class={connected.value ? "live on" : "live off"}>{connected.value ? "Live" : "Not connected"}</p>
      {proxies !== undefined && (
        <p class={proxies.refusing > 0 ? "bad-text" : ""}>
          {proxies.refusing > 0
            ? `${count(proxies.refusing, "proxy".replace(/y$/, proxies.refusing === 1 ? "y" : "ie"))} refuse configuration`
            : `${proxies.synced} of ${proxies.connected} proxies in step`}
        </p>
      )}
      {info !== undefined && <p>{info.mayChange ? "May look and change" : "May look"}</p>}
      {info !== undefined && <p class="place">{`weft ${info.version}, ${info.place}`}</p>}
    </div>
  );
}

const THEMES: readonly { readonly name: Theme; readonly icon: IconName; readonly label: string }[] = [
  { name: "system", icon: "system", label: "As the system" },
  { name: "light", icon: "sun", label: "Light" },
  { name: "dark", icon: "moon", label: "Dark" },
];

function ThemeSwitch() {
  return (
    <fieldset class="themes">
      <legend class="unseen">Colours</legend>
      {THEMES.map(({ name, icon, label }) => (
        <button
          key={name}
          type="button"
          aria-pressed={theme.value === name}
          aria-label={label}
          title={label}
          onClick={() => {
            theme.value = name;
          }}
        >
          <Icon name={icon} />
        </button>
      ))}
    </fieldset>
  );
}

function NotFound() {
  return (
    <div class="view">
      <h1>There is no such view</h1>
      <p>
        <a href={href("graph")}>To the graph</a>
      </p>
    </div>
  );
}

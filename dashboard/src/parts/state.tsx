// What stands where there is nothing yet, and what a word of state looks like.

import type { ComponentChildren } from "preact";
import type { Loaded } from "../fetch.ts";
import { Icon, type IconName } from "./icon.tsx";

export type Tone = "good" | "warn" | "bad" | "plain";

const TONE_ICONS: Readonly<Record<Tone, IconName | undefined>> = {
  good: "check",
  warn: "warning",
  bad: "error",
  plain: undefined,
};

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  const icon = TONE_ICONS[tone];
  return (
    <span class={`badge ${tone}`}>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </span>
  );
}

export function Show<T>({
  loaded,
  children,
}: {
  readonly loaded: Loaded<T>;
  readonly children: (value: T) => ComponentChildren;
}) {
  if (loaded.state === "loading") return <p class="loading">Loading…</p>;
  if (loaded.state === "failed") {
    return (
      <p class="failed" role="alert">
        {loaded.message}
      </p>
    );
  }
  return <>{children(loaded.value)}</>;
}

export function Nothing({ children }: { readonly children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}

/** Errors and warnings of something, in words. */
export function Findings({ errors, warnings }: { readonly errors: number; readonly warnings: number }) {
  if (errors === 0 && warnings === 0) return <Badge tone="good">no findings</Badge>;
  return (
    <>
      {errors > 0 && <Badge tone="bad">{errors === 1 ? "1 error" : `${errors} errors`}</Badge>}
      {warnings > 0 && <Badge tone="warn">{warnings === 1 ? "1 warning" : `${warnings} warnings`}</Badge>}
    </>
  );
}

const MODES: Readonly<Record<string, { readonly tone: "good" | "warn" | "plain"; readonly text: string }>> = {
  STRICT: { tone: "good", text: "strict" },
  PERMISSIVE: { tone: "warn", text: "permissive" },
  DISABLE: { tone: "warn", text: "off" },
  MIXED: { tone: "warn", text: "differs" },
  none: { tone: "warn", text: "no sidecar" },
};

export function Mtls({ mode }: { readonly mode: string }) {
  const known = MODES[mode];
  return known === undefined ? <span>{mode === "" ? "–" : mode}</span> : <Badge tone={known.tone}>{known.text}</Badge>;
}

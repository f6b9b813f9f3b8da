// Small pictures beside words, never instead of them.

const PATHS = {
  graph: "M4 6.5a2 2 0 1 0 0-.01M16 4.5a2 2 0 1 0 0-.01M16 15.5a2 2 0 1 0 0-.01M6 6l8-1.2M5.6 7.6l8.6 6.6",
  services: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01",
  configuration: "M5 3h7l3 3v11H5zM12 3v3h3M8 10h5M8 13h5",
  metrics: "M3 17V3M3 17h14M6 13l3.5-4 3 2.5L17 6",
  traces: "M3 5h9M6 9h9M9 13h8M3 17h5",
  rollouts: "M4 16V8m0-4v.01M4 16h12M8 16v-3m4 3V9m4 7V5",
  lock: "M6 9V7a4 4 0 0 1 8 0v2M5 9h10v8H5z",
  unlocked: "M6 9V7a4 4 0 0 1 7.5-2M5 9h10v8H5z",
  sun: "M10 6.5a3.5 3.5 0 1 0 .01 0M10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1 1M14.7 14.7l1 1M4.3 15.7l1-1M14.7 5.3l1-1",
  moon: "M16 12.5A7 7 0 0 1 7.5 4a7 7 0 1 0 8.5 8.5z",
  system: "M3 4h14v9H3zM8 17h4M10 13v4",
  close: "M5 5l10 10M15 5L5 15",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
  check: "M4 10.5l4 4 8-9",
  warning: "M10 3l8 14H2zM10 8v4M10 14.5v.01",
  error: "M10 2.5a7.5 7.5 0 1 0 .01 0M10 6v5M10 13.5v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

// Figures as people read them. Pure.

/** Three digits that matter: `0.25`, `12.3`, `4,210`. */
export function number(value: number): string {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 1) return value.toFixed(2);
  if (value < 100) return trimmed(value.toFixed(1));
  return Math.round(value).toLocaleString("en");
}

export function rate(perSecond: number): string {
  return `${number(perSecond)}/s`;
}

/** A share of 1, as percent. */
export function share(value: number): string {
  return percent(value * 100);
}

export function percent(value: number): string {
  if (value === 0) return "0 %";
  if (value < 0.1) return "<0.1 %";
  if (value > 99.9 && value < 100) return ">99.9 %";
  return `${value < 10 ? trimmed(value.toFixed(1)) : Math.round(value)} %`;
}

export function milliseconds(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === 0) return "0 ms";
  if (value < 1) return "<1 ms";
  if (value < 10) return `${trimmed(value.toFixed(1))} ms`;
  if (value < 1_000) return `${Math.round(value)} ms`;
  return `${trimmed((value / 1_000).toFixed(value < 10_000 ? 2 : 1))} s`;
}

/** `now`, `42 s`, `3 min`, `5 h`, `12 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Something that grows with its count: `1 service`, `3 services`. */
export function count(amount: number, word: string): string {
  return `${amount.toLocaleString("en")} ${word}${amount === 1 ? "" : "s"}`;
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

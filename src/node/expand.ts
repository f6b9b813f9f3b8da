// `$(NAME)` in commands, arguments and environment values, as Kubernetes replaces it.

import { ENVIRONMENT_EXPANSION_BYTES_MAX } from "./limits.ts";

/** Unknown names stay as they are written; `$$(NAME)` is a literal `$(NAME)`. */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  if (!text.includes("$")) return text;
  const expanded = text.replace(/\$\$|\$\(([^()$]+)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(variables, name) ? (variables[name] ?? whole) : whole;
  });
  return expanded.slice(0, ENVIRONMENT_EXPANSION_BYTES_MAX);
}

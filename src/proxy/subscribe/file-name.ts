// Resources that a configuration takes from a file instead of the control plane: their names carry the file, so that
// everything behind the compiler goes on to find resources by one name.

export interface FileName {
  readonly path: string;
  /** The folder whose renames tell of a change; empty where the file's own does. */
  readonly watched: string;
  readonly name: string;
}

const PREFIX = "file:";
/** In no path and no name. */
const SEPARATOR = "\n";

export function fileName({ path, watched, name }: FileName): string {
  return `${PREFIX}${path}${SEPARATOR}${watched}${SEPARATOR}${name}`;
}

/** Undefined for the name of a resource that the control plane has. */
export function readFileName(text: string): FileName | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const [path, watched, ...name] = text.slice(PREFIX.length).split(SEPARATOR);
  if (path === undefined || watched === undefined || name.length === 0) return undefined;
  return { path, watched, name: name.join(SEPARATOR) };
}

/** For people. */
export function plainName(text: string): string {
  return readFileName(text)?.name ?? text;
}

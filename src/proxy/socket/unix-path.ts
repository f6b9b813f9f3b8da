// Paths of unix sockets as the system has them: one that begins with @ is a name without a file, as in Envoy.

export function systemPath(path: string): string {
  return isAbstract(path) ? `\0${path.slice(1)}` : path;
}

export function isAbstract(path: string): boolean {
  return path.startsWith("@");
}

// Broken invariants: the only reason to throw on the data path.

class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Throws when something that can only be false through a mistake in weft itself is false. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Closes an exhaustive switch: the compiler proves that it is never reached. */
export function assertNever(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`);
}

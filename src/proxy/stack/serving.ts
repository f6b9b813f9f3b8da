// Which connection's bytes are being read: what a broken invariant is laid to.

interface Abortable {
  abort(): void;
}

class Serving {
  /** Set before a connection's bytes are handled and reset after: still set, handling them threw. */
  connection: Abortable | undefined;

  /** Invariants that broke since the process began. */
  broken = 0;

  giveUp(): void {
    this.broken += 1;
    const { connection } = this;
    this.connection = undefined;
    connection?.abort();
  }
}

export const serving = new Serving();

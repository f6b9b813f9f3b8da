// Listening sockets that outlive the process: a launcher holds them and gives them to the next one.

import type { Server } from "node:net";

export interface Handover {
  /** The file descriptor of the socket that serves the address already. */
  inherited(key: string): number | undefined;
  /** The launcher may hold it from now on. */
  listening(key: string, server: Server): void;
  closed(key: string): void;
  /** Another process has taken over: what is closed here goes on to listen there. */
  readonly retired: boolean;
}

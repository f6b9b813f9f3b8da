// The one resource that is not the proxy's but of whoever answers its application's DNS questions.

import { NameTable } from "../../proto/gen/istio/nds.ts";

export const NAME_TABLE_TYPE = "type.googleapis.com/istio.networking.nds.v1.NameTable";

/** What came of it on this stream; the server tells one table, which replaces the last. */
export class NameTableState {
  /** The version that is held, where the stream is delta. */
  version = "";
  readonly #onTable: (table: NameTable) => void;

  constructor(onTable: (table: NameTable) => void) {
    this.#onTable = onTable;
  }

  /** Undefined: taken; else why not. */
  take(bytes: Uint8Array | undefined, version: string): string | undefined {
    if (bytes === undefined) return undefined;
    try {
      this.#onTable(NameTable.decode(bytes));
    } catch (error) {
      return `can't be decoded: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.version = version;
    return undefined;
  }
}

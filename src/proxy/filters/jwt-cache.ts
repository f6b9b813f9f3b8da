// Tokens whose signature was found good, so that it is not computed again: the one used longest ago makes room.

import type { KeySet } from "../compile/jwks.ts";
import type { JwtProviderConfig } from "../compile/jwt.ts";
import type { Token } from "./jwt-token.ts";

interface Known {
  readonly token: Token;
  /** The keys that it was verified with. */
  readonly set: KeySet;
}

export class TokenCache {
  readonly #sizeMax: number;
  readonly #charsMax: number;
  readonly #tokens = new Map<string, Known>();

  constructor(provider: JwtProviderConfig) {
    this.#sizeMax = provider.cacheSize;
    this.#charsMax = provider.cacheTokenCharsMax;
  }

  /** Only with the same keys: other keys may have been given because one was stolen. */
  get(text: string, set: KeySet | undefined): Token | undefined {
    const known = this.#tokens.get(text);
    if (known === undefined) return undefined;
    this.#tokens.delete(text);
    if (known.set !== set) return undefined;
    this.#tokens.set(text, known);
    return known.token;
  }

  add(token: Token, set: KeySet): void {
    if (token.text.length > this.#charsMax) return;
    if (this.#tokens.size >= this.#sizeMax) {
      for (const oldest of this.#tokens.keys()) {
        this.#tokens.delete(oldest);
        break;
      }
    }
    this.#tokens.set(token.text, { token, set });
  }

  delete(text: string): void {
    this.#tokens.delete(text);
  }
}

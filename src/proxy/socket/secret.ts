// Certificates and trust by name, replaced while connections live.

/** PEM text. The private key is only ever handed to node:tls. */
export type SecretValue =
  | { readonly kind: "certificate"; readonly certificateChainPem: string; readonly privateKeyPem: string }
  | { readonly kind: "trust"; readonly bundlePem: string; readonly crlPem: string | undefined };

/** Where a TLS context finds the secrets that its configuration names (`default`, `ROOTCA`, …). */
export interface SecretSource {
  get(name: string): SecretValue | undefined;
  /** Called after each change of the named secret; returns how to stop listening. */
  onChange(name: string, run: () => void): () => void;
}

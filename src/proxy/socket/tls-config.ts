// What a TLS context says, free of protobuf: read by the server's and the client's side alike.

export type PemSource = { readonly text: string } | { readonly file: string };

export interface SanMatcher {
  readonly type: "URI" | "DNS" | "IP Address" | "email" | "any";
  readonly matches: (value: string) => boolean;
}

type Version = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

export interface TlsConfig {
  /** The secret to present, by name; or inline. */
  readonly certificateName: string | undefined;
  readonly certificate: { readonly chain: PemSource; readonly key: PemSource } | undefined;
  /** Folders whose changes tell that certificate files were replaced; the files' own folders always do. */
  readonly watchedFolders: readonly string[];
  /** Whom to trust. Neither: the peer's certificate is not checked. */
  readonly trustName: string | undefined;
  readonly trust: { readonly bundle: PemSource; readonly crl: PemSource | undefined } | undefined;
  /** The authorities that the runtime comes with. */
  readonly systemRoots: boolean;
  readonly sans: readonly SanMatcher[];
  readonly alpnProtocols: readonly string[];
  readonly minVersion: Version;
  readonly maxVersion: Version;
  readonly ciphers: string;
  readonly ecdhCurve: string;
  readonly requireClientCertificate: boolean;
  /** SNI to send. */
  readonly serverName: string;
  readonly maxSessions: number;
}

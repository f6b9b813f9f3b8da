// What a TLS context says, free of protobuf: read by the server's and the client's side alike.

import { getCiphers } from "node:tls";

/** In lower case. */
export const KNOWN_CIPHERS: ReadonlySet<string> = new Set(getCiphers());

export type PemSource = { readonly text: string } | { readonly file: string };

export interface SanMatcher {
  readonly type: "URI" | "DNS" | "IP Address" | "email" | "any";
  readonly matches: (value: string) => boolean;
}

type Version = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

export interface TlsConfig {
  /** The secret to present, by name; or inline. */
  readonly certificateName: string | undefined;
  /** Further secrets to present: of another kind of key, or for another server name. */
  readonly moreCertificateNames: readonly string[];
  /** How long what names a secret waits for it before it serves without, in ms; one that is not here is waited for as long as it takes. */
  readonly secretWaits: ReadonlyMap<string, number>;
  readonly certificate: { readonly chain: PemSource; readonly key: PemSource } | undefined;
  /** More of them: of another kind of key, or for another server name. */
  readonly moreCertificates: readonly { readonly chain: PemSource; readonly key: PemSource }[];
  /** Folders whose changes tell that certificate files were replaced; the files' own folders always do. */
  readonly watchedFolders: readonly string[];
  /** Whom to trust. Neither: the peer's certificate is not checked. */
  readonly trustName: string | undefined;
  readonly trust: { readonly bundle: PemSource; readonly crl: PemSource | undefined } | undefined;
  /** The authorities that the runtime comes with. */
  readonly systemRoots: boolean;
  readonly sans: readonly SanMatcher[];
  /** SHA-256 of the whole certificate (lower-case hexadecimal) and of its key (base64), of which one must fit. */
  readonly hashes: ReadonlySet<string>;
  readonly spkis: ReadonlySet<string>;
  /** A certificate that nobody vouches for is taken all the same, and its owner remains unknown. */
  readonly acceptUntrusted: boolean;
  readonly alpnProtocols: readonly string[];
  readonly minVersion: Version;
  readonly maxVersion: Version;
  readonly ciphers: string;
  readonly ecdhCurve: string;
  /** Colon-separated; empty: the runtime's. */
  readonly signatureAlgorithms: string;
  readonly requireClientCertificate: boolean;
  /** A client that names no server is refused. */
  readonly requireServerName: boolean;
  /** Of a session that may be resumed; 0: the runtime's. */
  readonly sessionTimeoutSeconds: number;
  /** SNI to send. */
  readonly serverName: string;
  readonly maxSessions: number;
}

// Why a local cluster can't do what was asked, and what to do about it.

export interface ClusterError {
  readonly message: string;
  readonly next: string;
}

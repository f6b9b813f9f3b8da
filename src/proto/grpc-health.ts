// The standard health check of gRPC (grpc.health.v1.Health/Check), asked in the clear as the kubelet asks it.

import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";

const SERVING = 1;
const STATES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

export interface HealthQuestion {
  readonly address: string;
  readonly port: number;
  /** Empty for the server as a whole. */
  readonly service: string;
  readonly timeoutMs: number;
}

export interface HealthAnswer {
  readonly healthy: boolean;
  readonly message: string;
}

export function checkHealth({ address, port, service, timeoutMs }: HealthQuestion): Promise<HealthAnswer> {
  const place = `${address}:${port}`;
  const client = new Client(place, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
  });
  return new Promise((resolve) => {
    const reply = (error: ServiceError | null, state?: number) => {
      client.close();
      if (error !== null) {
        const message = `${place}: ${status[error.code] ?? error.code}: ${error.details}`;
        resolve({ healthy: false, message });
      } else resolve({ healthy: state === SERVING, message: `${place}: ${STATES[state ?? 0] ?? state}` });
    };
    const options = { deadline: Date.now() + timeoutMs };
    client.makeUnaryRequest("/grpc.health.v1.Health/Check", requestOf, stateOf, service, options, reply);
  });
}

/** HealthCheckRequest: field 1 is the service's name. */
function requestOf(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return Buffer.alloc(0);
  const length = name.length < 128 ? [name.length] : [(name.length & 127) | 128, name.length >> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), name]);
}

/** HealthCheckResponse: field 1 is the state, absent when it is 0. */
function stateOf(bytes: Buffer): number {
  return bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0;
}

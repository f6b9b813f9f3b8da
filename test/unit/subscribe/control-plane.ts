// A small control plane that speaks both variants of ADS and remembers what it was told.

import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  type DiscoveryRequest,
  DiscoveryResponse,
  Resource,
} from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { TYPE_URLS } from "../../../src/proxy/subscribe/decode.ts";
import { DELTA_METHOD } from "../../../src/proxy/subscribe/delta.ts";
import { SOTW_METHOD } from "../../../src/proxy/subscribe/sotw.ts";

type DeltaStream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
type SotwStream = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;

export class ControlPlane {
  readonly delta: DeltaDiscoveryRequest[] = [];
  readonly sotw: DiscoveryRequest[] = [];
  readonly authorizations: (string | undefined)[] = [];
  readonly peerUris: (string | undefined)[] = [];
  streams = 0;
  #server = new Server();
  #deltaStream: DeltaStream | undefined;
  #sotwStream: SotwStream | undefined;

  async start(credentials = ServerCredentials.createInsecure(), port = 0): Promise<number> {
    this.#server.addService(
      { delta: DELTA_METHOD, sotw: SOTW_METHOD },
      {
        delta: (stream: DeltaStream) => {
          this.#deltaStream = stream;
          this.#opened(stream);
          stream.on("data", (request: DeltaDiscoveryRequest) => this.delta.push(request));
        },
        sotw: (stream: SotwStream) => {
          this.#sotwStream = stream;
          this.#opened(stream);
          stream.on("data", (request: DiscoveryRequest) => this.sotw.push(request));
        },
      },
    );
    return new Promise((resolve, reject) =>
      this.#server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
  }

  sendDelta(response: Partial<DeltaDiscoveryResponse>): void {
    this.#deltaStream?.write(DeltaDiscoveryResponse.fromPartial(response));
  }

  sendSotw(response: Partial<DiscoveryResponse>): void {
    this.#sotwStream?.write(DiscoveryResponse.fromPartial(response));
  }

  endStreams(): void {
    this.#deltaStream?.end();
    this.#sotwStream?.end();
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #opened(stream: DeltaStream | SotwStream): void {
    this.streams += 1;
    const [authorization] = stream.metadata.get("authorization");
    this.authorizations.push(authorization === undefined ? undefined : String(authorization));
    this.peerUris.push(stream.getAuthContext().sslPeerCertificate?.subjectaltname);
    stream.on("error", () => undefined);
    stream.on("end", () => stream.end());
  }
}

export function clusterResource(name: string, version = "1", altStatName = "") {
  const bytes = Cluster.encode(Cluster.fromPartial({ name, altStatName })).finish();
  return Resource.fromPartial({ name, version, resource: { typeUrl: TYPE_URLS.cluster, value: Buffer.from(bytes) } });
}

export function endpointResource(clusterName: string, version = "1") {
  const bytes = ClusterLoadAssignment.encode(ClusterLoadAssignment.fromPartial({ clusterName })).finish();
  const resource = { typeUrl: TYPE_URLS.endpoint, value: Buffer.from(bytes) };
  return Resource.fromPartial({ name: clusterName, version, resource });
}

export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited 5 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

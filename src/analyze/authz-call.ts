// One call from an account to a service: by which connection it would arrive, and what the policies there say of it. Pure.

import { selecting } from "../model/by-namespace.ts";
import { formatRef } from "../model/finding.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { type AuthzDecision, decide } from "./authz.ts";
import type { AuthzCall } from "./authz-clause.ts";
import { modeOf } from "./peer.ts";
import { type Workload, type World, workloadsOfService } from "./world.ts";

export interface AuthzQuestion {
  /** Undefined: a caller outside the mesh. */
  readonly from: { readonly namespace: string; readonly serviceAccount: string } | undefined;
  readonly service: Service;
  readonly port: ServicePort;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  readonly ip: string | undefined;
}

export interface AuthzAnswer {
  readonly workload: string;
  /** How the call arrives there, in a sentence. */
  readonly connection: string;
  readonly outcome: AuthzDecision["outcome"];
  readonly reason: string;
  readonly policies: AuthzDecision["policies"];
}

/** An answer for each workload of the service: policies select by label, so that two may differ. */
export function answer(world: World, question: AuthzQuestion): readonly AuthzAnswer[] {
  const resource = world.snapshot.resources.services.get(`${question.service.namespace}/${question.service.name}`);
  const workloads = resource === undefined ? [] : workloadsOfService(world, resource);
  return workloads.map((workload) => answerOf(world, question, workload));
}

function answerOf(world: World, question: AuthzQuestion, workload: Workload): AuthzAnswer {
  const { mesh, authorization } = world.snapshot;
  const name = formatRef(workload.resource);
  const port = targetNumber(question.port, workload);
  if (workload.hasSidecar === false) {
    return {
      workload: name,
      connection: `plaintext: ${name} has no sidecar`,
      outcome: "allowed",
      reason: "without a sidecar nothing enforces policies there",
      policies: [],
    };
  }
  const { mode, resource } = modeOf(world, workload, port);
  const source = resource === undefined ? "the default" : formatRef(resource);
  const isMeshed = question.from !== undefined && callerHasSidecar(world, question.from);
  if (!isMeshed && mode === "STRICT") {
    return {
      workload: name,
      connection: `refused: the caller has no mesh certificate, and ${source} is STRICT on port ${port}`,
      outcome: "denied",
      reason: "the connection is closed before any policy is asked",
      policies: [],
    };
  }
  const mtls = isMeshed && mode !== "DISABLE";
  const decision = decide(selecting(authorization, workload, mesh), callOf(question, { mtls, port, world }), mesh);
  return {
    workload: name,
    connection: `${mtls ? "mTLS" : "plaintext"} on port ${port} (${mode} by ${source})`,
    ...decision,
  };
}

/** Where no workload of the account is known it is taken for one of the mesh. */
function callerHasSidecar(world: World, from: NonNullable<AuthzQuestion["from"]>): boolean {
  const known = world.workloads.filter(
    ({ namespace, serviceAccount }) => namespace === from.namespace && serviceAccount === from.serviceAccount,
  );
  return known.length === 0 || known.some(({ hasSidecar }) => hasSidecar !== false);
}

interface Arrival {
  readonly mtls: boolean;
  readonly port: number;
  readonly world: World;
}

function callOf(question: AuthzQuestion, { mtls, port, world }: Arrival): AuthzCall {
  const { from, ip } = question;
  const { trustDomain } = world.snapshot.mesh;
  return {
    protocol: question.port.protocol === "tcp" ? "tcp" : "http",
    principal: mtls && from !== undefined ? `${trustDomain}/ns/${from.namespace}/sa/${from.serviceAccount}` : undefined,
    sourceIp: ip,
    remoteIp: ip,
    destinationIp: undefined,
    port,
    serverName: mtls ? `outbound_.${question.port.number}_._.${question.service.host}` : "",
    method: question.method,
    path: question.path,
    host: question.host,
    headers: question.headers,
    claims: question.claims,
  };
}

function targetNumber({ targetPort, number }: ServicePort, { spec }: Workload): number {
  if (typeof targetPort === "number") return targetPort;
  const named = spec.containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === targetPort);
  return named?.containerPort ?? number;
}

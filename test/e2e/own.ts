// What the walk adds to the post: callers, a bystander, and places outside the mesh.

import { join } from "node:path";
import { type Cluster, root } from "./cluster.ts";
import type { Sender } from "./traffic.ts";

const SERVER = join(root, "test/e2e/apps/server.js");
const AGENT = join(root, "test/e2e/apps/jaeger-agent.js");

/** Image names, the post's and the walk's own, and the version that the app behind each tells. */
const IMAGES: Readonly<Record<string, string>> = {
  "myapp:latest": "v1",
  "myapi:1.0": "v1",
  "myapi:2.0": "v2",
  "walk/app:1.0": "v1",
  "walk/app:2.0": "v2",
};

export async function registerImages(cluster: Cluster): Promise<void> {
  for (const [image, version] of Object.entries(IMAGES))
    await cluster.image(image, [process.execPath, SERVER, version]);
  await cluster.image("walk/jaeger:1.0", [process.execPath, AGENT]);
  // Runs and listens nowhere: an endpoint that refuses every connection.
  await cluster.image("walk/deaf:1.0", ["sleep", "3600"]);
}

export interface App {
  readonly name: string;
  readonly namespace: string;
  readonly app?: string;
  readonly serviceAccount?: string;
  readonly image?: string;
  readonly version?: string;
  readonly replicas?: number;
  readonly inject?: boolean;
}

export function deployment(app: App): string {
  const labels = [
    `app: ${app.app ?? app.name}`,
    ...(app.version === undefined ? [] : [`version: ${app.version}`]),
    ...(app.inject === undefined ? [] : [`sidecar.istio.io/inject: "${app.inject}"`]),
  ];
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${app.name}
  namespace: ${app.namespace}
spec:
  replicas: ${app.replicas ?? 1}
  selector:
    matchLabels:
      app: ${app.app ?? app.name}
${app.version === undefined ? "" : `      version: ${app.version}\n`}  template:
    metadata:
      labels:
${labels.map((label) => `        ${label}`).join("\n")}
    spec:
${app.serviceAccount === undefined ? "" : `      serviceAccountName: ${app.serviceAccount}\n`}      containers:
      - name: app
        image: ${app.image ?? "walk/app:1.0"}
        ports:
        - name: http
          containerPort: 8080
`;
}

export function service(name: string, namespace: string, port = 8080, selector = name): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  selector:
    app: ${selector}
  ports:
  - name: http
    port: ${port}
    targetPort: ${port}
`;
}

export function named(kind: string, name: string, namespace?: string, labels = ""): string {
  return `apiVersion: v1\nkind: ${kind}\nmetadata:\n  name: ${name}\n${namespace === undefined ? "" : `  namespace: ${namespace}\n`}${labels}`;
}

export function documents(...yaml: readonly string[]): string {
  return yaml.join("---\n");
}

/** The application container of the one pod of an app. */
export async function caller(cluster: Cluster, name: string, namespace = "production"): Promise<Sender> {
  return { namespace, pod: await cluster.pod(namespace, `app=${name}`), container: "app" };
}

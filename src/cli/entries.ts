// Every command by name: only the one that is asked for is loaded.

import type { CommandEntry } from "./command.ts";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "demo",
    aliases: [],
    summary: "run a small shop in the mesh and watch it",
    load: () => import("./demo.ts"),
  },
  {
    name: "up",
    aliases: [],
    summary: "start the local cluster with its mesh",
    load: () => import("./up.ts"),
  },
  {
    name: "down",
    aliases: [],
    summary: "stop the local cluster and clean up after it",
    load: () => import("./down.ts"),
  },
  {
    name: "status",
    aliases: [],
    summary: "show whether the local cluster runs, and its pods",
    load: () => import("./status.ts"),
  },
  {
    name: "image",
    aliases: ["images"],
    summary: "say which local command an image name stands for",
    load: () => import("./image.ts"),
  },
  {
    name: "kubeconfig",
    aliases: [],
    summary: "print the path of the local cluster's kubeconfig",
    load: () => import("./kubeconfig.ts"),
  },
  {
    name: "apply",
    aliases: [],
    summary: "create or change resources in the local cluster",
    load: () => import("./apply.ts"),
  },
  {
    name: "get",
    aliases: [],
    summary: "show resources of the local cluster",
    load: () => import("./get.ts"),
  },
  {
    name: "delete",
    aliases: [],
    summary: "delete resources of the local cluster",
    load: () => import("./delete.ts"),
  },
  {
    name: "patch",
    aliases: [],
    summary: "change fields of resources of the local cluster",
    load: () => import("./patch.ts"),
  },
  {
    name: "logs",
    aliases: [],
    summary: "print what a container said",
    load: () => import("./logs.ts"),
  },
  {
    name: "exec",
    aliases: [],
    summary: "run a command in a container",
    load: () => import("./exec.ts"),
  },
  {
    name: "inject",
    aliases: ["kube-inject"],
    summary: "add sidecars to manifests, offline",
    load: () => import("./inject.ts"),
  },
  {
    name: "validate",
    aliases: [],
    summary: "check manifests, offline",
    load: () => import("./validate.ts"),
  },
  {
    name: "crds",
    aliases: [],
    summary: "print the CustomResourceDefinitions of Istio's kinds, for a real cluster",
    load: () => import("./crds.ts"),
  },
  {
    name: "analyze",
    aliases: [],
    summary: "find what is wrong or silently without effect, in files or in the local cluster",
    load: () => import("./analyze.ts"),
  },
  {
    name: "preview",
    aliases: [],
    summary: "print the xDS configuration that a pod would get from manifests, with no cluster",
    load: () => import("./preview.ts"),
  },
  {
    name: "describe",
    aliases: [],
    summary: "show what applies to a service or a pod of the local cluster, and why",
    load: () => import("./describe.ts"),
  },
  {
    name: "authz",
    aliases: [],
    summary: "show which policies decide about calls to a pod, and why a call is let in or refused",
    load: () => import("./authz.ts"),
  },
  {
    name: "ca",
    aliases: [],
    summary: "show who signs the mesh's certificates and until when they hold, and replace the root",
    load: () => import("./ca.ts"),
  },
  {
    name: "proxy-status",
    aliases: ["ps"],
    summary: "show whether each proxy runs what it was sent",
    load: () => import("./proxy-status.ts"),
  },
  {
    name: "proxy-config",
    aliases: ["pc"],
    summary: "show what a proxy runs: bootstrap, cluster, endpoint, listener, route, secret, log, all",
    load: () => import("./proxy-config.ts"),
  },
  {
    name: "wait",
    aliases: [],
    summary: "wait until every proxy concerned runs a resource",
    load: () => import("./wait.ts"),
  },
  {
    name: "proxy",
    aliases: [],
    summary: "run weft's proxy, as a sidecar's container does",
    load: () => import("./proxy.ts"),
  },
  {
    name: "completion",
    aliases: [],
    summary: "print a completion script for your shell",
    load: () => import("./completion.ts"),
  },
  {
    name: "version",
    aliases: [],
    summary: "print the version",
    load: () => import("./version.ts"),
  },
  {
    name: "inside",
    aliases: [],
    summary: "run a cluster inside the namespaces that were made for it",
    hidden: true,
    load: () => import("./inside.ts"),
  },
];

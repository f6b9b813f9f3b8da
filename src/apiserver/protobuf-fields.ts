// Field numbers of the messages that kubectl's own generators (`create namespace`, `create configmap`, …) send.

/** A small letter is left out where empty, as Go's JSON does; a capital one was a pointer, so it is kept. */
export type FieldType =
  | "text"
  | "bytes"
  | "int"
  | "Int"
  | "flag"
  | "Flag"
  | "time"
  | "intOrString"
  | "textMap"
  | "bytesMap"
  | "quantityMap"
  | { readonly message: string };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly repeated: boolean;
}

export type Message = Readonly<Record<number, Field>>;

function one(name: string, type: FieldType): Field {
  return { name, type, repeated: false };
}

function many(name: string, type: FieldType): Field {
  return { name, type, repeated: true };
}

function of(message: string): FieldType {
  return { message };
}

const object = (spec: string): Message => ({
  1: one("metadata", of("ObjectMeta")),
  2: one("spec", of(spec)),
  3: one("status", of("Nothing")),
});

export const MESSAGES: Readonly<Record<string, Message>> = {
  /** Statuses that a client sends are empty, and ignored if not. */
  Nothing: {},
  ObjectMeta: {
    1: one("name", "text"),
    2: one("generateName", "text"),
    3: one("namespace", "text"),
    4: one("selfLink", "text"),
    5: one("uid", "text"),
    6: one("resourceVersion", "text"),
    7: one("generation", "int"),
    8: one("creationTimestamp", "time"),
    9: one("deletionTimestamp", "time"),
    10: one("deletionGracePeriodSeconds", "Int"),
    11: many("labels", "textMap"),
    12: many("annotations", "textMap"),
    13: many("ownerReferences", of("OwnerReference")),
    14: many("finalizers", "text"),
  },
  OwnerReference: {
    1: one("kind", "text"),
    3: one("name", "text"),
    4: one("uid", "text"),
    5: one("apiVersion", "text"),
    6: one("controller", "Flag"),
    7: one("blockOwnerDeletion", "Flag"),
  },
  Namespace: object("NamespaceSpec"),
  NamespaceSpec: { 1: many("finalizers", "text") },
  ConfigMap: {
    1: one("metadata", of("ObjectMeta")),
    2: many("data", "textMap"),
    3: many("binaryData", "bytesMap"),
    4: one("immutable", "Flag"),
  },
  Secret: {
    1: one("metadata", of("ObjectMeta")),
    2: many("data", "bytesMap"),
    3: one("type", "text"),
    4: many("stringData", "textMap"),
    5: one("immutable", "Flag"),
  },
  ServiceAccount: {
    1: one("metadata", of("ObjectMeta")),
    2: many("secrets", of("LocalReference")),
    3: many("imagePullSecrets", of("LocalReference")),
    4: one("automountServiceAccountToken", "Flag"),
  },
  LocalReference: { 1: one("name", "text") },
  Service: object("ServiceSpec"),
  ServiceSpec: {
    1: many("ports", of("ServicePort")),
    2: many("selector", "textMap"),
    3: one("clusterIP", "text"),
    4: one("type", "text"),
    5: many("externalIPs", "text"),
    7: one("sessionAffinity", "text"),
    8: one("loadBalancerIP", "text"),
    9: many("loadBalancerSourceRanges", "text"),
    10: one("externalName", "text"),
    11: one("externalTrafficPolicy", "text"),
    12: one("healthCheckNodePort", "int"),
    13: one("publishNotReadyAddresses", "flag"),
    17: one("ipFamilyPolicy", "text"),
    18: many("clusterIPs", "text"),
    19: many("ipFamilies", "text"),
    20: one("allocateLoadBalancerNodePorts", "Flag"),
    21: one("loadBalancerClass", "text"),
    22: one("internalTrafficPolicy", "text"),
    23: one("trafficDistribution", "text"),
  },
  ServicePort: {
    1: one("name", "text"),
    2: one("protocol", "text"),
    3: one("port", "int"),
    4: one("targetPort", "intOrString"),
    5: one("nodePort", "int"),
    6: one("appProtocol", "text"),
  },
  Deployment: object("DeploymentSpec"),
  DeploymentSpec: {
    1: one("replicas", "Int"),
    2: one("selector", of("LabelSelector")),
    3: one("template", of("PodTemplateSpec")),
    4: one("strategy", of("DeploymentStrategy")),
    5: one("minReadySeconds", "int"),
    6: one("revisionHistoryLimit", "Int"),
    7: one("paused", "flag"),
    9: one("progressDeadlineSeconds", "Int"),
  },
  DeploymentStrategy: { 1: one("type", "text"), 2: one("rollingUpdate", of("RollingUpdate")) },
  RollingUpdate: { 1: one("maxUnavailable", "intOrString"), 2: one("maxSurge", "intOrString") },
  LabelSelector: { 1: many("matchLabels", "textMap"), 2: many("matchExpressions", of("LabelRequirement")) },
  LabelRequirement: { 1: one("key", "text"), 2: one("operator", "text"), 3: many("values", "text") },
  PodTemplateSpec: { 1: one("metadata", of("ObjectMeta")), 2: one("spec", of("PodSpec")) },
  Pod: object("PodSpec"),
  PodSpec: {
    2: many("containers", of("Container")),
    3: one("restartPolicy", "text"),
    4: one("terminationGracePeriodSeconds", "Int"),
    5: one("activeDeadlineSeconds", "Int"),
    6: one("dnsPolicy", "text"),
    7: many("nodeSelector", "textMap"),
    8: one("serviceAccountName", "text"),
    9: one("serviceAccount", "text"),
    10: one("nodeName", "text"),
    11: one("hostNetwork", "flag"),
    12: one("hostPID", "flag"),
    13: one("hostIPC", "flag"),
    14: one("securityContext", of("Nothing")),
    15: many("imagePullSecrets", of("LocalReference")),
    16: one("hostname", "text"),
    17: one("subdomain", "text"),
    19: one("schedulerName", "text"),
    20: many("initContainers", of("Container")),
    21: one("automountServiceAccountToken", "Flag"),
    24: one("priorityClassName", "text"),
    25: one("priority", "Int"),
    29: one("runtimeClassName", "text"),
    30: one("enableServiceLinks", "Flag"),
    31: one("preemptionPolicy", "text"),
  },
  Container: {
    1: one("name", "text"),
    2: one("image", "text"),
    3: many("command", "text"),
    4: many("args", "text"),
    5: one("workingDir", "text"),
    6: many("ports", of("ContainerPort")),
    7: many("env", of("EnvVar")),
    8: one("resources", of("ResourceRequirements")),
    13: one("terminationMessagePath", "text"),
    14: one("imagePullPolicy", "text"),
    16: one("stdin", "flag"),
    17: one("stdinOnce", "flag"),
    18: one("tty", "flag"),
    20: one("terminationMessagePolicy", "text"),
  },
  ContainerPort: {
    1: one("name", "text"),
    2: one("hostPort", "int"),
    3: one("containerPort", "int"),
    4: one("protocol", "text"),
    5: one("hostIP", "text"),
  },
  EnvVar: { 1: one("name", "text"), 2: one("value", "text") },
  ResourceRequirements: { 1: many("limits", "quantityMap"), 2: many("requests", "quantityMap") },
  TokenRequest: object("TokenRequestSpec"),
  TokenRequestSpec: {
    1: many("audiences", "text"),
    3: one("boundObjectRef", of("BoundObjectReference")),
    4: one("expirationSeconds", "Int"),
  },
  BoundObjectReference: {
    1: one("kind", "text"),
    2: one("apiVersion", "text"),
    3: one("name", "text"),
    4: one("uid", "text"),
  },
  SelfSubjectAccessReview: object("SelfSubjectAccessReviewSpec"),
  SelfSubjectAccessReviewSpec: {
    1: one("resourceAttributes", of("ResourceAttributes")),
    2: one("nonResourceAttributes", of("NonResourceAttributes")),
  },
  ResourceAttributes: {
    1: one("namespace", "text"),
    2: one("verb", "text"),
    3: one("group", "text"),
    4: one("version", "text"),
    5: one("resource", "text"),
    6: one("subresource", "text"),
    7: one("name", "text"),
  },
  NonResourceAttributes: { 1: one("path", "text"), 2: one("verb", "text") },
  Scale: object("ScaleSpec"),
  ScaleSpec: { 1: one("replicas", "Int") },
  DeleteOptions: {
    1: one("gracePeriodSeconds", "Int"),
    2: one("preconditions", of("Preconditions")),
    3: one("orphanDependents", "Flag"),
    4: one("propagationPolicy", "text"),
    5: many("dryRun", "text"),
  },
  Preconditions: { 1: one("uid", "text"), 2: one("resourceVersion", "text") },
};

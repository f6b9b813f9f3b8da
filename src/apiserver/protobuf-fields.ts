// Field numbers of the messages that kubectl's own generators (`create namespace`, `create configmap`, …) send.

/** A small letter is left out where empty, as Go's JSON does; a capital one was a pointer, so it is kept. */
export type FieldType =
  | "text"
  | "Text"
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
  /** Empty where the message's fields stand in the object itself, as Go's embedded structs do. */
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
    1: many("volumes", of("Volume")),
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
    22: many("tolerations", of("Toleration")),
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
    9: many("volumeMounts", of("VolumeMount")),
    13: one("terminationMessagePath", "text"),
    14: one("imagePullPolicy", "text"),
    16: one("stdin", "flag"),
    17: one("stdinOnce", "flag"),
    18: one("tty", "flag"),
    19: many("envFrom", of("EnvFromSource")),
    20: one("terminationMessagePolicy", "text"),
  },
  ContainerPort: {
    1: one("name", "text"),
    2: one("hostPort", "int"),
    3: one("containerPort", "int"),
    4: one("protocol", "text"),
    5: one("hostIP", "text"),
  },
  EnvVar: { 1: one("name", "text"), 2: one("value", "text"), 3: one("valueFrom", of("EnvVarSource")) },
  EnvVarSource: {
    1: one("fieldRef", of("FieldReference")),
    3: one("configMapKeyRef", of("KeySelector")),
    4: one("secretKeyRef", of("KeySelector")),
  },
  FieldReference: { 1: one("apiVersion", "text"), 2: one("fieldPath", "text") },
  KeySelector: { 1: one("", of("LocalReference")), 2: one("key", "text"), 3: one("optional", "Flag") },
  EnvFromSource: {
    1: one("prefix", "text"),
    2: one("configMapRef", of("EnvSource")),
    3: one("secretRef", of("EnvSource")),
  },
  EnvSource: { 1: one("", of("LocalReference")), 2: one("optional", "Flag") },
  Volume: { 1: one("name", "text"), 2: one("", of("VolumeSource")) },
  VolumeSource: {
    1: one("hostPath", of("HostPath")),
    2: one("emptyDir", of("EmptyDir")),
    6: one("secret", of("SecretVolume")),
    10: one("persistentVolumeClaim", of("ClaimVolume")),
    19: one("configMap", of("ConfigMapVolume")),
  },
  HostPath: { 1: one("path", "text"), 2: one("type", "text") },
  EmptyDir: { 1: one("medium", "text") },
  SecretVolume: {
    1: one("secretName", "text"),
    2: many("items", of("KeyToPath")),
    3: one("defaultMode", "Int"),
    4: one("optional", "Flag"),
  },
  ConfigMapVolume: {
    1: one("", of("LocalReference")),
    2: many("items", of("KeyToPath")),
    3: one("defaultMode", "Int"),
    4: one("optional", "Flag"),
  },
  KeyToPath: { 1: one("key", "text"), 2: one("path", "text"), 3: one("mode", "Int") },
  ClaimVolume: { 1: one("claimName", "text"), 2: one("readOnly", "flag") },
  VolumeMount: {
    1: one("name", "text"),
    2: one("readOnly", "flag"),
    3: one("mountPath", "text"),
    4: one("subPath", "text"),
    5: one("mountPropagation", "text"),
    6: one("subPathExpr", "text"),
  },
  Toleration: {
    1: one("key", "text"),
    2: one("operator", "text"),
    3: one("value", "text"),
    4: one("effect", "text"),
    5: one("tolerationSeconds", "Int"),
  },
  Job: object("JobSpec"),
  JobSpec: {
    1: one("parallelism", "Int"),
    2: one("completions", "Int"),
    3: one("activeDeadlineSeconds", "Int"),
    4: one("selector", of("LabelSelector")),
    5: one("manualSelector", "Flag"),
    6: one("template", of("PodTemplateSpec")),
    7: one("backoffLimit", "Int"),
    8: one("ttlSecondsAfterFinished", "Int"),
    9: one("completionMode", "text"),
    10: one("suspend", "Flag"),
    14: one("podReplacementPolicy", "text"),
  },
  CronJob: object("CronJobSpec"),
  CronJobSpec: {
    1: one("schedule", "text"),
    2: one("startingDeadlineSeconds", "Int"),
    3: one("concurrencyPolicy", "text"),
    4: one("suspend", "Flag"),
    5: one("jobTemplate", of("JobTemplateSpec")),
    6: one("successfulJobsHistoryLimit", "Int"),
    7: one("failedJobsHistoryLimit", "Int"),
    8: one("timeZone", "text"),
  },
  JobTemplateSpec: { 1: one("metadata", of("ObjectMeta")), 2: one("spec", of("JobSpec")) },
  Role: { 1: one("metadata", of("ObjectMeta")), 2: many("rules", of("PolicyRule")) },
  ClusterRole: {
    1: one("metadata", of("ObjectMeta")),
    2: many("rules", of("PolicyRule")),
    3: one("aggregationRule", of("AggregationRule")),
  },
  AggregationRule: { 1: many("clusterRoleSelectors", of("LabelSelector")) },
  PolicyRule: {
    1: many("verbs", "text"),
    2: many("apiGroups", "Text"),
    3: many("resources", "text"),
    4: many("resourceNames", "text"),
    5: many("nonResourceURLs", "text"),
  },
  RoleBinding: {
    1: one("metadata", of("ObjectMeta")),
    2: many("subjects", of("Subject")),
    3: one("roleRef", of("RoleRef")),
  },
  ClusterRoleBinding: {
    1: one("metadata", of("ObjectMeta")),
    2: many("subjects", of("Subject")),
    3: one("roleRef", of("RoleRef")),
  },
  Subject: { 1: one("kind", "text"), 2: one("apiGroup", "text"), 3: one("name", "text"), 4: one("namespace", "text") },
  RoleRef: { 1: one("apiGroup", "text"), 2: one("kind", "text"), 3: one("name", "text") },
  Ingress: object("IngressSpec"),
  IngressSpec: {
    1: one("defaultBackend", of("IngressBackend")),
    2: many("tls", of("IngressTls")),
    3: many("rules", of("IngressRule")),
    4: one("ingressClassName", "text"),
  },
  IngressBackend: { 4: one("service", of("IngressService")) },
  IngressService: { 1: one("name", "text"), 2: one("port", of("IngressPort")) },
  IngressPort: { 1: one("name", "text"), 2: one("number", "int") },
  IngressTls: { 1: many("hosts", "text"), 2: one("secretName", "text") },
  IngressRule: { 1: one("host", "text"), 2: one("", of("IngressRuleValue")) },
  IngressRuleValue: { 1: one("http", of("IngressHttp")) },
  IngressHttp: { 1: many("paths", of("IngressPath")) },
  IngressPath: { 1: one("path", "text"), 2: one("backend", of("IngressBackend")), 3: one("pathType", "text") },
  PodDisruptionBudget: object("PodDisruptionBudgetSpec"),
  PodDisruptionBudgetSpec: {
    1: one("minAvailable", "intOrString"),
    2: one("selector", of("LabelSelector")),
    3: one("maxUnavailable", "intOrString"),
  },
  HorizontalPodAutoscaler: object("HorizontalPodAutoscalerSpec"),
  HorizontalPodAutoscalerSpec: {
    1: one("scaleTargetRef", of("ScaleTarget")),
    2: one("minReplicas", "Int"),
    3: one("maxReplicas", "int"),
    4: many("metrics", of("MetricSpec")),
  },
  ScaleTarget: { 1: one("kind", "text"), 2: one("name", "text"), 3: one("apiVersion", "text") },
  MetricSpec: { 1: one("type", "text"), 4: one("resource", of("ResourceMetric")) },
  ResourceMetric: { 1: one("name", "text"), 2: one("target", of("MetricTarget")) },
  MetricTarget: { 1: one("type", "text"), 4: one("averageUtilization", "Int") },
  SelfSubjectReview: { 1: one("metadata", of("ObjectMeta")), 2: one("status", of("Nothing")) },
  SelfSubjectRulesReview: object("SelfSubjectRulesReviewSpec"),
  SelfSubjectRulesReviewSpec: { 1: one("namespace", "text") },
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

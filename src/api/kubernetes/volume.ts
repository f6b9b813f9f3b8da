// A pod's volumes, with every source that Kubernetes knows: what the local node can't mount is still a valid manifest.

import type { Static } from "typebox";
import {
  flag,
  int32,
  int64,
  labelSelector,
  list,
  localReference,
  objectMeta,
  oneOf,
  quantities,
  quantity,
  struct,
  text,
  textMap,
  texts,
} from "./fields.ts";

const keyToPath = struct({ key: text, path: text }, { mode: int32 });
const fieldRef = struct({ fieldPath: text }, { apiVersion: text });
const resourceFieldRef = struct({ resource: text }, { containerName: text, divisor: quantity });
const downwardFile = struct({ path: text }, { fieldRef, resourceFieldRef, mode: int32 });

const projection = struct(
  {},
  {
    secret: struct({}, { name: text, items: list(keyToPath), optional: flag }),
    configMap: struct({}, { name: text, items: list(keyToPath), optional: flag }),
    downwardAPI: struct({}, { items: list(downwardFile) }),
    serviceAccountToken: struct({ path: text }, { audience: text, expirationSeconds: int64 }),
    clusterTrustBundle: struct({ path: text }, { name: text, signerName: text, labelSelector, optional: flag }),
    podCertificate: struct(
      { signerName: text, keyType: text },
      {
        maxExpirationSeconds: int32,
        credentialBundlePath: text,
        keyPath: text,
        certificateChainPath: text,
        userAnnotations: textMap,
      },
    ),
  },
);

export const claimSpec = struct(
  {},
  {
    accessModes: texts,
    selector: labelSelector,
    resources: struct({}, { limits: quantities, requests: quantities }),
    volumeName: text,
    storageClassName: text,
    volumeMode: text,
    dataSource: struct({ kind: text, name: text }, { apiGroup: text }),
    dataSourceRef: struct({ kind: text, name: text }, { apiGroup: text, namespace: text }),
    volumeAttributesClassName: text,
  },
);

/** Sources of storage systems that a laptop has not: accepted in full, refused by the node when a pod really needs one. */
const remoteSources = {
  awsElasticBlockStore: struct({ volumeID: text }, { fsType: text, partition: int32, readOnly: flag }),
  azureDisk: struct({ diskName: text, diskURI: text }, { cachingMode: text, fsType: text, kind: text, readOnly: flag }),
  azureFile: struct({ secretName: text, shareName: text }, { readOnly: flag }),
  cephfs: struct(
    { monitors: texts },
    { path: text, readOnly: flag, secretFile: text, secretRef: localReference, user: text },
  ),
  cinder: struct({ volumeID: text }, { fsType: text, readOnly: flag, secretRef: localReference }),
  csi: struct(
    { driver: text },
    { fsType: text, nodePublishSecretRef: localReference, readOnly: flag, volumeAttributes: textMap },
  ),
  fc: struct({}, { fsType: text, lun: int32, readOnly: flag, targetWWNs: texts, wwids: texts }),
  flexVolume: struct({ driver: text }, { fsType: text, options: textMap, readOnly: flag, secretRef: localReference }),
  flocker: struct({}, { datasetName: text, datasetUUID: text }),
  gcePersistentDisk: struct({ pdName: text }, { fsType: text, partition: int32, readOnly: flag }),
  gitRepo: struct({ repository: text }, { directory: text, revision: text }),
  glusterfs: struct({ endpoints: text, path: text }, { readOnly: flag }),
  image: struct({}, { reference: text, pullPolicy: text }),
  iscsi: struct(
    { iqn: text, lun: int32, targetPortal: text },
    {
      chapAuthDiscovery: flag,
      chapAuthSession: flag,
      fsType: text,
      initiatorName: text,
      iscsiInterface: text,
      portals: texts,
      readOnly: flag,
      secretRef: localReference,
    },
  ),
  nfs: struct({ path: text, server: text }, { readOnly: flag }),
  persistentVolumeClaim: struct({ claimName: text }, { readOnly: flag }),
  photonPersistentDisk: struct({ pdID: text }, { fsType: text }),
  portworxVolume: struct({ volumeID: text }, { fsType: text, readOnly: flag }),
  quobyte: struct({ registry: text, volume: text }, { group: text, readOnly: flag, tenant: text, user: text }),
  rbd: struct(
    { image: text, monitors: texts },
    { fsType: text, keyring: text, pool: text, readOnly: flag, secretRef: localReference, user: text },
  ),
  scaleIO: struct(
    { gateway: text, secretRef: localReference, system: text },
    {
      fsType: text,
      protectionDomain: text,
      readOnly: flag,
      sslEnabled: flag,
      storageMode: text,
      storagePool: text,
      volumeName: text,
    },
  ),
  storageos: struct(
    {},
    { fsType: text, readOnly: flag, secretRef: localReference, volumeName: text, volumeNamespace: text },
  ),
  vsphereVolume: struct({ volumePath: text }, { fsType: text, storagePolicyID: text, storagePolicyName: text }),
};

export const volume = struct(
  { name: text },
  {
    emptyDir: struct({}, { medium: text, sizeLimit: quantity }),
    hostPath: struct({ path: text }, { type: text }),
    configMap: struct({}, { name: text, items: list(keyToPath), defaultMode: int32, optional: flag }),
    secret: struct({}, { secretName: text, items: list(keyToPath), defaultMode: int32, optional: flag }),
    downwardAPI: struct({}, { items: list(downwardFile), defaultMode: int32 }),
    projected: struct({}, { sources: list(projection), defaultMode: int32 }),
    ephemeral: struct({}, { volumeClaimTemplate: struct({ spec: claimSpec }, { metadata: objectMeta }) }),
    ...remoteSources,
  },
);
export type Volume = Static<typeof volume>;

export const volumeMount = struct(
  { name: text, mountPath: text },
  {
    mountPropagation: oneOf("None", "HostToContainer", "Bidirectional"),
    readOnly: flag,
    recursiveReadOnly: oneOf("Disabled", "IfPossible", "Enabled"),
    subPath: text,
    subPathExpr: text,
  },
);

export const envFieldRef = fieldRef;
export const envResourceFieldRef = resourceFieldRef;

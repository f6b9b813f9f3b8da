import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseKind } from "../../../src/api/kind.ts";
import { deploymentKind } from "../../../src/api/kubernetes/deployment.ts";
import { objectSchema } from "../../../src/api/validate.ts";
import { describePath, fieldsOf, fromFieldsV1, toFieldsV1 } from "../../../src/apiserver/field-set.ts";

const schema = objectSchema(eraseKind(deploymentKind));

const OBJECT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", uid: "u", finalizers: ["a/b"], labels: { "x.y/z": "1" } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: { spec: { containers: [{ name: "web", ports: [{ containerPort: 80 }], args: ["a", "b"] }] } },
  },
};

test("fields are named as Kubernetes names them", () => {
  const paths = [...fieldsOf(OBJECT, schema).keys()];
  assert.deepEqual(toFieldsV1(paths), {
    "f:metadata": { "f:finalizers": { 'v:"a/b"': {} }, "f:labels": { "f:x.y/z": {} } },
    "f:spec": {
      "f:replicas": {},
      "f:selector": {},
      "f:template": {
        "f:spec": {
          "f:containers": {
            'k:{"name":"web"}': {
              ".": {},
              "f:args": {},
              "f:name": {},
              "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
            },
          },
        },
      },
    },
  });
  assert.deepEqual([...fromFieldsV1(toFieldsV1(paths))].sort(), [...paths].sort());
});

test("a path is told as people write it", () => {
  const described = [...fieldsOf(OBJECT, schema).keys()].map(describePath);
  assert.ok(described.includes('.spec.template.spec.containers[name="web"].args'));
  assert.ok(
    described.includes(
      '.spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort',
    ),
  );
});

// A kind that a user brings works as a built-in one does.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { startTestServer, type TestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence, type Run } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.fleet.example.com}
spec:
  group: fleet.example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.aboard}
    additionalPrinterColumns:
    - {name: Length, type: integer, jsonPath: .spec.length}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Flag, type: string, jsonPath: .spec.flag, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        description: A boat of the fleet.
        required: [spec]
        properties:
          spec:
            type: object
            required: [length]
            x-kubernetes-validations:
            - {rule: 'self.crew <= self.length * 2', message: too many for this boat}
            - {rule: 'self.length >= oldSelf.length', message: boats do not shrink}
            properties:
              length: {type: integer, minimum: 1, maximum: 400, description: In metres.}
              crew: {type: integer, default: 2}
              flag: {type: string, pattern: '^[A-Z]{2}$', default: XX}
              colour: {type: string, enum: [red, blue]}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, fee: {type: number}}
              extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
              anchor:
                anyOf: [{type: integer}, {type: string}]
                x-kubernetes-int-or-string: true
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

function boat(spec: string): string {
  return `apiVersion: fleet.example.com/v1\nkind: Boat\nmetadata: {name: ada}\nspec: ${spec}\n`;
}

async function fleet(context: TestContext): Promise<(words: string, input?: string) => Promise<Run>> {
  const server: TestServer = await startTestServer(context);
  const run = (words: string, input?: string) => kubectl(server, words, input === undefined ? {} : { input });
  const made = await run("apply -f -", DEFINITION);
  assert.equal(made.code, 0, made.err);
  assert.equal((await run("wait --for=condition=Established crd/boats.fleet.example.com --timeout=10s")).code, 0);
  return run;
}

test("defaults, columns, short names, explain, versions", { skip }, async (context) => {
  const run = await fleet(context);
  const made = await run("apply -f -", boat("{length: 12, extra: {a: [1]}, anchor: 3, ports: [{name: oslo}]}"));
  assert.equal(made.code, 0, made.err);
  const { spec } = JSON.parse((await run("get boat ada -o json")).out);
  assert.deepEqual(spec, {
    length: 12,
    crew: 2,
    flag: "XX",
    extra: { a: [1] },
    anchor: 3,
    ports: [{ name: "oslo" }],
  });
  assert.match((await run("get bt")).out, /^NAME +LENGTH +READY\nada +12 +\n$/);
  assert.match((await run("get boats -o wide --no-headers")).out, /^ada +12 + +XX\n$/);
  assert.match((await run("get all")).out, /boat.fleet.example.com\/ada/);
  assert.match((await run("explain boat.spec.length")).out, /In metres/);
  const old = await run("get boats.v1beta1.fleet.example.com ada -o jsonpath={.apiVersion}");
  assert.equal(old.out, "fleet.example.com/v1beta1");
  assert.match(old.err, /Warning: fleet.example.com\/v1beta1 Boat is deprecated/);
  assert.match(
    (await run("api-resources --api-group=fleet.example.com")).out,
    /boats +bt +fleet.example.com\/v1 +true +Boat/,
  );
});

test("what the schema or a rule refuses is refused, with its field", { skip }, async (context) => {
  const run = await fleet(context);
  const cases: readonly (readonly [string, RegExp])[] = [
    ["{}", /spec.length: Required value/],
    ["{length: twelve}", /spec.length: Invalid value/],
    ["{length: 900}", /spec.length in body should be less than or equal to 400/],
    ["{length: 9, flag: xx}", /should match '\^\[A-Z\]\{2\}\$'/],
    ["{length: 9, colour: green}", /spec.colour: Unsupported value: "green"/],
    ["{length: 9, crew: 40}", /too many for this boat/],
    ["{length: 9, anchor: [1]}", /spec.anchor: Invalid value/],
    ["{length: 9, ports: [{name: a}, {name: a}]}", /spec.ports\[1\]: Duplicate value/],
    ["{length: 9, sail: 1}", /unknown field "spec.sail"/],
  ];
  for (const [spec, wanted] of cases) {
    const { code, err } = await run("apply -f -", boat(spec));
    assert.equal(code, 1, spec);
    assert.match(err, wanted);
  }
  assert.equal((await run("apply -f -", boat("{length: 9}"))).code, 0);
  assert.match((await run("apply -f -", boat("{length: 8}"))).err, /boats do not shrink/);
  const broken = await run(
    "apply -f -",
    DEFINITION.replace("self.crew <=", "self.crew <=<").replaceAll("boats", "ships").replaceAll("oat", "hip"),
  );
  assert.match(broken.err, /x-kubernetes-validations\[0\].rule: .*compilation failed/);
});

test("status, scale, server-side apply of its lists, deletion of the definition", { skip }, async (context) => {
  const run = await fleet(context);
  await run("apply --server-side --field-manager=a -f -", boat("{length: 20, ports: [{name: oslo, fee: 1.5}]}"));
  await run("apply --server-side --field-manager=b -f -", boat("{length: 20, ports: [{name: rome}]}"));
  assert.equal((await run("get boat ada -o jsonpath={.spec.ports[*].name}")).out, "oslo rome");
  assert.equal((await run("scale boat/ada --replicas=7")).code, 0);
  assert.equal((await run("get boat ada -o jsonpath={.spec.crew},{.metadata.generation}")).out, "7,3");
  const status = `{"status":{"aboard":7,"conditions":[{"type":"Ready","status":"True"}]}}`;
  const patched = await run(`patch boat ada --subresource=status --type=merge -p ${status}`);
  assert.equal(patched.code, 0, patched.err);
  assert.match((await run("get boats --no-headers")).out, /^ada +20 +True\n$/);
  assert.equal((await run("wait --for=condition=Ready boat/ada --timeout=5s")).code, 0);
  assert.equal((await run("delete crd boats.fleet.example.com")).code, 0);
  assert.match((await run("get boats")).err, /could not find the requested resource|doesn't have a resource type/);
  assert.equal((await run("apply -f -", DEFINITION)).code, 0);
  assert.equal((await run("get boats")).out, "");
});

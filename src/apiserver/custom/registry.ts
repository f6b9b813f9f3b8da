// The kinds that are served at the moment: the built-in ones, and those that definitions in the store bring.

import { errorIssue, type Issue, warningIssue } from "../../api/issue.ts";
import { eraseKind, type Kind } from "../../api/kind.ts";
import {
  type CustomResourceDefinition,
  customResourceDefinitionKind,
  type DefinitionStatus,
} from "../../api/kubernetes/custom-resource-definition.ts";
import type { KubeObject } from "../../api/object.ts";
import { makeRegistry, type Registry } from "../../api/registry.ts";
import type { Clock } from "../../base/clock.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { timestamp } from "../lifecycle.ts";
import { collectionOf, type Resources } from "../resources.ts";
import { invalid } from "../status.ts";
import type { Store, StoreEvent } from "../store.ts";
import { kindsOf } from "./kind.ts";
import { ruleIssues } from "./rules.ts";
import { schemaIssues } from "./schema.ts";

const DEFINITIONS = collectionOf(eraseKind(customResourceDefinitionKind));

export class KindRegistry implements Registry {
  readonly #fixed: readonly Kind[];
  readonly #store: Store;
  readonly #listeners = new Set<() => void>();
  #registry: Registry;
  /** One of each custom kind for every version but the preferred one, by the words of a URL. */
  #variants: ReadonlyMap<string, Kind> = new Map();

  constructor(fixed: readonly Kind[], store: Store) {
    this.#fixed = fixed;
    this.#store = store;
    this.#registry = makeRegistry(fixed);
    this.#read();
  }

  get kinds(): readonly Kind[] {
    return this.#registry.kinds;
  }

  byPlural(group: string, version: string, plural: string): Kind | undefined {
    return this.#variants.get(`${group}/${version}/${plural}`) ?? this.#registry.byPlural(group, version, plural);
  }

  byApiVersion(apiVersion: string, kind: string): Kind | undefined {
    return this.#registry.byApiVersion(apiVersion, kind);
  }

  byAnyName(name: string): Kind | undefined {
    return this.#registry.byAnyName(name);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the definitions; what belongs to one that goes, goes with it. */
  follow(resources: Resources, clock: Clock): void {
    this.#store.subscribe(this.#store.revision, (event) => {
      if (event.collection !== DEFINITIONS || !isDefinition(event.object)) return;
      this.#read();
      if (event.type === "deleted") this.#removeObjects(event);
      else void establish(resources, clock, event.object);
      for (const listener of this.#listeners) listener();
    });
  }

  #removeObjects({ object }: StoreEvent): void {
    if (!isDefinition(object) || this.#isFixed(object)) return;
    const collection = `${object.spec.names.plural}.${object.spec.group}`;
    for (const each of this.#store.list(collection)) this.#store.remove(collection, each);
  }

  #isFixed({ spec }: CustomResourceDefinition): boolean {
    return this.#fixed.some((kind) => kind.group === spec.group && kind.plural === spec.names.plural);
  }

  #read(): void {
    // What weft serves by itself it serves with its own schema, whatever a chart brings beside it.
    const definitions = this.#store
      .list(DEFINITIONS)
      .filter(isDefinition)
      .filter((each) => !this.#isFixed(each));
    const made = definitions.map(kindsOf);
    const preferred = made.flatMap(([first]) => (first === undefined ? [] : [first]));
    this.#variants = new Map(
      made.flatMap(([, ...others]) => others.map((kind) => [`${kind.group}/${kind.versions[0]}/${kind.plural}`, kind])),
    );
    this.#registry = makeRegistry([...this.#fixed, ...preferred]);
  }
}

function isDefinition(object: KubeObject): object is CustomResourceDefinition {
  return object.kind === customResourceDefinitionKind.kind;
}

/** Says in the definition's status that its kind is served. */
async function establish(resources: Resources, clock: Clock, definition: CustomResourceDefinition): Promise<void> {
  const { spec, metadata, status } = definition;
  const storage = spec.versions.find((version) => version.storage)?.name ?? "";
  const storedVersions = [...new Set([...(status?.storedVersions ?? []), storage])];
  const isDone = status?.conditions?.some(({ type }) => type === "Established") === true;
  if (isDone && status?.storedVersions?.includes(storage) === true) return;
  const at = timestamp(clock.wallMs());
  const next: DefinitionStatus = {
    acceptedNames: spec.names,
    storedVersions,
    conditions: [
      {
        type: "NamesAccepted",
        status: "True",
        reason: "NoConflicts",
        message: "no conflicts found",
        lastTransitionTime: at,
      },
      {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
        lastTransitionTime: at,
      },
    ],
  };
  await resources.writeStatus(eraseKind(customResourceDefinitionKind), { name: metadata.name }, next);
}

/** Refuses definitions whose schemas or rules can't be followed, and says what a definition of a served kind changes: nothing. */
export function definitionPlugin(fixed: readonly Kind[]): AdmissionPlugin {
  return {
    name: "custom-resource-definition",
    admit: async ({ kind, object }) => {
      if (!isDefinition(object)) return { kind: "allowed", object, warnings: [] };
      const issues = object.spec.versions.flatMap((version, index): Issue[] => {
        const schema = version.schema?.openAPIV3Schema;
        const path = `spec.versions[${index}].schema.openAPIV3Schema`;
        if (schema === undefined) return [];
        const type = schema["type"] === "object" ? [] : [errorIssue(`${path}.type`, 'must be "object" at the root')];
        return [...type, ...schemaIssues(schema, path), ...ruleIssues(schema, path)];
      });
      if (issues.length > 0) {
        return { kind: "denied", error: invalid(kind, object.metadata.name, issues, object) };
      }
      const own = fixed.find(({ group, plural }) => group === object.spec.group && plural === object.spec.names.plural);
      const note = warningIssue("", `weft serves ${own?.kind} itself: this definition's schema has no effect`);
      return { kind: "allowed", object, warnings: own === undefined ? [] : [note.message] };
    },
  };
}

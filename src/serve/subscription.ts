// What a proxy wants of one type, what it has, and so what is due to it. It costs memory only where it differs from others.

import { NAMES_MAX } from "./limits.ts";
import { NameSet } from "./name-set.ts";
import { type EncodedResource, type ResourceType, SCOPES } from "./resource.ts";
import {
  between,
  type Difference,
  differenceOf,
  EMPTY,
  isNothing,
  NOTHING,
  type ResourceList,
  upsertsOf,
} from "./resource-list.ts";
import { stateVersion } from "./state-version.ts";

export interface SubscriptionChange {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions that a reconnecting proxy already has. */
  readonly known?: Readonly<Record<string, string>>;
  /** Of the state of the world that a reconnecting proxy already has. */
  readonly state?: string;
}

export class Subscription {
  readonly #type: ResourceType;
  #started = false;
  #changes = 0;
  #wildcard = false;
  #owed = false;
  readonly #names = new NameSet();
  /** What it has of what it wants … */
  #base: ResourceList = EMPTY;
  /** … but for these; undefined: it has none. */
  readonly #differs = new Map<string, EncodedResource | undefined>();
  /** Versions of a former stream, until the first difference is made. */
  #known: ReadonlyMap<string, string> = new Map();
  #state: string | undefined;
  /** What it is to be sent whatever it has, from before it asked. */
  readonly #anew: (readonly EncodedResource[])[] = [];
  /** Names to send although their version may be known: the proxy asked anew … */
  readonly #asked = new Set<string>();
  /** … or waits for them without asking. */
  readonly #awaited = new Set<string>();
  /** What was found due, until anything changes. */
  #workedOut: { readonly wanted: ResourceList; readonly difference: Difference } | undefined;
  #counted = { base: EMPTY, names: 0, size: 0 };

  constructor(type: ResourceType) {
    this.#type = type;
  }

  get started(): boolean {
    return this.#started;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  /** It asked for all of the type and waits for an answer, also where there is nothing. */
  get owed(): boolean {
    return this.#owed;
  }

  wants(name: string): boolean {
    return this.#wildcard || (this.#names.size > 0 && this.#names.has(this.#key(name)));
  }

  /** Another number after each change of what is asked for. */
  get changes(): number {
    return this.#changes;
  }

  names(): IterableIterator<string> {
    return this.#names.values();
  }

  /**
   * Exactly these from now on, without having been asked: Envoy subscribes to virtual hosts as such, and means those of
   * the route configurations that it has.
   */
  follow(names: readonly string[]): void {
    const wanted = new Set(names);
    for (const name of [...this.#names.values()]) if (!wanted.has(name)) this.#remove(name);
    const fresh = names.filter((name) => !this.#names.has(name));
    if (fresh.length === 0) return;
    this.#workedOut = undefined;
    this.#names.add(fresh);
    // What it was sent so far was not for these.
    if (this.#base !== EMPTY) for (const name of fresh) this.#asked.add(name);
  }

  /** `wanted` is what there is, whose names are kept instead of equal ones. */
  change({ subscribe, unsubscribe, known, state }: SubscriptionChange, wanted: ResourceList | undefined): void {
    const first = !this.#started;
    this.#started = true;
    this.#changes += 1;
    this.#counted = { base: EMPTY, names: 0, size: 0 };
    this.#workedOut = undefined;
    if (first && subscribe.length === 0 && SCOPES[this.#type] === "all") this.#wildcard = true;
    if (subscribe.includes("*") && !this.#wildcard) this.#widen();
    const versions = first ? this.#trusted(known ?? {}) : {};
    const names = subscribe
      .filter((name) => name !== "*")
      .slice(0, NAMES_MAX - this.#names.size)
      .map((name) => wanted?.get(name)?.name ?? name);
    this.#names.add(names);
    const has = this.#knownKeys(versions);
    for (const name of names) if (!has.has(name)) this.#asked.add(name);
    for (const name of unsubscribe) this.#remove(name);
    if (first) {
      this.#known = new Map(Object.entries(versions));
      // A version says nothing of names: what it stands for may have been given up and asked for anew since.
      this.#state = state === "" || !this.#wildcard ? undefined : state;
      const answered = this.#type === "cluster" || this.#type === "listener";
      this.#owed = answered && this.#wildcard && this.#known.size === 0 && this.#state === undefined;
    }
  }

  /** What a proxy that says these versions has subscribed to before. */
  #knownKeys(versions: Readonly<Record<string, string>>): ReadonlySet<string> {
    return new Set(Object.keys(versions).map((name) => this.#key(name)));
  }

  /** Versions from before what it waits for anew don't count. */
  #trusted(known: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const anew = new Set(this.#anew.splice(0).flatMap((resources) => resources.map(({ name }) => name)));
    return anew.size === 0 ? known : Object.fromEntries(Object.entries(known).filter(([name]) => !anew.has(name)));
  }

  /** From now on everything: of what it did not want so far it has nothing. */
  #widen(): void {
    for (const { name } of this.#base.values()) if (!this.wants(name)) this.#differs.set(name, undefined);
    this.#wildcard = true;
  }

  #remove(name: string): void {
    if (name === "*") this.#wildcard = false;
    this.#names.delete(name);
    this.#asked.delete(name);
    this.#awaited.delete(name);
    if (!this.#wildcard) this.#differs.delete(name);
  }

  /** It is to be sent these again: whoever waits for them doesn't ask anew. */
  again(resources: readonly EncodedResource[]): void {
    if (!this.#started) this.#anew.push(resources);
    if (this.#names.size === 0) return;
    this.#workedOut = undefined;
    for (const { name } of resources) if (this.#names.has(name)) this.#awaited.add(name);
  }

  due(wanted: ResourceList): Difference {
    if (this.#isPlain()) {
      const difference = this.#wanted(between(this.#base, wanted));
      if (isNothing(difference)) this.#base = wanted;
      return difference;
    }
    if (this.#state !== undefined && this.#state === stateVersion(wanted)) {
      this.#settle(wanted);
      return NOTHING;
    }
    if (this.#workedOut?.wanted === wanted) return this.#workedOut.difference;
    const difference = this.#whole(wanted);
    if (isNothing(difference)) this.#settle(wanted);
    else this.#workedOut = { wanted, difference };
    return difference;
  }

  /** Whether it has any of what a difference would change or take away. */
  replaces({ changed, removed }: Difference): boolean {
    const everything = this.#state !== undefined;
    const has = (name: string): boolean => everything || this.#known.has(name) || this.#resource(name) !== undefined;
    return changed.some(({ name }) => has(name)) || removed.some(has);
  }

  /** All of what was due is on its way; or only what is new or changed, and the rest is still due. */
  sent(wanted: ResourceList, { removed }: Difference, part: "upserts" | "all"): void {
    this.#owed = false;
    if (part === "all" || removed.length === 0) {
      this.#settle(wanted);
      return;
    }
    const held = removed.flatMap((name) => {
      const resource = this.#resource(name);
      return resource === undefined ? [] : [resource];
    });
    const known = new Map([...this.#known].filter(([name]) => !wanted.has(name)));
    const asked = removed.filter((name) => this.#asked.has(name));
    this.#settle(wanted);
    for (const resource of held) this.#differs.set(resource.name, resource);
    for (const name of asked) this.#asked.add(name);
    this.#known = known;
  }

  /** What it has, once all that is under way arrived. */
  *held(): IterableIterator<EncodedResource> {
    for (const resource of this.#base.values()) {
      if (this.wants(resource.name) && !this.#differs.has(resource.name)) yield resource;
    }
    for (const resource of this.#differs.values()) if (resource !== undefined) yield resource;
  }

  get size(): number {
    if (this.#wildcard && this.#differs.size === 0) return this.#base.size;
    if (!this.#isPlain()) return [...this.held()].length;
    const { base, names, size } = this.#counted;
    if (base === this.#base && names === this.#names.size) return size;
    const counted = [...this.held()].length;
    this.#counted = { base: this.#base, names: this.#names.size, size: counted };
    return counted;
  }

  #isPlain(): boolean {
    const asked = this.#asked.size > 0 || this.#awaited.size > 0;
    return !asked && this.#differs.size === 0 && this.#known.size === 0 && this.#state === undefined;
  }

  #settle(wanted: ResourceList): void {
    this.#base = wanted;
    this.#workedOut = undefined;
    this.#differs.clear();
    this.#asked.clear();
    this.#awaited.clear();
    this.#known = NONE_KNOWN;
    this.#state = undefined;
  }

  /** What a subscription by name is for: the resource's own, or what it is a part of. */
  #key(name: string): string {
    return SCOPES[this.#type] === "prefix" ? prefixOf(name) : name;
  }

  #resource(name: string): EncodedResource | undefined {
    if (this.#differs.has(name)) return this.#differs.get(name);
    return this.wants(name) ? this.#base.get(name) : undefined;
  }

  /** Of a difference, what concerns the names. */
  #wanted(difference: Difference): Difference {
    if (this.#wildcard || difference === NOTHING) return difference;
    // Endpoints and routes go with the cluster or listener that they belong to: the proxy stops asking for them.
    const whole = SCOPES[this.#type] === "prefix" ? difference : upsertsOf(difference);
    const changed = whole.changed.filter(({ name }) => this.wants(name));
    const removed = whole.removed.filter((name) => this.wants(name));
    const same = changed.length === whole.changed.length && removed.length === whole.removed.length;
    return same ? whole : differenceOf({ changed, removed });
  }

  #whole(wanted: ResourceList): Difference {
    const changed: EncodedResource[] = [];
    for (const resource of this.#candidates(wanted)) {
      const has = this.#resource(resource.name)?.version ?? this.#known.get(resource.name);
      if (has !== resource.version || this.#isAskedFor(this.#key(resource.name))) changed.push(resource);
    }
    const removed = this.#wildcard || SCOPES[this.#type] === "prefix" ? this.#gone(wanted) : [];
    // A name that leads nowhere is answered once, so that the proxy doesn't wait for it.
    for (const name of this.#asked) if (!removed.includes(name) && !this.#leads(name, wanted)) removed.push(name);
    const everything = removed.length === 0 && changed.length === wanted.size;
    return everything ? between(EMPTY, wanted) : differenceOf({ changed, removed });
  }

  #isAskedFor(key: string): boolean {
    return this.#asked.has(key) || this.#awaited.has(key);
  }

  #candidates(wanted: ResourceList): Iterable<EncodedResource> {
    if (this.#wildcard) return wanted.values();
    if (SCOPES[this.#type] === "prefix") return [...wanted.values()].filter(({ name }) => this.wants(name));
    return [...this.#names.values()].flatMap((name) => wanted.get(name) ?? []);
  }

  #gone(wanted: ResourceList): string[] {
    const held = [...this.held()].map(({ name }) => name);
    return [...new Set([...held, ...this.#known.keys()])].filter((name) => !wanted.has(name));
  }

  #leads(name: string, wanted: ResourceList): boolean {
    if (SCOPES[this.#type] !== "prefix") return wanted.has(name);
    for (const resource of wanted.values()) if (prefixOf(resource.name) === name) return true;
    return false;
  }
}

const NONE_KNOWN: ReadonlyMap<string, string> = new Map();

/** Virtual hosts are subscribed to by the route configuration that they are a part of, as Envoy does it. */
function prefixOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

// The header-mutation filter: what is changed of requests, responses and trailers, for all routes and for one.

import type { HeaderMutation as MutationMessage } from "../../proto/gen/envoy/config/common/mutation_rules/v3/mutation_rules.ts";
import type {
  HeaderMutation,
  HeaderMutationPerRoute,
  Mutations,
} from "../../proto/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import { type Field, fields } from "./field.ts";
import { compileString } from "./matcher.ts";
import { compilePut, type HeaderMutation as Mutation } from "./mutation.ts";

export interface MutationSet {
  readonly request: readonly Mutation[];
  readonly response: readonly Mutation[];
  readonly requestTrailers: readonly Mutation[];
  readonly responseTrailers: readonly Mutation[];
}

export interface HeaderMutationConfig {
  readonly kind: "header_mutation";
  readonly own: MutationSet;
  readonly mostSpecificWins: boolean;
}

export interface HeaderMutationOverride {
  readonly kind: "header_mutation";
  /** Of the route, its virtual host, its route configuration: each that has some, in this order. */
  readonly levels: readonly MutationSet[];
}

const HONOURED = fields("requestMutations responseMutations responseTrailersMutations requestTrailersMutations");

export function compileHeaderMutation(message: HeaderMutation, at: Field): HeaderMutationConfig {
  at.only(message, fields("mutations mostSpecificHeaderMutationsWins"));
  return {
    kind: "header_mutation",
    own: compileSet(message.mutations, at.at("mutations")),
    mostSpecificWins: message.mostSpecificHeaderMutationsWins,
  };
}

export function compileHeaderMutationOverride(message: HeaderMutationPerRoute, at: Field): HeaderMutationOverride {
  return { kind: "header_mutation", levels: [compileSet(message.mutations, at.at("mutations"))] };
}

function compileSet(mutations: Mutations | undefined, at: Field): MutationSet {
  if (mutations === undefined) return { request: [], response: [], requestTrailers: [], responseTrailers: [] };
  at.only(mutations, HONOURED);
  const list = (
    name: "requestMutations" | "responseMutations" | "requestTrailersMutations" | "responseTrailersMutations",
  ) => mutations[name].flatMap((one, index) => compileOne(one, at.at(name).at(index)));
  return {
    request: list("requestMutations"),
    response: list("responseMutations"),
    requestTrailers: list("requestTrailersMutations"),
    responseTrailers: list("responseTrailersMutations"),
  };
}

function compileOne(message: MutationMessage, at: Field): readonly Mutation[] {
  const { action } = message;
  switch (action?.$case) {
    case "remove": {
      const name = action.value.toLowerCase();
      if (!name.startsWith(":") && name !== "host") return [{ kind: "remove", name }];
      at.at("remove").refuse(":-prefixed or host headers may not be modified");
      return [];
    }
    case "removeOnMatch":
      return [
        {
          kind: "remove-matching",
          matches: compileString(action.value.keyMatcher, at.at("removeOnMatch").at("keyMatcher")),
        },
      ];
    case "append": {
      const key = action.value.header?.key.toLowerCase() ?? "";
      if (key.startsWith(":") || key === "host") {
        at.at("append").at("header").at("key").refuse(":-prefixed or host headers may not be modified");
        return [];
      }
      const put = compilePut(action.value, at.at("append"));
      return put === undefined ? [] : [put];
    }
    case undefined:
      at.refuse("a mutation needs remove, remove_on_match or append");
      return [];
  }
}

/** A plain list, for whatever else holds one. */
export function compileMutationList(mutations: readonly MutationMessage[], at: Field): readonly Mutation[] {
  return mutations.flatMap((one, index) => compileOne(one, at.at(index)));
}

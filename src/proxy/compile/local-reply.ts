// What locally generated answers become: mapped by what they are, written in a format of the configuration's own.

import type { RecordFormatter } from "../../observe/access-record.ts";
import type {
  LocalReplyConfig,
  ResponseMapper,
} from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { compileLogFilter, type LogFilter } from "./access-log-filter.ts";
import { type Field, fields } from "./field.ts";
import { compileSubstitutionFormat } from "./format.ts";
import { compileMutations, type HeaderMutation } from "./mutation.ts";
import { inlineText } from "./value.ts";

export interface ReplyFormat {
  readonly write: RecordFormatter;
  readonly contentType: string;
}

export interface ReplyMapper {
  readonly accepts: LogFilter;
  readonly status: number | undefined;
  readonly body: string | undefined;
  readonly format: ReplyFormat | undefined;
  readonly mutations: readonly HeaderMutation[];
}

export interface ReplyConfig {
  /** The first that accepts holds. */
  readonly mappers: readonly ReplyMapper[];
  readonly format: ReplyFormat | undefined;
}

export function compileLocalReply(config: LocalReplyConfig | undefined, at: Field): ReplyConfig | undefined {
  if (config === undefined) return undefined;
  at.only(config, fields("mappers bodyFormat"));
  return {
    mappers: config.mappers.map((one, index) => compileMapper(one, at.at("mappers").at(index))),
    format:
      config.bodyFormat === undefined ? undefined : compileSubstitutionFormat(config.bodyFormat, at.at("bodyFormat")),
  };
}

function compileMapper(mapper: ResponseMapper, at: Field): ReplyMapper {
  at.only(mapper, fields("filter statusCode body bodyFormatOverride headersToAdd"));
  const { filter, statusCode, bodyFormatOverride } = mapper;
  if (filter === undefined) at.at("filter").refuse("a mapper needs a filter");
  if (statusCode !== undefined && (statusCode < 200 || statusCode > 599))
    at.at("statusCode").refuse("a status is between 200 and 599");
  return {
    accepts: filter === undefined ? () => false : compileLogFilter(filter, at.at("filter"), 0),
    status: statusCode,
    body: inlineText(mapper.body, at.at("body")),
    format:
      bodyFormatOverride === undefined
        ? undefined
        : compileSubstitutionFormat(bodyFormatOverride, at.at("bodyFormatOverride")),
    mutations: compileMutations({ add: mapper.headersToAdd, remove: [] }, at, "headersToAdd"),
  };
}

// Kubernetes' Protobuf bodies as data: kubectl's own generators send them, whatever the server says it takes.

import { BinaryReader } from "@bufbuild/protobuf/wire";
import { err, ok, type Result } from "../base/result.ts";
import { timestamp } from "./lifecycle.ts";
import { type Field, type FieldType, MESSAGES } from "./protobuf-fields.ts";

const MAGIC = Buffer.from("k8s\0");
const DEPTH_MAX = 20;

/** Thrown and caught in this file only: a reader that is deep in a message has no other way out. */
class Unreadable extends Error {
  override readonly name = "Unreadable";
}

export function decodeProtobuf(bytes: Buffer): Result<unknown, string> {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return err("the body is not Kubernetes' Protobuf: it does not begin with k8s");
  try {
    const { apiVersion, kind, raw } = readEnvelope(bytes.subarray(MAGIC.length));
    if (!Object.hasOwn(MESSAGES, kind)) throw new Unreadable(`the kind ${kind} is not known in Protobuf`);
    return ok({ apiVersion, kind, ...readMessage(raw, kind, 0) });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** runtime.Unknown: the type, and the object's own bytes. */
function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  const type = { apiVersion: "", kind: "" };
  let raw: Uint8Array = new Uint8Array();
  eachField(bytes, (number, reader) => {
    if (number === 2) raw = reader.bytes();
    else if (number === 1) {
      eachField(reader.bytes(), (inner, typeReader) => {
        if (inner === 1) type.apiVersion = typeReader.string();
        else if (inner === 2) type.kind = typeReader.string();
        else return false;
        return true;
      });
    } else return false;
    return true;
  });
  return { ...type, raw };
}

function readMessage(bytes: Uint8Array, name: string, depth: number): Record<string, unknown> {
  if (depth > DEPTH_MAX) throw new Unreadable("the body is nested too deeply");
  const fields = MESSAGES[name] ?? {};
  const result: Record<string, unknown> = {};
  eachField(bytes, (number, reader) => {
    const field = fields[number];
    if (field === undefined) {
      if (name === "Nothing") return false;
      // Better refused than half of it lost.
      throw new Unreadable(
        `field ${number} of ${name} is not known in Protobuf: write the object with --dry-run=client -o yaml and apply that`,
      );
    }
    addValue(result, field, readValue(reader, field.type, depth));
    return true;
  });
  return result;
}

/** `read` returns false for what it does not take: it is skipped. */
function eachField(bytes: Uint8Array, read: (number: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (!read(number, reader)) reader.skip(wireType);
  }
}

function addValue(result: Record<string, unknown>, field: Field, value: unknown): void {
  if (value === undefined) return;
  if (field.name === "") {
    Object.assign(result, value);
    return;
  }
  const isMap = typeof field.type === "string" && field.type.endsWith("Map");
  const before = result[field.name];
  if (isMap)
    result[field.name] = { ...(typeof before === "object" ? before : {}), ...(typeof value === "object" ? value : {}) };
  else if (field.repeated) result[field.name] = [...(Array.isArray(before) ? before : []), value];
  else result[field.name] = value;
}

function readValue(reader: BinaryReader, type: FieldType, depth: number): unknown {
  if (typeof type === "object") return readMessage(reader.bytes(), type.message, depth + 1);
  switch (type) {
    case "text":
      return reader.string() || undefined;
    case "Text":
      return reader.string();
    case "bytes":
      return Buffer.from(reader.bytes()).toString("base64");
    case "int":
      return Number(reader.int64()) || undefined;
    case "Int":
      return Number(reader.int64());
    case "flag":
      return reader.bool() || undefined;
    case "Flag":
      return reader.bool();
    case "time":
      return readTime(reader.bytes());
    case "intOrString":
      return readIntOrString(reader.bytes());
    case "textMap":
      return readEntry(reader.bytes(), (value) => value.string());
    case "bytesMap":
      return readEntry(reader.bytes(), (value) => Buffer.from(value.bytes()).toString("base64"));
    case "quantityMap":
      return readEntry(reader.bytes(), (value) => readEntryText(value.bytes()));
  }
}

function readEntry(bytes: Uint8Array, readOne: (reader: BinaryReader) => string): Record<string, string> {
  let key = "";
  let value = "";
  eachField(bytes, (number, reader) => {
    if (number === 1) key = reader.string();
    else if (number === 2) value = readOne(reader);
    else return false;
    return true;
  });
  return { [key]: value };
}

/** A Quantity is a message with its text in field 1. */
function readEntryText(bytes: Uint8Array): string {
  let text = "";
  eachField(bytes, (number, reader) => {
    if (number !== 1) return false;
    text = reader.string();
    return true;
  });
  return text;
}

function readTime(bytes: Uint8Array): string | undefined {
  let seconds = 0;
  eachField(bytes, (number, reader) => {
    if (number !== 1) return false;
    seconds = Number(reader.int64());
    return true;
  });
  // Go's zero time is in the year 1.
  return seconds <= 0 ? undefined : timestamp(seconds * 1000);
}

function readIntOrString(bytes: Uint8Array): number | string | undefined {
  let isText = false;
  let number = 0;
  let text = "";
  eachField(bytes, (field, reader) => {
    if (field === 1) isText = Number(reader.int64()) === 1;
    else if (field === 2) number = Number(reader.int64());
    else if (field === 3) text = reader.string();
    else return false;
    return true;
  });
  return isText ? text : number || undefined;
}

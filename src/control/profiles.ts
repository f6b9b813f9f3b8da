// Where the control plane's time and memory go, as V8 tells it: files for Chrome's developer tools and speedscope.

import { Session } from "node:inspector/promises";
import { setTimeout } from "node:timers/promises";
import { err, ok, type Result } from "../base/result.ts";
import { PROFILE_SECONDS_MAX } from "./limits.ts";

let isRunning = false;

/** A `.cpuprofile` of the next seconds, or a `.heapprofile` of what was allocated in them. */
export async function takeProfile(kind: "cpu" | "heap", seconds: number): Promise<Result<unknown, string>> {
  if (!(seconds > 0 && seconds <= PROFILE_SECONDS_MAX))
    return err(`seconds must be within 0 and ${PROFILE_SECONDS_MAX}`);
  if (isRunning) return err("another profile is being taken");
  isRunning = true;
  const session = new Session();
  try {
    session.connect();
    return ok(kind === "cpu" ? await cpuProfile(session, seconds) : await heapProfile(session, seconds));
  } finally {
    session.disconnect();
    isRunning = false;
  }
}

async function cpuProfile(session: Session, seconds: number): Promise<unknown> {
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  await setTimeout(seconds * 1_000);
  return (await session.post("Profiler.stop")).profile;
}

async function heapProfile(session: Session, seconds: number): Promise<unknown> {
  await session.post("HeapProfiler.startSampling");
  await setTimeout(seconds * 1_000);
  return (await session.post("HeapProfiler.stopSampling")).profile;
}

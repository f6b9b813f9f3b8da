// Envoy's strftime: the usual letters, `%s` for seconds since the epoch, `%f`, `%3f`, `%6f`, `%9f` and `%E3S` for fractions.

import type { AccessRecord } from "./access-record.ts";

type Zone = "utc" | "local";

export function timeReader(
  format: string,
  timeMs: (record: AccessRecord) => number,
  zone: Zone,
): (record: AccessRecord) => string {
  if (format !== "") return (record) => formatTime(timeMs(record), format, zone);
  if (zone === "utc") return (record) => new Date(timeMs(record)).toISOString();
  return (record) => formatTime(timeMs(record), "%Y-%m-%dT%H:%M:%E3S%z", zone);
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

function formatTime(timeMs: number, format: string, zone: Zone): string {
  const offsetMinutes = zone === "utc" ? 0 : -new Date(timeMs).getTimezoneOffset();
  // Shifted so that the UTC fields are those of the zone.
  const shifted = new Date(timeMs + offsetMinutes * 60_000);
  const fraction = shifted.toISOString().slice(20, 23).padEnd(9, "0");
  return format.replace(/%(E?)([1-9]?)([a-zA-Z%])/g, (whole, extended: string, digits: string, letter: string) => {
    if (letter === "s") return String(Math.floor(timeMs / 1000));
    if (letter === "f") return fraction.slice(0, digits === "" ? 9 : Number(digits));
    if (extended === "E" && letter === "S" && digits !== "")
      return `${shifted.toISOString().slice(17, 19)}.${fraction.slice(0, Number(digits))}`;
    return fieldOf(shifted, letter, offsetMinutes) ?? whole;
  });
}

function fieldOf(time: Date, letter: string, offsetMinutes: number): string | undefined {
  const iso = time.toISOString();
  switch (letter) {
    case "Y":
      return iso.slice(0, 4);
    case "y":
      return iso.slice(2, 4);
    case "m":
      return iso.slice(5, 7);
    case "d":
      return iso.slice(8, 10);
    case "e":
      return String(time.getUTCDate()).padStart(2, " ");
    case "H":
      return iso.slice(11, 13);
    case "I":
      return String(time.getUTCHours() % 12 || 12).padStart(2, "0");
    case "M":
      return iso.slice(14, 16);
    case "S":
      return iso.slice(17, 19);
    case "p":
      return time.getUTCHours() < 12 ? "AM" : "PM";
    case "F":
      return iso.slice(0, 10);
    case "T":
      return iso.slice(11, 19);
    case "R":
      return iso.slice(11, 16);
    default:
      return nameOf(time, letter) ?? zoneOf(letter, offsetMinutes);
  }
}

function nameOf(time: Date, letter: string): string | undefined {
  switch (letter) {
    case "a":
      return DAYS[time.getUTCDay()]?.slice(0, 3);
    case "A":
      return DAYS[time.getUTCDay()];
    case "b":
    case "h":
      return MONTHS[time.getUTCMonth()]?.slice(0, 3);
    case "B":
      return MONTHS[time.getUTCMonth()];
    case "j":
      return String(1 + Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / 86_400_000)).padStart(
        3,
        "0",
      );
    case "u":
      return String(time.getUTCDay() || 7);
    case "w":
      return String(time.getUTCDay());
    default:
      return undefined;
  }
}

function zoneOf(letter: string, offsetMinutes: number): string | undefined {
  switch (letter) {
    case "z": {
      const size = Math.abs(offsetMinutes);
      const hours = String(Math.floor(size / 60)).padStart(2, "0");
      return `${offsetMinutes < 0 ? "-" : "+"}${hours}${String(size % 60).padStart(2, "0")}`;
    }
    case "Z":
      return offsetMinutes === 0 ? "UTC" : "local";
    case "n":
      return "\n";
    case "t":
      return "\t";
    case "%":
      return "%";
    default:
      return undefined;
  }
}

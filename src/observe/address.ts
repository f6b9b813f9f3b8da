// Parts of an address as the log writes it: `10.0.0.1:8080`, `[fd00::1]:8080`.

import { isIP } from "node:net";

export function withoutPort(address: string | undefined): string | undefined {
  const colon = address?.lastIndexOf(":") ?? -1;
  return colon === -1 ? address : address?.slice(0, colon);
}

export function portOf(address: string | undefined): number | undefined {
  const colon = address?.lastIndexOf(":") ?? -1;
  const port = colon === -1 ? Number.NaN : Number(address?.slice(colon + 1));
  return Number.isInteger(port) ? port : undefined;
}

/** The network that an address is in: `10.1.2.3` with 16 bits is `10.1.0.0/16`. */
export function maskAddress(address: string, bits: number): string | undefined {
  const plain = address.replace(/^\[|\]$/g, "");
  const family = isIP(plain);
  if (family === 0) return undefined;
  const kept = Math.min(bits, family === 4 ? 32 : 128);
  return family === 4 ? `${maskFour(plain, kept)}/${kept}` : `${maskSix(plain, kept)}/${kept}`;
}

function maskFour(address: string, bits: number): string {
  return address
    .split(".")
    .map((part, index) => Number(part) & maskOf(bits - index * 8, 8))
    .join(".");
}

function maskSix(address: string, bits: number): string {
  const [left = "", right = ""] = address.split("::", 2);
  const before = left === "" ? [] : left.split(":");
  const after = right === "" ? [] : right.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const groups = [...before, ...(address.includes("::") ? zeros : []), ...after];
  const masked = groups.map((group, index) =>
    (Number.parseInt(group, 16) & maskOf(bits - index * 16, 16)).toString(16),
  );
  return masked.join(":").replace(/(?:^|:)0(?::0)+(?::|$)/, "::");
}

function maskOf(bits: number, width: number): number {
  const kept = Math.min(Math.max(bits, 0), width);
  return (2 ** kept - 1) * 2 ** (width - kept);
}

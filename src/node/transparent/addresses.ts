// The node's and the pods' addresses. A pod's number gives its veth name, its link to the node and its address.

import { err, ok, type Result } from "../../base/result.ts";
import { PODS_MAX } from "./limits.ts";

export interface PodAddresses {
  readonly number: number;
  readonly podIP: string;
  /** The node's end of the pod's link. */
  readonly veth: string;
  readonly nodeLinkIP: string;
  readonly podLinkIP: string;
}

/** The outer namespace's address towards the application: the same in every pod, seen by nobody else. */
export const INNER_GATEWAY_IP = "169.254.0.1";
/** The application's loopback address as the outer namespace knows it, which has one of its own. */
export const INNER_LOOPBACK_IP = "169.254.0.2";

/** Numbers go round, so that an address just given back is the last to be used again. */
export class AddressPool {
  readonly #base: number;
  readonly #used = new Set<number>();
  #next = 1;

  constructor(podCidr: string) {
    this.#base = parseIP(podCidr.replace(/\/\d+$/, ""));
  }

  take(): Result<PodAddresses, string> {
    if (this.#used.size >= PODS_MAX) {
      return err(`the node has no address left: it holds ${PODS_MAX} pods, delete some`);
    }
    while (this.#used.has(this.#next)) this.#advance();
    const number = this.#next;
    this.#used.add(number);
    this.#advance();
    const link = LINK_BASE + number * 4;
    return ok({
      number,
      // The first address behind the network's own is the node's.
      podIP: formatIP(this.#base + 1 + number),
      veth: `weft${number}`,
      nodeLinkIP: formatIP(link + 1),
      podLinkIP: formatIP(link + 2),
    });
  }

  giveBack(addresses: PodAddresses): void {
    this.#used.delete(addresses.number);
  }

  #advance(): void {
    this.#next = this.#next >= PODS_MAX ? 1 : this.#next + 1;
  }
}

const LINK_BASE = parseIP("169.254.0.0");

function parseIP(ip: string): number {
  return ip.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

function formatIP(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

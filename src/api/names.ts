// How names, labels and ports may look: RFC 1123 and Kubernetes' own rules.

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_1035_LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const LABEL_MAX_CHARS = 63;
const SUBDOMAIN_MAX_CHARS = 253;

export function isDnsLabel(name: string): boolean {
  return name.length <= LABEL_MAX_CHARS && DNS_LABEL.test(name);
}

/** As a Service's name must be: it may not begin with a digit. */
export function isDns1035Label(name: string): boolean {
  return name.length <= LABEL_MAX_CHARS && DNS_1035_LABEL.test(name);
}

export function isDnsSubdomain(name: string): boolean {
  return name.length <= SUBDOMAIN_MAX_CHARS && DNS_SUBDOMAIN.test(name);
}

/** `name` or `prefix/name`, as keys of labels and annotations. */
export function isQualifiedName(key: string): boolean {
  const parts = key.split("/");
  if (parts.length > 2) return false;
  const [first = "", second] = parts;
  const name = second ?? first;
  if (second !== undefined && !isDnsSubdomain(first)) return false;
  return name.length <= LABEL_MAX_CHARS && QUALIFIED_PART.test(name);
}

export function isLabelValue(value: string): boolean {
  return value.length <= LABEL_MAX_CHARS && LABEL_VALUE.test(value);
}

export function isPortNumber(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

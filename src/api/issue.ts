// What is wrong with a resource, and where.

export interface Issue {
  /** `error` refuses the object; `warning` is returned beside the answer and stays in status. */
  readonly severity: "error" | "warning";
  /** Field path as Kubernetes writes it: `spec.http[0].route[1].weight`. Empty for the whole object. */
  readonly path: string;
  /** One sentence for a person, with the next step where there is one. */
  readonly message: string;
  /** Why the API refuses a field; decides the wording of the answer. */
  readonly reason?:
    | "unknown"
    | "type"
    | "required"
    | "invalid"
    | "duplicate"
    | "immutable"
    | "ineffective"
    | "unsupported"
    | "missing";
}

export function errorIssue(path: string, message: string, reason: Issue["reason"] = "invalid"): Issue {
  return { severity: "error", path, message, reason };
}

export function warningIssue(path: string, message: string): Issue {
  return { severity: "warning", path, message, reason: "ineffective" };
}

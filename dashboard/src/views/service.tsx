// One service: versions with their split, endpoints, policies, certificates, and how its configuration stands.

import type { ComponentChildren } from "preact";
import type {
  CertificateRow,
  ConfigurationRow,
  EndpointRow,
  FailureRow,
  RouteRow,
  ServiceDetail,
  VersionRow,
} from "../../../src/dashboard/shapes.ts";
import { useAnswer } from "../fetch.ts";
import { count, duration, number, percent, share } from "../format.ts";
import { ConditionBadges, FindingList } from "../parts/resource.tsx";
import { Badge, Mtls, Nothing, Show } from "../parts/state.tsx";
import { href, hrefOf } from "../route.ts";

interface Props {
  readonly id: string;
  /** Of its heading, which differs between a page and a panel. */
  readonly level: 1 | 2;
}

export function ServiceInFull({ id, level }: Props) {
  const [namespace = "", name = ""] = id.split("/");
  const answer = useAnswer<ServiceDetail>(
    `/api/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`,
    5_000,
  );
  const Heading = level === 1 ? "h1" : "h2";
  return (
    <div class="service">
      <Heading tabIndex={-1} class="service-name">
        {name}
        <span class="sub">{namespace}</span>
      </Heading>
      <Show loaded={answer}>{(detail) => <Sections detail={detail} />}</Show>
    </div>
  );
}

function Sections({ detail }: { readonly detail: ServiceDetail }) {
  return (
    <>
      <dl class="facts">
        <dt>Host</dt>
        <dd class="code">{detail.host}</dd>
        <dt>Address</dt>
        <dd class="code">{detail.addresses.join(", ") || "headless"}</dd>
        <dt>Ports</dt>
        <dd>
          {detail.ports.map(({ number: port, protocol, why }) => (
            <span key={port} class="port" title={why}>{`${port} ${protocol}`}</span>
          ))}
        </dd>
        <dt>Mutual TLS</dt>
        <dd>
          {detail.mtls.length === 0 && "–"}
          {detail.mtls.map(({ port, mode, why }) => (
            <p key={`${port} ${mode}`}>
              <Mtls mode={mode} /> <span class="why">{why}</span>
            </p>
          ))}
        </dd>
      </dl>
      <p class="links">
        <a href={hrefOf("metrics", detail.id)}>Metrics over time</a>
      </p>
      <Versions rows={detail.versions} />
      <Endpoints rows={detail.endpoints} />
      <Failures rows={detail.failures} />
      <Routes rows={detail.routes} />
      <Section title="Policies">
        {detail.policies.length === 0 && <Nothing>No policy: whoever reaches it may call it.</Nothing>}
        {detail.policies.map(({ name, action, lines }) => (
          <div key={name} class="entry">
            <p>
              <strong>{name}</strong> <Badge tone="plain">{action}</Badge>
            </p>
            <ul class="lines">
              {lines.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          </div>
        ))}
      </Section>
      <Certificates rows={detail.certificates} />
      <Resources rows={detail.resources} />
    </>
  );
}

function Section({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Versions({ rows }: { readonly rows: readonly VersionRow[] }) {
  return (
    <Section title="Versions">
      {rows.length === 0 && <Nothing>No endpoint and no request tells a version.</Nothing>}
      {rows.map((row) => (
        <div key={row.version} class="version">
          <p class="version-head">
            <strong>{VERSION_WORDS[row.version] ?? row.version}</strong>
            <span class="sub">{count(row.endpoints, "endpoint")}</span>
          </p>
          <div class="meter" aria-hidden="true">
            <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect class="seen" x="0" y="0" width={row.seen ?? 0} height="8" />
              {row.wanted !== undefined && (
                <rect class="wanted" x={Math.max(0, row.wanted - 0.5)} y="0" width="1" height="8" />
              )}
            </svg>
          </div>
          <p class="version-figures">
            <span>{row.seen === undefined ? "no requests" : `${percent(row.seen)} of requests`}</span>
            {row.wanted !== undefined && <span>{`wanted ${percent(row.wanted)}`}</span>}
            <span>{`${number(row.requests)} in the last minute`}</span>
            <span class={row.errorShare > 0 ? "bad-text" : ""}>{`${share(row.errorShare)} errors`}</span>
          </p>
        </div>
      ))}
    </Section>
  );
}

/** What reached nobody has no version. */
const VERSION_WORDS: Readonly<Record<string, string>> = { "": "without a version", unknown: "reached no version" };

function Endpoints({ rows }: { readonly rows: readonly EndpointRow[] }) {
  return (
    <Section title="Endpoints">
      {rows.length === 0 && <Nothing>None is ready: every request to it fails.</Nothing>}
      <ul class="rows">
        {rows.map((row) => (
          <li key={`${row.address}:${row.port}`}>
            <span>
              <strong>{row.pod === "" ? `${row.address}:${row.port}` : row.pod}</strong>
              <span class="sub code">{`${row.address}:${row.port}`}</span>
            </span>
            <span class="badges">
              <Health row={row} />
              {!row.sidecar && <Badge tone="warn">no sidecar</Badge>}
              {row.sync !== "" && <Badge tone={row.sync === "in step" ? "plain" : "warn"}>{`proxy ${row.sync}`}</Badge>}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Health({ row }: { readonly row: EndpointRow }) {
  if (row.ejectedBy.length === 0) return <Badge tone="good">healthy</Badge>;
  return (
    <span title={row.ejectedBy.join(", ")}>
      <Badge tone="bad">{`ejected by ${row.ejectedBy.length} of ${count(row.askedCallers, "caller")}`}</Badge>
    </span>
  );
}

function Failures({ rows }: { readonly rows: readonly FailureRow[] }) {
  const nowMs = Date.now();
  return (
    <Section title="Recent errors and refusals">
      {rows.length === 0 && <Nothing>The proxies remember none.</Nothing>}
      <ul class="rows">
        {rows.map((row) => (
          <li key={`${row.from} ${row.method} ${row.path} ${row.code} ${row.flags} ${row.cause}`}>
            <span>
              <strong>{`${row.method} ${row.path}`}</strong>
              <span class="sub">{`from ${row.from}, ${row.count === 1 ? "once" : `${row.count} times`}, ${duration(nowMs - row.atMs)} ago`}</span>
              {row.cause !== "" && <span class="sub cause">{row.cause}</span>}
            </span>
            <span class="badges">
              <Badge tone={row.code >= 400 && row.code < 500 ? "warn" : "bad"}>
                {row.code === 0 ? "no answer" : String(row.code)}
                {row.flags === "" ? "" : ` ${row.flags}`}
              </Badge>
              {row.traceId !== "" && <a href={href("traces", row.traceId)}>trace</a>}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Routes({ rows }: { readonly rows: readonly RouteRow[] }) {
  if (rows.length === 0) return null;
  return (
    <Section title="Routes">
      {rows.map((row) => (
        <div key={row.rule} class="entry">
          <p>
            <strong>{row.rule}</strong> <span class="why">{row.match.join(" or ") || "every request"}</span>
          </p>
          <ul class="lines">
            {row.action !== "" && <li>{row.action}</li>}
            {row.destinations.map(({ to, percent: part }) => (
              <li key={to}>{`${percent(part)} to ${to}`}</li>
            ))}
            <li>{`timeout ${row.timeout}, retries ${row.retries}`}</li>
          </ul>
        </div>
      ))}
    </Section>
  );
}

function Certificates({ rows }: { readonly rows: readonly CertificateRow[] }) {
  const nowMs = Date.now();
  return (
    <Section title="Certificates">
      {rows.length === 0 && <Nothing>No endpoint has a sidecar, so none has a certificate.</Nothing>}
      <ul class="rows">
        {rows.map((row) => (
          <li key={row.pod}>
            <span>
              <strong>{row.pod}</strong>
              <span class="sub code">{row.problem === "" ? row.identity : row.problem}</span>
            </span>
            {row.problem === "" && (
              <span class="badges" title={`${row.notBefore} to ${row.notAfter}, serial ${row.serial}`}>
                <Badge tone={Date.parse(row.notAfter) > nowMs ? "good" : "bad"}>
                  {`valid for ${duration(Date.parse(row.notAfter) - nowMs)}`}
                </Badge>
              </span>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Resources({ rows }: { readonly rows: readonly ConfigurationRow[] }) {
  return (
    <Section title="Configuration">
      <ul class="rows">
        {rows.map((row) => (
          <li key={`${row.kind} ${row.name}`} class="resource">
            <span>
              <a href={href("configuration", row.kind, row.namespace, row.name)}>{`${row.kind} ${row.name}`}</a>
            </span>
            <ConditionBadges conditions={row.conditions} />
            <FindingList findings={row.findings} />
          </li>
        ))}
      </ul>
    </Section>
  );
}

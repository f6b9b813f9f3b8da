// nginx, where it is installed: the load's origin, and the floor, which does no more than pass requests on.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import type { CaseOptions } from "./bootstrap.ts";
import { SERVER_NAME } from "./certificates.ts";
import { BODY_BYTES } from "./load/origin.ts";

export interface NginxBinary {
  readonly command: string;
  readonly version: string;
}

export function findNginx(): NginxBinary | undefined {
  for (const command of ["nginx", "/usr/sbin/nginx"]) {
    const answer = spawnSync(command, ["-v"], { encoding: "utf8" });
    const version = /nginx\/(\S+)/.exec(answer.stderr ?? "")?.[1];
    if (version !== undefined) return { command, version };
  }
  return undefined;
}

/** One process, in the foreground. */
export function nginxArguments(folder: string, configFile: string): readonly string[] {
  return ["-p", folder, "-c", configFile, "-e", path.join(folder, "nginx-error.log")];
}

/** Files of each size under any path that ends in its name. */
export function originConfig(folder: string, port: number): string {
  const files = path.join(folder, "files");
  fs.mkdirSync(files, { recursive: true, mode: 0o755 });
  for (const [name, bytes] of Object.entries(BODY_BYTES)) fs.writeFileSync(path.join(files, name), "x".repeat(bytes));
  return httpConfig(
    folder,
    `
    open_file_cache max=16;
    default_type text/plain;
    server {
      listen 127.0.0.1:${port} backlog=4096;
      root ${files};
      rewrite ^/.*/([^/]+)$ /$1 break;
    }`,
  );
}

export function plainFloor(options: CaseOptions): string {
  return httpConfig(
    options.certificates.folder,
    `
    upstream origin { server 127.0.0.1:${options.originPort}; keepalive 1024; }
    server { listen 127.0.0.1:${options.frontPort} backlog=4096; ${passTo("http://origin")} }`,
  );
}

export function pairFloor(options: CaseOptions): string {
  const { certificates: files } = options;
  return httpConfig(
    files.folder,
    `
    upstream middle { server 127.0.0.1:${options.middlePort}; keepalive 1024; }
    upstream origin { server 127.0.0.1:${options.originPort}; keepalive 1024; }
    server {
      listen 127.0.0.1:${options.frontPort} backlog=4096;
      proxy_ssl_certificate ${files.client.chain};
      proxy_ssl_certificate_key ${files.client.key};
      proxy_ssl_trusted_certificate ${files.root};
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_server_name on;
      proxy_ssl_name ${SERVER_NAME};
      ${passTo("https://middle")}
    }
    server {
      listen 127.0.0.1:${options.middlePort} ssl backlog=4096;
      ssl_certificate ${files.server.chain};
      ssl_certificate_key ${files.server.key};
      ssl_client_certificate ${files.root};
      ssl_verify_client on;
      ssl_protocols TLSv1.3;
      ${passTo("http://origin")}
    }`,
  );
}

function passTo(target: string): string {
  return `location / { proxy_pass ${target}; proxy_http_version 1.1; proxy_set_header Connection ""; }`;
}

function httpConfig(folder: string, body: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${path.join(folder, name)};`)
    .join(" ");
  return `daemon off; master_process off; pid ${path.join(folder, "nginx.pid")};
error_log ${path.join(folder, "nginx-error.log")} error;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    access_log off; keepalive_requests 1000000000; tcp_nodelay on; sendfile on;
    ${temporary}${body}
}
`;
}

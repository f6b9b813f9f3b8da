// Types of bundle-proxy.js, which is plain JavaScript so that any Node can run it.

/** The bundle's path; made when the sources have changed since it was made last. */
export function bundleProxy(): Promise<string>;

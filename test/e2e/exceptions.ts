// Rows that the explicit mode can't hold, or Envoy: closed lists, each with its reason.

export const NOT_IN_EXPLICIT_MODE: Readonly<Record<string, string>> = {
  "PERMISSIVE lets plaintext pass":
    "without an original destination, plaintext on 15006 names no port; the application's own port is open beside it",
  "DISABLE lets plaintext pass":
    "without an original destination, plaintext on 15006 names no port; the application's own port is open beside it",
  "openssl s_client, as the post does, shows the server's SPIFFE identity":
    "no mesh DNS and no interception: a service's name leads nowhere for a program that takes no proxy variables",
  "cert-chain.pem, as the post reads it, is the pod's":
    "no mount namespace, so no /etc/certs; the same file is under $WEFT_FILES_ROOT, which another row reads",
  "the post's curl of localhost:15000/stats shows circuit breakers":
    "pods share one loopback; the admin interface is on the pod's own address, which another row asks",
  "the post's curl of localhost:15000/clusters shows outliers":
    "pods share one loopback; the admin interface is on the pod's own address, which another row asks",
  "Envoy that ends takes its container with it, which starts again":
    "pods share one space of processes, where one container's Envoy can't be told from another's",
};

export const NOT_WITH_ENVOY: Readonly<Record<string, string>> = {
  "the post's mTLS metric is among the metrics":
    "the name is none of Envoy's; what Envoy counts of its TLS contexts is listener.*.server_ssl_socket_factory.*",
  "the application gets the trace in the headers of the other tracers too":
    "Envoy writes W3C's traceparent and B3 in several headers, whatever came; b3 in one and uber-trace-id it doesn't know",
};

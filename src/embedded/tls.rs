//! The API over TLS, for kubectl: certificates of its own authority, and a kubeconfig.

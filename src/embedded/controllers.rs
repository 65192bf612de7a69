//! What a control plane does by itself: namespaces, garbage collection, service accounts, workloads that come up.

//! YAML as Kubernetes tools read it.

//! What is known of the kinds that kube-apiserver itself serves, and of those only: where it drops, defaults
//! or rewrites values. Everything here saves a request; nothing here is needed to be right.

use serde_json::{Value, json};

use crate::manifest::Gvk;

const GROUPS: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// A kind as far as comparing needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    group: &'a str,
    kind: &'a str,
    /// Whether kube-apiserver's own types stand behind the kind.
    pub(super) builtin: bool,
}

impl<'a> Kind<'a> {
    pub(super) fn of(gvk: &'a Gvk) -> Self {
        Self { group: &gvk.group, kind: &gvk.kind, builtin: GROUPS.contains(&&*gvk.group) }
    }

    /// Says whether the kind has the write-only field `stringData`.
    pub(super) fn is_secret(self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }

    /// Says whether the map at `path` is a map of strings without defaults: removing an entry from what is
    /// applied removes it from the object.
    pub(super) fn is_free_map(self, path: &[&str]) -> bool {
        let data = self.group.is_empty() && matches!(self.kind, "ConfigMap" | "Secret");
        match path {
            ["metadata", "labels" | "annotations"] => true,
            ["data" | "binaryData"] => data,
            _ => false,
        }
    }

    /// Says whether an empty map at `path` says nothing about the members that the live map has: its members
    /// are owned one by one.
    pub(super) fn is_granular(self, path: &[&str]) -> bool {
        match path {
            [.., "metadata", "labels" | "annotations"] => true,
            ["spec", "strategy" | "updateStrategy"] => self.group == "apps",
            [.., "securityContext" | "resources"] => self.builtin,
            _ => false,
        }
    }

    /// Says whether the server adds this member to a map that is owned as a whole.
    pub(super) fn is_default(self, name: &str, value: &Value) -> bool {
        if !self.builtin {
            return false;
        }
        let text = value.as_str();
        match name {
            "apiVersion" => text == Some("v1"),
            "protocol" => text == Some("TCP"),
            "volumeMode" => text == Some("Filesystem"),
            "divisor" => text == Some("0"),
            "expirationSeconds" => value.as_u64() == Some(3600),
            "kind" => text == Some("PersistentVolumeClaim") && self.kind == "StatefulSet",
            "status" => self.kind == "StatefulSet" && *value == json!({"phase": "Pending"}),
            "apiGroup" => {
                text == Some("rbac.authorization.k8s.io") && self.group == "rbac.authorization.k8s.io"
            }
            "scope" => text == Some("*") && self.group == "admissionregistration.k8s.io",
            _ => false,
        }
    }

    /// Says whether the server drops this member from a map that is owned as a whole.
    pub(super) fn is_dropped(self, value: &Value) -> bool {
        value.is_null()
            || self.group == "rbac.authorization.k8s.io" && value.as_array().is_some_and(Vec::is_empty)
    }

    /// Says whether the server leaves a field away that has this value: Go's zero values.
    pub(super) fn is_zero(self, value: &Value) -> bool {
        self.builtin
            && match value {
                Value::Null => true,
                Value::Bool(value) => !value,
                Value::Number(value) => value.as_f64() == Some(0.0),
                Value::String(value) => value.is_empty(),
                Value::Array(value) => value.is_empty(),
                Value::Object(value) => value.is_empty(),
            }
    }

    /// Says whether the server rewrites the value at `path` as a quantity (`1000m` → `1`).
    pub(super) fn is_quantity(self, path: &[&str]) -> bool {
        self.builtin
            && match path {
                [.., "sizeLimit" | "averageValue" | "divisor"]
                | [.., "limits" | "requests" | "hard" | "capacity" | "overhead" | "podFixed", _] => true,
                [.., "max" | "min" | "default" | "defaultRequest" | "maxLimitRequestRatio", _] => {
                    self.kind == "LimitRange"
                }
                _ => false,
            }
    }
}

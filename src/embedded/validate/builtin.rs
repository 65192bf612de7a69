//! What kube-apiserver's validation knows of built-in kinds: the checks that people run into.

mod batch;
mod containers;
mod core;
mod network;
mod pods;
mod policy;
mod rbac;
mod selectors;
mod services;
mod storage;
mod volumes;
mod workloads;

use serde_json::Value;

use super::findings::Findings;
use super::metadata::Naming;
use super::names;
use crate::embedded::custom;

/// What names of a kind look like.
pub(super) fn naming(group: &str, kind: &str) -> Naming {
    match (group, kind) {
        ("", "Namespace") | ("apps", "StatefulSet") => names::dns_label,
        ("", "Service") => services::name,
        ("rbac.authorization.k8s.io" | "policy" | "apiregistration.k8s.io", _) => names::path_segment,
        _ => names::dns_subdomain,
    }
}

/// Checks everything but metadata. `before` is what the object replaces.
pub(super) fn check(found: &mut Findings, group: &str, kind: &str, object: &Value, before: Option<&Value>) {
    match (group, kind) {
        ("", "Pod") => pods::pod(found, object, before),
        ("", "PodTemplate") => pods::template(found, &object["template"], "template"),
        ("", "Service") => services::check(found, object, before),
        ("", "ConfigMap") => core::config_map(found, object, before),
        ("", "Secret") => core::secret(found, object, before),
        ("", "Namespace") => core::namespace(found, object),
        ("", "LimitRange" | "ResourceQuota") => core::quantities(found, object),
        ("", "PersistentVolumeClaim") => storage::claim(found, object, before),
        ("", "PersistentVolume") => storage::volume(found, object, before),
        ("", "ReplicationController") => workloads::replication_controller(found, object),
        ("apps", "Deployment") => workloads::deployment(found, object, before),
        ("apps", "ReplicaSet") => workloads::replica_set(found, object, before),
        ("apps", "StatefulSet") => workloads::stateful_set(found, object, before),
        ("apps", "DaemonSet") => workloads::daemon_set(found, object, before),
        ("apps", "ControllerRevision") => workloads::controller_revision(found, object, before),
        ("batch", "Job") => batch::job(found, object, before),
        ("batch", "CronJob") => batch::cron_job(found, object, before.is_none()),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::role(found, object, kind),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::binding(found, object, before, kind);
        }
        ("networking.k8s.io", "NetworkPolicy") => network::policy(found, object),
        ("networking.k8s.io", "Ingress") => network::ingress(found, object),
        ("networking.k8s.io", "IngressClass") => network::ingress_class(found, object, before),
        ("policy", "PodDisruptionBudget") => policy::disruption_budget(found, object),
        ("autoscaling", "HorizontalPodAutoscaler") => policy::autoscaler(found, object),
        ("scheduling.k8s.io", "PriorityClass") => policy::priority_class(found, object, before),
        ("storage.k8s.io", "StorageClass") => storage::class(found, object, before),
        ("coordination.k8s.io", "Lease") => policy::lease(found, object),
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => {
            policy::webhooks(found, object);
        }
        ("apiregistration.k8s.io", "APIService") => policy::api_service(found, object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => found.0.extend(custom::check(object, before)),
        _ => {}
    }
}

//! The cells of the built-in kinds, in the order of the columns that the data file has of them.

use serde_json::Value;

use super::super::kinds::{Kind, convert};
use super::text::{containers, labels, of, or_none, scalar, selector, size, texts, three};
use super::{Row, cluster, network, pods, row, volumes, workloads};

pub(super) fn cells(kind: &Kind, row: &Row<'_>) -> Vec<Value> {
    let (name, age) = (row.name(), row.age());
    match &*kind.gvk.kind {
        "Pod" => pods::cells(row),
        "Event" => {
            let mut event = row.object.clone();
            convert(&mut event, &kind.gvk, &kind.stored());
            cluster::event(&Row { object: &event, now: row.now })
        }
        "APIService" => row![name, cluster::api_service(row), cluster::availability(row), age],
        "ConfigMap" => row![name, size(row.at("data")) + size(row.at("binaryData")), age],
        "ControllerRevision" => row![name, workloads::controller(row), row.number("revision"), age],
        "CronJob" => workloads::cron_job(row),
        "CSIDriver" => volumes::csi_driver(row),
        "CSINode" => row![name, row.list("spec.drivers").len(), age],
        "CustomResourceDefinition" => cluster::definition(row),
        "DaemonSet" => workloads::daemon_set(row),
        "Deployment" => {
            let ready = of(row.number("status.readyReplicas"), row.number("spec.replicas"));
            let updated = row.number("status.updatedReplicas");
            let available = row.number("status.availableReplicas");
            let (names, images) = containers(row.at("spec.template.spec.containers"));
            row![name, ready, updated, available, age, names, images, selector(row.at("spec.selector"))]
        }
        "Endpoints" => row![name, network::endpoints(row.list("subsets")), age],
        "EndpointSlice" => {
            let ports = row.list("ports").iter().map(network::port).collect::<Vec<_>>();
            let addresses = row.list("endpoints").iter().flat_map(|endpoint| texts(&endpoint["addresses"]));
            let addresses: Vec<String> = addresses.map(str::to_owned).collect();
            row![name, row.text("addressType"), three(&ports), three(&addresses), age]
        }
        "HorizontalPodAutoscaler" => workloads::autoscaler(row),
        "Ingress" => {
            let class = row.text_or("spec.ingressClassName", "<none>");
            let ports = if row.list("spec.tls").is_empty() { "80" } else { "80, 443" };
            row![name, class, network::hosts(row.list("spec.rules")), network::balancer(row), ports, age]
        }
        "IngressClass" => network::ingress_class(row),
        "IPAddress" => row![name, network::parent(row), age],
        "Job" => workloads::job(row),
        "Lease" => row![name, row.text("spec.holderIdentity"), age],
        "Namespace" => row![name, row.text("status.phase"), age],
        "NetworkPolicy" => row![name, or_none(selector(row.at("spec.podSelector"))), age],
        "Node" => workloads::node(row),
        "PersistentVolume" => volumes::volume(row),
        "PersistentVolumeClaim" => volumes::claim(row),
        "PodDisruptionBudget" => {
            let limit = |path| scalar(row.at(path)).unwrap_or_else(|| "N/A".into());
            let allowed = row.number("status.disruptionsAllowed");
            row![name, limit("spec.minAvailable"), limit("spec.maxUnavailable"), allowed, age]
        }
        "PodTemplate" => {
            let (names, images) = containers(row.at("template.spec.containers"));
            row![name, names, images, or_none(labels(row.at("template.metadata.labels")))]
        }
        "PriorityClass" => {
            let (value, default) = (row.number("value"), row.flag("globalDefault"));
            row![name, value, default, age, row.text("preemptionPolicy")]
        }
        "ReplicaSet" | "ReplicationController" => workloads::replicas(row),
        "ResourceQuota" => workloads::quota(row),
        "RoleBinding" | "ClusterRoleBinding" => cluster::binding(row),
        "Secret" => row![name, row.text("type"), size(row.at("data")), age],
        "Service" => network::service(row),
        "ServiceAccount" => row![name, age],
        "ServiceCIDR" => row![name, texts(row.at("spec.cidrs")).join(","), age],
        "StatefulSet" => {
            let ready = of(row.number("status.readyReplicas"), row.number("spec.replicas"));
            let (names, images) = containers(row.at("spec.template.spec.containers"));
            row![name, ready, age, names, images]
        }
        "StorageClass" => volumes::storage_class(row),
        "MutatingAdmissionPolicy" => {
            row![name, row.list("spec.mutations").len(), cluster::parameters(row), age]
        }
        "ValidatingAdmissionPolicy" => {
            row![name, row.list("spec.validations").len(), cluster::parameters(row), age]
        }
        "MutatingAdmissionPolicyBinding" | "ValidatingAdmissionPolicyBinding" => {
            row![name, row.text("spec.policyName"), cluster::parameter(row), age]
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            row![name, row.list("webhooks").len(), age]
        }
        "VolumeAttachment" => {
            let volume = row.text("spec.source.persistentVolumeName");
            let attached = row.flag("status.attached");
            row![name, row.text("spec.attacher"), volume, row.text("spec.nodeName"), attached, age]
        }
        "VolumeAttributesClass" => row![name, row.text("driverName"), age],
        _ => row![name, row.text("metadata.creationTimestamp")],
    }
}

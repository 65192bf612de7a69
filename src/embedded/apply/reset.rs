//! Fields that a write does not touch, so that nobody comes to own them by it: `status`, when the object
//! itself is written, and everything else when its status is.

use super::super::kinds::Kind;

/// Groups whose objects keep their metadata when their status is written.
const META_STAYS: [&str; 8] = [
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// The fields of a kind that a write of the object (`subresource` is empty) or of a subresource of it
/// leaves as they are: what the `GetResetFields` of Kubernetes' strategies say.
#[must_use]
pub fn reset(kind: &Kind, subresource: &str) -> &'static [&'static [&'static str]] {
    let name = &*kind.gvk.kind;
    match (subresource, name) {
        ("", "CertificateSigningRequest") => &[&["spec"], &["status"]],
        ("", _) if kind.has("status") => &[&["status"]],
        ("status", "Deployment") => &[&["metadata", "labels"], &["spec"]],
        ("status", "Pod") => {
            &[&["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"], &["spec"]]
        }
        ("status", "CertificateSigningRequest") => &[&["spec"], &["status", "conditions"]],
        ("approval", "CertificateSigningRequest") => &[&["spec"], &["status", "certificate"]],
        ("status", "ServiceCIDR" | "PodCertificateRequest") => &[&["metadata"], &["spec"]],
        ("status", _) if kind.custom.is_some() || META_STAYS.contains(&&*kind.gvk.group) => {
            &[&["metadata"], &["spec"]]
        }
        ("status", _) => &[&["spec"]],
        ("finalize", "Namespace") => &[&["status"]],
        _ => &[],
    }
}

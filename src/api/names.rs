//! The words by which the API is known: groups, kinds, annotations, labels, finalizers, and the
//! objects that an installation consists of.

/// API group of what users see.
pub const GROUP: &str = "gitops";
/// Version of what users see.
pub const VERSION: &str = "v1";
/// `apiVersion` of what users see.
pub const API_VERSION: &str = "gitops/v1";
/// Category that `kubectl get gitops` lists.
pub const CATEGORY: &str = "gitops";

/// Kind of an application.
pub const APPLICATION: &str = "Application";
/// Resource name of applications.
pub const APPLICATIONS: &str = "applications";
/// Singular resource name of applications.
pub const APPLICATION_SINGULAR: &str = "application";
/// Short resource name of applications.
pub const APPLICATION_SHORT: &str = "gapp";

/// Kind of a project.
pub const PROJECT: &str = "Project";
/// Resource name of projects.
pub const PROJECTS: &str = "projects";
/// Singular resource name of projects.
pub const PROJECT_SINGULAR: &str = "project";
/// Short resource name of projects.
pub const PROJECT_SHORT: &str = "gproj";

/// Subresource that holds what the controller observed.
pub const STATUS: &str = "status";
/// Subresource that lists Kubernetes events of an application and its objects.
pub const EVENTS: &str = "events";
/// Subresource that asks for a new comparison.
pub const REFRESH: &str = "refresh";
/// Subresource that asks for a sync.
pub const SYNC: &str = "sync";

/// API group of the custom resources that hold our objects. A CRD's group needs a dot.
pub const STORAGE_GROUP: &str = "storage.gitops";
/// `apiVersion` of the custom resources that hold our objects.
pub const STORAGE_API_VERSION: &str = "storage.gitops/v1";
/// Kind of a stored application.
pub const STORED_APPLICATION: &str = "StoredApplication";
/// Resource name of stored applications.
pub const STORED_APPLICATIONS: &str = "storedapplications";
/// Singular resource name of stored applications.
pub const STORED_APPLICATION_SINGULAR: &str = "storedapplication";
/// Kind of a stored project.
pub const STORED_PROJECT: &str = "StoredProject";
/// Resource name of stored projects.
pub const STORED_PROJECTS: &str = "storedprojects";
/// Singular resource name of stored projects.
pub const STORED_PROJECT_SINGULAR: &str = "storedproject";

/// Annotation that asks for a refresh; `normal` or `hard`.
pub const REFRESH_ANNOTATION: &str = "gitops/refresh";
/// Annotation that says when the refresh was asked for, RFC 3339 with microseconds.
pub const REFRESH_REQUESTED_AT_ANNOTATION: &str = "gitops/refresh-requested-at";
/// Annotation of applied objects: `<project>_<name>:<group>/<kind>:<namespace>/<name>`.
pub const TRACKING_ID_ANNOTATION: &str = "gitops/tracking-id";
/// Label of applied objects, by which the live ones are found.
pub const APPLICATION_LABEL: &str = "gitops/application";
/// Finalizer: delete the application's objects before the application.
pub const RESOURCES_FINALIZER: &str = "gitops/resources";

/// Argo CD's annotation that asks for a refresh.
pub const ARGO_REFRESH_ANNOTATION: &str = "argocd.argoproj.io/refresh";
/// Argo CD's annotation that stops all work on an application when it is `"true"`.
pub const ARGO_SKIP_RECONCILE_ANNOTATION: &str = "argocd.argoproj.io/skip-reconcile";
/// Argo CD's finalizer: delete the application's objects in the foreground.
pub const ARGO_RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, spelled out.
pub const ARGO_FOREGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/foreground";
/// Argo CD's finalizer: delete the application's objects in the background.
pub const ARGO_BACKGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/background";

/// Field manager of everything that an application applies.
pub const FIELD_MANAGER: &str = "gitops";
/// Service account of a project's namespace that its applications are applied with.
pub const DEPLOYER: &str = "gitops-deployer";

/// Namespace of gitopsd itself.
pub const SYSTEM_NAMESPACE: &str = "gitops-system";
/// Service in front of gitopsd.
pub const SERVICE: &str = "gitops";
/// Port of that service.
pub const SERVICE_PORT: u16 = 443;
/// Service account of gitopsd itself.
pub const SERVICE_ACCOUNT: &str = "gitopsd";
/// Secret that holds the serving certificate and the authority that signed it.
pub const SERVING_CERT_SECRET: &str = "gitopsd-serving-cert";
/// Name of our `APIService`.
pub const API_SERVICE: &str = "v1.gitops";

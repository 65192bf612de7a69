//! Whether the caller may. The cluster's own authorizers decide, asked by `SubjectAccessReview`; their
//! answers are kept for some seconds. Without an answer nothing is allowed. Every request is asked
//! about, also those that kube-apiserver let through: our port can be reached without it, and on the
//! `project/…` paths it does not see what is really asked for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use sha2::{Digest as _, Sha256};

use super::authentication::{MASTERS, User};
use super::cache::Cache;
use super::failure::{Failure, Subject};
use super::request::{RequestInfo, Resource, Subresource, Verb};
use crate::api::names::{GROUP, VERSION};

const ANSWER_TTL: Duration = Duration::from_secs(10);
const ANSWER_COUNT: usize = 8192;
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// What somebody wants to do, in the words of Kubernetes RBAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// An action on a resource of any group.
    Resource(Access),
    /// Reading a path that belongs to no resource.
    Path {
        /// `get`, for all that we serve.
        verb: &'static str,
        /// The path, without query.
        path: String,
    },
}

/// An action on a resource. Empty fields mean "all" or "none", as in RBAC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: Cow<'static, str>,
    namespace: String,
    name: String,
}

impl Access {
    /// Starts with an action on one of our resources, in the whole cluster.
    #[must_use]
    pub fn to(verb: Verb, resource: Resource) -> Self {
        Self {
            verb: verb.as_str(),
            group: GROUP,
            version: VERSION,
            resource: resource.plural(),
            ..Self::default()
        }
    }

    /// Asks for the subresource instead.
    #[must_use]
    pub fn subresource(mut self, subresource: Subresource) -> Self {
        self.subresource = subresource.as_str().into();
        self
    }

    /// Narrows to a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Narrows to an object.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Makes the access that acting as somebody else needs.
    pub(super) fn impersonate(group: &'static str, resource: &'static str, name: &str) -> Self {
        Self { verb: "impersonate", group, resource, name: name.into(), ..Self::default() }
    }

    /// Narrows to a subresource that is not one of ours.
    pub(super) fn part(mut self, part: String) -> Self {
        self.subresource = part.into();
        self
    }
}

impl From<Access> for Attributes {
    fn from(access: Access) -> Self {
        Self::Resource(access)
    }
}

impl From<&RequestInfo> for Attributes {
    fn from(info: &RequestInfo) -> Self {
        let mut access = Access::to(info.verb, info.resource)
            .namespace(info.namespace.clone().unwrap_or_default())
            .name(info.name.clone().or_else(|| info.selected_name.clone()).unwrap_or_default());
        if let Some(subresource) = info.subresource {
            access = access.subresource(subresource);
        }
        Self::Resource(access)
    }
}

impl Attributes {
    /// Names the reading of a path that belongs to no resource.
    #[must_use]
    pub fn reading(path: &str) -> Self {
        Self::Path { verb: "get", path: path.into() }
    }

    /// Returns the refusal, in the words of kube-apiserver.
    pub(super) fn refused_to(&self, user: &User, reason: &str) -> Failure {
        let colon = if reason.is_empty() { "" } else { ": " };
        match self {
            Self::Path { verb, path } => {
                let text = escape(&format!("User {:?} cannot {verb} path {path:?}", user.name));
                Failure::forbidden_path(format_args!("{text}{colon}{reason}"))
            }
            Self::Resource(access) => {
                let text = escape(&access.sentence(user));
                let subject = Subject::new(access.resource, access.group);
                Failure::forbidden(subject, &access.name, format_args!("{text}{colon}{reason}"))
            }
        }
    }

    fn review(&self, user: &User) -> SubjectAccessReviewSpec {
        let mut spec = SubjectAccessReviewSpec {
            user: some(&user.name),
            uid: some(&user.uid),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
            ..SubjectAccessReviewSpec::default()
        };
        match self {
            Self::Path { verb, path } => {
                spec.non_resource_attributes =
                    Some(NonResourceAttributes { verb: some(verb), path: some(path) });
            }
            Self::Resource(access) => spec.resource_attributes = Some(access.attributes()),
        }
        spec
    }
}

impl Access {
    fn sentence(&self, user: &User) -> String {
        let Self { verb, group, resource, subresource, namespace, .. } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        format!(
            "User {:?} cannot {verb} resource \"{resource}{slash}{subresource}\" in API group {group:?} {place}",
            user.name
        )
    }

    fn attributes(&self) -> ResourceAttributes {
        let Self { verb, group, version, resource, subresource, namespace, name } = self;
        ResourceAttributes {
            verb: some(verb),
            group: some(group),
            version: some(version),
            resource: some(resource),
            subresource: some(subresource),
            namespace: some(namespace),
            name: some(name),
            ..ResourceAttributes::default()
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// kube-apiserver escapes what a browser could take for markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Asks the cluster whether somebody may do something. Clones share their answers.
#[derive(Clone)]
pub struct Authorizer {
    reviews: kube::Api<SubjectAccessReview>,
    answers: Arc<Cache<Answer>>,
}

#[derive(Debug, Clone)]
enum Answer {
    Allowed,
    Refused(Box<str>),
}

impl Authorizer {
    /// Makes one that asks through `client`, whose user must have the role `system:auth-delegator`.
    #[must_use]
    pub fn new(client: kube::Client) -> Self {
        Self { reviews: kube::Api::all(client), answers: Arc::new(Cache::new(ANSWER_TTL, ANSWER_COUNT)) }
    }

    /// Succeeds only if the cluster says that `user` may. Fails with 403 if not, and with 503 if there
    /// is no answer.
    pub async fn check(&self, user: &User, attributes: &Attributes) -> Result<(), Failure> {
        if user.is_in(MASTERS) {
            return Ok(());
        }
        let spec = attributes.review(user);
        let key = Sha256::digest(serde_json::to_vec(&spec).map_err(Failure::internal)?).into();
        let answer = match self.answers.lookup(&key, Instant::now()) {
            Some(answer) => answer,
            None => self
                .ask(spec)
                .await
                .inspect(|answer| self.answers.keep(key, answer.clone(), Instant::now()))?,
        };
        match answer {
            Answer::Allowed => Ok(()),
            Answer::Refused(reason) => Err(attributes.refused_to(user, &reason)),
        }
    }

    async fn ask(&self, spec: SubjectAccessReviewSpec) -> Result<Answer, Failure> {
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let parameters = PostParams::default();
        let answered = tokio::time::timeout(REVIEW_TIMEOUT, self.reviews.create(&parameters, &review)).await;
        let status = match answered {
            Ok(Ok(review)) => review.status,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot ask kube-apiserver whether a request is allowed");
                None
            }
            Err(_) => {
                tracing::warn!("kube-apiserver does not answer whether a request is allowed");
                None
            }
        };
        let Some(status) = status else {
            let message = "whether the request is allowed could not be found out; try again";
            return Err(Failure::unavailable(message).with_retry_after(1));
        };
        Ok(if status.allowed && status.denied != Some(true) {
            Answer::Allowed
        } else {
            Answer::Refused(status.reason.unwrap_or_default().into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::server::fake;

    fn alice() -> User {
        User { name: "alice".into(), groups: vec!["team".into()], ..User::default() }
    }

    fn sync() -> Attributes {
        let access = Access::to(Verb::Create, Resource::Applications).subresource(Subresource::Sync);
        access.namespace("demo").name("a").into()
    }

    /// Answers reviews by `decide`, which gets their spec, and counts them.
    fn authorizer(decide: fn(&Value) -> Value) -> (Authorizer, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let client = fake::cluster(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(request.path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
            (201, json!({"metadata": {}, "spec": {}, "status": decide(&request.body["spec"])}))
        });
        (Authorizer::new(client), count)
    }

    #[tokio::test]
    async fn what_the_cluster_allows_is_asked_once() {
        let (authorizer, count) = authorizer(|spec| {
            assert_eq!(
                *spec,
                json!({"user": "alice", "groups": ["team"], "resourceAttributes": {
                    "verb": "create", "group": "gitops", "version": "v1", "resource": "applications",
                    "subresource": "sync", "namespace": "demo", "name": "a",
                }})
            );
            json!({"allowed": true})
        });
        for _ in 0..3 {
            authorizer.check(&alice(), &sync()).await.unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn refusals_are_worded_as_kube_apiserver_does() {
        let (authorizer, count) = authorizer(|_| json!({"allowed": false}));
        let refused = |attributes: Attributes| {
            let authorizer = authorizer.clone();
            async move { authorizer.check(&alice(), &attributes).await.unwrap_err() }
        };
        let failure = refused(sync()).await;
        assert_eq!(failure.code(), 403);
        assert_eq!(
            failure.to_string(),
            "applications.gitops \"a\" is forbidden: User \"alice\" cannot create resource \"applications/sync\" \
             in API group \"gitops\" in the namespace \"demo\""
        );
        refused(sync()).await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(
            refused(Access::to(Verb::List, Resource::Projects).into()).await.to_string(),
            "projects.gitops is forbidden: User \"alice\" cannot list resource \"projects\" in API group \"gitops\" \
             at the cluster scope"
        );
        assert_eq!(
            refused(Attributes::Path { verb: "get", path: "/a&b".into() }).await.to_string(),
            "forbidden: User \"alice\" cannot get path \"/a&amp;b\""
        );
    }

    #[tokio::test]
    async fn reasons_are_passed_on_and_denial_wins() {
        let (authorizer, _) = authorizer(|_| json!({"allowed": true, "denied": true, "reason": "not today"}));
        let failure = authorizer.check(&alice(), &sync()).await.unwrap_err();
        assert!(failure.to_string().ends_with("in the namespace \"demo\": not today"), "{failure}");
    }

    #[tokio::test]
    async fn masters_are_not_asked_about() {
        let (authorizer, count) = authorizer(|_| json!({"allowed": false}));
        let master = User { groups: vec![MASTERS.into()], ..alice() };
        authorizer.check(&master, &sync()).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nothing_is_allowed_without_an_answer() {
        let client = fake::cluster(|_| (403, fake::status(403, "Forbidden", "you may not ask")));
        let failure = Authorizer::new(client).check(&alice(), &sync()).await.unwrap_err();
        assert_eq!(failure.code(), 503);
        let (silent, _) = authorizer(|_| Value::Null);
        assert_eq!(silent.check(&alice(), &sync()).await.unwrap_err().code(), 503);
    }
}

//! gitops/v1 beside a twin: a CRD with the same schema, in another group of the same kube-apiserver.
//! Whatever is sent to both is answered in the same way, but for the differences listed with the
//! requests.

mod normal;
mod requests;

use std::thread;

use serde_json::{Value, json};

use self::{
    normal::{Words, normal},
    requests::{Difference, Row},
};
use crate::harness::{
    api::{Answer, Api, Identity, Request},
    cluster::Cluster,
    gitopsd::Gitopsd,
    patience::eventually,
    project::Project,
};

const NAMESPACE: &str = "conformance";

/// A group and kind to send the requests to.
#[derive(Clone, Copy)]
struct Side {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const OURS: Side = Side { group: "gitops", kind: "Application", plural: "applications" };
const TWIN: Side = Side { group: "twin.example", kind: "TwinSet", plural: "twinsets" };

impl Side {
    /// Puts this side's names in the place of ours.
    fn spell(self, text: &str) -> String {
        text.replace("gitops/v1", &format!("{}/v1", self.group))
            .replace("Application", self.kind)
            .replace("/applications", &format!("/{}", self.plural))
    }

    fn words(self) -> Words<'static> {
        Words { from: self.words_of(), to: OURS.words_of() }
    }

    fn words_of(self) -> [&'static str; 3] {
        [self.group, self.kind, self.plural]
    }

    /// Sends one request. `{uid}` and `{version}` stand for those of the application in the path.
    fn ask(self, api: &Api, row: &Row) -> Answer {
        let mut line = self.spell(row.line);
        let mut body = self.spell(&row.body);
        if line.contains("{version}") || body.contains("{version}") || body.contains("{uid}") {
            let path = line.split(' ').nth(1).and_then(|path| path.split('?').next()).unwrap_or_default();
            let object = api.get(path).json();
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            line = line.replace("{version}", &text("resourceVersion"));
            body = body.replace("{version}", &text("resourceVersion")).replace("{uid}", &text("uid"));
        }
        let mut headers: Vec<(&str, &str)> = row.headers.to_vec();
        if !row.content_type.is_empty() {
            headers.push(("Content-Type", row.content_type));
        }
        api.ask(&Request { line: &line, headers: &headers, body: &body })
    }
}

/// Registers the twin: the CRD that stores applications, under other names.
fn register_twin(cluster: &Cluster) {
    let ours = cluster.admin().get("crd storedapplications.storage.gitops");
    let mut spec = ours["spec"].clone();
    spec["group"] = TWIN.group.into();
    spec["names"] = json!({"kind": TWIN.kind, "listKind": format!("{}List", TWIN.kind),
        "plural": TWIN.plural, "singular": TWIN.kind.to_lowercase()});
    let name = format!("{}.{}", TWIN.plural, TWIN.group);
    let twin = json!({"apiVersion": ours["apiVersion"], "kind": ours["kind"], "metadata": {"name": name}, "spec": spec});
    cluster.admin().kubectl_with("create -f -", &twin.to_string()).out();
    let list = format!("get --raw /apis/{}/v1/{}", TWIN.group, TWIN.plural);
    eventually("the twin is served", || cluster.admin().kubectl(&list).attempt());
}

#[test]
fn answers_are_those_of_a_crd() {
    let gitopsd = Gitopsd::shared();
    let cluster = gitopsd.cluster();
    let _project = Project::new(cluster, NAMESPACE);
    register_twin(cluster);
    let api = &Api::kubernetes(cluster, Identity::Known("admin"));
    let mut wrong = Vec::new();
    for row in requests::rows() {
        let (ours, twins) = thread::scope(|scope| {
            let twins = scope.spawn(|| TWIN.ask(api, &row));
            (OURS.ask(api, &row), twins.join().expect("asking does not fail"))
        });
        let (ours, twins) = (normal(&ours, OURS.words()), normal(&twins, TWIN.words()));
        match row.difference {
            Difference::None if ours != twins => wrong.push(told(&row, &ours, &twins)),
            Difference::Known { ours: expected, why } if !ours.to_string().contains(expected) => {
                wrong.push(format!("{}\nexpected {expected}, because {why}", told(&row, &ours, &twins)));
            }
            Difference::Known { .. } if ours == twins => {
                wrong.push(format!("{}\nthere is no difference any more", told(&row, &ours, &twins)));
            }
            Difference::None | Difference::Known { .. } => {}
        }
    }
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

fn told(row: &Row, ours: &Value, twins: &Value) -> String {
    format!("--- {} {}\n  ours {ours}\n  twin {twins}", row.line, row.body)
}

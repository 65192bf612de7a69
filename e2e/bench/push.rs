//! One application of ten objects: from `kubectl apply`, and then from a push, to the last object.

use jiff::Timestamp;

use crate::{
    harness::repo::{Change, Repo},
    report::Report,
    rig::{OBJECTS, Rig, application, files, now, seconds},
};

const NAME: &str = "push";
const ROUNDS: usize = 10;

/// The application and its repository.
pub(crate) struct Push {
    repo: Repo,
}

impl Push {
    /// Makes it, and measures how long it takes to be synced for the first time.
    pub(crate) fn start(rig: &mut Rig, report: &mut Report) -> Self {
        let push = Self { repo: Repo::new() };
        let revision = push.commit(0);
        rig.ground(NAME);
        rig.project(NAME);
        rig.admin.kubectl(&format!("wait --for=condition=Ready --timeout=60s project/{NAME}")).out();
        let began = now();
        rig.admin.kubectl_with("create -f -", &application(NAME, NAME, &push.repo.url())).out();
        let created = now();
        let applied = rig.audit.applied(NAME, OBJECTS, began);
        let synced = rig.synced(NAME, &revision);
        report.figure(
            "`kubectl create` of an Application: itself",
            format!("{:.2} s", seconds(began, created)),
        );
        report.figure("… to its 10 objects applied", format!("{:.2} s", seconds(began, applied)));
        report.figure("… to Synced", format!("{:.2} s", seconds(began, synced)));
        push
    }

    /// Pushes and asks for a refresh, again and again.
    pub(crate) fn measure(&self, rig: &mut Rig, report: &mut Report) {
        let began = now();
        let mut rounds: Vec<[f64; 3]> = (1..=ROUNDS).map(|round| self.round(rig, round)).collect();
        let requests = crate::audit::by_name(rig.audit.since(began).filter(|entry| !entry.is_housekeeping()));
        let mut median = |index: usize| {
            rounds.sort_unstable_by(|a, b| a[index].total_cmp(&b[index]));
            f64::midpoint(rounds[(ROUNDS - 1) / 2][index], rounds[ROUNDS / 2][index])
        };
        report.below("push of a change of 10 objects to all applied (median of 10)", median(0), 1.0, "s");
        report.figure("… of that from the refresh request on", format!("{:.2} s", median(1)));
        report.figure("… push to Synced in the status", format!("{:.2} s", median(2)));
        report.requests("A push of a change of 10 objects", &requests, Some(("push", ROUNDS)));
    }

    fn round(&self, rig: &mut Rig, round: usize) -> [f64; 3] {
        let began = now();
        let revision = self.commit(round);
        let path = format!("/apis/gitops/v1/namespaces/{NAME}/applications/{NAME}/refresh");
        rig.admin.kubectl_with(&format!("create --raw {path} -f -"), "{}").out();
        let asked = rig.audit.refresh(began);
        let applied = rig.audit.applied(NAME, OBJECTS, began);
        let synced = rig.synced(NAME, &revision);
        [seconds(began, applied), seconds(asked, applied), seconds(began, synced)]
    }

    fn commit(&self, round: usize) -> String {
        let files = files(NAME, round);
        let changes: Vec<_> = files.iter().map(|(path, text)| Change::Put(path, text)).collect();
        self.repo.commit(&changes)
    }

    /// Adds a commit that changes no file of the application; it is seen with the next poll.
    pub(crate) fn touch(&self, round: usize) -> String {
        self.repo.commit(&[Change::Put("README", &round.to_string())])
    }

    /// Changes what is live in a way that is none of gitopsd's business.
    pub(crate) fn annotate(rig: &Rig, round: usize) -> Timestamp {
        let objects = "configmap/push-9 service/push secret/push";
        rig.admin
            .kubectl(&format!("annotate --overwrite --namespace={NAME} {objects} note=round-{round}"))
            .out();
        now()
    }
}

//! A hundred applications of ten objects each, from one repository, at once.

use std::{thread, time::Duration};

use jiff::Timestamp;

use crate::{
    audit::by_name,
    harness::{
        patience::within,
        repo::{Change, Repo},
    },
    report::{Report, ratio},
    rig::{OBJECTS, Rig, application, files, now, seconds},
};

const NAME: &str = "fleet";
const APPLICATIONS: usize = 100;
const LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn measure(rig: &mut Rig, report: &mut Report) {
    let repo = Repo::new();
    let names: Vec<_> = (0..APPLICATIONS).map(|index| format!("ship-{index:03}")).collect();
    let files: Vec<_> = names.iter().flat_map(|name| files(name, 0)).collect();
    let changes: Vec<_> = files.iter().map(|(path, text)| Change::Put(path, text)).collect();
    let revision = repo.commit(&changes);
    rig.ground(NAME);
    let applications: String = names.iter().map(|name| application(NAME, name, &repo.url())).collect();
    rig.admin.kubectl_with("create -f -", &applications).out();
    // They are all there and wait for their project, so that kubectl's speed is not what is measured.
    within(LIMIT, "all applications were looked at", || all(rig, &names, |seen| seen.sync == "Unknown"));

    let before = (rig.gitopsd.cpu(), rig.apiserver.cpu());
    let began = now();
    rig.project(NAME);
    let synced =
        within(LIMIT, "all applications are synced", || all(rig, &names, |seen| seen.is_synced(&revision)));
    let spent = (rig.gitopsd.cpu() - before.0, rig.apiserver.cpu() - before.1);
    let by_then = rig.audit.since(began).filter(|entry| !entry.is_housekeeping()).count();
    within(LIMIT, "all applications are healthy", || all(rig, &names, |seen| seen.health == "Healthy"));
    let healthy = now();
    thread::sleep(Duration::from_secs(5)); // for what still follows
    let at_rest = (rig.gitopsd.cpu() - before.0, rig.apiserver.cpu() - before.1);

    let objects = APPLICATIONS * OBJECTS;
    report.figure("100 applications × 10 objects: to all Synced", format!("{:.1} s", seconds(began, synced)));
    report.figure(
        "… gitopsd's CPU by then",
        format!("{:.2} s, git's {:.2} s", spent.0.own.as_secs_f64(), spent.0.children.as_secs_f64()),
    );
    report.figure("… kube-apiserver's CPU by then", format!("{:.2} s", spent.1.own.as_secs_f64()));
    report.figure("… requests per object by then", format!("{:.2}", ratio(by_then, objects)));
    report.figure("… to all Healthy", format!("{:.1} s", seconds(began, healthy)));
    report.figure(
        "… gitopsd's CPU when all is over",
        format!("{:.2} s, git's {:.2} s", at_rest.0.own.as_secs_f64(), at_rest.0.children.as_secs_f64()),
    );
    report.figure("… kube-apiserver's CPU when all is over", format!("{:.2} s", at_rest.1.own.as_secs_f64()));
    let requests = by_name(rig.audit.since(began).filter(|entry| !entry.is_housekeeping()));
    report.figure(
        "… requests per object when all is over",
        format!("{:.2}", ratio(requests.values().sum(), objects)),
    );
    let memory = rig.gitopsd.memory();
    report.figure("… peak resident memory", format!("{:.1} MiB", memory.peak));
    report.figure(
        "… resident memory with all of them",
        format!("{:.1} MiB, {:.1} MiB of it anonymous", memory.resident, memory.anonymous),
    );
    report.requests("100 applications × 10 objects", &requests, Some(("application", APPLICATIONS)));
}

/// When the last of them came to stand so.
fn all(rig: &Rig, names: &[String], stands: impl Fn(&crate::rig::Seen) -> bool) -> Result<Timestamp, String> {
    let seen: Vec<_> = names.iter().filter_map(|name| rig.seen(name)).filter(|seen| stands(seen)).collect();
    if seen.len() == names.len() {
        return seen.into_iter().map(|seen| seen.at).max().ok_or_else(|| "there is none".into());
    }
    Err(format!("{} of {} are", seen.len(), names.len()))
}

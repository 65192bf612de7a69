//! Holds the recorded answers of `tests/differential` against a real kube-apiserver. `cargo test` holds the
//! embedded API against the same answers.

#[path = "../../tests/differential/normal.rs"]
mod normal;
#[path = "../../tests/differential/recording.rs"]
mod recording;
#[path = "../../tests/differential/run.rs"]
mod run;
#[path = "../../tests/differential/script.rs"]
mod script;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use self::{
    run::{Answer, Server},
    script::{Request, Scenario},
};
use crate::harness::{
    api::{self, Api, Identity, Stream},
    cluster::Cluster,
};

/// Set to write down what is answered, instead of comparing.
const RECORD: &str = "GITOPSD_RECORD";
/// How long something that is asked for again and again may take to come.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 4;

/// kube-apiserver, and the watches that are open.
struct Kubernetes<'a> {
    api: &'a Api,
    watches: HashMap<String, Stream>,
    waiting: Option<Instant>,
}

impl Server for Kubernetes<'_> {
    fn ask(&mut self, request: &Request) -> Answer {
        answer(&sent(request, |request| self.api.ask(request)))
    }

    fn watch(&mut self, name: &str, request: &Request) -> Option<Answer> {
        let stream = sent(request, |request| self.api.follow(request));
        match stream {
            Ok(stream) => self.watches.insert(name.to_owned(), stream).and(None),
            Err(refused) => Some(answer(&refused)),
        }
    }

    fn event(&mut self, name: &str) -> Option<String> {
        self.watches.get_mut(name)?.line()
    }

    fn pause(&mut self) -> bool {
        thread::sleep(PAUSE);
        let goes_on = self.waiting.get_or_insert_with(Instant::now).elapsed() < LIMIT;
        if !goes_on {
            self.waiting = None;
        }
        goes_on
    }
}

fn sent<T>(request: &Request, send: impl Fn(&api::Request) -> T) -> T {
    let line = format!("{} {}", request.method, request.path);
    let headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    send(&api::Request { line: &line, headers: &headers, body: &request.body })
}

fn answer(answer: &api::Answer) -> Answer {
    Answer {
        code: answer.code,
        media: answer.header("content-type").to_owned(),
        warnings: answer.all("warning").into_iter().map(str::to_owned).collect(),
        body: answer.body.clone(),
    }
}

#[test]
fn the_recorded_answers_are_those_of_kubernetes() {
    let cluster = Cluster::without_controllers();
    let api = &Api::kubernetes(&cluster, Identity::Known("admin"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the scenarios are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "requests"))
        .collect();
    files.sort();
    let queue = &Mutex::new(files);
    let wrong = &Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(file) = { queue.lock().expect("nobody panics with the queue").pop() } {
                    let found = check(&file, api);
                    wrong.lock().expect("nobody panics with the list").extend(found);
                }
            });
        }
    });
    let wrong = wrong.lock().expect("all are done");
    assert!(wrong.is_empty(), "{} differences from the recording:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs a scenario; tells what is not as recorded, or records it.
fn check(file: &Path, api: &Api) -> Vec<String> {
    let name = file.file_stem().and_then(|name| name.to_str()).expect("it has a name");
    let scenario = Scenario::parse(name, &fs::read_to_string(file).expect("it can be read"));
    let mut kubernetes = Kubernetes { api, watches: HashMap::new(), waiting: None };
    let outcomes = run::run(&scenario, &mut kubernetes);
    let recording = file.with_extension("answers");
    if std::env::var_os(RECORD).is_some() {
        fs::write(recording, recording::write(&outcomes)).expect("the recording can be written");
        return Vec::new();
    }
    let recorded = recording::read(&fs::read_to_string(recording).unwrap_or_default());
    if recorded.len() != outcomes.len() {
        return vec![format!("{name} has {} steps, of which {} are recorded", outcomes.len(), recorded.len())];
    }
    let pairs = recorded.iter().zip(&outcomes);
    pairs
        .flat_map(|(recorded, outcome)| {
            let differences = recording::differences(&recorded.answer, &outcome.answer);
            differences.into_iter().map(|difference| format!("{name} {}\n{difference}", outcome.title))
        })
        .collect()
}

//! The embedded API answers scripted requests as a real kube-apiserver did, but for what
//! `differences.txt` lists. The end-to-end tests hold the recorded answers against a real one and write
//! them anew.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that goes wrong")]

#[path = "differential/known.rs"]
mod known;
#[path = "differential/normal.rs"]
mod normal;
#[path = "differential/recording.rs"]
mod recording;
#[path = "differential/run.rs"]
mod run;
#[path = "differential/script.rs"]
mod script;

use std::collections::HashMap;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::BodyDataStream;
use futures::StreamExt;
use gitopsd::embedded::Cluster;
use gitopsd::embedded::Settings;
use http::header::CONTENT_TYPE;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use known::Known;
use run::Answer;
use run::Server;
use script::Request;
use script::Scenario;

/// Virtual: nobody waits for it.
const SILENCE: Duration = Duration::from_secs(5);

/// An embedded cluster without controllers, and the watches that are open.
struct Embedded {
    runtime: Runtime,
    cluster: Cluster,
    watches: HashMap<String, Watch>,
    pauses: usize,
}

struct Watch {
    stream: BodyDataStream,
    text: String,
}

impl Embedded {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let now = "2031-05-04T03:02:01Z".parse().unwrap();
        let settings = Settings { data_dir: None, clock: Arc::new(move || now), controllers: Default::default() };
        let cluster = runtime.block_on(async { Cluster::start(settings).unwrap() });
        Self { runtime, cluster, watches: HashMap::new(), pauses: 0 }
    }

    fn send(&self, request: &Request) -> http::Response<Body> {
        let mut built = http::Request::builder().method(request.method.as_str()).uri(&request.path);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let built = built.body(Body::from(request.body.clone())).unwrap();
        self.runtime.block_on(self.cluster.service().oneshot(built)).unwrap()
    }

    fn answer(&self, response: http::Response<Body>) -> Answer {
        let (head, body) = response.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let body = self.runtime.block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
        Answer {
            code: head.status.as_u16(),
            media: head.headers.get(CONTENT_TYPE).map(text).unwrap_or_default(),
            warnings: head.headers.get_all("warning").into_iter().map(text).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

impl Server for Embedded {
    fn ask(&mut self, request: &Request) -> Answer {
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(self.send(request))));
        answered.unwrap_or_else(|_| Answer { code: 599, body: "it panicked".into(), ..Answer::default() })
    }

    fn watch(&mut self, name: &str, request: &Request) -> Option<Answer> {
        let response = self.send(request);
        if response.status() != 200 {
            return Some(self.answer(response));
        }
        let watch = Watch { stream: response.into_body().into_data_stream(), text: String::new() };
        self.watches.insert(name.to_owned(), watch).and(None)
    }

    fn event(&mut self, name: &str) -> Option<String> {
        let watch = self.watches.get_mut(name)?;
        self.runtime.block_on(async {
            loop {
                if let Some((line, rest)) = watch.text.split_once('\n') {
                    let line = line.to_owned();
                    watch.text = rest.to_owned();
                    return Some(line);
                }
                let chunk = tokio::time::timeout(SILENCE, watch.stream.next()).await.ok()??.ok()?;
                watch.text += &String::from_utf8_lossy(&chunk);
            }
        })
    }

    fn pause(&mut self) -> bool {
        self.runtime.block_on(tokio::time::sleep(SILENCE));
        self.pauses += 1;
        self.pauses % 3 != 0
    }
}

#[test]
fn answers_are_those_of_kubernetes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let known = Known::parse(&fs::read_to_string(folder.join("differences.txt")).unwrap());
    let mut files: Vec<_> = fs::read_dir(folder.join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "requests"))
        .collect();
    files.sort();
    let (mut wrong, mut requests, mut equal) = (Vec::new(), 0, 0);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let scenario = Scenario::parse(name, &fs::read_to_string(&file).unwrap());
        let recorded = recording::read(&fs::read_to_string(file.with_extension("answers")).unwrap());
        let outcomes = run::run(&scenario, &mut Embedded::start());
        assert_eq!(recorded.len(), outcomes.len(), "{name}: record it anew");
        for (recorded, outcome) in recorded.iter().zip(&outcomes) {
            assert_eq!(recorded.title, outcome.title, "{name}: record it anew");
            let found = recording::differences(&recorded.answer, &outcome.answer);
            requests += 1;
            equal += usize::from(found.is_empty());
            let unknown = found.into_iter().filter(|found| !known.covers(name, &outcome.title, &found.place));
            wrong.extend(unknown.map(|found| format!("{name} {}\n{found}", outcome.title)));
        }
    }
    wrong.extend(known.unused().map(|line| format!("there is no such difference any more: {line}")));
    assert!(
        wrong.is_empty(),
        "{requests} answers, of which {equal} are equal, and {} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

//! Sends the requests of a scenario to a server.

use serde_json::Value;

use super::{
    normal::{Names, Normal},
    script::{Action, Draft, Request, Scenario, Variables},
};

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Status code; 0 for events of a watch.
    pub(crate) code: u16,
    /// Content type.
    pub(crate) media: String,
    /// `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

/// Who answers.
pub(crate) trait Server {
    /// Answers a request.
    fn ask(&mut self, request: &Request) -> Answer;
    /// Opens a watch under a name; answers if that is refused.
    fn watch(&mut self, name: &str, request: &Request) -> Option<Answer>;
    /// The next event of a watch, or none if none comes.
    fn event(&mut self, name: &str) -> Option<String>;
    /// Lets some time pass before something is asked again; false if there was enough of that.
    fn pause(&mut self) -> bool;
}

/// What a step came to.
pub(crate) struct Outcome {
    /// Its number, from 1, and its first line.
    pub(crate) title: String,
    /// The answer.
    pub(crate) answer: Normal,
}

/// Runs a scenario from its beginning to its end.
pub(crate) fn run(scenario: &Scenario, server: &mut dyn Server) -> Vec<Outcome> {
    let mut names = Names::new(&scenario.text);
    let mut variables = Variables::from([
        ("ns".to_owned(), scenario.name.clone()),
        ("million".to_owned(), "x".repeat(1_000_000)),
    ]);
    prepare(&scenario.name, server);
    let mut outcomes = Vec::new();
    for step in &scenario.steps {
        let number = outcomes.len() + 1;
        let (answer, keep) = match &step.action {
            Action::Let(name, text) => {
                variables.insert(name.clone(), text.clone());
                continue;
            }
            Action::Ask(draft) => (ask(draft, &mut variables, server), draft.keep.as_slice()),
            Action::Watch(name, draft) => {
                let refused = server.watch(name, &draft.fill(&variables));
                (refused.unwrap_or_else(|| Answer { code: 200, ..Answer::default() }), [].as_slice())
            }
            Action::Read(name, count) => (read(name, *count, server), [].as_slice()),
        };
        let title = format!("{number} {}", step.title);
        outcomes.push(Outcome { title, answer: names.normal(number, &answer, keep) });
    }
    outcomes
}

/// Makes the namespace of a scenario.
fn prepare(name: &str, server: &mut dyn Server) {
    let post = |path: String, body: String| Request {
        method: "POST".into(),
        path,
        headers: vec![
            ("User-Agent".into(), "e2e/1".into()),
            ("Content-Type".into(), "application/json".into()),
        ],
        body,
    };
    let namespace = format!("{{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{{\"name\":{name:?}}}}}");
    let made = server.ask(&post("/api/v1/namespaces".into(), namespace));
    assert_eq!(made.code, 201, "the namespace of a scenario: {}", made.body);
    let account = "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"default\"}}";
    let made = server.ask(&post(format!("/api/v1/namespaces/{name}/serviceaccounts"), account.into()));
    assert!([201, 409].contains(&made.code), "the service account of a scenario: {}", made.body);
}

fn ask(draft: &Draft, variables: &mut Variables, server: &mut dyn Server) -> Answer {
    let request = draft.fill(variables);
    let mut answer = server.ask(&request);
    while draft.until.is_some_and(|code| code != answer.code) && server.pause() {
        answer = server.ask(&request);
    }
    if !draft.captures.is_empty() {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        for (name, pointer) in &draft.captures {
            let text = body.pointer(pointer).map_or("missing".to_owned(), |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            variables.insert(name.clone(), text);
        }
    }
    answer
}

fn read(name: &str, count: usize, server: &mut dyn Server) -> Answer {
    let mut events = Vec::new();
    while events.len() < count {
        match server.event(name) {
            Some(event) if is_idle_bookmark(&event) => {}
            Some(event) => events.push(event),
            None => break,
        }
    }
    Answer { media: "application/json".into(), body: events.join("\n"), ..Answer::default() }
}

/// Bookmarks come when they come, but for the one that ends the initial events.
fn is_idle_bookmark(event: &str) -> bool {
    event.starts_with("{\"type\":\"BOOKMARK\"") && !event.contains("initial-events-end")
}

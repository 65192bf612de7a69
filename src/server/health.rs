//! Health as Kubernetes asks for it: `/livez` says that the process answers, `/readyz` that requests
//! sent to it will succeed. Readiness of a replica decides whether namespaces of the whole cluster can
//! be deleted, so it is claimed only with a certificate shown and a front proxy known.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::failure::Failure;
use super::request::{Probe, Question};

/// A part of readiness that somebody reports.
#[derive(Debug, Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Reports the state.
    pub fn set(&self, good: bool) {
        self.0.store(good, Ordering::Relaxed);
    }

    fn is_good(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What health probes are answered from. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Health {
    flags: Arc<Mutex<Vec<(&'static str, Flag)>>>,
    stopping: Flag,
}

impl Health {
    /// Adds a check to readiness that fails until it is reported as good.
    #[must_use]
    pub fn flag(&self, name: &'static str) -> Flag {
        let flag = Flag::default();
        self.flags.lock().unwrap_or_else(PoisonError::into_inner).push((name, flag.clone()));
        flag
    }

    /// Makes the server unready for good, while it still answers.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Says whether requests can be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks(Question::Readyz).iter().all(|(_, good)| *good)
    }

    fn checks(&self, question: Question) -> Vec<(&'static str, bool)> {
        let mut checks = vec![("ping", true)];
        if question == Question::Readyz {
            let flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
            checks.extend(flags.iter().map(|(name, flag)| (*name, flag.is_good())));
            checks.push(("shutdown", !self.stopping.is_good()));
        }
        checks
    }

    /// Answers a probe; `query` may ask for `verbose` text and to `exclude` checks.
    #[must_use]
    pub fn answer(&self, probe: &Probe, query: &str) -> Response {
        let mut checks = self.checks(probe.question);
        if let Some(asked) = &probe.check {
            checks.retain(|(name, _)| name == asked);
            return match checks.as_slice() {
                [] => Failure::page_not_found().into_response(),
                [(_, true), ..] => text(StatusCode::OK, "ok".into()),
                _ => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: reason withheld\n".into())
                }
            };
        }
        let parameters = || query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let excluded = |name: &str| parameters().any(|(key, value)| key == "exclude" && value == name);
        checks.retain(|(name, _)| !excluded(name));
        let good = checks.iter().all(|(_, good)| *good);
        let verbose = parameters().any(|(key, _)| key == "verbose");
        match (good, verbose) {
            (true, false) => text(StatusCode::OK, "ok".into()),
            (true, true) => text(StatusCode::OK, report(&checks, probe.question)),
            (false, _) => text(StatusCode::INTERNAL_SERVER_ERROR, report(&checks, probe.question)),
        }
    }
}

fn report(checks: &[(&'static str, bool)], question: Question) -> String {
    let mut report = String::new();
    for (name, good) in checks {
        // Writing to a string cannot fail.
        _ = if *good {
            writeln!(report, "[+]{name} ok")
        } else {
            writeln!(report, "[-]{name} failed: reason withheld")
        };
    }
    let verdict = if checks.iter().all(|(_, good)| *good) { "passed" } else { "failed" };
    _ = writeln!(report, "{} check {verdict}", question.as_str());
    report
}

fn text(code: StatusCode, text: String) -> Response {
    let mut response = (code, text).into_response();
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(health: &Health, check: Option<&str>, query: &str) -> (u16, String) {
        let probe = Probe { question: Question::Readyz, check: check.map(Into::into) };
        let (parts, body) = health.answer(&probe, query).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_when_all_parts_are_and_until_the_end() {
        let health = Health::default();
        let certificate = health.flag("certificate");
        let failed =
            "[+]ping ok\n[-]certificate failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n";
        assert_eq!(ask(&health, None, "").await, (500, failed.into()));
        assert_eq!(ask(&health, None, "exclude=certificate").await, (200, "ok".into()));
        assert_eq!(ask(&health, Some("ping"), "").await, (200, "ok".into()));
        assert_eq!(ask(&health, Some("certificate"), "").await.0, 500);
        assert_eq!(ask(&health, Some("luck"), "").await.0, 404);

        certificate.set(true);
        assert!(health.is_ready());
        let passed = "[+]ping ok\n[+]certificate ok\n[+]shutdown ok\nreadyz check passed\n";
        assert_eq!(ask(&health, None, "verbose").await, (200, passed.into()));

        health.stop();
        assert!(!health.is_ready());
        assert_eq!(ask(&health, None, "").await.0, 500);
        let livez = Probe { question: Question::Livez, check: None };
        assert_eq!(health.answer(&livez, "").status(), 200);
    }
}

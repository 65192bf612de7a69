//! Credentials over HTTP, against a server that tells what it was sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::fixture::Place;
use crate::source::git::{Credentials, Error, Freshness, Repository};

const SHA: &str = "0123456789012345678901234567890123456789";

/// What the server does with a request.
#[derive(Clone)]
enum Manner {
    /// Wants this `Authorization`, then tells one branch.
    Guarded(&'static str),
    /// Sends everybody elsewhere.
    Redirecting(String),
}

/// A server on a port of its own; it notes each `Authorization` that it is sent.
struct Server {
    origin: String,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let noted = sent.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let authorization = request.lines().find_map(|line| line.strip_prefix("Authorization: "));
                noted.lock().unwrap().extend(authorization.map(str::to_owned));
                stream.write_all(answer(&manner, &request, authorization).as_bytes()).await.unwrap();
            }
        });
        Self { origin, sent }
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

fn answer(manner: &Manner, request: &str, authorization: Option<&str>) -> String {
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match manner {
        Manner::Redirecting(origin) => (format!("302 Found\r\nLocation: {origin}{target}"), String::new()),
        Manner::Guarded(wanted) if authorization != Some(wanted) => {
            ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"".into(), String::new())
        }
        Manner::Guarded(_) if target.contains("/info/refs") => {
            ("200 OK".into(), format!("{SHA}\trefs/heads/main\n"))
        }
        Manner::Guarded(_) => ("404 Not Found".into(), String::new()),
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn resolve(origin: &str, credentials: Option<Credentials>) -> Result<String, Error> {
    let repository = Repository { credentials, ..Repository::new(format!("{origin}/r.git")) };
    let commit = Place::new().reader().resolve(&repository, "main", Freshness::Now).await;
    commit.map(|commit| commit.sha)
}

fn password() -> Credentials {
    Credentials::Password { username: "me".into(), password: "top:sec%ret'\"$x".into() }
}

/// `me:top:sec%ret'"$x`
const BASIC: &str = "Basic bWU6dG9wOnNlYyVyZXQnIiR4";

#[tokio::test]
async fn sends_a_password_when_asked() {
    let server = Server::start(Manner::Guarded(BASIC)).await;
    assert_eq!(resolve(&server.origin, Some(password())).await.unwrap(), SHA);
    let written = server.origin.replace("http://", "http://me:top%3Asec%25ret%27%22$x@");
    assert_eq!(resolve(&written, None).await.unwrap(), SHA);
}

#[tokio::test]
async fn sends_a_bearer_token() {
    let server = Server::start(Manner::Guarded("Bearer t0ken")).await;
    assert_eq!(resolve(&server.origin, Some(Credentials::Bearer("t0ken".into()))).await.unwrap(), SHA);
}

#[tokio::test]
async fn says_that_credentials_are_missing_or_wrong() {
    let server = Server::start(Manner::Guarded("Basic x")).await;
    for credentials in [None, Some(password()), Some(Credentials::Bearer("t0ken".into()))] {
        let error = resolve(&server.origin, credentials).await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated { .. }), "{error}");
        assert!(!error.to_string().contains("ret'"), "{error}");
    }
}

#[tokio::test]
async fn secrets_do_not_follow_a_redirect_to_another_server() {
    let other = Server::start(Manner::Guarded(BASIC)).await;
    let server = Server::start(Manner::Redirecting(other.origin.clone())).await;
    resolve(&server.origin, Some(password())).await.unwrap_err();
    resolve(&server.origin, Some(Credentials::Bearer("t0ken".into()))).await.unwrap_err();
    assert_eq!(other.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn says_that_a_server_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = resolve(&origin, None).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
}

//! A whole system in one thread: a cluster, gitopsd and a Git repository, with a clock that moves only when
//! nothing is left to do.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use gitopsd::cluster::Cluster as Destination;
use gitopsd::cluster::client::Connection;
use gitopsd::controller::{self, Settings};
use gitopsd::embedded::aggregation::Upstream;
use gitopsd::embedded::faults::{Act, Fault, Faults, Requests, Rule};
use gitopsd::embedded::{self, Cluster};
use gitopsd::manifest::Scope;
use gitopsd::server::authentication::Authenticator;
use gitopsd::server::authorization::Authorizer;
use gitopsd::server::health::Health;
use gitopsd::server::{Parts, Server, rest, tls};
use gitopsd::source::git::{self, Git};
use gitopsd::store::Store;
use http::{Request, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use super::repository::Repository;

/// The time at which every scenario begins.
const BEGIN: &str = "2026-01-01T00:00:00Z";
/// When nothing was written for so many ticks, everything has come to rest.
const QUIET: u32 = 200;
const TICK: Duration = Duration::from_millis(1);
/// The longest step in which time passes: `git` is seen only between two of them.
const STRIDE: Duration = Duration::from_millis(50);
/// How long each step of a workload's start takes.
const PACE: Duration = Duration::from_millis(20);
/// How long `git` is waited for before it is looked at again, in real time.
const GLANCE: Duration = Duration::from_micros(200);

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

/// The scenario's time: that of the runtime's clock, which is paused. No two moments are the same.
pub(crate) fn now() -> Timestamp {
    let began = BEGAN.get().expect("a world was made in this thread");
    let begin: Timestamp = BEGIN.parse().expect("a time");
    ASKED.set(ASKED.get() + 1);
    begin + began.elapsed() + Duration::from_nanos(ASKED.get().into())
}

/// What runs.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) repository: Repository,
    pub(crate) faults: Faults,
    dir: tempfile::TempDir,
    life: Option<Life>,
    /// Whether a fault killed the controller.
    pub(crate) killed: bool,
    ending: CancellationToken,
}

/// One life of gitopsd's controller.
struct Life {
    stop: CancellationToken,
    task: JoinHandle<()>,
    dead: Arc<AtomicBool>,
}

impl World {
    /// Makes a cluster with gitopsd installed in it, and starts everything. `rules` hold for what the
    /// controller sends.
    pub(crate) async fn start(rules: Vec<Rule>) -> Self {
        let faults = Faults::default();
        faults.set(rules);
        BEGAN.set(Some(Instant::now()));
        ASKED.set(0);
        let dir = tempfile::tempdir().expect("a folder");
        let cluster = installed().await.copy(Arc::new(now)).expect("the cluster can be copied");
        let ending = CancellationToken::new();
        let server = Upstream::InProcess(BoxCloneSyncService::new(served(&cluster)));
        cluster.upstream("gitops", "v1", server);
        let (running, stop) = (cluster.clone(), ending.clone());
        tokio::spawn(async move { running.run(stop).await });
        let repository = Repository::create(dir.path().join("repository"));
        let mut world = Self { cluster, repository, faults, dir, life: None, killed: false, ending };
        world.restart();
        world.rest().await;
        world
    }

    /// Ends the controller between two instructions, as a kill would, and begins another one.
    pub(crate) fn restart(&mut self) {
        if let Some(life) = self.life.take() {
            life.dead.store(true, Ordering::Relaxed);
            life.stop.cancel();
            life.task.abort();
        }
        self.killed |= self.crashed();
        self.faults.restart();
        let dead = Arc::new(AtomicBool::new(false));
        let connection = self.connection(&dead);
        let store = Store::new(connection.client(), "gitops-system", now);
        let git =
            Git::new(git::Settings::new(self.dir.path().join("mirrors"), gitopsd::config::environment()));
        let settings = Settings {
            poll_interval: Duration::from_mins(2),
            concurrency: 4,
            namespace: "gitops-system".into(),
        };
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            let cluster = loop {
                // As `app` does: a cluster that does not answer is asked again.
                match Destination::connect(connection.clone()).await {
                    Ok(cluster) => break cluster,
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            };
            controller::run(controller::Parts { store, cluster, git, clock: now, settings }, stopping).await;
        });
        self.life = Some(Life { stop, task, dead });
    }

    /// How one life of gitopsd reaches the cluster: through the faults, and only as long as it lives.
    fn connection(&self, dead: &Arc<AtomicBool>) -> Connection {
        let service = self.faults.layer(self.cluster.service_as("gitops-system", "gitopsd"));
        let dead = Arc::clone(dead);
        Connection::from_service(tower::service_fn(move |request: Request<kube::client::Body>| {
            let (service, dead) = (service.clone(), Arc::clone(&dead));
            async move {
                if dead.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let answer = service.oneshot(request).await;
                if dead.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                answer
            }
        }))
    }

    /// Waits until nothing is left to do but to wait for time to pass.
    pub(crate) async fn rest(&mut self) {
        let mut quiet = 0;
        let mut version = self.version();
        while quiet < QUIET {
            self.step(TICK).await;
            if self.version() == version {
                quiet += 1;
            } else {
                version = self.version();
                quiet = 0;
            }
        }
    }

    /// Lets time pass.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step(STRIDE.min(end - Instant::now())).await;
        }
    }

    /// The runtime moves its clock only when nothing else can run, so after this everything else is idle. It
    /// does not know of `git`, for which the clock stands still here.
    async fn step(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        while git_runs() {
            std::thread::sleep(GLANCE);
            tokio::task::yield_now().await;
        }
        if self.crashed() {
            self.restart();
        }
    }

    fn crashed(&self) -> bool {
        futures::FutureExt::now_or_never(self.faults.crashed()).is_some()
    }

    fn version(&self) -> u64 {
        self.cluster.objects().storage.version()
    }
}

/// A cluster in which gitopsd is installed and that does not run. It is made once and copied, because that
/// is the longest part of a scenario.
async fn installed() -> Cluster {
    static INSTALLED: tokio::sync::OnceCell<Cluster> = tokio::sync::OnceCell::const_new();
    let install = || async {
        let cluster = Cluster::start(embedded::Settings {
            data_dir: None,
            clock: Arc::new(|| BEGIN.parse().expect("a time")),
            controllers: embedded::controllers::Settings { pace: PACE, ..Default::default() },
        });
        let cluster = cluster.expect("the cluster starts");
        let admin = Connection::from_service(cluster.service()).client();
        gitopsd::app::embedded::install(&admin, 443).await.expect("gitopsd is installed");
        cluster
    };
    INSTALLED.get_or_init(install).await.clone()
}

/// The controller dies when its write number `write` is done, before it learns of it.
pub(crate) fn killed_after(write: usize) -> Rule {
    let write = write as u64;
    Rule { requests: Requests::writes(), at: write..=write, fault: Fault::After(Act::Crash) }
}

/// The first requests of a kind fail.
pub(crate) fn failing(code: u16, verb: &str, resource: &str, count: u32) -> Rule {
    let requests = Requests::of(verb.to_owned().leak(), resource.to_owned().leak());
    let retry_after = (code == 429).then_some(1);
    Rule { requests, at: 1..=u64::from(count), fault: Fault::Before(Act::Answer { code, retry_after }) }
}

impl World {
    /// How many writes the controller sent.
    pub(crate) fn writes(&self) -> usize {
        self.faults.writes().len()
    }

    /// Sends a request as an administrator.
    pub(crate) async fn send(&self, method: &str, uri: &str, kind: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request =
            Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, kind).body(body);
        let answer = self.cluster.service().oneshot(request.expect("a request")).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {uri}: {error}"));
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// The path of an object of a kind that scripts name.
    pub(crate) fn path(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        if kind == "Project" {
            return Some(format!("/apis/gitops/v1/projects/{name}"));
        }
        if kind == "Application" {
            return Some(format!("/apis/gitops/v1/namespaces/{namespace}/applications/{name}"));
        }
        let kinds = self.cluster.objects().kinds.all();
        let kind = kinds.iter().find(|known| known.gvk.kind == kind)?;
        let root = if kind.gvk.group.is_empty() { "/api" } else { "/apis" };
        let place = match kind.scope {
            Scope::Namespaced => format!("namespaces/{namespace}/"),
            Scope::Cluster => String::new(),
        };
        Some(format!("{root}/{}/{place}{}/{name}", kind.gvk.api_version(), kind.plural))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// The server of gitops/v1, without a socket, believing the cluster's front proxy.
fn served(cluster: &Cluster) -> Router {
    let client = Connection::from_service(cluster.service_as("gitops-system", "gitopsd")).client();
    let health = Health::default();
    let authenticator = Authenticator::new(client.clone(), now);
    let authorizer = Authorizer::new(client.clone());
    tokio::spawn(authenticator.follow(&health));
    let store = Store::new(client, "gitops-system", now);
    let server = Server::new(Parts {
        authenticator,
        authorizer: authorizer.clone(),
        health,
        openapi_v3: Value::Null, // nobody asks for it
        openapi_v2: Value::Null,
        resources: rest::router(rest::Rest::new(store, authorizer)),
        clock: now,
    });
    let certificate = cluster.pki().front_proxy().certificate.as_bytes();
    let peer = tls::Peer::new(&[CertificateDer::from_pem_slice(certificate).expect("a certificate")]);
    server.router().layer(axum::middleware::map_request(move |mut request: Request<Body>| {
        let peer = peer.clone();
        async move {
            request.extensions_mut().insert(peer);
            request
        }
    }))
}

/// Whether this thread has a child that has not ended.
fn git_runs() -> bool {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/self/task/{thread}/children"));
    children.is_ok_and(|children| !children.trim().is_empty())
}

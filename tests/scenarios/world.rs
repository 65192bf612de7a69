//! A whole system in one thread: a cluster, gitopsd and a Git repository, with a clock that moves only when
//! nothing is left to do.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use gitopsd::api::{crd, openapi};
use gitopsd::app::clock;
use gitopsd::app::embedded::{MANIFESTS, apply};
use gitopsd::cluster::Cluster as Destination;
use gitopsd::cluster::client::Connection;
use gitopsd::controller::{self, Settings};
use gitopsd::embedded::faults::Faults;
use gitopsd::embedded::{self, Cluster};
use gitopsd::server::authentication::Authenticator;
use gitopsd::server::authorization::Authorizer;
use gitopsd::server::health::Health;
use gitopsd::server::{Parts, Server, rest, tls};
use gitopsd::source::git::{self, Git};
use gitopsd::store::Store;
use http::Request;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::repository::Repository;

/// The time at which every scenario begins.
const BEGIN: &str = "2026-01-01T00:00:00Z";
/// When nothing was written for so many ticks, everything has come to rest.
const QUIET: u32 = 200;
const TICK: Duration = Duration::from_millis(1);
/// How long `git` is waited for before it is looked at again, in real time.
const GLANCE: Duration = Duration::from_micros(200);
/// gitopsd's account.
const ACCOUNT: &str = "system:serviceaccount:gitops-system:gitopsd";

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The scenario's time: that of the runtime's clock, which is paused.
pub(crate) fn now() -> Timestamp {
    let began = BEGAN.get().expect("a world was made in this thread");
    let begin: Timestamp = BEGIN.parse().expect("a time");
    begin + began.elapsed()
}

/// What runs.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) admin: kube::Client,
    pub(crate) repository: Repository,
    pub(crate) faults: Faults,
    dir: tempfile::TempDir,
    life: Option<Life>,
    ending: CancellationToken,
}

/// One life of gitopsd's controller.
struct Life {
    stop: CancellationToken,
    task: JoinHandle<()>,
    dead: Arc<AtomicBool>,
}

impl World {
    /// Makes a cluster with gitopsd installed in it, and starts everything.
    pub(crate) async fn start() -> Self {
        BEGAN.set(Some(Instant::now()));
        let dir = tempfile::tempdir().expect("a folder");
        let cluster = Cluster::start(embedded::Settings {
            data_dir: None,
            clock: Arc::new(now),
            pace: Duration::ZERO,
        });
        let cluster = cluster.expect("the cluster starts");
        let admin = Connection::from_service(cluster.service()).client();
        let ending = CancellationToken::new();
        gitopsd::app::embedded::install(&admin, 443).await.expect("gitopsd is installed");
        cluster.serve_group("gitops", "v1", served(&cluster).await);
        tokio::spawn(cluster.clone().run(ending.clone()));
        let repository = Repository::create(dir.path().join("repository"));
        let mut world = Self { cluster, admin, repository, faults: Faults::default(), dir, life: None, ending };
        world.restart().await;
        world
    }

    /// Ends the controller between two instructions, as a kill would, and begins another one.
    pub(crate) async fn restart(&mut self) {
        if let Some(life) = self.life.take() {
            life.dead.store(true, Ordering::Relaxed);
            life.stop.cancel();
            life.task.abort();
        }
        let dead = Arc::new(AtomicBool::new(false));
        let connection = self.connection(&dead);
        let store = Store::new(connection.client(), "gitops-system", now);
        let git = Git::new(git::Settings::new(self.dir.path().join("mirrors"), gitopsd::config::environment()));
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
        let service = self.faults.around(self.cluster.service_as(ACCOUNT));
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
    pub(crate) async fn rest(&self) {
        let mut quiet = 0;
        let mut version = self.cluster.version();
        while quiet < QUIET {
            // The runtime moves its clock only when nothing else can run, so this wakes when all is idle.
            tokio::time::sleep(TICK).await;
            if git_runs() {
                std::thread::sleep(GLANCE);
                quiet = 0;
            } else if self.cluster.version() == version {
                quiet += 1;
            } else {
                version = self.cluster.version();
                quiet = 0;
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// The server of gitops/v1, without a socket, believing the cluster's front proxy.
async fn served(cluster: &Cluster) -> Router {
    let client = Connection::from_service(cluster.service_as(ACCOUNT)).client();
    let health = Health::default();
    let authenticator = Authenticator::new(client.clone(), now);
    let authorizer = Authorizer::new(client.clone());
    tokio::spawn(authenticator.follow(&health));
    let store = Store::new(client, "gitops-system", now);
    let server = Server::new(Parts {
        authenticator,
        authorizer: authorizer.clone(),
        health,
        openapi_v3: openapi::v3(),
        openapi_v2: openapi::v2(),
        resources: rest::router(rest::Rest::new(store, authorizer)),
        clock: now,
    });
    let peer = tls::Peer::new(&[cluster.front_proxy()]);
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

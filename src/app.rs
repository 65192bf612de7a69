//! Where the parts are built and joined.

pub mod clock;
pub mod embedded;
mod leader;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{names, openapi};
use crate::cluster::Cluster;
use crate::cluster::client::Connection;
use crate::config::Serve;
use crate::controller;
use crate::server::authentication::Authenticator;
use crate::server::authorization::Authorizer;
use crate::server::health::Health;
use crate::server::{self, Server, Stopping, certificates, rest, tls};
use crate::source::git::{self, Git};
use crate::store::Store;
use crate::telemetry;

/// Why `gitopsd serve` cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logging could not be started.
    #[error("cannot start logging: {0}")]
    Telemetry(String),
    /// There is no embedded cluster.
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    /// The cluster could not be reached.
    #[error("cannot connect to the cluster: {0}")]
    Cluster(#[from] crate::cluster::Error),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Signals could not be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
    /// The server could not be started.
    #[error("cannot serve: {0}")]
    Serve(#[from] tls::Error),
}

/// The port of gitopsd's own API in a cluster.
const PORT: u16 = 8443;
/// Where a container keeps Git mirrors.
const CACHE: &str = "/var/cache/gitopsd";

/// Serves the API and keeps clusters equal to Git, until a signal ends it.
pub async fn serve(config: Serve) -> Result<(), Error> {
    telemetry::start(&config.log, config.log_format).map_err(Error::Telemetry)?;
    let shutdown = stop_on_signal().map_err(Error::Signals)?;
    if config.embedded {
        let (embedded, parts) = start_embedded(config, Duration::ZERO).await?;
        println!("export KUBECONFIG={}", embedded.kubeconfig.display());
        return run(parts, shutdown).await;
    }
    let listen = config.listen.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, PORT).into());
    let listener = listen_on(listen).await?;
    let connection = Connection::from_kubeconfig(config.kubeconfig.as_deref()).await?;
    let cache = config.cache_dir.clone().unwrap_or_else(|| CACHE.into());
    run(Parts { config, connection, listener, cache, stopping: Stopping::default() }, shutdown).await
}

/// What gitopsd runs with.
pub struct Parts {
    config: Serve,
    connection: Connection,
    listener: TcpListener,
    cache: PathBuf,
    stopping: Stopping,
}

/// Starts a cluster in this process; what is returned beside it is run with `run`. Each step of a workload's
/// start takes `pace`.
pub async fn start_embedded(config: Serve, pace: Duration) -> Result<(embedded::Embedded, Parts), Error> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = config.listen.unwrap_or(local);
    let listener = listen_on(listen).await?;
    let own = listener.local_addr().map_err(|source| Error::Listen { address: listen, source })?;
    let settings = embedded::Settings {
        data_dir: config.data_dir.clone(),
        listen: config.kubernetes_listen.unwrap_or(local),
        gitopsd_port: own.port(),
        pace,
    };
    let embedded = embedded::start(settings).await?;
    let cache = config.cache_dir.clone().unwrap_or_else(|| embedded.cache.clone());
    // Nobody balances load over this one server, so nobody has to notice first that it stops.
    let stopping = Stopping { notice: Duration::ZERO, grace: Duration::from_secs(2) };
    let parts = Parts { connection: embedded.connection.clone(), config, listener, cache, stopping };
    Ok((embedded, parts))
}

async fn listen_on(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Serves the API and keeps clusters equal to Git, until `shutdown`.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), Error> {
    let Parts { config, connection, listener, cache, stopping } = parts;
    let client = connection.client();
    let store = Store::new(client.clone(), &config.namespace, clock::now);
    let cluster = connection.server();
    let address = listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
    tracing::info!(address, cluster, version = env!("CARGO_PKG_VERSION"), "starting");
    let controlling = control(config.clone(), cache, connection, store.clone(), shutdown.clone());
    let controlling = tokio::spawn(controlling);
    serve_api(&config, client, store, (listener, stopping), shutdown.clone()).await?;
    // The controller ends by itself, between two writes.
    if controlling.await.is_err() {
        tracing::error!("the controller broke off");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Serves the API until `shutdown`.
async fn serve_api(
    config: &Serve,
    client: kube::Client,
    store: Store,
    (listener, stopping): (TcpListener, Stopping),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let health = Health::default();
    let authenticator = Authenticator::new(client.clone(), clock::now);
    let authorizer = Authorizer::new(client.clone());
    let serving = tls::Serving::new();
    let follow = authenticator.follow(&health);
    let settings = certificates::Settings::of(&config.namespace);
    let keep = certificates::keep(client, settings, Arc::clone(&serving), &health, clock::now);
    let server = Server::new(server::Parts {
        authenticator,
        authorizer: authorizer.clone(),
        health: health.clone(),
        openapi_v3: openapi::v3(),
        openapi_v2: openapi::v2(),
        resources: rest::router(rest::Rest::new(store, authorizer)),
        clock: clock::now,
    });
    tokio::select! {
        () = follow => Ok(()),
        () = keep => Ok(()),
        served = server.serve(listener, serving, shutdown, stopping) => Ok(served?),
    }
}

/// Runs the controller while this replica leads, until `shutdown`.
async fn control(
    config: Serve,
    cache: PathBuf,
    connection: Connection,
    store: Store,
    shutdown: CancellationToken,
) {
    let git = Git::new(git::Settings {
        timeout: config.git_timeout,
        ..git::Settings::new(cache.join("git"), crate::config::environment())
    });
    let settings = controller::Settings {
        poll_interval: config.poll_interval,
        concurrency: config.concurrency,
        namespace: config.namespace.clone(),
    };
    let identity = config.identity.clone().unwrap_or_else(crate::config::host_name);
    let lead = leader::Lead { client: connection.client(), namespace: config.namespace, identity };
    let run = |term: CancellationToken| {
        let (connection, store, git, settings) =
            (connection.clone(), store.clone(), git.clone(), settings.clone());
        async move {
            match Cluster::connect(connection).await {
                Ok(cluster) => {
                    let parts = controller::Parts { store, cluster, git, clock: clock::now, settings };
                    controller::run(parts, term).await;
                }
                Err(error) => tracing::error!(%error, "cannot look at the cluster; trying again"),
            }
        }
    };
    lead.run_while_leading(names::SERVICE_ACCOUNT, run, shutdown).await;
}

/// Ends everything on the first SIGTERM or SIGINT.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let shutdown = CancellationToken::new();
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::info!("stopping");
        stopping.cancel();
    });
    Ok(shutdown)
}

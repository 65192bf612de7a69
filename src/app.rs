//! Where the parts are built and joined.

pub mod clock;
mod leader;

use std::sync::Arc;

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

/// Serves the API and keeps clusters equal to Git, until a signal ends it.
pub async fn serve(config: Serve) -> Result<(), Error> {
    telemetry::start(&config.log, config.log_format).map_err(Error::Telemetry)?;
    let shutdown = stop_on_signal().map_err(Error::Signals)?;
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let connection = Connection::from_kubeconfig(config.kubeconfig.as_deref()).await?;
    let client = connection.client();
    let store = Store::new(client.clone(), &config.namespace, clock::now);
    tracing::info!(%address, cluster = connection.server(), version = env!("CARGO_PKG_VERSION"), "starting");
    let controlling = tokio::spawn(control(config.clone(), connection, store.clone(), shutdown.clone()));
    serve_api(&config, client, store, listener, shutdown.clone()).await?;
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
    listener: TcpListener,
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
        served = server.serve(listener, serving, shutdown, Stopping::default()) => Ok(served?),
    }
}

/// Runs the controller while this replica leads, until `shutdown`.
async fn control(config: Serve, connection: Connection, store: Store, shutdown: CancellationToken) {
    let git = Git::new(git::Settings {
        timeout: config.git_timeout,
        ..git::Settings::new(config.cache_dir.join("git"), crate::config::environment())
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
fn stop_on_signal() -> std::io::Result<CancellationToken> {
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

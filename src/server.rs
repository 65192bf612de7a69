//! The aggregated API server: TLS, who asks, what for, whether they may, and the answers. What is
//! asked for is kept in objects of the store; nothing here acts on a cluster.

pub mod authentication;
pub mod authorization;
mod cache;
pub mod certificates;
mod discovery;
mod document;
pub mod failure;
pub mod health;
pub mod limits;
mod openapi;
mod pipeline;
pub mod request;
pub mod rest;
mod subresources;
pub mod tls;

#[cfg(test)]
pub(crate) mod fake;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use authentication::Authenticator;
use authorization::Authorizer;
use health::Health;

/// Tells the time.
pub type Clock = fn() -> jiff::Timestamp;

/// What a server is made of.
pub struct Parts {
    /// Finds out who asks.
    pub authenticator: Authenticator,
    /// Finds out whether they may.
    pub authorizer: Authorizer,
    /// What health probes are answered from.
    pub health: Health,
    /// The OpenAPI 3 document of our group.
    pub openapi_v3: serde_json::Value,
    /// The same as OpenAPI 2.
    pub openapi_v2: serde_json::Value,
    /// Answers requests for resources. They are authorized and carry `request::RequestInfo` and
    /// `authentication::User` as extensions; their bodies are complete and bounded.
    pub resources: Router,
    /// Tells the time.
    pub clock: Clock,
}

/// How long the stages of stopping last.
#[derive(Debug, Clone, Copy)]
pub struct Stopping {
    /// How long requests are still accepted after the server became unready, so that those who send
    /// them can notice.
    pub notice: Duration,
    /// How long running requests may then take to finish.
    pub grace: Duration,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { notice: Duration::from_secs(5), grace: Duration::from_secs(20) }
    }
}

/// The server, before it listens.
pub struct Server {
    router: Router,
    health: Health,
    ending: CancellationToken,
}

impl Server {
    /// Joins the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let ending = CancellationToken::new();
        let health = parts.health.clone();
        Self { router: pipeline::Pipeline::new(parts, ending.clone()).router(), health, ending }
    }

    /// Returns what answers requests, to be used without a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves `listener` with the certificate that `serving` has at the time of each handshake. After
    /// `shutdown` the server first becomes unready, then ends watches and connections, and returns
    /// when the last request is answered or its time is up.
    pub async fn serve(
        self,
        listener: TcpListener,
        serving: Arc<tls::Serving>,
        shutdown: CancellationToken,
        stopping: Stopping,
    ) -> Result<(), tls::Error> {
        let acceptor = tls::acceptor(serving)?;
        let Self { router, health, ending } = self;
        let connections = tls::connection::serve(listener, acceptor, router, ending.clone(), stopping.grace);
        let stop = async {
            shutdown.cancelled().await;
            health.stop();
            tokio::time::sleep(stopping.notice).await;
            ending.cancel();
        };
        tokio::join!(connections, stop);
        Ok(())
    }
}

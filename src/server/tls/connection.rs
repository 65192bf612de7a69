//! From a listening socket to requests: handshakes, HTTP/2 and 1.1, limits that keep one client from
//! exhausting the others, and an end that loses no request.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::Peer;

pub(super) const H2: &[u8] = b"h2";

const CONNECTIONS: u32 = 4096;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// kube-apiserver puts all its requests on few connections, so that watches would starve the rest.
const STREAMS: u32 = 1000;
const HEADER_BYTES: u32 = 64 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Go's clients close idle connections after 90 s; being later leaves that to them.
const IDLE: Duration = Duration::from_mins(2);
/// How long a connection without requests may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`, then lets running requests finish for at most `grace`. Requests
/// reach `service` with the client's [`Peer`] as an extension.
pub async fn serve<S>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    service: S,
    stop: CancellationToken,
    grace: Duration,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let connections = Arc::new(Semaphore::new(CONNECTIONS as usize));
    while let Some((socket, permit)) = accept(&listener, &connections, &stop).await {
        let (acceptor, service, stop) = (acceptor.clone(), service.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Some(stream) = handshake(socket, &acceptor).await {
                run(stream, service, stop).await;
            }
        });
    }
    drop(listener);
    if timeout(grace, connections.acquire_many(CONNECTIONS)).await.is_err() {
        tracing::warn!("some requests did not finish before the server stopped");
    }
}

/// Waits for the next connection; `None` once the server stops.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let next = async {
        let permit = connections.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((socket, _)) => return Some((socket, permit)),
                Err(error) => {
                    // Out of file descriptors, or the client is gone already: both pass.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        accepted = next => accepted,
    }
}

async fn handshake(socket: TcpStream, acceptor: &TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    // Answers are small; waiting to fill packets would delay each watch event.
    _ = socket.set_nodelay(true);
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// The use of one connection.
#[derive(Clone, Default)]
struct Activity(Arc<Use>);

#[derive(Default)]
struct Use {
    /// Requests whose answers are not complete.
    running: AtomicUsize,
    /// Whether a request came since it was last looked.
    used: AtomicBool,
}

impl Activity {
    fn begin(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        self.0.used.store(true, Ordering::Relaxed);
        Running(self.0.clone())
    }

    /// Says whether nothing happened since the last call.
    fn was_idle(&self) -> bool {
        let used = self.0.used.swap(false, Ordering::Relaxed);
        !used && self.0.running.load(Ordering::Relaxed) == 0
    }
}

struct Running(Arc<Use>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run<S>(stream: TlsStream<TcpStream>, service: S, stop: CancellationToken)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let tls = stream.get_ref().1;
    let peer = Peer::new(tls.peer_certificates().unwrap_or_default());
    let builder = builder(tls.alpn_protocol() == Some(H2));
    let activity = Activity::default();
    let counted = activity.clone();
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        let running = counted.begin();
        request.extensions_mut().insert(peer.clone());
        let answer = service.clone().oneshot(request.map(Body::new));
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| {
                // Moved into the body: the request runs until its answer has gone out.
                Body::new(body.map_frame(move |frame| {
                    let _running = &running;
                    frame
                }))
            }))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    // While it lasts; then, once asked to end, until it has done so.
    let mut look = Instant::now() + IDLE;
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection broke");
                }
                return;
            }
            () = stop.cancelled(), if !ending => {
                ending = true;
                look = Instant::now() + GOODBYE;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(look) => {
                let idle = activity.was_idle();
                if idle && ending {
                    return;
                }
                if idle {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                look = Instant::now() + if ending { GOODBYE } else { IDLE };
            }
        }
    }
}

fn builder(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    if http2 { builder.http2_only() } else { builder.http1_only() }
}

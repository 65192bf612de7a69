//! From a listening socket to requests: handshakes, HTTP/2 and 1.1, and an end that lets requests finish.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{Door, Peer};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Clients put all their requests on one connection, so that watches would starve the rest.
const STREAMS: u32 = 1000;
/// How long requests may take to finish once the server stops. Watches never do.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `answer` until `stop`. It is told who holds the certificate that the client showed.
pub async fn serve<A, F>(listener: TcpListener, door: Door, answer: A, stop: CancellationToken)
where
    A: Fn(Peer, Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::clone(&door.config));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match socket {
            Ok((socket, _)) => {
                let (acceptor, door, answer) = (acceptor.clone(), door.clone(), answer.clone());
                let watcher = graceful.watcher();
                connections.spawn(async move {
                    if let Some(stream) = handshake(socket, &acceptor).await {
                        run(stream, &door, answer, watcher).await;
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, or the client is gone already: both pass.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // What has not finished by then ends with `connections`.
    _ = timeout(GRACE, graceful.shutdown()).await;
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

async fn run<A, F>(stream: TlsStream<TcpStream>, door: &Door, answer: A, watcher: Watcher)
where
    A: Fn(Peer, Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let peer = door.peer(stream.get_ref().1.peer_certificates().unwrap_or_default());
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(peer.clone(), request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "connection broke");
    }
}

//! Of several replicas one controls: the one that holds the Lease. The others serve the API and wait.

use std::time::Duration;

use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a lease holds without being renewed, in seconds.
const LEASE: u64 = 15;
/// How long before its end a lease is renewed, in seconds.
const GRACE: u64 = 5;
/// Pause after the Lease could not be read or written.
const PAUSE: Duration = Duration::from_secs(2);
/// A leader that cannot renew stops before its lease ends and another one starts.
const PATIENCE: Duration = Duration::from_secs(LEASE - GRACE);

/// Who wants to lead, and where that is decided.
pub(super) struct Lead {
    pub(super) client: kube::Client,
    pub(super) namespace: String,
    pub(super) identity: String,
}

/// A running term.
struct Term {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Term {
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the controller broke off");
        }
    }
}

impl Lead {
    /// Runs `work` while leading, again and again, until `shutdown`. A term that ends by itself is begun
    /// again.
    pub(super) async fn run_while_leading<W, F>(self, lease: &str, work: W, shutdown: CancellationToken)
    where
        W: Fn(CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(manager) = self.manager(lease, &shutdown).await else { return };
        let mut term: Option<Term> = None;
        let mut last_good = Instant::now();
        loop {
            let ended = async {
                match &mut term {
                    Some(term) => drop((&mut term.task).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = ended => {
                    sleep(PAUSE).await;
                    term = Some(begin(&work));
                }
                changed = manager.changed() => match changed {
                    Ok(true) if term.is_none() => {
                        tracing::info!(identity = self.identity, "leading");
                        term = Some(begin(&work));
                        last_good = Instant::now();
                    }
                    Ok(true) => last_good = Instant::now(),
                    Ok(false) => {
                        tracing::warn!(identity = self.identity, "no longer leading");
                        end(&mut term).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot renew the lease");
                        if last_good.elapsed() > PATIENCE {
                            end(&mut term).await;
                        }
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        end(&mut term).await;
        if let Err(error) = manager.release().await {
            tracing::warn!(%error, "cannot release the lease");
        }
    }

    async fn manager(&self, lease: &str, shutdown: &CancellationToken) -> Option<LeaseManager> {
        loop {
            let builder = LeaseManagerBuilder::new(self.client.clone(), lease)
                .with_namespace(&self.namespace)
                .with_identity(&self.identity)
                .with_duration(LEASE)
                .with_grace(GRACE);
            match builder.build().await {
                Ok(manager) => return Some(manager),
                Err(error) => tracing::warn!(%error, "cannot prepare the lease; trying again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = sleep(PAUSE) => (),
            }
        }
    }
}

fn begin<W, F>(work: &W) -> Term
where
    W: Fn(CancellationToken) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    Term { task: tokio::spawn(work(stop.clone())), stop }
}

async fn end(term: &mut Option<Term>) {
    if let Some(term) = term.take() {
        term.end().await;
    }
}

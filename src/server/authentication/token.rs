//! Bearer tokens, reviewed by kube-apiserver. Only digests of them are kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo};
use kube::api::PostParams;
use sha2::{Digest as _, Sha256};

use super::User;
use crate::server::cache::Cache;
use crate::server::failure::Failure;

const ANSWER_TTL: Duration = Duration::from_secs(10);
const ANSWER_COUNT: usize = 4096;
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer ones are no tokens: what kube-apiserver issues stays far below.
const TOKEN_BYTES: usize = 32 * 1024;

/// Whose token it is; `None` if it is not valid.
type Answer = Option<Arc<User>>;

/// Finds out whose token it is.
#[derive(Clone)]
pub(super) struct Tokens {
    reviews: kube::Api<TokenReview>,
    answers: Arc<Cache<Answer>>,
}

impl Tokens {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { reviews: kube::Api::all(client), answers: Arc::new(Cache::new(ANSWER_TTL, ANSWER_COUNT)) }
    }

    /// Returns the token's user.
    pub(super) async fn user(&self, token: &str) -> Result<User, Failure> {
        if token.len() > TOKEN_BYTES {
            return Err(Failure::unauthorized());
        }
        let key = Sha256::digest(token).into();
        let answer = if let Some(answer) = self.answers.lookup(&key, Instant::now()) {
            answer
        } else {
            let answer = self.ask(token).await?;
            self.answers.keep(key, answer.clone(), Instant::now());
            answer
        };
        answer.map(Arc::unwrap_or_clone).ok_or_else(Failure::unauthorized)
    }

    async fn ask(&self, token: &str) -> Result<Answer, Failure> {
        let spec = TokenReviewSpec { token: token.into(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let parameters = PostParams::default();
        let answered = tokio::time::timeout(REVIEW_TIMEOUT, self.reviews.create(&parameters, &review)).await;
        let status = match answered {
            Ok(Ok(review)) => review.status,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot have a bearer token reviewed by kube-apiserver");
                None
            }
            Err(_) => {
                tracing::warn!("kube-apiserver does not answer the review of a bearer token");
                None
            }
        };
        let unknown =
            || Failure::unavailable("the bearer token could not be reviewed; try again").with_retry_after(1);
        status.map(|status| user(status).map(Arc::new)).ok_or_else(unknown)
    }
}

fn user(status: TokenReviewStatus) -> Option<User> {
    let UserInfo { username, uid, groups, extra } =
        status.user.filter(|_| status.authenticated == Some(true))?;
    Some(User {
        name: username.filter(|name| !name.is_empty())?,
        uid: uid.unwrap_or_default(),
        groups: groups.unwrap_or_default(),
        extra: extra.unwrap_or_default(),
    })
}

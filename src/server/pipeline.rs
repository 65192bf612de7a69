//! The way of every request, in this order: panic guard, audit id, limit of requests at once, who
//! asks, what for, whether they may, time limit, answer. Handlers get a request that is authorized and
//! find [`User`] and [`RequestInfo`] in its extensions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt};
use http::{HeaderName, HeaderValue, header, request};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::authentication::{Authenticator, MASTERS, User, impersonation};
use super::authorization::{Attributes, Authorizer};
use super::discovery::Discovery;
use super::failure::Failure;
use super::health::Health;
use super::limits::{self, InFlight};
use super::openapi::OpenApi;
use super::request::{Page, RequestInfo, Target};
use super::tls::Peer;
use super::{Clock, Parts};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const AUDIT_ID_BYTES: usize = 64;

/// What every request needs.
pub(super) struct Pipeline {
    authenticator: Authenticator,
    authorizer: Authorizer,
    health: Health,
    in_flight: InFlight,
    discovery: Discovery,
    openapi: OpenApi,
    resources: Router,
    clock: Clock,
    /// Ends the watches.
    ending: CancellationToken,
}

impl Pipeline {
    pub(super) fn new(parts: Parts, ending: CancellationToken) -> Self {
        let Parts { authenticator, authorizer, health, openapi_v3, openapi_v2, resources, clock } = parts;
        Self {
            authenticator,
            authorizer,
            health,
            in_flight: InFlight::default(),
            discovery: Discovery::new(),
            openapi: OpenApi::new(&openapi_v3, &openapi_v2),
            resources,
            clock,
            ending,
        }
    }

    /// Makes the router that answers everything.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(guarded).with_state(Arc::new(self))
    }

    async fn answer(&self, request: Request) -> Result<Response, Failure> {
        let (mut parts, body) = request.into_parts();
        let target = Target::parse(&parts.method, &parts.uri);
        if let Ok(Target::Page(Page::Health(probe))) = &target {
            return Ok(self.health.answer(probe, parts.uri.query().unwrap_or_default()));
        }
        let place = self.in_flight.admit(&parts.method);
        let peer = parts.extensions.remove::<Peer>().unwrap_or_default();
        if place.is_none() && !self.is_master(&peer, &parts)? {
            return Err(Failure::too_many_requests());
        }
        let user = self.authenticator.user(&peer, &parts.headers).await?;
        let user = impersonation::resolve(user, &parts.headers, &self.authorizer).await?;
        self.authenticator.forget_credentials(&mut parts.headers);
        match target? {
            Target::Page(page) => self.page(&page, &user, &parts),
            Target::Resource(info) => {
                self.authorizer.check(&user, &Attributes::from(&info)).await?;
                self.resource(info, user, parts, body).await
            }
        }
    }

    /// kube-apiserver asks as one of them whether we are there: that must not fail under load.
    fn is_master(&self, peer: &Peer, parts: &request::Parts) -> Result<bool, Failure> {
        let user = self.authenticator.by_certificate(peer, &parts.headers)?;
        Ok(user.is_some_and(|user| user.is_in(MASTERS)))
    }

    /// What we serve is no secret to anybody who can prove who they are; asking whether they may would
    /// only make kube-apiserver's own discovery wait for kube-apiserver.
    fn page(&self, page: &Page, user: &User, parts: &request::Parts) -> Result<Response, Failure> {
        if !user.is_authenticated() {
            return Err(Attributes::reading(parts.uri.path()).refused_to(user, ""));
        }
        let headers = &parts.headers;
        let query = parts.uri.query().unwrap_or_default();
        Ok(match page {
            Page::Index => self.discovery.index(headers),
            Page::Groups => self.discovery.groups(headers),
            Page::Group => self.discovery.group(headers),
            Page::Resources => self.discovery.resources(headers),
            Page::OpenApiV2 => self.openapi.v2(headers),
            Page::OpenApiV3 => self.openapi.index(headers),
            Page::OpenApiV3Group => self.openapi.v3(headers, query, (self.clock)()),
            Page::Health(probe) => self.health.answer(probe, query),
        })
    }

    async fn resource(
        &self,
        info: RequestInfo,
        user: User,
        mut parts: request::Parts,
        body: Body,
    ) -> Result<Response, Failure> {
        let long_running = info.is_long_running();
        // Of a watch only the beginning is limited: the rest goes on until the client has enough.
        let time = if long_running {
            limits::LONGEST
        } else {
            limits::deadline(parts.uri.query().unwrap_or_default())?
        };
        parts.extensions.insert(info);
        parts.extensions.insert(user);
        let answer = async {
            let body = if limits::is_reading(&parts.method) {
                Body::empty()
            } else {
                Body::from(limits::read(&parts.headers, body).await?)
            };
            let request = Request::from_parts(parts, body);
            Ok::<_, Failure>(self.resources.clone().oneshot(request).await.into_response())
        };
        let response = tokio::time::timeout(time, answer)
            .await
            .map_err(|_| Failure::timeout("request did not complete within the allotted timeout"))??;
        Ok(if long_running { self.until_the_end(response) } else { response })
    }

    /// Lets a stream end cleanly when the server does, so that clients resume it elsewhere.
    fn until_the_end(&self, response: Response) -> Response {
        let ending = self.ending.clone().cancelled_owned();
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(ending)))
    }
}

async fn guarded(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response {
    let audit_id = audit_id(&request);
    let subject = format!("{} {}", request.method(), request.uri().path());
    let answered = AssertUnwindSafe(pipeline.answer(request)).catch_unwind().await;
    let mut response = answered
        .unwrap_or_else(|_| {
            tracing::error!(%subject, audit_id = ?audit_id, "a request made its handler panic");
            Err(Failure::internal("the request made gitopsd panic; its log has more"))
        })
        .unwrap_or_else(Failure::into_response);
    let headers = response.headers_mut();
    headers.insert(AUDIT_ID, audit_id);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    response
}

/// Takes the id that kube-apiserver gave the request, so that both logs tell of the same one.
fn audit_id(request: &Request) -> HeaderValue {
    request
        .headers()
        .get(AUDIT_ID)
        .filter(|id| !id.is_empty() && id.len() <= AUDIT_ID_BYTES)
        .cloned()
        .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok())
        .unwrap_or_else(|| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests;

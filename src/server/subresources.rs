//! The subresources of an application that are not a part of it: `events`, `refresh`, `sync`. All three
//! work on stored objects; what is asked for is done by whoever follows those.

pub(super) mod events;
pub(super) mod refresh;
pub(super) mod sync;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};

use super::failure::{Failure, cause};
use super::request::{PathFamily, RequestInfo};
use crate::api::application::Application;
use crate::store::request::Commit;

/// Returns the parameters of a query, decoded.
fn parameters(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let query = uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).into_owned()
}

/// Reads `dryRun`.
fn commit(uri: &Uri) -> Result<Commit, Failure> {
    let mut wishes = parameters(uri).filter(|(key, value)| key == "dryRun" && !value.is_empty());
    match wishes.next() {
        None => Ok(Commit::Store),
        Some((_, wish)) if wish == "All" => Ok(Commit::DryRun),
        Some((_, wish)) => {
            let message = format!("Unsupported value: [{wish:?}]: supported values: \"All\"");
            Err(Failure::invalid_options(
                "CreateOptions",
                vec![cause("FieldValueNotSupported", "dryRun", message)],
            ))
        }
    }
}

/// Returns the namespace and the name of the application in the path.
fn application(info: &RequestInfo) -> Result<(&str, &str), Failure> {
    info.namespace.as_deref().zip(info.name.as_deref()).ok_or_else(Failure::page_not_found)
}

/// Answers with the application; the reference's paths answer with nothing.
fn accepted(info: &RequestInfo, app: &Application) -> Response {
    match info.family {
        PathFamily::Canonical => (StatusCode::CREATED, Json(app)).into_response(),
        PathFamily::Project => StatusCode::NO_CONTENT.into_response(),
    }
}

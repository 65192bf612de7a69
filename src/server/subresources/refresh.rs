//! `POST …/applications/{name}/refresh`: look at the source and the cluster again.

use axum::extract::Request;
use axum::response::Response;
use http::Uri;

use super::{accepted, application, commit, parameters};
use crate::api::requests::{RefreshRequest, RefreshType};
use crate::server::failure::Failure;
use crate::server::request::RequestInfo;
use crate::server::rest::{Rest, read_json};

pub(in crate::server) async fn answer(
    rest: &Rest,
    info: &RequestInfo,
    request: Request,
) -> Result<Response, Failure> {
    let (namespace, name) = application(info)?;
    let (mut parts, body) = request.into_parts();
    let commit = commit(&parts.uri)?;
    let body = read_json(&mut parts.headers, body).await?;
    let asked = RefreshRequest::parse(&body).map_err(|invalid| Failure::bad_request(invalid.to_string()))?;
    let kind = in_query(&parts.uri)?.unwrap_or(asked.type_);
    let app = rest.store.request_refresh(namespace, name, kind, commit).await?;
    Ok(accepted(info, &app))
}

/// Reads `type=hard` or `hard=true`, which win over the body.
fn in_query(uri: &Uri) -> Result<Option<RefreshType>, Failure> {
    let mut asked = None;
    for (key, value) in parameters(uri) {
        asked = match (key.as_str(), value.as_str()) {
            ("type", "hard") | ("hard", "true" | "1" | "") => Some(RefreshType::Hard),
            ("type", "normal") | ("hard", "false" | "0") => asked.or(Some(RefreshType::Normal)),
            ("type", _) => return Err(bad("type", &value, "normal or hard")),
            ("hard", _) => return Err(bad("hard", &value, "true or false")),
            _ => asked,
        };
    }
    Ok(asked)
}

fn bad(key: &str, value: &str, words: &str) -> Failure {
    Failure::bad_request(format!("the query parameter {key} is {value:?}: write {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_may_ask_for_a_hard_refresh() {
        let check = |query: &str, expected: Result<Option<RefreshType>, &str>| {
            let uri = format!("/refresh?{query}").parse().unwrap();
            assert_eq!(in_query(&uri).map_err(|failure| failure.to_string()), expected.map_err(Into::into));
        };
        check("", Ok(None));
        check("type=hard", Ok(Some(RefreshType::Hard)));
        check("hard=true&type=normal", Ok(Some(RefreshType::Hard)));
        check("hard=false", Ok(Some(RefreshType::Normal)));
        check("type=soft", Err("the query parameter type is \"soft\": write normal or hard"));
        check("hard=maybe", Err("the query parameter hard is \"maybe\": write true or false"));
    }
}

//! Bounds on what one request, and all requests together, may take: how many are answered at once, how
//! long each may take, how large its body may be. Watches are bounded elsewhere, by the connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

const READING: usize = 400;
const WRITING: usize = 200;
/// Largest body, as in kube-apiserver.
pub const BODY_BYTES: usize = 3 * 1024 * 1024;
/// Longest time to answer, as in kube-apiserver, which gives up on us after it.
pub const LONGEST: Duration = Duration::from_mins(1);

/// How many requests are answered at once.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    reading: Arc<Semaphore>,
    writing: Arc<Semaphore>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self::new(READING, WRITING)
    }
}

impl InFlight {
    pub(super) fn new(reading: usize, writing: usize) -> Self {
        Self { reading: Arc::new(Semaphore::new(reading)), writing: Arc::new(Semaphore::new(writing)) }
    }

    /// Returns a place that is held until it is dropped; `None` if all are taken.
    pub(super) fn admit(&self, method: &Method) -> Option<OwnedSemaphorePermit> {
        let places = if is_reading(method) { &self.reading } else { &self.writing };
        places.clone().try_acquire_owned().ok()
    }
}

/// Says whether a method only reads.
pub(super) fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Reads a whole body. Fails with 413 as soon as it is known to be too large.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_BYTES as u64) {
        return Err(Failure::body_too_large(BODY_BYTES));
    }
    match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::body_too_large(BODY_BYTES)),
        Err(_) => Err(Failure::bad_request("the body of the request did not arrive whole")),
    }
}

/// Returns how long an answer may take: what the parameter `timeout` asks for, but not longer than
/// [`LONGEST`].
pub(super) fn deadline(query: &str) -> Result<Duration, Failure> {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("timeout=")).unwrap_or_default();
    if asked.is_empty() {
        return Ok(LONGEST);
    }
    let asked = go_duration(asked).ok_or_else(|| {
        Failure::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration {asked:?}"
        ))
    })?;
    Ok(if asked.is_zero() { LONGEST } else { asked.min(LONGEST) })
}

/// Reads a duration as Go writes it (`1m30s`, `1.5h`, `300ms`). Negative ones count as zero.
fn go_duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, unit_and_more) = rest.split_at(digits);
        let unit =
            unit_and_more.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(unit_and_more.len());
        let (unit, more) = unit_and_more.split_at(unit);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = more;
    }
    let empty = text.trim_start_matches(['-', '+']).is_empty();
    if empty {
        return None;
    }
    Duration::try_from_secs_f64(if negative { 0.0 } else { seconds }).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_may_ask_for_less_time() {
        let check = |query: &str, seconds: f64| {
            let found = deadline(query).unwrap().as_secs_f64();
            assert!((found - seconds).abs() < 1e-9, "{query} gave {found}");
        };
        check("", 60.0);
        check("watch=1&timeout=3s", 3.0);
        check("timeout=1500ms", 1.5);
        check("timeout=0.5m", 30.0);
        check("timeout=10s500ms", 10.5);
        check("timeout=2m", 60.0);
        check("timeout=0", 60.0);
        check("timeout=-5s", 60.0);
        check("timeoutSeconds=5", 60.0);
    }

    #[test]
    fn durations_are_those_of_go() {
        for wrong in ["abc", "5", "s", "1.2.3s", "5x", "-", "1s2"] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
        let failure = deadline("timeout=abc").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "invalid timeout specified in the request URL - time: invalid duration \"abc\""
        );
    }

    #[test]
    fn writers_do_not_wait_for_readers() {
        let places = InFlight::new(1, 1);
        let reading = places.admit(&Method::GET);
        assert!(reading.is_some());
        assert!(places.admit(&Method::HEAD).is_none());
        assert!(places.admit(&Method::POST).is_some());
        drop(reading);
        assert!(places.admit(&Method::GET).is_some());
    }

    #[tokio::test]
    async fn bodies_are_bounded_whether_announced_or_not() {
        let fitting = Body::from(vec![0; BODY_BYTES]);
        assert_eq!(read(&HeaderMap::new(), fitting).await.unwrap().len(), BODY_BYTES);
        let larger = Body::from(vec![0; BODY_BYTES + 1]);
        assert_eq!(read(&HeaderMap::new(), larger).await.unwrap_err().code(), 413);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, (BODY_BYTES + 1).into());
        assert_eq!(read(&headers, Body::empty()).await.unwrap_err().code(), 413);
    }
}

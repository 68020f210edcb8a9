//! What changes something: POST only, with the admin token in a header, from the page itself or from a program.
//!
//! A cookie alone never suffices, so another site that a browser visits can send nothing that is accepted. It could not
//! either, because of the headers `Origin` and `Sec-Fetch-Site`, and since it may not send JSON.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{self, Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use tokio::time::timeout;

use crate::config::web::Token;
use crate::system::utc;
use crate::web::auth::bearer;
use crate::web::state::AppState;

/// Maximum size of a request's body, and the time that it may take.
const MAX_BODY: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const ADMIN_TOKEN: HeaderName = HeaderName::from_static("x-admin-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The address of a client, added to each request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// Returns the routes of who may write: the `actions`, and whether the token is right.
pub(super) fn routes(actions: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
    actions
        .route("/api/admin", post(|| async { Json(json!({ "message": "the admin token is right" })) }))
        .route_layer(middleware::from_fn(limit_body))
}

/// Returns the response for a request that may not change anything.
pub(super) fn refusal(state: &AppState, token: &Token, request: &Request) -> Option<Response> {
    let headers = request.headers();
    if !is_same_origin(request.uri(), headers) {
        return Some((StatusCode::FORBIDDEN, "only this page itself, or a program, may send this\n").into_response());
    }
    if !is_json(headers) {
        return Some(
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send this with Content-Type: application/json\n").into_response(),
        );
    }
    let peer = peer(request);
    let named = headers.get(ADMIN_TOKEN).and_then(|value| value.to_str().ok());
    let is_right = || named.or_else(|| bearer(headers)).is_some_and(|given| token.is(given));
    state.admin_attempts.refusal(peer, "admin token", is_right, || {
        log(peer, "refused: the admin token is missing or wrong");
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"livelabel admin\"")];
        (StatusCode::UNAUTHORIZED, challenge, "the admin token is missing or wrong\n").into_response()
    })
}

/// Returns whether the request comes from this page, or from a program, which sends neither header.
fn is_same_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or_default());
    if text(SEC_FETCH_SITE).is_some_and(|site| site != "same-origin") {
        return false;
    }
    let host = text(header::HOST).or(uri.authority().map(|authority| authority.as_str()));
    // Of the origin only host and port are compared: behind a proxy the page may be https, and this server is not.
    text(header::ORIGIN).is_none_or(|origin| {
        let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

pub(super) fn peer(request: &Request) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    request.extensions().get::<Peer>().map_or(unknown, |peer| peer.0.to_canonical())
}

/// Reads the whole body before anything is done.
async fn limit_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let too_large = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or incomplete\n");
    // What its header announces is not waited for.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return too_large.into_response();
    }
    match timeout(BODY_TIMEOUT, body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_large.into_response(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response(),
    }
}

/// Logs a change, with its time: a log on a terminal has none.
pub(super) fn log(peer: IpAddr, what: &str) {
    tracing::info!("{} {peer}: {what}", utc::milliseconds(utc::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_are_not_the_same_origin() {
        let same = |origin: Option<&str>, site: Option<&str>| {
            let given = [(header::HOST, Some("door.local:8080")), (header::ORIGIN, origin), (SEC_FETCH_SITE, site)];
            let named = given.into_iter().filter_map(|(name, value)| Some((name, value?.parse().unwrap())));
            is_same_origin(&Uri::from_static("/api/reload"), &HeaderMap::from_iter(named))
        };
        assert!(same(None, None) && same(Some("http://door.local:8080"), Some("same-origin")));
        assert!(same(Some("https://DOOR.local:8080"), None));
        for origin in ["null", "", "http://door.local", "http://door.local:80800", "ftp://door.local:8080"] {
            assert!(!same(Some(origin), None), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!same(Some("http://door.local:8080"), Some(site)), "{site}");
        }
    }
}

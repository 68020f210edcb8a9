//! Who is answered at all: readers only, by the address that the page is served at, and with the token where there is one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::web::Token;
use crate::web::state::AppState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; \
    connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
/// How long a browser is let in without the token, in seconds: a month.
const COOKIE_AGE: u32 = 30 * 24 * 3600;
/// What a person sees who has no token yet.
const LOGIN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>livelabel</title>\
    <style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:20vh auto;max-width:20rem;padding:1rem}\
    input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>\
    <h1>livelabel</h1><form action=\"/\" method=\"get\"><label for=\"token\">Token</label>\
    <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
    <button>Watch</button></form></html>";

/// Lets a request through or answers in its place, and gives every answer the headers that keep browsers safe.
pub(super) async fn check(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&state, &request) {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(state: &AppState, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "this is to read only\n").into_response(),
        );
    }
    let (uri, headers) = (request.uri(), request.headers());
    // RFC 9112, 3.2.
    if request.version() == Version::HTTP_11 && headers.get_all(header::HOST).iter().count() != 1 {
        return Some((StatusCode::BAD_REQUEST, "a request has one Host\n").into_response());
    }
    let Some(token) = &state.access.token else {
        let known = !state.address.ip().is_loopback() || is_local(uri, headers);
        // A page of another site, whose name was made to mean this machine, shall not read what is here.
        return (!known).then(|| (StatusCode::FORBIDDEN, "ask for localhost\n").into_response());
    };
    let given = query_token(uri);
    let cookie = format!("livelabel-{}", state.address.port());
    match given {
        Some(given) if token.is(&given) => (uri.path() == "/").then(|| welcome(token, &cookie)),
        None if bearer(headers).is_some_and(|given| token.is(given)) => None,
        None if cookies(headers, &cookie).any(|value| token.is_cookie(value)) => None,
        _ => Some(ask(uri)),
    }
}

/// Gives the browser a cookie, and takes the token out of its address bar.
fn welcome(token: &Token, name: &str) -> Response {
    let cookie = format!("{name}={}; Path=/; Max-Age={COOKIE_AGE}; HttpOnly; SameSite=Strict", token.cookie());
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_string()), (header::SET_COOKIE, cookie)]).into_response()
}

fn ask(uri: &Uri) -> Response {
    let bearer = [(header::WWW_AUTHENTICATE, "Bearer realm=\"livelabel\"")];
    match uri.path() {
        "/" => (StatusCode::UNAUTHORIZED, bearer, axum::response::Html(LOGIN)).into_response(),
        _ => (StatusCode::UNAUTHORIZED, bearer, "the token is missing or wrong\n").into_response(),
    }
}

fn query_token(uri: &Uri) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(key, _)| key == "token").map(|(_, token)| token.into_owned())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (kind, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(move |pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// Whether a request was made to this machine by a name that can mean no other.
fn is_local(uri: &Uri, headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(header::HOST).into_iter().map(|host| host.to_str().unwrap_or_default());
    hosts.chain(uri.authority().map(|authority| authority.as_str())).all(|host| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
    })
}

/// Text as one segment of a path or a header's value.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_for_this_machine_are_not_taken() {
        let local = |host: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())]);
            is_local(&Uri::from_static("/"), &headers)
        };
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]", "[::1]:8080"] {
            assert!(local(host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io:80", "", "::1:8080:x"]
        {
            assert!(!local(host), "{host}");
        }
        assert!(!is_local(&Uri::from_static("http://evil.example/"), &HeaderMap::new()));
    }
}

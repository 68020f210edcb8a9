//! Access control: methods, local host names without a token, and the token if one is set. `admin` has what writing needs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::web::Token;
use crate::web::admin;
use crate::web::state::AppState;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; \
    connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
/// How long the login cookie is valid, in seconds: 30 days.
const COOKIE_AGE: u32 = 30 * 24 * 3600;
/// The login page.
const LOGIN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>livelabel</title>\
    <style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:20vh auto;max-width:20rem;padding:1rem}\
    input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>\
    <h1>livelabel</h1><form action=\"/\" method=\"get\"><label for=\"token\">Token</label>\
    <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
    <button>Watch</button></form></html>";

/// Checks web_config, and adds the security headers to every response.
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
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(state: &AppState, request: &Request) -> Option<Response> {
    // Without an admin token nobody may write.
    let writer = state.web_config.admin_token.as_ref().filter(|_| request.method() == Method::POST);
    if writer.is_none() && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "only GET and HEAD are allowed\n")
                .into_response(),
        );
    }
    let (uri, headers) = (request.uri(), request.headers());
    // RFC 9112, 3.2.
    if request.version() == Version::HTTP_11 && headers.get_all(header::HOST).iter().count() != 1 {
        return Some((StatusCode::BAD_REQUEST, "a request needs exactly one Host header\n").into_response());
    }
    // Prevents DNS rebinding: another site's name, resolved to this machine, must not read the page.
    if state.web_config.token.is_none() && state.address.ip().is_loopback() && !is_local(uri, headers) {
        return Some((StatusCode::FORBIDDEN, "open the page as localhost, or set a token\n").into_response());
    }
    if let Some(admin_token) = writer {
        return admin::refusal(state, admin_token, request);
    }
    let token = state.web_config.token.as_ref()?;
    let cookie = format!("livelabel-{}", state.address.port());
    let in_query = query_token(uri);
    // Cookies are too long to be guessed. Who has one is not slowed down by who guesses behind the same address.
    if in_query.is_none() && cookies(headers, &cookie).any(|value| token.is_cookie(value)) {
        return None;
    }
    let logs_in = in_query.is_some() && uri.path() == "/";
    let Some(given) = in_query.or_else(|| bearer(headers).map(Into::into)) else { return Some(unauthorised(uri)) };
    let peer = admin::peer(request);
    let refused = state.attempts.refusal(
        peer,
        "token",
        || token.is(&given),
        || {
            admin::log(peer, "refused: the token is wrong");
            unauthorised(uri)
        },
    );
    refused.or_else(|| logs_in.then(|| log_in(state, token, &cookie)))
}

/// Sets the login cookie, and redirects so that the token leaves the address bar.
fn log_in(state: &AppState, token: &Token, name: &str) -> Response {
    let secure = if state.web_config.certificate.is_some() { "; Secure" } else { "" };
    let value = token.cookie();
    let cookie = format!("{name}={value}; Path=/; Max-Age={COOKIE_AGE}; HttpOnly; SameSite=Strict{secure}");
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_string()), (header::SET_COOKIE, cookie)]).into_response()
}

/// Answers with the login page, or with an error for other paths.
fn unauthorised(uri: &Uri) -> Response {
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

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
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

/// Returns whether every host name in the request is a loopback name.
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

/// Percent-encodes text as one path segment or header value.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
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

//! `livelabel reload`: asks a run to read its pipeline file again.

use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::cli::args::ReloadArgs;
use crate::config::web::read_admin_token;
use crate::error::{Error, Result};

/// Timeouts: to connect, and until the run has answered. It may have to load a model.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(600);
/// Bytes read of an answer.
const MAX_ANSWER: u64 = 64 << 10;

/// Returns what the run changed.
///
/// # Errors
/// Usage, if the run refuses, or the token is wrong; unavailable, if nothing answers.
pub fn reload(args: &ReloadArgs) -> Result<String> {
    let token = read_admin_token(&args.admin_token_file)?;
    let tls = TlsConfig::builder().root_certs(roots(args)?).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls)
        .build()
        .into();
    let url = format!("{}/api/reload", args.web.trim_end_matches('/'));
    let request = agent.post(&url).content_type("application/json").header("X-Admin-Token", &token);
    let mut response = request.send("{}").map_err(|cause| {
        Error::unavailable(format!("{}: no run answers", args.web))
            .because(cause)
            .remedy("check the address; --trust FILE trusts a certificate that the system does not")
    })?;
    let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
    let answer = serde_json::from_str::<Value>(&text).unwrap_or_default();
    let said = |key: &str| answer[key].as_str().map(String::from);
    let refused = |why: String| Error::usage(format!("{}: the run refuses to reload", args.web)).because(why);
    match response.status().as_u16() {
        200 => said("message").ok_or_else(|| refused("it is no run of livelabel".into())),
        405 => Err(refused("nobody may change it".into()).remedy("start it with --web-admin-token-file FILE")),
        status => Err(refused(said("error").unwrap_or_else(|| format!("HTTP {status}, {}", text.trim())))),
    }
}

/// Returns the certificates to trust: that of `--trust`, or the system's.
fn roots(args: &ReloadArgs) -> Result<RootCerts> {
    let Some(path) = &args.trust else { return Ok(RootCerts::PlatformVerifier) };
    let unusable = |cause: String| {
        Error::usage(format!("{}: the certificate cannot be read", path.display()))
            .because(cause)
            .remedy("name the PEM file that the run has as --web-cert")
    };
    let pem = std::fs::read(path).map_err(|cause| unusable(cause.to_string()))?;
    let certificate = Certificate::from_pem(&pem).map_err(|cause| unusable(cause.to_string()))?;
    Ok(RootCerts::new_with_certs(&[certificate]))
}

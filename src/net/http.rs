//! A client of web servers.

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Returns a client that trusts the system's certificates and says what program it is. It takes any status as an answer.
pub fn client() -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Agent::config_builder()
        .user_agent(concat!("livelabel/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .tls_config(tls)
}

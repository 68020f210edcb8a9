//! Arguments of a page, for the commands that are no run.

use std::path::PathBuf;

use clap::Args;

use crate::config::options::RunOptions;
use crate::config::web::WebConfig;
use crate::error::{Error, Result};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// Where a page is, and who may see it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Page")]
pub struct PageArgs {
    /// Address of the page [default: 127.0.0.1:8080; of a worker: no page]
    #[arg(long, value_name = "ADDRESS")]
    web: Option<String>,
    /// Token that clients must present; required if other machines can reach the address
    #[arg(long, value_name = "TOKEN")]
    web_token: Option<String>,
    /// File with the token, which keeps it out of the list of processes
    #[arg(long, value_name = "FILE")]
    web_token_file: Option<PathBuf>,
    /// Certificate for https, a PEM file with the certificates of its issuers after it; needs --web-key
    #[arg(long, value_name = "FILE")]
    web_cert: Option<PathBuf>,
    /// Private key of the certificate, a PEM file without a password
    #[arg(long, value_name = "FILE")]
    web_key: Option<PathBuf>,
}

impl PageArgs {
    /// Returns the page's address, token and certificate; `None` without an address.
    ///
    /// # Errors
    /// Those of [`WebConfig::resolve`].
    pub fn resolve(&self) -> Result<Option<WebConfig>> {
        self.resolve_at(self.web.clone())
    }

    /// As [`PageArgs::resolve`], at the default address if none is set.
    ///
    /// # Errors
    /// Those of [`WebConfig::resolve`].
    pub fn resolve_or_default(&self) -> Result<WebConfig> {
        let address = self.web.clone().unwrap_or_else(|| DEFAULT_ADDRESS.into());
        self.resolve_at(Some(address))?.ok_or_else(|| Error::internal("a page has no address"))
    }

    fn resolve_at(&self, web: Option<String>) -> Result<Option<WebConfig>> {
        WebConfig::resolve(&RunOptions {
            web,
            web_token: self.web_token.clone(),
            web_token_file: self.web_token_file.clone(),
            web_cert: self.web_cert.clone(),
            web_key: self.web_key.clone(),
            ..RunOptions::default()
        })
    }

    /// Returns the files of the certificate.
    pub fn certificate(&self) -> impl Iterator<Item = &PathBuf> {
        self.web_cert.iter().chain(&self.web_key)
    }
}

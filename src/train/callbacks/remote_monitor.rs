//! Keras' `RemoteMonitor`: posts each epoch's metrics to a web server, as JSON in the form field `data`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::train::callbacks::{Callback, figures};
use crate::train::state::EpochRecord;

/// Keras' default path.
const PATH: &str = "/publish/epoch/end/";
/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Of consecutive failures, every tenth is logged, starting with the first.
const LOG_EVERY: usize = 10;

pub struct RemoteMonitor {
    url: String,
    agent: ureq::Agent,
    failures: usize,
}

impl RemoteMonitor {
    /// Posts to the server `url`, such as `http://localhost:9000`.
    ///
    /// # Errors
    /// `Usage` if it is not an `http://` URL.
    pub fn new(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Err(Error::usage("--remote-monitor is not an http:// URL")
                .remedy("give a URL such as http://localhost:9000"));
        };
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build();
        Ok(Self { url: format!("http://{host}{PATH}"), agent: config.into(), failures: 0 })
    }
}

impl Callback for RemoteMonitor {
    fn epoch(&mut self, history: &[EpochRecord]) -> Result<()> {
        let Some(record) = history.last() else { return Ok(()) };
        // Keras counts epochs from 0.
        let mut data = Map::from_iter([("epoch".to_string(), json!(record.epoch - 1))]);
        data.extend(figures(record).map(|(name, value)| (name.to_string(), json!(value))));
        match self.agent.post(&self.url).send_form([("data", Value::Object(data).to_string())]) {
            Ok(_) => self.failures = 0,
            Err(cause) => {
                if self.failures.is_multiple_of(LOG_EVERY) {
                    // The URL is not logged, because it may contain a password.
                    tracing::warn!("the remote monitor did not accept the epoch ({cause}); training continues");
                }
                self.failures += 1;
            }
        }
        Ok(())
    }
}

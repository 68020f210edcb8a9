//! Keras' `RemoteMonitor`: each epoch's figures to a web server, as the form field `data` that holds JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::train::callbacks::{Callback, figures};
use crate::train::state::EpochRecord;

/// Where Keras sends them.
const PATH: &str = "/publish/epoch/end/";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Every so many failures in a row are told, after the first.
const TOLD: usize = 10;

pub struct RemoteMonitor {
    url: String,
    agent: ureq::Agent,
    failures: usize,
}

impl RemoteMonitor {
    /// Sends to the server `url`, like `http://localhost:9000`.
    ///
    /// # Errors
    /// Usage, where it is no such address.
    pub fn new(url: &str) -> Result<Self> {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Err(Error::usage("--remote-monitor is no address of a web server")
                .remedy("give one like http://localhost:9000"));
        };
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
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
                if self.failures.is_multiple_of(TOLD) {
                    // The cause does not repeat the address, which may hold a password.
                    tracing::warn!("the remote monitor does not take the epoch ({cause}); training goes on");
                }
                self.failures += 1;
            }
        }
        Ok(())
    }
}

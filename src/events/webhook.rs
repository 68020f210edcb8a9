//! Posts events to a web server in order, and retries the ones it did not accept.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::events::Webhook;
use crate::events::sink_context::{EventEnvelope, SinkContext};
use crate::net::backoff::Backoff;
use crate::net::credentials::Credentials;
use crate::net::http;
use crate::system::clock::SharedClock;

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Events older than this are not delivered.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Bytes read of a response's body, so that the connection can be reused.
const BODY_LIMIT: u64 = 64 << 10;

/// The result of one request.
enum Delivery {
    Delivered,
    /// A permanent failure.
    Refused(String),
    /// A temporary failure: the request is retried.
    Failed(String),
}

/// Posts events to one URL.
pub(super) struct WebhookSink {
    agent: ureq::Agent,
    clock: SharedClock,
    url: String,
    authorization: Option<String>,
    what: String,
    backoff: Backoff,
    /// The last request failed, and that was logged.
    failing: bool,
    /// Reasons of refusals that were logged.
    refused: HashSet<String>,
}

impl WebhookSink {
    pub fn new(hook: &Webhook, clock: &SharedClock) -> Self {
        let config =
            http::client().timeout_global(Some(TIMEOUT)).max_redirects(0).max_redirects_will_error(false).build();
        let authorization = hook.credentials.as_ref().map(Credentials::basic);
        Self {
            agent: config.into(),
            clock: SharedClock::clone(clock),
            url: hook.url.to_string(),
            authorization,
            what: hook.to_string(),
            backoff: Backoff::default(),
            failing: false,
            refused: HashSet::new(),
        }
    }

    pub async fn run(mut self, SinkContext { mut events, delivered, deadline }: SinkContext) {
        let post = async {
            while let Some(event) = events.next().await {
                if self.deliver(&event).await {
                    delivered.fetch_add(1, Ordering::Relaxed);
                }
                // A request blocks the thread. Yields between two, so that the deadline is checked.
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = deadline.expires() => {}
            () = post => {}
        }
    }

    /// Posts an event until it is delivered, refused, or too old. Returns whether it was delivered.
    async fn deliver(&mut self, event: &EventEnvelope) -> bool {
        while self.clock.since(event.at) < MAX_AGE {
            match self.post(event) {
                Delivery::Delivered => {
                    self.backoff.reset();
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("{}: the webhook accepts events again", self.what);
                    }
                    return true;
                }
                Delivery::Refused(why) => {
                    if self.refused.insert(why.clone()) {
                        tracing::warn!("{}: the webhook refused an event ({why}); check its address", self.what);
                    }
                    return false;
                }
                Delivery::Failed(why) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        let what = &self.what;
                        tracing::warn!("{what}: the webhook accepts no events ({why}); each is retried for 10 minutes");
                    }
                    tokio::time::sleep(self.backoff.wait()).await;
                }
            }
        }
        false
    }

    fn post(&self, event: &EventEnvelope) -> Delivery {
        let mut request =
            self.agent.post(&self.url).content_type("application/json").header("Idempotency-Key", &event.key);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = match request.send(&event.json) {
            Ok(response) => response,
            Err(ureq::Error::RedirectFailed) => return Delivery::Refused("the server redirects".into()),
            Err(cause) => return Delivery::Failed(cause.to_string()),
        };
        let status = response.status();
        // Only the status matters. Reading the body makes the connection reusable.
        let _ = response.body_mut().with_config().limit(BODY_LIMIT).read_to_vec();
        match status.as_u16() {
            200..300 => Delivery::Delivered,
            408 | 429 | 500.. => Delivery::Failed(format!("HTTP {}", status.as_u16())),
            300..400 => Delivery::Refused("the server redirects".into()),
            code => Delivery::Refused(format!("HTTP {code}")),
        }
    }
}

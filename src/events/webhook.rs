//! Events posted to a web server, one after the other, again where it did not take one.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::tls::{RootCerts, TlsConfig};

use crate::backoff::Backoff;
use crate::config::events::Webhook;
use crate::events::sink_context::{EventEnvelope, SinkContext};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An event that could not be delivered for so long is news no more.
const OLDEST: Duration = Duration::from_secs(600);
/// What is read of an answer, so that the connection can be used again.
const ANSWER_LIMIT: u64 = 64 << 10;

/// What a server did with an event.
enum Answer {
    Taken,
    /// It will not take it another time either.
    Refused(String),
    /// It may take it later.
    Away(String),
}

/// Posts to one address.
pub(super) struct WebhookSink {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
    what: String,
    backoff: Backoff,
    /// Whether it has been away since it was there last, and why it refused events, ever.
    away: bool,
    refused: HashSet<String>,
}

impl WebhookSink {
    pub fn new(hook: &Webhook) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("livelabel/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls)
            .build();
        let authorization = hook
            .login
            .as_ref()
            .map(|login| format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password))));
        Self {
            agent: config.into(),
            url: hook.url.to_string(),
            authorization,
            what: hook.to_string(),
            backoff: Backoff::default(),
            away: false,
            refused: HashSet::new(),
        }
    }

    pub async fn run(mut self, SinkContext { mut events, delivered, deadline }: SinkContext) {
        let post = async {
            while let Some(event) = events.next().await {
                if self.deliver(&event).await {
                    delivered.fetch_add(1, Ordering::Relaxed);
                }
                // A request is not waited for but blocks; between two the deadline is looked at.
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = deadline.passes() => {}
            () = post => {}
        }
    }

    /// Posts an event until it is taken, refused, or too old; says whether it was taken.
    async fn deliver(&mut self, event: &EventEnvelope) -> bool {
        while event.at.elapsed() < OLDEST {
            match self.post(event) {
                Answer::Taken => {
                    self.backoff.reset();
                    if std::mem::take(&mut self.away) {
                        tracing::info!("{}: the webhook takes events again", self.what);
                    }
                    return true;
                }
                Answer::Refused(why) => {
                    if self.refused.insert(why.clone()) {
                        tracing::warn!("{}: the webhook refused an event ({why}); check its address", self.what);
                    }
                    return false;
                }
                Answer::Away(why) => {
                    if !std::mem::replace(&mut self.away, true) {
                        let what = &self.what;
                        tracing::warn!(
                            "{what}: the webhook takes no events ({why}); they are sent again for 10 minutes"
                        );
                    }
                    tokio::time::sleep(self.backoff.wait()).await;
                }
            }
        }
        false
    }

    fn post(&self, event: &EventEnvelope) -> Answer {
        let mut request =
            self.agent.post(&self.url).content_type("application/json").header("Idempotency-Key", &event.key);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = match request.send(&event.json) {
            Ok(response) => response,
            Err(ureq::Error::RedirectFailed) => return Answer::Refused("it points elsewhere".into()),
            Err(cause) => return Answer::Away(cause.to_string()),
        };
        let status = response.status();
        // What it says is of no interest.
        let _ = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec();
        match status.as_u16() {
            200..300 => Answer::Taken,
            408 | 429 | 500.. => Answer::Away(format!("HTTP {}", status.as_u16())),
            300..400 => Answer::Refused("it points elsewhere".into()),
            code => Answer::Refused(format!("HTTP {code}")),
        }
    }
}

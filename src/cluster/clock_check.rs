//! Says if the clock of this machine differs from that of the NATS servers. Claims need no clock that machines share, but the times of
//! events, states and records are those of each worker.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cluster::connection::Connection;
use crate::cluster::names::WORKER;
use crate::cluster::presence::WorkerStatus;
use crate::cluster::record::{self, unanswered};
use crate::error::Result;
use crate::system::clock::SharedClock;
use crate::system::words::count;

/// How often the clocks are compared.
pub const COMPARED: Duration = Duration::from_secs(3600);
/// By how much they may differ.
const TOLERATED: time::Duration = time::Duration::seconds(20);

/// Has a worker say that it is there. Returns a warning if the time at which the servers store that is not between the times before and after.
///
/// # Errors
/// `Unavailable` if the servers do not answer.
pub async fn check(connection: &Connection, status: &WorkerStatus, clock: &SharedClock) -> Result<Option<String>> {
    let subject = format!("{WORKER}{}", status.name);
    let before = clock.utc();
    record::publish(&connection.jetstream, subject.clone(), status).await?;
    let after = clock.utc();
    let stored = connection.streams.workers.direct_get_last_for_subject(subject).await;
    Ok(warning(before, after, stored.map_err(|cause| unanswered(&cause))?.time))
}

fn warning(before: OffsetDateTime, after: OffsetDateTime, stored: OffsetDateTime) -> Option<String> {
    let (behind, ahead) = (stored - after, before - stored);
    let (difference, word) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead of") };
    let seconds = count(difference.whole_seconds().unsigned_abs(), "second");
    (difference > TOLERATED).then(|| {
        format!(
            "the clock of this machine is {seconds} {word} that of the NATS servers, and so are the times of its events; \
             set one of them by NTP"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::connection::block_on;
    use crate::cluster::test_server::TestServer;
    use crate::system::clock::SimulatedClock;

    #[test]
    fn a_clock_that_differs_from_the_servers_by_minutes_is_told() {
        let server = TestServer::start();
        let status = WorkerStatus { name: "first".into(), ..WorkerStatus::default() };
        let check = |clock: SharedClock| {
            let status = status.clone();
            let checked = async {
                let connection = Connection::open(&server.config(), "first").await?;
                check(&connection, &status, &clock).await
            };
            block_on(checked).unwrap()
        };
        let now = std::time::SystemTime::now();
        assert_eq!(check(SimulatedClock::new(now)), None);
        let behind = check(SimulatedClock::new(now - Duration::from_secs(1000))).unwrap();
        assert!(behind.contains(" seconds behind that of the NATS servers"), "{behind}");
        let ahead = check(SimulatedClock::new(now + Duration::from_secs(1000))).unwrap();
        assert!(ahead.contains(" seconds ahead of that of the NATS servers"), "{ahead}");
    }

    #[test]
    fn the_time_that_a_message_takes_does_not_count() {
        let at = |seconds: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
        assert_eq!(warning(at(0), at(60), at(30)), None);
        assert_eq!(warning(at(0), at(60), at(79)), None);
        assert!(warning(at(0), at(60), at(181)).unwrap().contains("121 seconds behind that"));
        assert!(warning(at(180), at(181), at(0)).unwrap().contains("180 seconds ahead of that"));
    }
}

//! Decides when a camera is called, when it is given up, and how long to wait before the next call.
//!
//! A state machine without a clock and without threads: it is told the time and what happened, and answers what to do.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::rtsp::intake::Refusal;

/// How long a camera may take from the call to its first picture.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a camera that is connected may send nothing.
pub const STALL_PATIENCE: Duration = Duration::from_secs(5);
/// Pictures for this long make a connection good: the next wait is the shortest again.
const GOOD: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody listens at the address, or the network is down.
    Refused,
    /// User or password is wrong.
    Unauthorised,
    /// The camera has no such path, or there is no such device.
    NotFound,
    /// No first picture in time.
    Timeout,
    /// Connected, but no picture for a while.
    Stalled,
    /// The camera ended the stream.
    EndOfStream,
    /// What came could not be decoded.
    DecodeError,
    /// The pictures changed to a form that the pipeline could not follow.
    CapsChange,
    /// No TLS, or a certificate that is not trusted.
    TlsRefused,
    /// The camera sends its callers to another server.
    Redirected,
    /// An answer was larger than any that a camera has to give.
    AnswerTooLarge,
    /// Much came, and no frame.
    NoFrames,
    /// Its frames have more pixels than are taken.
    FramesTooLarge,
    /// Its playlist names another host, or a file.
    ForeignPlaylist,
    /// Another program uses the device.
    Busy,
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreachable => Reason::Refused,
            Refusal::Tls => Reason::TlsRefused,
            Refusal::Redirected => Reason::Redirected,
            Refusal::TooLarge => Reason::AnswerTooLarge,
            Refusal::NoPicture => Reason::NoFrames,
        }
    }
}

impl Reason {
    /// As the timeline, events and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Refused => "refused",
            Reason::Unauthorised => "unauthorised",
            Reason::NotFound => "not_found",
            Reason::Timeout => "timeout",
            Reason::Stalled => "stalled",
            Reason::EndOfStream => "end_of_stream",
            Reason::DecodeError => "decode_error",
            Reason::CapsChange => "caps_change",
            Reason::TlsRefused => "tls_refused",
            Reason::Redirected => "redirected",
            Reason::AnswerTooLarge => "answer_too_large",
            Reason::NoFrames => "no_frames",
            Reason::FramesTooLarge => "frames_too_large",
            Reason::ForeignPlaylist => "foreign_playlist",
            Reason::Busy => "busy",
        }
    }

    /// The same for people.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }

    /// What the user can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Reason::Refused => "check that the camera is on and its address is right",
            Reason::Unauthorised => "check user and password",
            Reason::NotFound => "check the path behind the camera's address",
            Reason::Timeout | Reason::Stalled => "check the camera and the network to it",
            Reason::EndOfStream => "the camera ended the stream itself",
            Reason::DecodeError | Reason::CapsChange => "check the camera's encoding; H.264 is the safest",
            Reason::TlsRefused => "it must speak TLS 1.2 or newer, with a certificate that this machine trusts",
            Reason::Redirected => "if the address that it sends to is to be trusted, give that one",
            Reason::AnswerTooLarge | Reason::NoFrames => "check that a camera is at the address",
            Reason::FramesTooLarge => "lower the camera's resolution, or raise --max-pixels",
            Reason::ForeignPlaylist => "let its playlist name other hosts with --allow-playlists",
            Reason::Busy => "close the other program that uses it",
        }
    }

    /// Whether calling again soon is of no use.
    fn is_settled(self) -> bool {
        matches!(
            self,
            Reason::Unauthorised
                | Reason::NotFound
                | Reason::TlsRefused
                | Reason::Redirected
                | Reason::FramesTooLarge
                | Reason::ForeignPlaylist
        )
    }
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    Connecting,
    Running,
    Reconnecting,
}

impl ConnectionState {
    pub fn name(self) -> &'static str {
        match self {
            ConnectionState::Connecting => "connecting",
            ConnectionState::Running => "running",
            ConnectionState::Reconnecting => "reconnecting",
        }
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connect,
    Disconnect(Reason),
    Wait,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle { until: Duration },
    Called { since: Duration },
    Running { first: Duration, last: Duration },
}

/// The state machine of one camera. Times are counted from any fixed moment.
#[derive(Debug)]
pub struct Supervisor {
    phase: Phase,
    fault: Option<Reason>,
    backoff: Backoff,
    /// Whether a picture has ever come.
    ran: bool,
    reconnects: u64,
    stalls: u64,
}

impl Supervisor {
    /// `seed` decides the jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            phase: Phase::Idle { until: Duration::ZERO },
            fault: None,
            backoff: Backoff::seeded(seed),
            ran: false,
            reconnects: 0,
            stalls: 0,
        }
    }

    /// A picture came at `at`.
    pub fn frame(&mut self, at: Duration) {
        match &mut self.phase {
            Phase::Idle { .. } => {}
            Phase::Called { .. } => {
                self.reconnects += u64::from(self.ran);
                self.ran = true;
                self.phase = Phase::Running { first: at, last: at };
            }
            Phase::Running { last, .. } => *last = at,
        }
    }

    /// The connection has failed. The first fault counts; a later one is its consequence.
    pub fn fault(&mut self, reason: Reason) {
        if !matches!(self.phase, Phase::Idle { .. }) {
            self.fault.get_or_insert(reason);
        }
    }

    /// What to do at `now`.
    pub fn poll(&mut self, now: Duration) -> Step {
        let (silent, patience, silence) = match self.phase {
            Phase::Idle { until } if now < until => return Step::Wait,
            Phase::Idle { .. } => {
                self.phase = Phase::Called { since: now };
                return Step::Connect;
            }
            Phase::Called { since } => (since, CONNECT_PATIENCE, Reason::Timeout),
            Phase::Running { last, .. } => (last, STALL_PATIENCE, Reason::Stalled),
        };
        let overdue = now.saturating_sub(silent) >= patience;
        let Some(reason) = self.fault.take().or(overdue.then_some(silence)) else { return Step::Wait };
        if matches!(self.phase, Phase::Running { first, last } if last.saturating_sub(first) >= GOOD) {
            self.backoff.reset();
        }
        self.stalls += u64::from(reason == Reason::Stalled);
        self.phase = Phase::Idle { until: now + self.wait(reason) };
        Step::Disconnect(reason)
    }

    pub fn state(&self) -> ConnectionState {
        match self.phase {
            Phase::Running { .. } => ConnectionState::Running,
            _ if self.ran => ConnectionState::Reconnecting,
            _ => ConnectionState::Connecting,
        }
    }

    /// Connections that brought pictures, after the first.
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Connections that were given up because nothing came.
    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    fn wait(&mut self, reason: Reason) -> Duration {
        if reason.is_settled() { self.backoff.max_wait() } else { self.backoff.wait() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::MAX_WAIT;

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    /// Polls every 10 ms from `from` on until something is to be done; returns when, and what.
    fn next(supervisor: &mut Supervisor, from: Duration) -> (Duration, Step) {
        let mut now = from;
        loop {
            match supervisor.poll(now) {
                Step::Wait => now += 10 * MS,
                step => return (now, step),
            }
        }
    }

    fn called() -> Supervisor {
        let mut supervisor = Supervisor::new(7);
        assert_eq!(supervisor.poll(Duration::ZERO), Step::Connect);
        supervisor
    }

    /// A camera that fails the same way at every call: the waits between the calls.
    fn waits(reason: Reason, calls: usize) -> Vec<Duration> {
        let mut supervisor = called();
        let mut now = Duration::ZERO;
        (0..calls)
            .map(|_| {
                supervisor.fault(reason);
                assert_eq!(supervisor.poll(now), Step::Disconnect(reason));
                let (then, step) = next(&mut supervisor, now);
                assert_eq!(step, Step::Connect);
                let wait = then - now;
                now = then;
                wait
            })
            .collect()
    }

    #[test]
    fn waits_double_from_one_second_to_thirty() {
        for reason in [Reason::Refused, Reason::EndOfStream, Reason::DecodeError, Reason::CapsChange, Reason::Timeout] {
            for (wait, middle) in waits(reason, 9).into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]) {
                let seconds = wait.as_secs_f64();
                let (least, most) = ((0.75_f64 * middle).max(1.0), (1.25_f64 * middle + 0.8).min(30.01));
                assert!((least - 0.01..=most).contains(&seconds), "{reason:?}: {seconds} for {middle}");
            }
        }
    }

    #[test]
    fn what_will_not_change_soon_is_tried_at_the_longest_interval() {
        for reason in [Reason::Unauthorised, Reason::NotFound, Reason::FramesTooLarge, Reason::ForeignPlaylist] {
            assert!(waits(reason, 4).iter().all(|&wait| wait >= 22 * S && wait <= MAX_WAIT + 10 * MS));
        }
    }

    #[test]
    fn no_first_picture_is_a_timeout() {
        let mut supervisor = called();
        assert_eq!(next(&mut supervisor, Duration::ZERO), (CONNECT_PATIENCE, Step::Disconnect(Reason::Timeout)));
        assert_eq!(
            (supervisor.state(), supervisor.stalls(), supervisor.reconnects()),
            (ConnectionState::Connecting, 0, 0)
        );
    }

    #[test]
    fn connected_but_silent_is_a_stall() {
        let mut supervisor = called();
        for i in 1..100 {
            supervisor.frame(i * 40 * MS);
            assert_eq!(supervisor.poll(i * 40 * MS), Step::Wait);
        }
        assert_eq!(supervisor.state(), ConnectionState::Running);
        let (when, step) = next(&mut supervisor, 4 * S);
        assert_eq!((when, step), (99 * 40 * MS + STALL_PATIENCE, Step::Disconnect(Reason::Stalled)));
        assert_eq!((supervisor.state(), supervisor.stalls()), (ConnectionState::Reconnecting, 1));
    }

    #[test]
    fn a_good_connection_makes_the_next_wait_short() {
        let mut supervisor = called();
        let mut now = Duration::ZERO;
        for _ in 0..6 {
            supervisor.fault(Reason::Refused);
            supervisor.poll(now);
            now = next(&mut supervisor, now).0;
        }
        supervisor.frame(now);
        supervisor.frame(now + 2 * S);
        supervisor.fault(Reason::EndOfStream);
        now += 2 * S;
        assert_eq!(supervisor.poll(now), Step::Disconnect(Reason::EndOfStream));
        let (then, _) = next(&mut supervisor, now);
        assert!(then - now < 1300 * MS, "{:?}", then - now);
        supervisor.frame(then);
        assert_eq!((supervisor.reconnects(), supervisor.state()), (1, ConnectionState::Running));
    }

    #[test]
    fn the_first_fault_is_the_one_that_counts() {
        let mut supervisor = called();
        supervisor.fault(Reason::NotFound);
        supervisor.fault(Reason::EndOfStream);
        assert_eq!(supervisor.poll(S), Step::Disconnect(Reason::NotFound));
        supervisor.fault(Reason::Refused);
        assert_eq!(supervisor.poll(S), Step::Wait);
    }
}

//! Decides when to connect to a camera, when to disconnect, and how long to wait before the next attempt.
//!
//! A state machine without a clock and without threads: it gets the time and the events, and returns the next step.

use std::time::Duration;

use crate::net::backoff::Backoff;
use crate::rtsp::connection_guard::CloseReason;

/// Longest time from an attempt to connect to the first frame.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time between two frames of a connected camera.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that delivers frames for this long resets the backoff.
const BACKOFF_RESET: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Nothing listens at the address, or the network is down.
    Refused,
    /// User or password is wrong.
    Unauthorised,
    /// The camera has no such path, or there is no such device.
    NotFound,
    /// No first frame in time.
    Timeout,
    /// Connected, but no frames for [`STALL_TIMEOUT`].
    Stalled,
    /// The camera ended the stream.
    EndOfStream,
    /// The data could not be decoded.
    DecodeError,
    /// The frames changed to a format that the pipeline does not support.
    CapsChange,
    /// No common TLS version, or an untrusted certificate.
    TlsRefused,
    /// The camera redirects to another server.
    Redirected,
    /// A response was larger than any that a camera has to send.
    ResponseTooLarge,
    /// The camera sent much data but no frame.
    NoFrames,
    /// The frames have more pixels than the limit.
    FramesTooLarge,
    /// The playlist names another host, or a file.
    ForeignPlaylist,
    /// Another program uses the device.
    Busy,
    /// The user paused the camera.
    Paused,
}

impl From<CloseReason> for LossReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Unreachable => LossReason::Refused,
            CloseReason::Tls => LossReason::TlsRefused,
            CloseReason::Redirected => LossReason::Redirected,
            CloseReason::TooLarge => LossReason::ResponseTooLarge,
            CloseReason::NoFrame => LossReason::NoFrames,
        }
    }
}

impl LossReason {
    /// Returns the identifier in timelines, events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            LossReason::Refused => "refused",
            LossReason::Unauthorised => "unauthorised",
            LossReason::NotFound => "not_found",
            LossReason::Timeout => "timeout",
            LossReason::Stalled => "stalled",
            LossReason::EndOfStream => "end_of_stream",
            LossReason::DecodeError => "decode_error",
            LossReason::CapsChange => "caps_change",
            LossReason::TlsRefused => "tls_refused",
            LossReason::Redirected => "redirected",
            LossReason::ResponseTooLarge => "response_too_large",
            LossReason::NoFrames => "no_frames",
            LossReason::FramesTooLarge => "frames_too_large",
            LossReason::ForeignPlaylist => "foreign_playlist",
            LossReason::Busy => "busy",
            LossReason::Paused => "paused",
        }
    }

    /// Returns the identifier as words, for messages.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }

    /// Returns the remedy for the user.
    pub fn remedy(self) -> &'static str {
        match self {
            LossReason::Refused => "check that the camera is on and its address is right",
            LossReason::Unauthorised => "check user and password",
            LossReason::NotFound => "check the path in the camera's address",
            LossReason::Timeout | LossReason::Stalled => "check the camera and the network to it",
            LossReason::EndOfStream => "check how many clients the camera allows",
            LossReason::DecodeError | LossReason::CapsChange => "check the camera's encoding; H.264 is the safest",
            LossReason::TlsRefused => "set up TLS 1.2 or newer on it, with a certificate that this machine trusts",
            LossReason::Redirected => "if you trust the address that it redirects to, use that one",
            LossReason::ResponseTooLarge | LossReason::NoFrames => "check that a camera is at the address",
            LossReason::FramesTooLarge => "lower the camera's resolution, or raise --max-pixels",
            LossReason::ForeignPlaylist => "allow its playlist to name other hosts with --allow-playlists",
            LossReason::Busy => "close the other program that uses it",
            LossReason::Paused => "resume it",
        }
    }

    /// Returns whether a retry soon is unlikely to succeed.
    fn is_persistent(self) -> bool {
        matches!(
            self,
            LossReason::Unauthorised
                | LossReason::NotFound
                | LossReason::TlsRefused
                | LossReason::Redirected
                | LossReason::FramesTooLarge
                | LossReason::ForeignPlaylist
        )
    }
}

/// The state of a camera's connection.
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

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connect,
    Disconnect(LossReason),
    Wait,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle { until: Duration },
    Connecting { since: Duration },
    Running { first: Duration, last: Duration },
}

/// The state machine of one camera. Times count from any fixed moment.
#[derive(Debug)]
pub struct Supervisor {
    phase: Phase,
    fault: Option<LossReason>,
    backoff: Backoff,
    /// Whether a frame has ever arrived.
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

    /// Records a frame that arrived at `at`.
    pub fn frame(&mut self, at: Duration) {
        match &mut self.phase {
            Phase::Idle { .. } => {}
            Phase::Connecting { .. } => {
                self.reconnects += u64::from(self.ran);
                self.ran = true;
                self.phase = Phase::Running { first: at, last: at };
            }
            Phase::Running { last, .. } => *last = at,
        }
    }

    /// Records a fault of the connection. The first one counts; later ones are its consequences.
    pub fn fault(&mut self, reason: LossReason) {
        if !matches!(self.phase, Phase::Idle { .. }) {
            self.fault.get_or_insert(reason);
        }
    }

    /// Returns the step to take at `now`.
    pub fn poll(&mut self, now: Duration) -> Step {
        let (since, timeout, timeout_reason) = match self.phase {
            Phase::Idle { until } if now < until => return Step::Wait,
            Phase::Idle { .. } => {
                self.phase = Phase::Connecting { since: now };
                return Step::Connect;
            }
            Phase::Connecting { since } => (since, CONNECT_TIMEOUT, LossReason::Timeout),
            Phase::Running { last, .. } => (last, STALL_TIMEOUT, LossReason::Stalled),
        };
        let overdue = now.saturating_sub(since) >= timeout;
        let Some(reason) = self.fault.take().or(overdue.then_some(timeout_reason)) else { return Step::Wait };
        if matches!(self.phase, Phase::Running { first, last } if last.saturating_sub(first) >= BACKOFF_RESET) {
            self.backoff.reset();
        }
        self.stalls += u64::from(reason == LossReason::Stalled);
        self.phase = Phase::Idle { until: now + self.wait(reason) };
        Step::Disconnect(reason)
    }

    /// Forgets the connection and the backoff: the next step is to connect.
    pub fn restart(&mut self) {
        self.phase = Phase::Idle { until: Duration::ZERO };
        self.fault = None;
        self.backoff.reset();
    }

    pub fn state(&self) -> ConnectionState {
        match self.phase {
            Phase::Running { .. } => ConnectionState::Running,
            _ if self.ran => ConnectionState::Reconnecting,
            _ => ConnectionState::Connecting,
        }
    }

    /// Returns how many connections after the first delivered frames.
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Returns how many connections were closed because they stalled.
    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    fn wait(&mut self, reason: LossReason) -> Duration {
        if reason.is_persistent() { self.backoff.max_wait() } else { self.backoff.wait() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::backoff::MAX_WAIT;

    const MS: Duration = Duration::from_millis(1);
    const S: Duration = Duration::from_secs(1);

    /// Polls every 10 ms from `from` on until there is a step; returns its time and the step.
    fn next(supervisor: &mut Supervisor, from: Duration) -> (Duration, Step) {
        let mut now = from;
        loop {
            match supervisor.poll(now) {
                Step::Wait => now += 10 * MS,
                step => return (now, step),
            }
        }
    }

    fn connecting() -> Supervisor {
        let mut supervisor = Supervisor::new(7);
        assert_eq!(supervisor.poll(Duration::ZERO), Step::Connect);
        supervisor
    }

    /// Returns the waits between attempts to a camera that fails with `reason` each time.
    fn waits(reason: LossReason, attempts: usize) -> Vec<Duration> {
        let mut supervisor = connecting();
        let mut now = Duration::ZERO;
        (0..attempts)
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
        for reason in [
            LossReason::Refused,
            LossReason::EndOfStream,
            LossReason::DecodeError,
            LossReason::CapsChange,
            LossReason::Timeout,
        ] {
            for (wait, middle) in waits(reason, 9).into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]) {
                let seconds = wait.as_secs_f64();
                let (least, most) = ((0.75_f64 * middle).max(1.0), (1.25_f64 * middle + 0.8).min(30.01));
                assert!((least - 0.01..=most).contains(&seconds), "{reason:?}: {seconds} for {middle}");
            }
        }
    }

    #[test]
    fn persistent_faults_are_retried_at_the_longest_backoff() {
        for reason in
            [LossReason::Unauthorised, LossReason::NotFound, LossReason::FramesTooLarge, LossReason::ForeignPlaylist]
        {
            assert!(waits(reason, 4).iter().all(|&wait| wait >= 22 * S && wait <= MAX_WAIT + 10 * MS));
        }
    }

    #[test]
    fn no_first_frame_is_a_timeout() {
        let mut supervisor = connecting();
        assert_eq!(next(&mut supervisor, Duration::ZERO), (CONNECT_TIMEOUT, Step::Disconnect(LossReason::Timeout)));
        assert_eq!(
            (supervisor.state(), supervisor.stalls(), supervisor.reconnects()),
            (ConnectionState::Connecting, 0, 0)
        );
    }

    #[test]
    fn connected_without_frames_is_a_stall() {
        let mut supervisor = connecting();
        for i in 1..100 {
            supervisor.frame(i * 40 * MS);
            assert_eq!(supervisor.poll(i * 40 * MS), Step::Wait);
        }
        assert_eq!(supervisor.state(), ConnectionState::Running);
        let (when, step) = next(&mut supervisor, 4 * S);
        assert_eq!((when, step), (99 * 40 * MS + STALL_TIMEOUT, Step::Disconnect(LossReason::Stalled)));
        assert_eq!((supervisor.state(), supervisor.stalls()), (ConnectionState::Reconnecting, 1));
    }

    #[test]
    fn a_good_connection_resets_the_backoff() {
        let mut supervisor = connecting();
        let mut now = Duration::ZERO;
        for _ in 0..6 {
            supervisor.fault(LossReason::Refused);
            supervisor.poll(now);
            now = next(&mut supervisor, now).0;
        }
        supervisor.frame(now);
        supervisor.frame(now + 2 * S);
        supervisor.fault(LossReason::EndOfStream);
        now += 2 * S;
        assert_eq!(supervisor.poll(now), Step::Disconnect(LossReason::EndOfStream));
        let (then, _) = next(&mut supervisor, now);
        assert!(then - now < 1300 * MS, "{:?}", then - now);
        supervisor.frame(then);
        assert_eq!((supervisor.reconnects(), supervisor.state()), (1, ConnectionState::Running));
    }

    #[test]
    fn the_first_fault_counts() {
        let mut supervisor = connecting();
        supervisor.fault(LossReason::NotFound);
        supervisor.fault(LossReason::EndOfStream);
        assert_eq!(supervisor.poll(S), Step::Disconnect(LossReason::NotFound));
        supervisor.fault(LossReason::Refused);
        assert_eq!(supervisor.poll(S), Step::Wait);
    }
}

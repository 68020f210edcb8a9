//! Names in NATS: streams, consumers and subjects. docs/cluster.md lists them.

/// Clips that wait, and those that a worker has. A job is deleted when it is acknowledged.
pub const CLIPS: &str = "LIVELABEL_CLIPS";
/// How clips ended, one message a job, and which could not be labelled.
pub const RECORDS: &str = "LIVELABEL_RECORDS";
/// The workers, one message each, which expires.
pub const WORKERS: &str = "LIVELABEL_WORKERS";
/// The cameras, one message each with its settings.
pub const CAMERAS: &str = "LIVELABEL_CAMERAS";
/// Cameras that workers are to watch. A message is deleted when nobody is to watch its camera any more.
pub const LIVE: &str = "LIVELABEL_LIVE";
/// What was seen by cameras.
pub const EVENTS: &str = "LIVELABEL_EVENTS";
/// How each camera is, one message each.
pub const STATES: &str = "LIVELABEL_STATES";
/// The consumers that hand out clips and cameras of this version of the message.
pub const CLIPS_CONSUMER: &str = "clips-v1";
pub const CAMERAS_CONSUMER: &str = "cameras-v1";

/// Subjects of clips. Another version of the message has other subjects, which this program's consumer does not get.
pub const CLIP: &str = "livelabel.clip.v1.";
pub const ALL_CLIPS: &str = "livelabel.clip.>";
pub const CLIPS_V1: &str = "livelabel.clip.v1.*";
pub const RESULT: &str = "livelabel.result.";
pub const FAILED: &str = "livelabel.failed.";
pub const ATTEMPTS: &str = "livelabel.attempts.";
pub const WORKER: &str = "livelabel.worker.";
pub const CAMERA: &str = "livelabel.camera.";
pub const WATCH: &str = "livelabel.live.v1.";
pub const ALL_WATCHES: &str = "livelabel.live.>";
pub const WATCHES_V1: &str = "livelabel.live.v1.*";
pub const EVENT: &str = "livelabel.event.";
pub const ALL_EVENTS: &str = "livelabel.event.>";
pub const STATE: &str = "livelabel.state.";
/// In place of a label, for the loss and return of a camera.
pub const NO_LABEL: &str = "_camera";
/// From worker to worker: to offer a camera, and to say that it is connected there.
pub const OFFER: &str = "livelabel.offer.";
pub const READY: &str = "livelabel.ready.";
/// From worker to worker: to ask whether it still has a camera.
pub const HOLDS: &str = "livelabel.holds.";
/// From a page to a worker: to ask how a camera is, and for its next picture.
pub const VIEW: &str = "livelabel.view.";
pub const PICTURE: &str = "livelabel.picture.";
/// Commands for all workers, which are not kept.
pub const COMMAND: &str = "livelabel.command";

/// Longest name of a worker.
const LONGEST: usize = 64;

/// Returns whether a text can be one part of a subject, and of a file's name.
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(allowed)
}

/// Returns a text with what cannot be in a subject replaced, at most `longest` bytes.
pub fn token(text: &str, longest: usize) -> String {
    // A dash at the beginning would be taken for an option.
    let replaced = text.chars().enumerate().map(|(at, c)| match c {
        '-' if at > 0 => c,
        c if c.is_ascii_alphanumeric() => c,
        _ => '_',
    });
    replaced.take(longest).collect()
}

/// Declares the type of a name that can be one part of a subject and of a file's name.
macro_rules! token_type {
    ($(#[$about:meta])* $name:ident, $what:literal) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                if $crate::cluster::names::is_token(text) { Ok(Self(text.into())) } else { Err($what.into()) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}

pub(super) use token_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_neither_dots_nor_wildcards() {
        assert!(["rack3-7", "a_b", "7"].into_iter().all(is_token));
        assert!(["", "a.b", "*", "a b", "ä", "a/b", &"x".repeat(65)].into_iter().all(|text| !is_token(text)));
        assert_eq!([token("Küche 1.mp4", 8), token("-a-b", 8)], ["K_che_1_", "_a-b"]);
    }
}

//! Parses a camera's RTSP messages with limits on their sizes.
//!
//! A message is serialised again from its parsed form and not passed on unchanged. If this parser and GStreamer's
//! parsed a line differently, such as one that ends in `\r` alone, a length could bypass the limit.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use crate::rtsp::connection_guard::CloseReason;

/// Largest head and body of a message. Session descriptions take a few kilobytes.
const HEAD_LIMIT: usize = 64 << 10;
const BODY_LIMIT: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    Closed,
    Refused(CloseReason),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Closed
    }
}

impl From<CloseReason> for End {
    fn from(reason: CloseReason) -> Self {
        End::Refused(reason)
    }
}

/// A start line and header fields. They are bytes, since a digest is computed over them in any encoding.
#[derive(Debug)]
pub(crate) struct MessageHeader {
    start: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    name: Vec<u8>,
    pub value: Vec<u8>,
}

impl Field {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns the value in lower case.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).to_ascii_lowercase()
    }
}

impl MessageHeader {
    /// Reads up to the empty line. The first byte must be neither `$` nor a line break.
    pub async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Self, End> {
        let mut remaining = HEAD_LIMIT;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        loop {
            let line = line(from, &mut remaining).await?;
            if lines.is_empty() && !line.windows(5).any(|word| word == b"RTSP/" || word == b"HTTP/") {
                // Not a start line; GStreamer would disconnect too.
                return Err(End::Closed);
            }
            match (line.first(), lines.last_mut()) {
                (None, _) => break,
                // A line that begins with a space continues the previous one.
                (Some(b' '), Some(last)) => last.extend_from_slice(&line),
                _ => lines.push(line),
            }
        }
        let mut lines = lines.into_iter();
        let start = lines.next().unwrap_or_default();
        let field = |line: Vec<u8>| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let trimmed = |bytes: &[u8]| bytes.trim_ascii().to_vec();
            Some(Field { name: trimmed(&line[..colon]), value: trimmed(&line[colon + 1..]) })
        };
        Ok(Self { start, fields: lines.filter_map(field).collect() })
    }

    /// Returns the status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        let text = std::str::from_utf8(&self.start).ok()?;
        let mut words = text.split_ascii_whitespace();
        let version = words.next()?;
        (version.starts_with("RTSP") || version.starts_with("HTTP")).then(|| words.next()?.parse().ok()).flatten()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    pub fn first_mut(&mut self, name: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.is(name))
    }

    pub fn retain(&mut self, wanted: impl Fn(&Field) -> bool) {
        self.fields.retain(wanted);
    }

    /// Reads the body, whose length is in the head, and returns the complete message.
    pub async fn with_body(mut self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, End> {
        const LENGTH: &str = "Content-Length";
        let length = self.all(LENGTH).next().map(|field| length(&field.value)).transpose()?;
        self.retain(|field| !field.is(LENGTH));
        let mut message = self.start;
        message.extend_from_slice(b"\r\n");
        for Field { name, value } in &self.fields {
            message.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        if let Some(length) = length {
            message.extend_from_slice(format!("{LENGTH}: {length}\r\n").as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        let head = message.len();
        message.resize(head + length.unwrap_or(0), 0);
        from.read_exact(&mut message[head..]).await?;
        Ok(message)
    }
}

/// Parses the number at the start of a text; 0 if there is none.
fn length(text: &[u8]) -> Result<usize, CloseReason> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let add = |sum: usize, digit: &u8| {
        let sum = sum * 10 + usize::from(digit - b'0');
        if sum <= BODY_LIMIT { Ok(sum) } else { Err(CloseReason::TooLarge) }
    };
    digits.into_iter().try_fold(0, add)
}

/// Reads one line without its end, which is `\r\n`, `\r` or `\n`, and replaces control characters by spaces.
async fn line(from: &mut (impl AsyncBufRead + Unpin), remaining: &mut usize) -> Result<Vec<u8>, End> {
    let mut line = Vec::new();
    loop {
        let buffer = from.fill_buf().await?;
        if buffer.is_empty() {
            return Err(End::Closed);
        }
        let end = buffer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let taken = end.map_or(buffer.len(), |end| end + 1);
        *remaining = remaining.checked_sub(taken).ok_or(CloseReason::TooLarge)?;
        let text = &buffer[..end.unwrap_or(taken)];
        line.extend(text.iter().map(|&byte| if byte.is_ascii_control() { b' ' } else { byte }));
        let returned = end.is_some_and(|end| buffer[end] == b'\r');
        from.consume(taken);
        if returned && from.fill_buf().await?.first() == Some(&b'\n') {
            from.consume(1);
        }
        if end.is_some() {
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, End> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut from = bytes;
            let message = MessageHeader::read(&mut from).await?.with_body(&mut from).await?;
            Ok(String::from_utf8(message).unwrap())
        })
    }

    #[test]
    fn a_message_is_normalised() {
        let message =
            read(b"RTSP/1.0 200 OK\r\ncseq : 2\r\nX: a\r\n b\r\nno field\r\nContent-Length: 4\r\n\r\nv=0\nrest");
        assert_eq!(message.unwrap(), "RTSP/1.0 200 OK\r\ncseq: 2\r\nX: a b\r\nContent-Length: 4\r\n\r\nv=0\n");
    }

    #[test]
    fn no_length_bypasses_the_limit() {
        let hidden = ["X: a\rContent-Length: 99999999", "X: a\n\rContent-Length: 7"];
        for hidden in hidden {
            let message = read(format!("RTSP/1.0 200 OK\r\n{hidden}\r\n\r\n").as_bytes());
            // Either parsed as a length here too, or removed.
            assert!(message.is_err() || !message.unwrap().contains("99999999"), "{hidden}");
        }
        let twice = read(b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\ncontent-length\0: 99999999\r\n\r\nab").unwrap();
        assert_eq!(twice, "RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab");
        for length in ["65537", "4000000000", "99999999999999999999999999"] {
            let message = read(format!("RTSP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
            assert!(matches!(message, Err(End::Refused(CloseReason::TooLarge))), "{message:?}");
        }
    }

    #[test]
    fn anything_but_a_message_ends_the_connection() {
        assert!(matches!(read(b"\0\x01 picture\r\n"), Err(End::Closed)));
        assert!(matches!(read(b"RTSP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nv="), Err(End::Closed)));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        for filler in ["x", "X: y\r\n", "\r\n x"] {
            let message = read(format!("RTSP/1.0 200 OK{}", filler.repeat(HEAD_LIMIT)).as_bytes());
            assert!(matches!(message, Err(End::Refused(CloseReason::TooLarge))), "{message:?}");
        }
    }
}

//! Downloads a file from a web server in ranges, and goes on where a connection was lost.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};
use url::Url;

use crate::net::backoff::Backoff;
use crate::net::credentials::Credentials;
use crate::net::http;
use crate::shutdown::Shutdown;

/// Bytes that are asked for at once, and read at once.
const RANGE: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;
/// How long a server's name may take to be found, and the server to accept a connection, to send anything, to answer, and to send a range. What
/// it has sent by then is kept.
const RESOLVE: Duration = Duration::from_secs(8);
const CONNECT: Duration = Duration::from_secs(8);
const READ: Duration = Duration::from_secs(8);
const ANSWER: Duration = Duration::from_secs(30);
const RANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that sends less in that time counts as one that does not answer.
const LEAST: u64 = 1 << 20;
/// How long a server without ranges may take to send the file.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Failures in a row after which the download is given up.
const MAX_FAILURES: u32 = 5;
const MAX_REDIRECTS: u32 = 3;
/// How often it is looked whether the user wants to stop.
const POLL: Duration = Duration::from_millis(100);

/// A file to download.
pub struct Download<'a> {
    pub url: &'a Url,
    pub credentials: Option<&'a Credentials>,
    /// Whether the server may send it from another address. Credentials are not sent there.
    pub redirects: bool,
    /// Returns how many bytes there is room for.
    pub room: &'a dyn Fn() -> u64,
    pub shutdown: &'a Shutdown,
}

/// Why a file was not downloaded.
#[derive(Debug)]
pub enum DownloadError {
    Stopped,
    /// The server does not have it, refuses it, or cannot be reached.
    Server(String),
    /// It cannot be written here.
    Disk(io::Error),
    /// There is no room for it.
    NoRoom {
        needed: u64,
    },
}

impl From<io::Error> for DownloadError {
    fn from(cause: io::Error) -> Self {
        Self::Disk(cause)
    }
}

/// What a request brought.
enum Answer {
    /// So many bytes of the file, and how long it is.
    Range { bytes: u64, total: u64 },
    /// All of it.
    Whole,
    /// The server sends no ranges.
    NoRanges,
    /// The file is another one than before.
    Changed,
    /// It may work later.
    Failed(String),
}

/// What makes two ranges ranges of the same file.
#[derive(PartialEq)]
struct Version {
    tag: Option<String>,
    total: u64,
}

impl Download<'_> {
    /// Writes the file to an empty one, which gets the time at which the server's was changed. Blocks.
    ///
    /// # Errors
    /// Says why it is not there. What was written is of no use then.
    pub fn write(&self, file: &mut File) -> Result<(), DownloadError> {
        let agent = self.agent();
        let (mut have, mut version, mut ranges) = (0, None, true);
        let (mut failures, mut changes, mut backoff) = (0, 0, Backoff::default());
        loop {
            let answer = match ranges {
                true => self.range(&agent, file, have, &mut version)?,
                false => self.whole(&agent, file)?,
            };
            let why = match answer {
                Answer::Whole => return Ok(()),
                Answer::Range { bytes, total } => {
                    have += bytes;
                    if have == total {
                        return Ok(());
                    }
                    if bytes >= LEAST.min(total - have) {
                        (failures, backoff) = (0, Backoff::default());
                        continue;
                    }
                    "it sends too little".to_string()
                }
                Answer::NoRanges => {
                    (have, ranges) = (0, false);
                    continue;
                }
                Answer::Changed => {
                    changes += 1;
                    (have, version) = (0, None);
                    "the file changes while it is read".into()
                }
                Answer::Failed(why) => why,
            };
            failures += 1;
            if failures == MAX_FAILURES || changes == MAX_FAILURES {
                return Err(DownloadError::Server(why));
            }
            self.wait(backoff.wait())?;
        }
    }

    /// Asks for the bytes from `have` on, and writes them.
    fn range(
        &self,
        agent: &Agent,
        file: &mut File,
        have: u64,
        version: &mut Option<Version>,
    ) -> Result<Answer, DownloadError> {
        let last = have + RANGE - 1;
        let mut request = self.request(agent, RANGE_TIMEOUT).header("Range", format!("bytes={have}-{last}"));
        if let Some(tag) = version.as_ref().and_then(|version| version.tag.as_ref()) {
            request = request.header("If-Range", tag);
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(cause) => return failed(&cause),
        };
        let (head, body) = response.into_parts();
        match head.status {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK if have == 0 => return Ok(Answer::NoRanges),
            StatusCode::OK => return Ok(Answer::Changed),
            status => return refused(status),
        }
        let Some((first, total)) = content_range(&head.headers) else {
            return Err(DownloadError::Server("it does not say which bytes it sends".into()));
        };
        let found = Version { tag: tag(&head.headers), total };
        if first != have || total <= have || version.as_ref().is_some_and(|version| *version != found) {
            return Ok(Answer::Changed);
        }
        *version = Some(found);
        self.check_room(total - have)?;
        let wanted = RANGE.min(total - have);
        let (bytes, ended) = self.copy(&mut body.into_reader().take(wanted), file, have)?;
        set_time(file, &head.headers)?;
        match ended {
            Err(cause) if bytes == 0 => Ok(Answer::Failed(cause.to_string())),
            _ => Ok(Answer::Range { bytes, total }),
        }
    }

    /// Asks for the whole file, and writes it.
    fn whole(&self, agent: &Agent, file: &mut File) -> Result<Answer, DownloadError> {
        let response = match self.request(agent, WHOLE_TIMEOUT).call() {
            Ok(response) => response,
            Err(cause) => return failed(&cause),
        };
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return refused(head.status);
        }
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        // Without either, the end of the connection is that of the file, also if it was lost.
        if length.is_none() && !is_chunked(&head.headers) {
            return Err(DownloadError::Server("it does not say how long the file is".into()));
        }
        self.check_room(length.unwrap_or(RANGE))?;
        let (bytes, ended) = self.copy(&mut body.into_reader(), file, 0)?;
        set_time(file, &head.headers)?;
        Ok(match ended {
            Err(cause) => Answer::Failed(cause.to_string()),
            Ok(()) if length.is_some_and(|length| length != bytes) => Answer::Failed("the connection was lost".into()),
            Ok(()) => Answer::Whole,
        })
    }

    /// Copies a body to its place in the file. Returns how many bytes it had, and how it ended.
    fn copy(&self, body: &mut impl Read, file: &mut File, at: u64) -> Result<(u64, io::Result<()>), DownloadError> {
        // Another version of the file may have been longer.
        file.set_len(at)?;
        file.seek(SeekFrom::Start(at))?;
        let (mut buffer, mut bytes, mut checked) = (vec![0; BUFFER], 0, 0);
        loop {
            if self.shutdown.requested() {
                return Err(DownloadError::Stopped);
            }
            match body.read(&mut buffer) {
                Ok(0) => return Ok((bytes, Ok(()))),
                Ok(read) => {
                    file.write_all(&buffer[..read])?;
                    bytes += read as u64;
                    // A server may send more than it said.
                    if bytes - checked >= RANGE {
                        checked = bytes;
                        self.check_room(RANGE)?;
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Ok((bytes, Err(cause))),
            }
        }
    }

    fn check_room(&self, needed: u64) -> Result<(), DownloadError> {
        if needed <= (self.room)() { Ok(()) } else { Err(DownloadError::NoRoom { needed }) }
    }

    fn agent(&self) -> Agent {
        http::client()
            .timeout_resolve(Some(RESOLVE))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(READ))
            .timeout_recv_response(Some(ANSWER))
            .max_redirects(if self.redirects { MAX_REDIRECTS } else { 0 })
            .max_redirects_will_error(self.redirects)
            .build()
            .into()
    }

    /// Returns a request whose answer may take `limit`.
    fn request(&self, agent: &Agent, limit: Duration) -> RequestBuilder<WithoutBody> {
        let request = agent.get(self.url.as_str()).config().timeout_recv_body(Some(limit)).build();
        match self.credentials {
            Some(credentials) => request.header("Authorization", credentials.basic()),
            None => request,
        }
    }

    fn wait(&self, delay: Duration) -> Result<(), DownloadError> {
        let mut left = delay;
        while !left.is_zero() && !self.shutdown.requested() {
            let step = left.min(POLL);
            std::thread::sleep(step);
            left -= step;
        }
        if self.shutdown.requested() { Err(DownloadError::Stopped) } else { Ok(()) }
    }
}

/// Says what a request without an answer is.
fn failed(cause: &ureq::Error) -> Result<Answer, DownloadError> {
    match cause {
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
            Err(DownloadError::Server("it redirects too often".into()))
        }
        // The text may have an address with a signature.
        ureq::Error::BadUri(_) | ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
            Err(DownloadError::Server("its answer is not valid HTTP".into()))
        }
        cause => Ok(Answer::Failed(cause.to_string())),
    }
}

/// Says what an answer without content is.
fn refused(status: StatusCode) -> Result<Answer, DownloadError> {
    let why = format!("it answers {status}");
    let temporary =
        status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    match temporary {
        true => Ok(Answer::Failed(why)),
        false if status == StatusCode::RANGE_NOT_SATISFIABLE => Err(DownloadError::Server("the file is empty".into())),
        false if status.is_redirection() => Err(DownloadError::Server(format!("{why}, a redirection"))),
        false => Err(DownloadError::Server(why)),
    }
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let text = headers.get(header::TRANSFER_ENCODING).and_then(|encoding| encoding.to_str().ok());
    text.is_some_and(|text| text.to_ascii_lowercase().contains("chunked"))
}

/// Returns the first byte of a range, and the length of the file.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// Gives a file the time at which the server's was changed; the begin of 1970, if it does not say so.
fn set_time(file: &File, headers: &HeaderMap) -> io::Result<()> {
    let text = headers.get(header::LAST_MODIFIED).and_then(|time| time.to_str().ok());
    let time = text.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    file.set_modified(time.map_or(SystemTime::UNIX_EPOCH, |time| time.timestamp().into()))
}

/// Returns what tells two versions of a file apart.
fn tag(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| Some(value.to_str().ok()?.to_string()));
    // A weak one is the same for files that differ.
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// Downloads from a server that gives these answers, one for each connection. Returns the file's content, and the requests.
    fn download(answers: &[&str]) -> (Result<Vec<u8>, DownloadError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/a.mp4?signature=s3cret", listener.local_addr().unwrap())).unwrap();
        let answers: Vec<String> = answers.iter().map(|answer| answer.replace('\n', "\r\n")).collect();
        let server = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut reader) = (String::new(), BufReader::new(stream.try_clone().unwrap()));
                while reader.read_line(&mut request).unwrap() > 2 {}
                requests.push(request.to_ascii_lowercase());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            requests
        });
        let mut file = tempfile::tempfile().unwrap();
        let download = Download {
            url: &url,
            credentials: None,
            redirects: true,
            room: &|| 1 << 30,
            shutdown: &Shutdown::default(),
        };
        let written = download.write(&mut file).map(|()| {
            let mut content = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut content).unwrap();
            content
        });
        (written, server.join().unwrap())
    }

    #[test]
    fn a_file_that_became_shorter_has_nothing_of_the_old_one() {
        let (content, requests) = download(&[
            "HTTP/1.1 206 P\nConnection: close\nETag: \"1\"\nContent-Range: bytes 0-11/12\nContent-Length: 12\n\nold old ",
            "HTTP/1.1 200 OK\nConnection: close\nETag: \"2\"\nContent-Length: 3\n\nnew",
            "HTTP/1.1 206 P\nConnection: close\nETag: \"2\"\nContent-Range: bytes 0-2/3\nContent-Length: 3\n\nnew",
        ]);
        assert_eq!(content.unwrap(), b"new");
        assert!(requests[1].contains("range: bytes=8-") && requests[1].contains("if-range: \"1\""), "{requests:?}");
        assert!(requests[2].contains("range: bytes=0-"), "{requests:?}");
    }

    #[test]
    fn a_file_whose_end_is_not_known_is_refused() {
        let endless = "HTTP/1.1 200 OK\nConnection: close\n\nhalf of it";
        let (content, requests) = download(&[endless, endless]);
        assert!(matches!(content, Err(DownloadError::Server(why)) if why == "it does not say how long the file is"));
        assert!(!requests[1].contains("range:"), "{requests:?}");
        let chunked = "HTTP/1.1 200 OK\nConnection: close\nTransfer-Encoding: chunked\n\n4\nfile\n0\n\n";
        assert_eq!(download(&[chunked, chunked]).0.unwrap(), b"file");
        let huge =
            "HTTP/1.1 206 P\nConnection: close\nContent-Range: bytes 0-1/9000000000000000000\nContent-Length: 2\n\nab";
        assert!(matches!(download(&[huge]).0, Err(DownloadError::NoRoom { needed: 9_000_000_000_000_000_000 })));
    }

    #[test]
    fn no_address_is_in_an_error() {
        let (content, _) = download(&["HTTP/1.1 302 F\nConnection: close\nLocation: https://host/K che?s=s3cret\n\n"]);
        assert!(matches!(content, Err(DownloadError::Server(why)) if why == "its answer is not valid HTTP"));
    }
}

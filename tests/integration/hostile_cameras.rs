//! Hostile cameras that once obtained passwords or exhausted memory: one test for each.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker::certify;
use crate::camera::{Camera, Watch, running};
use crate::footage::colours;
use crate::program::{Program, ffmpeg, text};
use crate::tiny;

/// More than the kernel's socket buffers hold, and far less than memory once grew.
const IN_BUFFERS: u64 = 24 << 20;
/// How much data of a stream is accepted before its first picture.
const BEFORE_A_PICTURE: u64 = 64 << 20;

/// A test server that records requests, and how much of its responses was read.
#[derive(Clone)]
struct Server {
    port: u16,
    calls: Arc<AtomicUsize>,
    /// The headers of all requests.
    requests: Arc<Mutex<Vec<String>>>,
    /// The maximum number of bytes sent on one connection.
    taken: Arc<AtomicU64>,
}

/// The writer of a response.
struct Answer {
    stream: TcpStream,
    written: u64,
    taken: Arc<AtomicU64>,
}

impl Answer {
    /// Writes bytes. Returns whether the connection is still open.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let going = self.stream.write_all(bytes).is_ok();
        self.written += bytes.len() as u64;
        self.taken.fetch_max(self.written, Ordering::Relaxed);
        going
    }

    /// Writes the same bytes repeatedly, until the connection closes or the test has failed.
    fn without_end(&mut self, bytes: &[u8]) {
        let many = bytes.repeat((64 << 10) / bytes.len() + 1);
        while self.written < 512 << 20 && self.write(&many) {}
    }

    fn rtsp(&mut self, status: &str, request: &str, rest: &str) {
        let number = field(request, "CSeq").unwrap_or_default();
        self.write(format!("RTSP/1.0 {status}\r\nCSeq: {number}\r\n{rest}\r\n").as_bytes());
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_string()).next()
}

impl Server {
    /// Starts a server that calls `answer` with the header of each request.
    fn start(answer: impl Fn(&str, &mut Answer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            calls: Arc::default(),
            requests: Arc::default(),
            taken: Arc::default(),
        };
        let (own, answer) = (server.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                own.calls.fetch_add(1, Ordering::Relaxed);
                let (own, answer) = (own.clone(), Arc::clone(&answer));
                std::thread::spawn(move || own.serve(stream, answer.as_ref()));
            }
        });
        server
    }

    fn serve(&self, stream: TcpStream, answer: &dyn Fn(&str, &mut Answer)) {
        let mut reader = stream.try_clone().unwrap();
        let mut to = Answer { stream, written: 0, taken: Arc::clone(&self.taken) };
        let mut head = Vec::new();
        let mut byte = [0];
        loop {
            match reader.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
            if head.ends_with(b"\r\n\r\n") {
                let request = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
                self.requests.lock().unwrap().push(request.clone());
                answer(&request, &mut to);
            }
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://ann:s3cret-word@127.0.0.1:{}/live", self.port)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn until_called(&self, times: usize) {
        let began = Instant::now();
        while self.calls() < times {
            assert!(began.elapsed() < Duration::from_secs(90), "called {} times, not {times}", self.calls());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the `Authorization` fields of all requests.
    fn authorizations(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().filter_map(|head| field(head, "Authorization")).collect()
    }
}

/// Returns a request's method.
fn method(request: &str) -> &str {
    request.split(' ').next().unwrap_or_default()
}

fn contains(words: &str) -> impl Fn(&Value) -> bool {
    move |fields| fields["message"].as_str().is_some_and(|text| text.contains(words))
}

fn times(log: &[Value], words: &str) -> usize {
    log.iter().filter(|fields| contains(words)(fields)).count()
}

/// Returns the first log line about a failed connection, which may have been read already.
fn refusal(watch: &mut Watch) -> String {
    let is_refusal = |fields: &&Value| contains("no camera")(fields);
    let line = watch.log.iter().find(is_refusal).cloned();
    let line = line.unwrap_or_else(|| watch.line("the refusal", contains("no camera")));
    line["message"].as_str().unwrap().to_string()
}

/// Returns a process' peak memory in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Runs a good camera, and beside it one whose response to DESCRIBE is `end`. Checks that memory stays bounded.
fn check_endless_response(end: impl Fn(&str, &mut Answer) + Send + Sync + 'static) {
    let hostile = Server::start(move |request, to| match method(request) {
        "DESCRIBE" => end(request, to),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    });
    let program = Program::new();
    let url = hostile.url("rtsp");
    let mut watch = Watch::start(&program, &["test://?rate=20", &url], &[]);
    watch.until("the good one", |status| status["stream"] == "test" && running(status));
    let before = peak_memory(watch.id());
    let message = refusal(&mut watch);
    assert!(message.contains("response too large"), "{message}");
    // The camera is retried, and costs no more memory the second time.
    hostile.until_called(3);
    watch.until("the good one, still", |status| status["stream"] == "test" && running(status));
    assert!(
        hostile.taken.load(Ordering::Relaxed) < IN_BUFFERS,
        "{} bytes were taken",
        hostile.taken.load(Ordering::Relaxed)
    );
    let grown = peak_memory(watch.id()).saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB more than before", grown >> 20);
    assert_eq!(times(&watch.log, "no camera"), 1, "{:#?}", watch.log);
    let (finished, _) = watch.stop("TERM");
    assert_eq!(finished.code, 143, "{}", finished.stderr);
}

#[test]
fn a_response_that_claims_four_gigabytes_takes_no_memory() {
    check_endless_response(|request, to| {
        to.rtsp("200 OK", request, "Content-Type: application/sdp\r\nContent-Length: 4000000000\r\n");
        to.without_end(b"x");
    });
}

#[test]
fn an_endless_description_takes_no_memory() {
    check_endless_response(|request, to| {
        to.rtsp("200 OK", request, "Content-Type: application/sdp\r\nContent-Length: 2000000000\r\n");
        to.write(b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n");
        to.without_end(b"a=fmtp:96 x=1\r\n");
    });
}

#[test]
fn an_endless_header_takes_no_memory() {
    check_endless_response(|request, to| {
        to.write(format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n", field(request, "CSeq").unwrap()).as_bytes());
        to.without_end(b"X-Filler: 0123456789012345678901234567890123456789\r\n");
    });
}

#[test]
fn a_description_of_a_thousand_streams_opens_the_ports_of_one() {
    let streams: String = (0..1000).map(|i| format!("m=video 0 RTP/AVP 26\r\na=control:{i}\r\n")).collect();
    let description = format!("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{streams}");
    let hostile = Server::start(move |request, to| match method(request) {
        "DESCRIBE" => {
            let length = description.len();
            to.rtsp("200 OK", request, &format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n"));
            to.write(description.as_bytes());
        }
        "SETUP" => {
            let transport = field(request, "Transport").unwrap();
            let answer = format!("Session: 1\r\nTransport: {transport};server_port=9-10\r\n");
            to.rtsp("200 OK", request, &answer);
        }
        _ => to.rtsp("200 OK", request, "Session: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    });
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&hostile.url("rtsp")], &["--transport", "udp"]);
    refusal(&mut watch);
    watch.stop("TERM");
    let requests = hostile.requests.lock().unwrap();
    let mut set_up: Vec<_> =
        requests.iter().filter(|head| method(head) == "SETUP").map(|head| head.lines().next()).collect();
    set_up.dedup();
    assert_eq!(set_up.len(), 1, "{set_up:?}");
}

#[test]
fn an_endless_part_of_an_http_camera_takes_no_memory() {
    let hostile = Server::start(|_, to| {
        to.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n");
        to.write(b"--frame\r\nContent-Type: image/jpeg\r\n");
        to.without_end(b"X-Filler: 0123456789012345678901234567890123456789\r\n");
    });
    let program = Program::new();
    let url = hostile.url("http");
    let mut watch = Watch::start(&program, &["test://?rate=20", &url], &[]);
    watch.until("the good one", |status| status["stream"] == "test" && running(status));
    let why = refusal(&mut watch);
    // On a busy machine the timeout of ten seconds comes first.
    assert!(why.contains("no frames") || why.contains("timeout"), "{why}");
    hostile.until_called(2);
    watch.until("the good one, still", |status| status["stream"] == "test" && running(status));
    let taken = hostile.taken.load(Ordering::Relaxed);
    assert!(taken < BEFORE_A_PICTURE + IN_BUFFERS, "{taken} bytes were taken");
    watch.stop("TERM");
}

/// Starts a camera that redirects to another server. Checks that the other server is not contacted.
fn check_redirect(redirect: fn(&str, &mut Answer, &str), scheme: &str) {
    let elsewhere = Server::start(|request, to| {
        to.rtsp("401 Unauthorized", request, "WWW-Authenticate: Basic realm=\"x\"\r\n");
    });
    let location = format!("{scheme}://127.0.0.1:{}/live", elsewhere.port);
    let hostile = Server::start(move |request, to| redirect(request, to, &location));
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&hostile.url(scheme)], &[]);
    let message = refusal(&mut watch);
    assert!(message.contains("redirected"), "{message}");
    for _ in 0..3 {
        watch.until("still trying", |status| status["state"] == "connecting");
    }
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("TERM");
    assert!(!format!("{log}{}{}", finished.stdout, finished.stderr).contains("s3cret-word"));
    assert_eq!(elsewhere.calls(), 0, "{:?}", elsewhere.requests.lock().unwrap());
}

#[test]
fn a_redirect_of_an_rtsp_camera_gets_no_password() {
    let redirect = |request: &str, to: &mut Answer, location: &str| match method(request) {
        "DESCRIBE" => to.rtsp("302 Moved Temporarily", request, &format!("Location: {location}\r\n")),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    };
    check_redirect(redirect, "rtsp");
}

#[test]
fn a_redirect_of_an_http_camera_gets_no_password() {
    let redirect = |_: &str, to: &mut Answer, location: &str| {
        to.write(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    };
    check_redirect(redirect, "http");
}

#[test]
fn a_redirect_to_another_path_of_the_same_camera_is_followed() {
    let there = |request: &str| request.split(' ').nth(1).is_some_and(|url| url.ends_with("/there"));
    let rtsp = Server::start(move |request, to| match method(request) {
        "DESCRIBE" if there(request) => to.rtsp("404 Not Found", request, ""),
        "DESCRIBE" => to.rtsp("302 Moved Temporarily", request, "Location: /there\r\n"),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    });
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&rtsp.url("rtsp")], &[]);
    watch.line("what is there", contains("no camera (not found)"));
    watch.stop("TERM");

    let program = Program::new();
    let jpeg = blue(program.folder.path());
    let http = Server::start(move |request, to| {
        if there(request) {
            pictures(to, &jpeg);
        } else {
            to.write(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut watch = Watch::start(&program, &[&http.url("http")], &[]);
    watch.until("running", running);
    assert_eq!(times(&watch.log, "no camera"), 0, "{:#?}", watch.log);
    watch.stop("TERM");
}

#[test]
fn a_redirect_loop_ends() {
    let rtsp = Server::start(|request, to| match method(request) {
        "DESCRIBE" => to.rtsp("302 Moved Temporarily", request, "Location: /live\r\n"),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    });
    let http = Server::start(|_, to| {
        to.write(b"HTTP/1.1 302 Found\r\nLocation: /live\r\nContent-Length: 0\r\n\r\n");
    });
    for (server, scheme) in [(rtsp, "rtsp"), (http, "http")] {
        let program = Program::new();
        let mut watch = Watch::start(&program, &[&server.url(scheme)], &[]);
        let message = refusal(&mut watch);
        assert!(message.contains("redirected"), "{message}");
        assert!(server.calls() < 10, "called {} times", server.calls());
        watch.stop("TERM");
    }
}

/// Starts an RTSP server that answers DESCRIBE with 401 and this challenge.
fn challenged(challenge: &'static str) -> Server {
    Server::start(move |request, to| match method(request) {
        "DESCRIBE" => to.rtsp("401 Unauthorized", request, challenge),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    })
}

const PLAIN: &str = "as plain text";

#[test]
fn basic_authentication_is_used_only_if_nothing_else_is_offered_and_logged_once() {
    let both =
        challenged("WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n");
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&both.url("rtsp")], &[]);
    watch.line("the refusal", contains("no camera (unauthorised)"));
    let sent = both.authorizations();
    assert!(!sent.is_empty() && sent.iter().all(|one| one.starts_with("Digest ")), "{sent:?}");
    assert_eq!(times(&watch.log, PLAIN), 0, "{:#?}", watch.log);
    watch.stop("TERM");

    // A camera that offered Digest and then only Basic gets no plain-text password.
    let first = AtomicUsize::new(0);
    let less = Server::start(move |request, to| match (method(request), first.load(Ordering::Relaxed)) {
        ("DESCRIBE", 0) => {
            first.store(1, Ordering::Relaxed);
            to.rtsp("401 Unauthorized", request, "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n");
        }
        ("DESCRIBE", _) => to.rtsp("401 Unauthorized", request, "WWW-Authenticate: Basic realm=\"x\"\r\n"),
        _ => to.rtsp("200 OK", request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"),
    });
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&less.url("rtsp")], &[]);
    watch.line("the refusal", contains("no camera (unauthorised)"));
    let sent = less.authorizations();
    assert!(!sent.is_empty() && sent.iter().all(|one| one.starts_with("Digest ")), "{sent:?}");
    watch.stop("TERM");

    let basic = challenged("WWW-Authenticate: Basic realm=\"x\"\r\n");
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&basic.url("rtsp")], &[]);
    watch.line("what is sent", contains(PLAIN));
    // A wrong password is retried every 30 s.
    basic.until_called(2);
    watch.until("still trying", |status| status["state"] == "connecting");
    assert_eq!(times(&watch.log, PLAIN), 1, "{:#?}", watch.log);
    assert!(basic.authorizations().iter().all(|one| one.starts_with("Basic ")), "{:?}", basic.authorizations());
    let log = format!("{:?}", watch.log);
    assert!(!log.contains("s3cret") && !log.contains("YW5uOnMzY3JldC13b3Jk"), "{log}");
    watch.stop("TERM");
}

#[test]
fn an_http_camera_with_basic_authentication_is_logged_once() {
    let program = Program::new();
    let jpeg = blue(program.folder.path());
    let http = Server::start(move |request, to| match field(request, "Authorization") {
        Some(_) => pictures(to, &jpeg),
        None => {
            let challenge = "WWW-Authenticate: Basic realm=\"x\"";
            to.write(format!("HTTP/1.1 401 Unauthorized\r\n{challenge}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
    let mut watch = Watch::start(&program, &[&http.url("http")], &[]);
    watch.until("running", running);
    // The server closes the connection after four seconds.
    watch.until("back", |status| running(status) && status["reconnects"] == 1);
    assert_eq!(times(&watch.log, PLAIN), 1, "{:#?}", watch.log);
    watch.stop("TERM");

    let both = Server::start(|_, to| {
        let challenges = "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"1\"";
        to.write(format!("HTTP/1.1 401 Unauthorized\r\n{challenges}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    });
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&both.url("http")], &[]);
    watch.line("the refusal", contains("no camera (unauthorised)"));
    let sent = both.authorizations();
    assert!(!sent.is_empty() && sent.iter().all(|one| one.starts_with("Digest ")), "{sent:?}");
    assert_eq!(times(&watch.log, PLAIN), 0, "{:#?}", watch.log);
    watch.stop("TERM");
}

/// Creates a blue JPEG.
fn blue(folder: &Path) -> Vec<u8> {
    let clip = colours(folder, "clip.mp4", &["blue"], &["-c:v", "libx264"]);
    let picture = folder.join("blue.jpg");
    assert!(ffmpeg(&["-i", text(&clip), "-frames:v", "1", text(&picture)]).status.success());
    std::fs::read(picture).unwrap()
}

/// Sends 40 pictures, ten a second, then closes the connection.
fn pictures(to: &mut Answer, jpeg: &[u8]) {
    to.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n");
    for _ in 0..40 {
        let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        if !to.write(&[head.as_bytes(), jpeg, b"\r\n"].concat()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = to.stream.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_camera_with_tls_is_accepted_if_its_certificate_is_trusted() {
    let program = Program::new();
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let path = |name: &str| text(&folder.path().join(name)).to_string();
    let (certificate, key, authority) = (path("broker.pem"), path("broker.key"), path("authority.pem"));
    let camera = Camera::start(&["--certificate", &certificate, "--key", &key, "--login", "ann:s3cret-word"]);
    let url = camera.url.replace("rtsps://", "rtsps://ann:s3cret-word@");
    let model = tiny::model();
    let run = ["--log-format", "json", "run", "--status-interval", "1s", &url, "--model", text(&model)];
    let mut command = program.command(&run);
    command.env("SSL_CERT_FILE", &authority);
    let mut watch = Watch::spawn(command);
    watch.until("running", running);
    // Over TLS, Basic authentication is not plain text.
    assert_eq!(times(&watch.log, PLAIN), 0, "{:#?}", watch.log);
    watch.stop("INT");

    let program = Program::new();
    let mut watch = Watch::spawn(program.command(&run));
    let message = refusal(&mut watch);
    assert!(message.contains("tls refused"), "{message}");
    watch.stop("TERM");
}

#[test]
fn a_camera_with_a_password_works_over_udp() {
    let camera = Camera::start(&["--login", "ann:s3cret-word"]);
    let url = camera.url.replace("rtsp://", "rtsp://ann:s3cret-word@");
    let program = Program::new();
    let mut watch = Watch::start(&program, &[&url], &["--transport", "udp"]);
    watch.until("running", |status| running(status) && status["decoded"].as_u64().is_some_and(|count| count > 50));
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
}

#[test]
fn gstreamers_own_words_are_kept_in_the_log() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["/dev/video97"], &[]);
    let line = watch.line("the warning", contains("no camera (not found)"));
    assert!(line["message"].as_str().unwrap().contains("GStreamer: Cannot identify device '/dev/video97'"), "{line}");
    watch.stop("TERM");
}

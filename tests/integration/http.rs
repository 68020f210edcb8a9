//! A minimal HTTP/1.0 client over a socket, which can also misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::camera::Watch;

/// The web server of a run.
#[derive(Clone, Copy)]
pub struct Site {
    pub port: u16,
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

impl Site {
    /// Reads the server's address from the run's log.
    pub fn of(watch: &mut Watch) -> Self {
        let is_address = |fields: &Value| fields["message"].as_str().is_some_and(|text| text.starts_with("page at "));
        let line = watch.line("the page's address", is_address);
        let address = line["message"].as_str().expect("text").trim_end_matches('/').rsplit(':').next();
        Self { port: address.and_then(|port| port.parse().ok()).expect("a port") }
    }

    pub fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server takes connections");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    /// Sends a request's header, given without its empty line, and reads the whole response.
    pub fn send(self, head: &str) -> Response {
        let mut stream = self.connect();
        let _ = stream.write_all(format!("{head}\r\n\r\n").as_bytes());
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(all.len());
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Response { status, head, body: all.split_off((end + 4).min(all.len())) }
    }

    pub fn get(self, path: &str) -> Response {
        self.send(&format!("GET {path} HTTP/1.0"))
    }

    pub fn json(self, path: &str) -> Value {
        self.get(path).json()
    }

    /// Returns the state of a stream.
    pub fn stream(self, name: &str) -> Value {
        let all = self.json("/api/streams");
        let streams = all["streams"].as_array().expect("streams");
        streams.iter().find(|stream| stream["name"] == name).unwrap_or_else(|| panic!("no {name} in {all}")).clone()
    }

    /// Repeats `request` until the result satisfies `wanted`.
    pub fn until<T>(self, what: &str, request: impl Fn(Site) -> T, wanted: impl Fn(&T) -> bool) -> T {
        let began = Instant::now();
        loop {
            let response = request(self);
            if wanted(&response) {
                return response;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Opens a streaming response. Returns a reader of its body.
    pub fn open(self, path: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("it reads");
        let mut reader = BufReader::new(stream);
        let head = lines(&mut reader);
        assert!(head.contains(" 200 "), "{path}: {head}");
        reader
    }

    pub fn pictures(self, path: &str) -> Pictures {
        Pictures { reader: self.open(path) }
    }

    pub fn events(self) -> Events {
        Events { reader: self.open("/api/events") }
    }

    pub fn metrics(self) -> Metrics {
        Metrics::parse(&self.get("/metrics").text())
    }
}

/// Reads lines up to an empty one.
fn lines(reader: &mut BufReader<TcpStream>) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("a line") > 0, "it ended after {all:?}");
        if line.trim_end().is_empty() {
            return all;
        }
        all.push_str(&line);
    }
}

/// A picture of a multipart response.
pub struct Picture {
    pub stream: String,
    pub ms: f64,
    pub jpeg: Vec<u8>,
}

pub struct Pictures {
    reader: BufReader<TcpStream>,
}

impl Pictures {
    /// Waits for the response's end.
    pub fn end(mut self) {
        self.reader.read_to_end(&mut Vec::new()).expect("it ends with the video");
    }

    pub fn next(&mut self) -> Picture {
        let mut head = lines(&mut self.reader);
        if head.is_empty() {
            // The line break after the previous picture.
            head = lines(&mut self.reader);
        }
        assert!(head.starts_with("--picture\r\n"), "{head}");
        let value = |name: &str| header(&head, name).unwrap_or_else(|| panic!("no {name} in {head}"));
        assert_eq!(value("content-type"), "image/jpeg");
        let mut jpeg = vec![0; value("content-length").parse().expect("a length")];
        let stream = percent_encoding::percent_decode_str(value("x-stream")).decode_utf8_lossy().into_owned();
        let ms = value("x-time-ms").parse().expect("a time");
        self.reader.read_exact(&mut jpeg).expect("a picture");
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]), "no JPEG");
        Picture { stream, ms, jpeg }
    }
}

pub struct Events {
    reader: BufReader<TcpStream>,
}

impl Events {
    /// Returns the next event's name and data.
    pub fn next(&mut self) -> (String, Value) {
        loop {
            let text = lines(&mut self.reader);
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                return (event.to_string(), serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// Reads events until the first stream satisfies `wanted`.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
            let (event, data) = self.next();
            if event == "streams" && wanted(&data["streams"][0]) {
                return data["streams"][0].clone();
            }
        }
    }
}

/// Parsed metrics in Prometheus' text format.
#[derive(Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    fn parse(text: &str) -> Self {
        let mut samples = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(comment) = line.strip_prefix("# ") {
                assert!(
                    ["HELP livelabel_", "TYPE livelabel_", "HELP process_", "TYPE process_"]
                        .iter()
                        .any(|known| comment.starts_with(known)),
                    "{line}"
                );
                continue;
            }
            let name_end = line.find(['{', ' ']).expect("a name");
            let (name, mut rest) = line.split_at(name_end);
            assert!(text.contains(&format!("# HELP {}", base(name))), "no help for {name}");
            let mut labels = Vec::new();
            if let Some(mut inner) = rest.strip_prefix('{') {
                loop {
                    let (key, after) = inner.split_once("=\"").expect("a label");
                    let (value, after) = quoted(after);
                    labels.push((key.to_string(), value));
                    inner = after.trim_start_matches(',');
                    if let Some(after) = inner.strip_prefix('}') {
                        rest = after;
                        break;
                    }
                }
            }
            let value = rest.trim().parse().unwrap_or_else(|_| panic!("{line}"));
            samples.push(Sample { name: name.to_string(), labels, value });
        }
        Self(samples)
    }

    /// Returns the value of a sample that has at least these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample, (key, value): (&str, &str)| {
            sample.labels.iter().any(|(own, its)| own == key && its == value)
        };
        let wanted = |sample: &&Sample| sample.name == name && labels.iter().all(|&pair| has(sample, pair));
        self.0.iter().find(wanted).map(|sample| sample.value)
    }

    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {self:#?}"))
    }
}

/// Returns a metric's name without a histogram's suffix.
fn base(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Parses a label's value up to its closing quote. Returns it unescaped, and the rest.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().expect("an escaped character").1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    panic!("no closing quote in {text}");
}

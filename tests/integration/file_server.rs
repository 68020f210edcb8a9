//! A web server with clips, which loses connections, asks for passwords and redirects.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::https::Pair;

/// The answer to `Authorization` for `ann` with `s3cret`.
const ANN: &str = "Basic YW5uOnMzY3JldA==";

/// When the clips were changed, as the server says.
const CHANGED: &str = "Fri, 02 Jan 2026 14:03:05 GMT";

/// The server. What is below `/ranges/` is sent in ranges, of which the first one of a file breaks off after its half; below `/plain/` as
/// a whole; below `/private/` for `ann` with `s3cret`; below `/elsewhere/` from `/ranges/`, by redirection.
pub struct FileServer {
    pub port: u16,
    encrypted: bool,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FileServer {
    pub fn of(folder: &Path) -> Self {
        Self::start(folder, None)
    }

    /// A server over TLS.
    pub fn with(folder: &Path, certificate: &Pair) -> Self {
        Self::start(folder, Some(certificate.server()))
    }

    fn start(folder: &Path, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (folder, requests) = (folder.to_path_buf(), Arc::new(Mutex::new(Vec::new())));
        let (shared, encrypted) = (Arc::clone(&requests), tls.is_some());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, requests, tls) = (folder.clone(), Arc::clone(&shared), tls.clone());
                // A client that goes away ends its connection only.
                std::thread::spawn(move || match tls {
                    None => drop(serve(stream, folder, &requests)),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).expect("a valid configuration");
                        drop(serve(StreamOwned::new(connection, stream), folder, &requests));
                    }
                });
            }
        });
        Self { port, encrypted, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http{}://127.0.0.1:{}/{path}", if self.encrypted { "s" } else { "" }, self.port)
    }

    /// Returns the heads of the requests whose path begins like this.
    pub fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.requests.lock().expect("no panic");
        requests.iter().filter(|head| head.starts_with(&format!("GET /{path}"))).cloned().collect()
    }
}

fn serve(mut stream: impl Read + Write, folder: PathBuf, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut stream);
    while reader.read_line(&mut head)? > 2 {}
    let target = head.split_whitespace().nth(1).unwrap_or_default().to_string();
    let path = target.split('?').next().unwrap_or_default();
    let first = {
        let mut requests = requests.lock().expect("no panic");
        requests.push(head.clone());
        requests.iter().filter(|head| head.contains(&target)).count() == 1
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string())
    };
    let mut parts = path.trim_start_matches('/').split('/');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let status =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n");
    let Ok(bytes) = fs::read(folder.join(name)) else {
        return stream.write_all(status("404 Not Found", "").as_bytes());
    };
    match kind {
        "private" if header("authorization").is_none_or(|sent| sent != ANN) => {
            stream.write_all(status("401 Unauthorized", "").as_bytes())
        }
        "elsewhere" => stream.write_all(status("302 Found", &format!("Location: /ranges/{name}\r\n")).as_bytes()),
        "plain" | "private" => {
            let length = bytes.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nLast-Modified: {CHANGED}\r\nContent-Length: {length}\r\n\r\n"
            )?;
            stream.write_all(&bytes)
        }
        _ => {
            let range = header("range").expect("a range");
            let (begin, end) = range.trim_start_matches("bytes=").split_once('-').expect("two ends");
            let begin: usize = begin.parse().expect("a number");
            let end = (end.parse::<usize>().expect("a number") + 1).min(bytes.len());
            let (length, total, last) = (end - begin, bytes.len(), end - 1);
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"v1\"\r\nLast-Modified: {CHANGED}\r\nContent-Length: {length}\r\n\
                 Content-Range: bytes {begin}-{last}/{total}\r\n\r\n"
            )?;
            let sent = if first { length / 2 } else { length };
            stream.write_all(&bytes[begin..begin + sent])
        }
    }
}

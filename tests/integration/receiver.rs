//! A webhook server for tests, with configurable responses.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    /// Keys are in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|cause| panic!("{self:?}: {cause}"))
    }
}

pub struct Receiver {
    pub port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Receiver {
    /// `answer` gets the number of earlier requests and returns the status; `None` sends no response.
    pub fn start(answer: impl Fn(usize) -> Option<u16> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let posted = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&posted), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &kept, answer.as_ref()));
            }
        });
        Self { port, posted }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// Waits until this many requests have arrived.
    pub fn until(&self, count: usize) -> Vec<Posted> {
        let began = Instant::now();
        while self.posted().len() < count {
            assert!(began.elapsed() < Duration::from_secs(60), "not {count} within 60 s: {:#?}", self.posted());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.posted()
    }
}

/// Handles requests on one connection until it closes.
fn serve(stream: &TcpStream, kept: &Mutex<Vec<Posted>>, answer: &dyn Fn(usize) -> Option<u16>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.strip_prefix("POST ").and_then(|rest| rest.split(' ').next()).expect("a POST").to_string();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_string());
        }
        let length = headers.get("content-length").expect("a length").parse().expect("a number");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let count = {
            let mut kept = kept.lock().unwrap();
            kept.push(Posted { path, headers, body: String::from_utf8(body).expect("text") });
            kept.len() - 1
        };
        let Some(status) = answer(count) else {
            // Waits until the client closes the connection.
            let _ = reader.read_line(&mut String::new());
            return;
        };
        let text = format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\nok");
        if (&mut &*stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

//! A NATS server for tests and measurements.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::config::nats::{NatsConfig, NatsOptions};

/// A server with JetStream. Dropping it kills the process.
pub struct TestServer {
    child: Child,
    port: u16,
    monitor: u16,
    folder: TempDir,
}

impl TestServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [port, monitor] = [(); 2].map(|()| free_port());
        let mut server = Self { child: spawn(&folder, port, monitor), port, monitor, folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            // Another program's connection may have the port for a moment.
            if server.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                server.child = spawn(&server.folder, port, monitor);
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nats-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub fn config(&self) -> NatsConfig {
        let nats = vec![format!("nats://127.0.0.1:{}", self.port)];
        NatsConfig::resolve(&NatsOptions { nats, ..NatsOptions::default() }).expect("an address")
    }

    /// Returns what the server says of itself.
    pub fn counts(&self) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitor)).expect("a connection");
        stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n").expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        serde_json::from_str(text.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn spawn(folder: &TempDir, port: u16, monitor: u16) -> Child {
    let mut command = Command::new("nats-server");
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-m", &monitor.to_string(), "-sd"]);
    command.arg(folder.path()).stderr(Stdio::null()).spawn().expect("nats-server starts")
}

//! NATS servers for tests, on ports of their own, which tests can kill and start again.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::free_port;
use crate::program::text;

/// A server with JetStream. Dropping it kills the process.
pub struct NatsServer {
    child: Option<Child>,
    pub port: u16,
    folder: TempDir,
    config: PathBuf,
}

impl NatsServer {
    pub fn start() -> Self {
        Self::with("jetstream { store_dir: \"STORE\" }")
    }

    /// Starts a server with a configuration. `STORE` in it becomes a folder of its own.
    pub fn with(config: &str) -> Self {
        let mut server = Self::unstarted(free_port(), config);
        server.restart();
        server
    }

    fn unstarted(port: u16, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("store");
        let path = folder.path().join("nats.conf");
        let lines = format!("host: 127.0.0.1\nport: {port}\n{}\n", config.replace("STORE", text(&store)));
        std::fs::write(&path, lines).expect("a file");
        Self { child: None, port, folder, config: path }
    }

    /// Starts three servers that keep three copies of everything.
    pub fn three() -> [Self; 3] {
        let [ports, routes] = [(); 2].map(|()| [(); 3].map(|()| free_port()));
        let all = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
        let mut servers = [0, 1, 2].map(|number| {
            let (name, route) = (number + 1, routes[number]);
            let config = format!(
                "server_name: s{name}\njetstream {{ store_dir: \"STORE\" }}\n\
                 cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{all}] }}"
            );
            let mut server = Self::unstarted(ports[number], &config);
            server.spawn();
            server
        });
        servers.iter_mut().for_each(Self::wait);
        servers
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns the messages of a stream, as their subjects and JSON.
    pub fn messages(&self, stream: &str) -> Vec<(String, Value)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = async_nats::connect(self.url()).await.expect("a connection");
            let stream = async_nats::jetstream::new(client).get_stream(stream).await.expect("the stream");
            let state = stream.get_info().await.expect("its state").state;
            let mut messages = Vec::new();
            for sequence in state.first_sequence..=state.last_sequence {
                if let Ok(message) = stream.get_raw_message(sequence).await {
                    let json = serde_json::from_slice(&message.payload).expect("JSON");
                    messages.push((message.subject.to_string(), json));
                }
            }
            messages
        })
    }

    /// Starts the process again, with what it kept.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait();
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Deletes what it kept.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("store")).expect("a folder");
    }

    fn spawn(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        let child =
            Command::new("nats-server").args(["-c", text(&self.config)]).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.expect("nats-server starts"));
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            // Another program's connection may have the port for a moment.
            if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
                self.spawn();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nats-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

//! An MQTT broker for tests: mosquitto on its own port, which tests can kill, and mosquitto_sub as a subscriber.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::camera::signal;
use crate::program::text;

/// Returns a port on which no server listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A running broker. Dropping it kills the process.
pub struct Broker {
    child: Child,
    pub port: u16,
    login: Option<(String, String)>,
    tls: bool,
    folder: tempfile::TempDir,
}

/// The broker's access control.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    Open,
    Credentials(&'a str, &'a str),
    /// TLS with a generated certificate.
    Tls,
}

impl Broker {
    pub fn start() -> Self {
        Self::at(free_port(), Access::Open)
    }

    /// Starts a broker on a given port, for example that of an earlier one.
    pub fn at(port: u16, gate: Access) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mosquitto.conf");
        // By default mosquitto drops root privileges, and then cannot read the folder.
        let mut lines = format!("listener {port} 127.0.0.1\nuser root\npersistence false\n");
        match gate {
            Access::Open => lines.push_str("allow_anonymous true\n"),
            Access::Tls => {
                certify(folder.path());
                let path = |name: &str| text(&folder.path().join(name)).to_string();
                let (certificate, key) = (path("broker.pem"), path("broker.key"));
                lines.push_str(&format!("allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"));
            }
            Access::Credentials(user, password) => {
                let file = folder.path().join("passwords");
                let made = Command::new("mosquitto_passwd").args(["-c", "-b", text(&file), user, password]).status();
                assert!(made.expect("mosquitto_passwd starts").success());
                lines.push_str(&format!("allow_anonymous false\npassword_file {}\n", text(&file)));
            }
        }
        std::fs::write(&config, lines).expect("a file");
        // Debian installs it in /usr/sbin, which is not in every user's PATH.
        let program = ["/usr/sbin/mosquitto", "mosquitto"];
        let program = program.into_iter().find(|path| Path::new(path).exists()).unwrap_or("mosquitto");
        let child = Command::new(program)
            .args(["-c", text(&config)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "mosquitto does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let login = match gate {
            Access::Credentials(user, password) => Some((user.to_string(), password.to_string())),
            _ => None,
        };
        Self { child, port, login, tls: matches!(gate, Access::Tls), folder }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// The certificate of the authority that signed the broker's.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Subscribes to all topics.
    pub fn subscribe(&self) -> Subscriber {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-t", "#", "-F", "%r\t%t\t%p"]);
        self.identify(&mut command);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("mosquitto_sub starts");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (BufReader::new(child.stdout.take().expect("a pipe")), Arc::clone(&messages));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut parts = line.splitn(3, '\t');
                let mut part = || parts.next().expect("three parts").to_string();
                let retained = part() == "1";
                kept.lock().unwrap().push(Message { retained, topic: part(), payload: part() });
            }
        });
        let subscriber = Subscriber { child, messages };
        // Waits until the subscription is active.
        let ready = format!("ready/{}", fastrand::u64(..));
        let began = Instant::now();
        while !subscriber.messages().iter().any(|message| message.topic == ready) {
            assert!(began.elapsed() < Duration::from_secs(20), "mosquitto_sub does not receive");
            self.publish(&ready);
            std::thread::sleep(Duration::from_millis(50));
        }
        subscriber
    }

    /// Adds what the broker asks of its clients.
    fn identify(&self, command: &mut Command) {
        if let Some((user, password)) = &self.login {
            command.args(["-u", user, "-P", password]);
        }
        if self.tls {
            command.args(["--cafile", text(&self.authority())]);
        }
    }

    fn publish(&self, topic: &str) {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic, "-m", "x"]);
        self.identify(&mut command);
        assert!(command.status().expect("mosquitto_pub starts").success());
    }
}

/// Creates a certificate authority and a server certificate for the loopback address.
pub fn certify(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
        let made = made.expect("openssl starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    std::fs::write(folder.join("names"), "subjectAltName = IP:127.0.0.1\n").expect("a file");
    openssl(&format!("req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority"));
    openssl(&format!("req {key} -keyout broker.key -out broker.csr -subj /CN=broker"));
    openssl(
        "x509 -req -in broker.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out broker.pem",
    );
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    /// Whether it is a retained message.
    pub retained: bool,
    pub topic: String,
    pub payload: String,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|cause| panic!("{self:?}: {cause}"))
    }
}

/// A subscriber to all topics, with the messages received so far.
pub struct Subscriber {
    child: Child,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Subscriber {
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// Returns the messages on a topic.
    pub fn on(&self, topic: &str) -> Vec<Message> {
        self.messages().into_iter().filter(|message| message.topic == topic).collect()
    }

    /// Waits for a message on a topic that satisfies `wanted`.
    pub fn until(&self, topic: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let began = Instant::now();
        loop {
            if let Some(message) = self.on(topic).into_iter().find(&wanted) {
                return message;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not within 60 s on {topic}: {:#?}", self.messages());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

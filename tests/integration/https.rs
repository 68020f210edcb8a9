//! The page over TLS: with a certificate of its own, its renewal, and clients that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use crate::camera::Watch;
use crate::http::Site;
use crate::program::Program;
use crate::tiny;

/// A certificate for 127.0.0.1 that signs itself, valid until the first day of the year `until`.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    pub fn until(until: i32) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        Self { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    pub fn write(&self, program: &Program) {
        std::fs::write(program.path("page.key"), &self.key).unwrap();
        std::fs::write(program.path("page.pem"), &self.certificate).unwrap();
    }

    /// Returns what a server with it needs.
    pub fn server(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(versions.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
    }

    /// Connects to the page, trusting this certificate only. The handshake is made with the first byte.
    fn connect(&self, site: Site) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = versions.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), site.connect())
    }

    /// Requests a path. Returns the whole response, or why there is none.
    fn get(&self, site: Site, path: &str) -> std::io::Result<String> {
        let mut stream = self.connect(site);
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut all = Vec::new();
        // The server may close the connection without an alert.
        let _ = stream.read_to_end(&mut all);
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

const SECURE: [&str; 6] = ["--web", "127.0.0.1:0", "--web-cert", "page.pem", "--web-key", "page.key"];

#[test]
fn the_page_is_served_over_tls_and_says_so() {
    let (program, pair) = (Program::new(), Pair::until(4096));
    pair.write(&program);
    std::fs::write(program.path("token"), "s3cret-t0ken\n").unwrap();
    let given = [&SECURE[..], &["--web-token-file", "token"]].concat();
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &given);
    let site = Site::of(&mut watch);
    let said = watch.log.last().unwrap()["message"].as_str().unwrap().to_string();
    assert_eq!(said, format!("page at https://127.0.0.1:{}/", site.port));
    assert!(pair.get(site, "/healthz").unwrap().starts_with("HTTP/1.0 401"));
    assert!(pair.get(site, "/api/streams?token=s3cret-t0ken").unwrap().contains(r#""name":"test""#));
    let welcome = pair.get(site, "/?token=s3cret-t0ken").unwrap();
    assert!(welcome.starts_with("HTTP/1.0 303") && welcome.contains("; Secure"), "{welcome}");
    // A client that speaks HTTP is told.
    let plain = site.get("/api/streams");
    assert_eq!((plain.status, plain.text().as_str()), (400, "this page is encrypted; open it as https\n"));
    // Another certificate is not trusted.
    assert!(Pair::until(4096).get(site, "/").is_err());
    watch.stop("INT");
}

#[test]
fn unfinished_handshakes_end_and_block_nobody() {
    let (program, pair) = (Program::new(), Pair::until(4096));
    pair.write(&program);
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &SECURE);
    let site = Site::of(&mut watch);
    let began = Instant::now();
    let mut silent: Vec<TcpStream> = (0..40).map(|_| site.connect()).collect();
    let mut begun: Vec<TcpStream> = (0..40).map(|_| site.connect()).collect();
    for stream in &mut begun {
        stream.write_all(&[0x16, 3, 1, 1]).unwrap();
    }
    assert!(pair.get(site, "/api/streams").unwrap().starts_with("HTTP/1.0 200"));
    for stream in silent.iter_mut().chain(&mut begun) {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    // The client's own timeout is half a minute.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let (finished, _) = watch.stop("INT");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let (program, first, second) = (Program::new(), Pair::until(4096), Pair::until(4096));
    first.write(&program);
    let mut watch = Watch::start(&program, &["test://?size=320x240&rate=5"], &SECURE);
    let site = Site::of(&mut watch);
    assert!(first.get(site, "/").is_ok());
    std::fs::write(program.path("page.pem"), &second.certificate).unwrap();
    let says = |part: &'static str| {
        move |fields: &serde_json::Value| fields["message"].as_str().is_some_and(|text| text.contains(part))
    };
    let refused = watch.line("the refusal", says("keeps the certificate"));
    assert!(refused["message"].as_str().unwrap().contains("page.key: the page's key does not belong"), "{refused}");
    assert!(first.get(site, "/").is_ok() && second.get(site, "/").is_err());
    second.write(&program);
    watch.line("the renewal", says("certificate was renewed"));
    assert!(second.get(site, "/").is_ok() && first.get(site, "/").is_err());
    watch.stop("INT");
}

#[test]
fn an_unusable_certificate_is_refused_at_the_start() {
    let (program, pair) = (Program::new(), Pair::until(4096));
    let refusal = |certificate: &str, key: &str, given: &[&str]| {
        std::fs::write(program.path("page.pem"), certificate).unwrap();
        std::fs::write(program.path("page.key"), key).unwrap();
        let model = tiny::model();
        let start = ["run", "test://", "--model", crate::program::text(&model)];
        program.start(&[&start[..], given].concat()).refusal(2).to_string()
    };
    let other = Pair::until(4096);
    let old = Pair::until(2001);
    for (certificate, key, why) in [
        (&other.certificate, &pair.key, "page.key: the page's key does not belong to the certificate; name the key"),
        (&old.certificate, &old.key, "page.pem: the page's certificate has expired; renew it"),
        (&pair.key, &pair.key, "page.pem: the page's certificate holds no certificate; name a PEM file"),
        (&pair.certificate, &pair.certificate, "page.key: the page's key holds no private key; name a PEM file"),
        (&pair.certificate, &pair.key.replace("PRIVATE", "ENCRYPTED PRIVATE"), "page.key: the page's key is encrypted"),
    ] {
        let reported = refusal(certificate, key, &SECURE);
        assert!(reported.contains(why), "{reported}");
    }
    let alone = refusal(&pair.certificate, &pair.key, &SECURE[..4]);
    assert!(alone.contains("--web-cert is set without") && alone.contains("--web-key FILE"), "{alone}");
    let no_page = refusal(&pair.certificate, &pair.key, &SECURE[2..]);
    assert!(no_page.contains("a certificate is set, but no page is served"), "{no_page}");
    let absent = refusal(&pair.certificate, &pair.key, &[&SECURE[..5], &["nowhere"]].concat());
    assert!(absent.contains("nowhere: the page's key cannot be read") && absent.contains("permissions"), "{absent}");
}

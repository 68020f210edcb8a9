//! Who may write: only the holder of the admin token, by POST, from the page itself or from a program.

use crate::camera::{Watch, records};
use crate::http::{Response, Site};
use crate::program::Program;
use crate::tiny;

pub const ADMIN: &str = "4dmin-s3cret";

/// Starts a run whose page takes the admin token, and the token of readers if `given` says so.
fn start(program: &Program, given: &[&str]) -> (Watch, Site) {
    std::fs::write(program.path("admin"), format!("{ADMIN}\n")).unwrap();
    std::fs::write(program.path("token"), "s3cret-t0ken\n").unwrap();
    let web = ["--web", "127.0.0.1:0", "--name", "door"];
    let mut watch = Watch::start(program, &["test://?size=320x240&rate=5"], &[&web[..], given].concat());
    let site = Site::of(&mut watch);
    (watch, site)
}

const WRITABLE: [&str; 2] = ["--web-admin-token-file", "admin"];

/// Posts JSON with more header lines.
fn post(site: Site, path: &str, more: &str) -> Response {
    site.send(&format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 0{more}"))
}

/// Posts JSON as who may write.
pub fn post_json(site: Site, path: &str, body: &str) -> Response {
    // The line breaks that end what is sent belong to the body.
    let length = body.len() + 4;
    site.send(&format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nX-Admin-Token: {ADMIN}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn without_the_option_nobody_may_write() {
    let program = Program::new();
    let (watch, site) = start(&program, &[]);
    for path in ["/api/admin", "/api/reload", "/api/streams/door/pause", "/nothing"] {
        let refused = post(site, path, &format!("\r\nX-Admin-Token: {ADMIN}"));
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    assert_eq!(site.get("/api/admin").status, 404);
    assert_eq!(site.json("/api/streams")["admin"], false);
    watch.stop("INT");
}

#[test]
fn the_admin_token_is_needed_in_a_header() {
    let program = Program::new();
    let (mut watch, site) = start(&program, &[&WRITABLE[..], &["--web-token-file", "token"]].concat());
    let welcome = site.get("/?token=s3cret-t0ken");
    let cookie = welcome.header("set-cookie").unwrap().split(';').next().unwrap().to_string();
    for more in [
        String::new(),
        format!("\r\nCookie: {cookie}"),
        "\r\nAuthorization: Bearer s3cret-t0ken".into(),
        format!("\r\nX-Admin-Token: {ADMIN}\r\nX-Admin-Token: {ADMIN}").replace(ADMIN, "4dmin-s3creT"),
    ] {
        assert_eq!(post(site, "/api/admin", &more).status, 401, "{more}");
    }
    for more in [format!("\r\nX-Admin-Token: {ADMIN}"), format!("\r\nAuthorization: Bearer {ADMIN}")] {
        assert_eq!(post(site, "/api/admin", &more).status, 200, "{more}");
    }
    // The token of writers is not that of readers, and in an address it does not count.
    let read = |more: &str| site.send(&format!("GET /api/streams HTTP/1.0{more}")).status;
    assert_eq!(read(&format!("\r\nAuthorization: Bearer {ADMIN}")), 401);
    assert_eq!(post(site, &format!("/api/admin?token={ADMIN}"), "").status, 401);
    // Reading what is to be posted, posting what is to be read, and what is not there.
    let named = format!("\r\nX-Admin-Token: {ADMIN}");
    let reader = "\r\nAuthorization: Bearer s3cret-t0ken";
    assert_eq!(site.send(&format!("GET /api/admin HTTP/1.0{reader}")).status, 405);
    assert_eq!(post(site, "/api/streams", &named).status, 405);
    assert_eq!(post(site, "/nothing", &named).status, 404);
    assert_eq!(site.send(&format!("PUT /api/admin HTTP/1.0{named}")).status, 405);
    let refused = |fields: &serde_json::Value| {
        fields["message"].as_str().is_some_and(|line| line.contains("admin token is missing"))
    };
    let said = watch.line("the refusal", refused)["message"].as_str().unwrap().to_string();
    let (time, rest) = said.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.contains('T'), "{said}");
    assert_eq!(rest, "127.0.0.1: refused: the admin token is missing or wrong");
    let log = format!("{:?}", watch.log);
    let (finished, _) = watch.stop("INT");
    let kept = format!("{log}{}{}{:?}", finished.stdout, finished.stderr, records(&program));
    assert!(!kept.contains("s3cret") && !kept.contains("s3creT"), "{kept}");
}

#[test]
fn another_site_and_other_content_are_refused() {
    let program = Program::new();
    let (watch, site) = start(&program, &WRITABLE);
    let named = format!("\r\nX-Admin-Token: {ADMIN}");
    let host = format!("\r\nHost: 127.0.0.1:{}", site.port);
    let own = format!("{named}{host}\r\nOrigin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin", site.port);
    assert_eq!(post(site, "/api/admin", &own).status, 200);
    for more in
        ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"]
    {
        assert_eq!(post(site, "/api/admin", &format!("{named}{host}\r\n{more}")).status, 403, "{more}");
    }
    // Another name of this machine.
    assert_eq!(post(site, "/api/admin", &format!("{named}\r\nHost: evil.example")).status, 403);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let head = format!("POST /api/admin HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: 0{named}");
        assert_eq!(site.send(&head).status, 415, "{kind}");
    }
    assert_eq!(site.send(&format!("POST /api/admin HTTP/1.0\r\nContent-Length: 0{named}")).status, 415);
    let large = format!("POST /api/admin HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 1000000{named}");
    assert_eq!(site.send(&large).status, 413);
    watch.stop("INT");
}

#[test]
fn wrong_tokens_must_wait() {
    let program = Program::new();
    let (watch, site) = start(&program, &WRITABLE);
    let attempt = |token: &str| post(site, "/api/admin", &format!("\r\nX-Admin-Token: {token}"));
    for _ in 0..4 {
        assert_eq!(attempt("wrong-token").status, 401);
    }
    assert_eq!(attempt(ADMIN).status, 200);
    // The right one ended the count.
    for _ in 0..7 {
        attempt("wrong-token");
    }
    let early = attempt(ADMIN);
    assert_eq!(early.status, 429);
    assert!((1..=60).contains(&early.header("retry-after").unwrap().parse::<u64>().unwrap()), "{early:?}");
    site.until("let in again", |_| attempt(ADMIN), |response| response.status == 200);
    // Readers never wait.
    assert_eq!(site.get("/api/streams").status, 200);
    watch.stop("INT");
}

#[test]
fn an_unusable_admin_token_is_refused_at_the_start() {
    let program = Program::new();
    std::fs::write(program.path("token"), "s3cret-t0ken\n").unwrap();
    std::fs::write(program.path("short"), "abc").unwrap();
    for (given, why) in [
        (
            &["--web", "127.0.0.1:0", "--web-token-file", "token", "--web-admin-token-file", "token"][..],
            "is the page's token",
        ),
        (&["--web", "127.0.0.1:0", "--web-admin-token-file", "short"], "openssl rand"),
        (&["--web", "127.0.0.1:0", "--web-admin-token-file", "nowhere"], "permissions"),
        (&["--web-admin-token-file", "token"], "--web 127.0.0.1:8080"),
    ] {
        let model = tiny::model();
        let start = ["run", "test://", "--model", crate::program::text(&model)];
        let reported = program.start(&[&start[..], given].concat()).refusal(2).to_string();
        assert!(reported.contains(why) && !reported.contains("s3cret"), "{reported}");
    }
}

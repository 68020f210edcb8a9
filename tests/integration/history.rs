//! The index of a camera's folder: what a run writes, what is asked of it, and what befalls it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::camera::{Watch, files, running};
use crate::footage::colours;
use crate::http::Site;
use crate::program::{Program, run_with_mounts, text};
use crate::tiny;

/// Returns every row of an index.
pub fn rows(folder: &Path) -> Vec<String> {
    let db = Connection::open(folder.join(".livelabel/index.sqlite")).unwrap();
    let intact: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(intact, "ok");
    let mut names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(tables.len(), 12);
    let mut all = Vec::new();
    for table in tables {
        let mut rows = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut found = rows.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<Cell> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            all.push(format!("{table} {cells:?}"));
        }
    }
    all.sort();
    all
}

pub fn count(rows: &[String], table: &str) -> usize {
    rows.iter().filter(|row| row.split(' ').next() == Some(table)).count()
}

#[test]
fn a_run_writes_the_rows_that_a_rebuild_makes() {
    let program = Program::new();
    let given = ["test://?size=160x120&rate=25", "--segment", "2s", "--name", "../door"];
    let mut watch = Watch::start(&program, &given, &[]);
    watch.until("running", running);
    std::thread::sleep(Duration::from_secs(5));
    let (finished, _) = watch.stop("INT");
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    let live = rows(program.folder.path());
    let (journals, videos) = (files(&program, ".timeline.jsonl").len(), files(&program, ".mkv").len());
    assert_eq!(["streams", "runs", "sources", "segments"].map(|table| count(&live, table)), [1, 1, journals, videos]);
    assert!(journals >= 3 && count(&live, "watched") >= 3, "{live:#?}");
    let rebuilt = program.start(&["index", "rebuild", "."]).succeeded();
    assert!(rebuilt.stdout.contains("1 stream"), "{}", rebuilt.stdout);
    assert_eq!(live, rows(program.folder.path()));
    let history: Value =
        serde_json::from_str(&program.start(&["history", "--format", "json"]).succeeded().stdout).unwrap();
    assert_eq!(history["streams"][0]["name"], "../door");
    assert_eq!(history["streams"][0]["labels"], json!(["red", "green", "blue"]));
    assert!(!history["intervals"].as_array().unwrap().is_empty());
}

#[test]
fn a_killed_run_leaves_a_consistent_index_that_catches_up() {
    let program = Program::new();
    for wait in [300, 1700, 2900] {
        let mut watch = Watch::start(&program, &["test://?size=160x120&rate=25"], &["--segment", "1s"]);
        watch.until("running", running);
        std::thread::sleep(Duration::from_millis(wait));
        watch.stop("KILL");
        rows(program.folder.path());
    }
    program.start(&["history"]).succeeded();
    let caught_up = rows(program.folder.path());
    program.start(&["index", "rebuild"]).succeeded();
    assert_eq!(caught_up, rows(program.folder.path()));
    assert_eq!(count(&caught_up, "runs"), 3);
}

#[test]
fn without_the_option_there_is_no_index() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=160x120"], &["--index=false", "--web", "127.0.0.1:0"]);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    assert_eq!((site.get("/api/history").status, site.json("/api/streams")["history"].clone()), (404, json!(false)));
    watch.stop("INT");
    assert!(!program.path(".livelabel").exists());
    // It is read from the files then, and nothing is written.
    let listed = program.start(&["history", "--format", "csv"]).succeeded();
    assert!(listed.stdout.starts_with("stream,label,start,end,duration_s,mean,peak,position_s\n"), "{}", listed.stdout);
    assert!(!program.path(".livelabel").exists());
}

#[test]
fn the_page_of_a_run_is_told_what_was_before() {
    let program = Program::new();
    let mut watch = Watch::start(&program, &["test://?size=160x120"], &["--web", "127.0.0.1:0", "--segment", "1s"]);
    let site = Site::of(&mut watch);
    watch.until("running", running);
    assert_eq!(site.json("/api/streams")["history"], true);
    let history = site.until(
        "a history",
        |site| site.json("/api/history"),
        |history| history["streams"][0]["recorded"] == true && history["rebuilding"] == false,
    );
    assert_eq!((&history["streams"][0]["name"], &history["streams"][0]["kind"]), (&json!("test"), &json!("camera")));
    let (first, now) = (history["streams"][0]["first"].as_str().unwrap(), history["now"].as_str().unwrap());
    let range = format!("from={first}&to={now}");
    let ribbon = site.json(&format!("/api/history/ribbon?stream=test&{range}&width=100"));
    assert!(!ribbon["recorded"].as_array().unwrap().is_empty() && ribbon["labels"].as_array().unwrap().len() == 3);
    let page = site.json(&format!("/api/history/intervals?{range}"));
    assert_eq!(page["intervals"][0]["open"], true, "{page}");
    watch.stop("INT");
}

#[test]
fn clips_are_listed_in_one_table_and_served() {
    let program = Program::new();
    let one = colours(program.folder.path(), "one.mp4", &["red", "0x00C000"], &["-c:v", "libx264"]);
    let two = colours(program.folder.path(), "two.mkv", &["blue", "red", "blue"], &["-c:v", "libx264"]);
    let model = tiny::model();
    let run = ["run", text(&one), text(&two), "--model", text(&model), "--window", "1", "--only", "timeline"];
    program.start(&[&run[..], &["--output-dir", "out"]].concat()).succeeded();
    let listed = program.start(&["history", "out", "--format", "csv", "--label", "red"]).succeeded();
    let cells: Vec<Vec<&str>> = listed.stdout.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let found: Vec<[&str; 4]> = cells.iter().map(|cells| [cells[0], cells[1], cells[4], cells[7]]).collect();
    assert!(found.contains(&["one.mp4", "red", "1.000", "0.000"]), "{found:?}");
    assert!(found.contains(&["two.mkv", "red", "1.000", "1.000"]), "{found:?}");
    assert_eq!(found.len(), 2);
    let table = program.start(&["history", "out", "--stream", "two.mkv", "--min-duration", "500ms"]).succeeded().stdout;
    assert!(table.contains("two.mkv  blue   0:00   0:01  1.0 s") && !table.contains("one.mp4"), "{table}");
    assert!(!program.path("out/.livelabel").exists());
    for (wrong, why) in [
        (&["history", "nowhere"][..], "cannot be read"),
        (&["history", "."], "holds no journals"),
        (&["history", "out", "--label", "purple"], "no label \"purple\"; use one of blue, green, red"),
        (&["history", "out", "--since", "soon"], "is not a time"),
        (&["history", "out", "--since", "2026-01-02", "--until", "2026-01-01"], "--until is not after --since"),
        (&["view", "."], "holds no journals"),
    ] {
        let refused = program.start(wrong);
        assert!(refused.refusal(2).contains(why), "{wrong:?}: {}", refused.stderr);
    }
    let mut watch = Watch::spawn(program.command(&["--log-format", "json", "view", "out", "--web", "127.0.0.1:0"]));
    let site = Site::of(&mut watch);
    let streams = site.json("/api/streams");
    assert_eq!(
        (&streams["mode"], &streams["history"], &streams["streams"]),
        (&json!("history"), &json!(true), &json!([]))
    );
    let history = site.json("/api/history");
    assert_eq!(history["streams"].as_array().unwrap().len(), 2);
    let all = "from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00%2B02:00";
    let page = site.json(&format!("/api/history/intervals?{all}&limit=2"));
    let next = page["next"].as_str().unwrap();
    let rest = site.json(&format!("/api/history/intervals?{all}&limit=1000&before={next}"));
    let count = |page: &Value| page["intervals"].as_array().unwrap().len();
    assert_eq!((count(&page), count(&rest), &rest["next"]), (2, 3, &Value::Null));
    let summary = site.json(&format!("/api/history/intervals/summary?{all}&label=red&label=blue"));
    assert_eq!(summary["labels"]["red"], json!({"count": 2, "duration_ms": 2000}));
    assert_eq!((&summary["count"], &summary["duration_ms"]), (&json!(4), &json!(4000)));
    let table = site.get(&format!("/api/history/intervals.csv?{all}"));
    assert_eq!((table.status, table.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(table.text().lines().count(), 6);
    assert!(table.text().starts_with("stream,label,start,end,duration_s,mean,peak\n"));
    let day = page["intervals"][0]["start"].as_str().unwrap()[..10].to_string();
    let year: i32 = day[..4].parse().unwrap();
    let days = site.json(&format!("/api/history/days?from={year}-01-01&to={}-01-01&stream=one.mp4", year + 1));
    let days = days["days"].as_array().unwrap();
    assert!(!days.is_empty() && days.iter().all(|found| found["day"] == day.as_str()), "{days:?}");
    for (path, status) in [
        ("/api/history/days?from=2026-01-01&to=2026-01-02&zone=Europe/Atlantis", 400),
        ("/api/history/days?from=2026-01-01&to=2029-01-02", 400),
        ("/api/history/days", 400),
        ("/api/history/ribbon?stream=one.mp4&from=x&to=y", 400),
        ("/api/history/ribbon?stream=..%2f..%2fetc%2fpasswd&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", 404),
        ("/api/history/ribbon?stream=one.mp4&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&width=0", 400),
        ("/api/history/ribbon?stream=one.mp4&from=2020-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", 400),
        ("/api/history/intervals", 400),
        ("/api/history/intervals?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&limit=1001", 400),
        ("/api/history/intervals?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&before=x", 400),
        ("/api/history/intervals?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&min_confidence=2", 400),
        ("/api/history/intervals?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400),
    ] {
        assert_eq!(site.get(path).status, status, "{path}");
    }
    watch.stop("INT");
}

#[test]
fn a_full_disk_stops_neither_the_camera_nor_the_index_for_good() {
    let program = Program::new();
    let binary = env!("CARGO_BIN_EXE_livelabel");
    let model = tiny::model();
    // The journal fits, the index does not until the filler is gone.
    let script = format!(
        "mkdir disk && mount -t tmpfs -o size=1m tmpfs disk || exit 77\n\
         head -c 900K /dev/zero > disk/filler\n\
         timeout 90 {binary} run 'test://?size=160x120&rate=10' --model {} --output-dir disk 2> log &\n\
         until grep -q 'catches up when' log; do kill -0 $! || exit 1; sleep 0.2; done\n\
         rm disk/filler\n\
         until grep -q 'has caught up' log; do kill -0 $! || exit 1; sleep 0.2; done\n\
         kill -TERM $!; wait; cp -r disk kept",
        text(&model)
    );
    let Some(finished) = run_with_mounts(&program, &script, &[]) else { return };
    let said = std::fs::read_to_string(program.path("log")).unwrap();
    assert!(finished.code == 0 && !said.contains("error: "), "{said}");
    let live = rows(&program.path("kept"));
    program.start(&["index", "rebuild", "kept"]).succeeded();
    assert_eq!(live, rows(&program.path("kept")));
}

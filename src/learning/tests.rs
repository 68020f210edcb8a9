//! Tests of the store with real files.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::answers::{Answer, Answered, Refused};
use super::files::{TABLE, id_of};
use super::frame::{NewFrame, encode};
use super::listing::{Counts, Cursor, State};
use super::selection::{Bucket, Reason};
use super::store::Store;
use crate::picture::{Colorimetry, DifferenceHash, OwnedPicture};

const LABELS: [&str; 3] = ["tea", "rest", "cat"];

fn labels() -> Vec<String> {
    LABELS.map(String::from).into()
}

fn open(folder: &Path) -> Store {
    Store::open(folder, 1 << 30).unwrap()
}

/// A hash whose first `ones` bits are set.
fn hash(ones: usize) -> DifferenceHash {
    let mut bytes = [0; DifferenceHash::BYTES];
    (0..ones).for_each(|bit| bytes[bit / 8] |= 1 << (bit % 8));
    DifferenceHash::from_bytes(bytes)
}

/// A frame at a second of the stream `door`, unlike that of any other second.
fn frame(second: i64) -> NewFrame {
    NewFrame {
        stream: "door".into(),
        stem: "door".into(),
        time: 1_764_338_585_120 + 1000 * second,
        clip: false,
        reason: Reason::Change,
        said: vec![("tea".into(), 0.75), ("rest".into(), 0.25)],
        model: Some("tiny".into()),
        margin: 0.5,
        hash: hash(10 * second as usize),
        jpeg: vec![0xff; 100],
        bucket: None,
    }
}

fn label(name: &str) -> Answer {
    Answer::Label(name.into())
}

fn answer(store: &Store, id: i64, name: &str) -> Answered {
    let version =
        page(store, State::Open).into_iter().chain(page(store, State::Answered)).find(|(other, _)| *other == id);
    store.answer(id, version.unwrap().1, &label(name), &labels()).unwrap()
}

/// Ids and versions.
fn page(store: &Store, state: State) -> Vec<(i64, i64)> {
    let page = store.page(state, None, 500, None).unwrap();
    page.frames.iter().map(|frame| (frame.id, frame.version)).collect()
}

fn ids(store: &Store, state: State) -> Vec<i64> {
    page(store, state).into_iter().map(|(id, _)| id).collect()
}

/// Path and class of each row of the table.
fn table(store: &Store) -> Vec<[String; 2]> {
    store.write_table().unwrap();
    let text = fs::read_to_string(store.folder.join(TABLE)).unwrap();
    let cells = |line: &str| [0, 1].map(|cell| line.split('\t').nth(cell).unwrap().to_string());
    text.lines().skip(1).map(cells).collect()
}

fn filled(frames: impl IntoIterator<Item = NewFrame>) -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for frame in frames {
        store.add(&frame).unwrap().unwrap();
    }
    (folder, store)
}

#[test]
fn a_frame_is_listed_with_what_the_model_said() {
    let (folder, store) = filled([frame(0)]);
    let page = store.page(State::Open, Some("door"), 10, None).unwrap();
    let [found] = &page.frames[..] else { panic!("{page:?}") };
    assert_eq!((found.id, found.time, found.version, &found.answer), (1, 1_764_338_585_120, 1, &None));
    assert_eq!((found.said.as_str(), found.model.as_deref()), (r#"{"rest":0.25,"tea":0.75}"#, Some("tiny")));
    assert!(folder.path().join("frames/door/2025-11-28/140305120-1.jpg").is_file());
    assert_eq!(store.picture(1).unwrap().unwrap(), [0xff; 100]);
    assert_eq!((store.picture(2).unwrap(), store.bytes()), (None, 100));
    assert_eq!(store.page(State::Open, Some("garden"), 10, None).unwrap().frames, []);
}

#[test]
fn the_most_useful_frames_come_first_page_by_page() {
    let of = |second: i64, reason: Reason, margin: f32| NewFrame { reason, margin, ..frame(second) };
    let (_folder, store) = filled([
        of(0, Reason::Random, 0.0),
        of(1, Reason::Change, 0.9),
        of(2, Reason::Unsure, 0.2),
        of(3, Reason::Interval, 1.0),
        of(4, Reason::Unsure, 0.1),
        of(5, Reason::Change, 0.1),
        of(6, Reason::Unsure, 0.2),
    ]);
    let sorted = [5, 7, 3, 6, 2, 1, 4];
    assert_eq!(ids(&store, State::Open), sorted);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(State::Open, None, 2, after).unwrap();
        found.extend(page.frames.iter().map(|frame| frame.id));
        after = page.next.map(|next| next.to_string().parse::<Cursor>().unwrap());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, sorted);
    for wrong in ["", "1", "1_2", "1_2_3_4", "a_b_c", "1_2_99999999999999999999"] {
        assert_eq!(wrong.parse::<Cursor>(), Err(()), "{wrong}");
    }
}

#[test]
fn the_second_of_two_browsers_is_told_what_the_first_said() {
    let (_folder, store) = filled([frame(0)]);
    let first = store.answer(1, 1, &label("tea"), &labels()).unwrap();
    let expected = Answered { id: 1, answer: Some("tea".into()), version: 2, contradicts: vec![], disputed: None };
    assert_eq!(first, expected);
    match store.answer(1, 1, &label("rest"), &labels()) {
        Err(Refused::Changed(state)) => assert_eq!(*state, expected),
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.answer(9, 1, &label("tea"), &labels()), Err(Refused::Unknown)));
    assert!(matches!(store.answer(1, 2, &label("dog"), &labels()), Err(Refused::Invalid(_))));
    // Taken back, and skipped.
    assert_eq!(store.answer(1, 2, &Answer::Open, &labels()).unwrap().answer, None);
    assert_eq!(ids(&store, State::Open), [1]);
    assert_eq!(store.answer(1, 3, &Answer::Skip, &labels()).unwrap().answer, Some(String::new()));
    assert_eq!((ids(&store, State::Open), ids(&store, State::Answered), table(&store)), (vec![], vec![1], vec![]));
}

#[test]
fn the_latest_answer_comes_first() {
    let (_folder, store) = filled((0..4).map(frame));
    for id in [2, 4, 1, 2] {
        answer(&store, id, "tea");
    }
    assert_eq!(ids(&store, State::Answered), [2, 1, 4]);
    assert_eq!(store.counts().unwrap(), Counts { frames: 4, open: 1, answered: 3, contradictory: 0 });
}

#[test]
fn near_duplicates_with_different_answers_are_left_out_until_they_are_settled() {
    let near = |second: i64, ones: usize| NewFrame { hash: hash(ones), ..frame(second) };
    let other = NewFrame { stream: "garden".into(), ..near(3, 100) };
    let (_folder, store) = filled([near(0, 100), near(1, 103), near(2, 104), other]);
    let answered: Vec<Vec<i64>> = [(1, "tea"), (2, "rest"), (3, "tea"), (4, "rest")]
        .map(|(id, name)| answer(&store, id, name).contradicts)
        .into();
    // The third differs from the first in four bits, and the last is of another stream.
    assert_eq!(answered, [vec![], vec![1], vec![2], vec![]]);
    assert_eq!(ids(&store, State::Contradictory), [3, 2, 1]);
    let counts = store.counts().unwrap();
    assert_eq!((counts.answered, counts.contradictory), (4, 3));
    assert_eq!(table(&store).iter().map(|[_, class]| class.as_str()).collect::<Vec<_>>(), ["rest"]);
    let listed = store.page(State::Answered, None, 10, None).unwrap();
    assert_eq!(
        listed.frames.iter().map(|frame| frame.contradicts.clone()).collect::<Vec<_>>(),
        [vec![], vec![2], vec![1, 3], vec![2]]
    );
    assert_eq!(answer(&store, 2, "tea").contradicts, Vec::<i64>::new());
    assert_eq!((ids(&store, State::Contradictory), table(&store).len()), (vec![], 4));
}

#[test]
fn an_interval_answers_what_has_no_answer_of_its_own() {
    let (_folder, store) = filled((0..6).map(frame));
    answer(&store, 2, "tea");
    answer(&store, 3, "rest");
    store.answer(4, 1, &Answer::Skip, &labels()).unwrap();
    let range = (frame(0).time, frame(5).time);
    let say = |answer: &Answer| store.answer_interval("door", range, answer, &labels()).unwrap();
    // 1 and 5 are answered; 2 says so already, 3 says otherwise, of 4 nobody can tell, and 6 lies after it.
    assert_eq!(say(&label("tea")), (2, 1));
    assert_eq!(ids(&store, State::Contradictory), [3]);
    let classes = |store: &Store| {
        table(store).into_iter().map(|[file, class]| (id_of(&file).unwrap(), class)).collect::<Vec<_>>()
    };
    let row = |id: i64, class: &str| (id, class.to_string());
    assert_eq!(classes(&store), [row(1, "tea"), row(2, "tea"), row(5, "tea")]);
    assert_eq!(say(&label("tea")), (2, 1));
    // Answering the frame again settles it, whatever is said.
    answer(&store, 3, "rest");
    assert_eq!((ids(&store, State::Contradictory), classes(&store).len()), (vec![], 4));
    // Another answer about the interval replaces the one before, and is taken back as a whole.
    assert_eq!(say(&label("rest")), (2, 1));
    assert_eq!(ids(&store, State::Contradictory), [2]);
    assert_eq!(say(&Answer::Open), (2, 0));
    assert_eq!(classes(&store), [row(2, "tea"), row(3, "rest")]);
    assert_eq!(store.answer_interval("garden", range, &label("tea"), &labels()).unwrap(), (0, 0));
}

#[test]
fn labels_are_added_in_order_and_none_is_a_path() {
    let (folder, store) = filled([]);
    let model: Vec<String> = vec!["tea".into(), "rest".into()];
    assert_eq!(store.add_label(" washing the cat ", &model).unwrap(), ["tea", "rest", "washing the cat"]);
    assert_eq!(store.add_label("tea", &model).unwrap().len(), 3);
    for wrong in
        ["", " ", ".", "..", "/", "../etc/passwd", "a/b", "a\tb", "a\nb", "a\u{0}", "a\u{202e}b", &"x".repeat(65)]
    {
        assert!(matches!(store.add_label(wrong, &model), Err(Refused::Invalid(_))), "{wrong:?}");
    }
    store.add_label(&"ü".repeat(64), &model).unwrap();
    for number in 0..196 {
        store.add_label(&format!("label {number}"), &model).unwrap();
    }
    let Err(Refused::Invalid(error)) = store.add_label("one too many", &model) else { panic!("200 labels and more") };
    assert!(error.to_string().contains("there are 200 labels"), "{error}");
    drop(store);
    // A model that has learned a label has it at its own place.
    let labels = open(folder.path()).labels(&["washing the cat".into(), "rest".into()]).unwrap();
    assert_eq!((labels.len(), &labels[..2]), (199, &["washing the cat".to_string(), "rest".into()][..]));
}

#[test]
fn the_oldest_frames_without_an_answer_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 350).unwrap();
    for second in 0..3 {
        store.add(&frame(second)).unwrap().unwrap();
    }
    answer(&store, 1, "tea");
    assert_eq!(store.add(&frame(3)).unwrap(), Some(4));
    assert_eq!((ids(&store, State::Open), store.bytes()), (vec![4, 3], 300));
    assert!(!folder.path().join("frames/door/2025-11-28/140306120-2.jpg").exists());
    // Then what nobody can tell.
    store.answer(3, 1, &Answer::Skip, &labels()).unwrap();
    answer(&store, 4, "rest");
    assert_eq!(store.add(&frame(4)).unwrap(), Some(5));
    assert_eq!(ids(&store, State::Answered), [4, 1]);
    answer(&store, 5, "rest");
    assert_eq!(store.add(&frame(5)).unwrap(), None);
    assert_eq!((ids(&store, State::Answered).len(), store.bytes()), (3, 300));
}

#[test]
fn the_bucket_and_the_last_hashes_are_there_after_a_restart() {
    let bucket = Bucket { tokens: 12.5, filled: 99 };
    let (folder, store) = filled([frame(0), NewFrame { bucket: Some(bucket), ..frame(1) }]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.stream("door").unwrap(), (Some(bucket), vec![hash(0), hash(10)]));
    assert_eq!(store.stream("garden").unwrap(), (None, vec![]));
}

#[test]
fn two_programs_do_not_share_a_folder() {
    let (folder, _store) = filled([]);
    let refused = Store::open(folder.path(), 1).err().unwrap();
    assert!(refused.exit_code() == 2 && refused.to_string().contains("another folder with --learn"), "{refused}");
}

#[test]
fn what_a_kill_left_half_done_is_tidied() {
    let (folder, store) = filled((0..3).map(frame));
    answer(&store, 2, "tea");
    drop(store);
    let at = |name: &str| folder.path().join("frames/door/2025-11-28").join(name);
    // Picture without a frame, half a picture, frame without a picture.
    fs::write(at("140309120-9.jpg"), "x").unwrap();
    fs::write(at("140310120-10.jpg.part"), "x").unwrap();
    fs::remove_file(at("140305120-1.jpg")).unwrap();
    fs::remove_file(at("140306120-2.jpg")).unwrap();
    let store = open(folder.path());
    assert_eq!((ids(&store, State::Open), ids(&store, State::Answered)), (vec![3], vec![2]));
    assert!(!at("140309120-9.jpg").exists() && !at("140310120-10.jpg.part").exists());
    // An answer is never thrown away, but what has no picture is nothing to learn from.
    assert_eq!((table(&store), store.bytes()), (vec![], 200));
}

#[test]
fn a_damaged_database_is_set_aside_and_the_answers_are_read_from_the_table() {
    let jpeg = |shade: u8| {
        let mut picture = OwnedPicture::new(64, 48, Colorimetry::JPEG);
        picture.view_mut().planes[0].data[..64 * 24].fill(shade);
        encode(&picture.view()).unwrap()
    };
    let clip =
        NewFrame { stream: "a.mp4".into(), stem: "a.mp4".into(), time: 520, clip: true, jpeg: jpeg(9), ..frame(2) };
    let (folder, store) = filled([frame(0), NewFrame { jpeg: jpeg(200), ..frame(1) }, clip]);
    store.add_label("cat", &["tea".into()]).unwrap();
    answer(&store, 2, "tea");
    answer(&store, 3, "cat");
    let before = table(&store);
    drop(store);
    let path = folder.path().join("learning.sqlite");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>()).unwrap();
    let store = open(folder.path());
    assert_eq!((table(&store), before.len()), (before, 2));
    assert_eq!((ids(&store, State::Open), ids(&store, State::Answered)), (vec![], vec![2, 3]));
    assert_eq!(store.labels(&["tea".into()]).unwrap(), ["tea", "cat"]);
    assert!(store.add(&frame(7)).unwrap() > Some(3));
    let aside = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(aside.filter(|name| name.starts_with("learning.damaged-")).count(), 1);
}

#[test]
fn a_database_of_another_version_is_refused_and_left_alone() {
    let (folder, store) = filled([frame(0)]);
    store.db().pragma_update(None, "user_version", 2).unwrap();
    drop(store);
    let refused = Store::open(folder.path(), 1).err().unwrap();
    assert!(refused.exit_code() == 2 && refused.to_string().contains("has version 2"), "{refused}");
    assert!(folder.path().join("frames/door/2025-11-28/140305120-1.jpg").exists());
}

//! Options, pipeline files and names.

use std::path::Path;

use crate::cli::frames::Every;
use crate::config::events::EventsConfig;
use crate::config::options::{Keep, parse_size, parse_span};
use crate::config::settings::Settings;
use crate::config::shard::Shard;
use crate::config::web::WebConfig;
use crate::events::escape;
use crate::history::local_time::{self, End};
use crate::history::query::{Cursor, PicturedInterval};
use crate::inference::device::DeviceSelection;
use crate::labels::stride::Stride;
use crate::labels::window::SmoothingWindow;
use crate::learning::listing;
use crate::media::limits::parse_pixels;
use crate::report::stamped_name::StampedName;
use crate::system::{printable, utc};

/// A day of 2026, in milliseconds since 1970.
const NOW: i64 = 1_774_863_000_000;

/// A pipeline file, and the page and the receivers of events that it asks for.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settings) = Settings::parse(text, "fuzz.toml") else { return };
    assert!(settings.run.differences(&settings.run.clone()).is_empty());
    assert_eq!(settings.clone().over(Settings::default()), settings);
    if settings.files().is_empty() {
        let _ = WebConfig::resolve(&settings.run);
        let _ = EventsConfig::resolve(&settings.run);
    }
}

/// The value of any option.
pub fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = text.trim_end_matches('\n');
    if let Ok(shard) = text.parse::<Shard>() {
        assert_eq!(shard.to_string().parse(), Ok(shard));
        assert!(shard.path(Path::new("all.csv")).to_str().is_some_and(|path| path.starts_with("all.")));
    }
    if let Ok(window) = text.parse::<SmoothingWindow>() {
        let again = window.to_string().parse::<SmoothingWindow>();
        assert!(again.is_ok(), "{text:?} is {window}");
        if let SmoothingWindow::Predictions(_) = window {
            assert_eq!(again, Ok(window));
        }
    }
    assert!(text.parse::<Stride>() != Ok(Stride::Every(0)));
    let _ = text.parse::<DeviceSelection>();
    let _ = text.parse::<Every>();
    match text.parse::<Keep>() {
        Ok(Keep::Age(age)) => assert!(age.as_secs() >= 1),
        Ok(Keep::Bytes(bytes)) => assert!(bytes > 0),
        Err(_) => {}
    }
    let _ = (parse_span(text), parse_size(text), parse_pixels(text));
    for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
        let Some(zone) = local_time::zone(zone) else { continue };
        for end in [End::Since, End::Until] {
            if let Ok(time) = local_time::parse(text, end, &zone, NOW) {
                let _ = (local_time::text(time, &zone), local_time::next_day(time, &zone));
            }
        }
        let (from, to) = text.split_once(' ').unwrap_or((text, text));
        let days = local_time::days(from, to, &zone, 400).unwrap_or_default();
        // Samoa had no 30 December 2011: that day ends when it begins.
        assert!(days.len() <= 401 && days.is_sorted_by(|one, next| one.1 <= next.1));
    }
    let _ = local_time::zone(text);
}

/// A name: of a camera, of a file, of a place in the history.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let level = escape::level(text);
    assert!(!level.contains(['/', '+', '#']) && !level.chars().any(char::is_control));
    let decoded = percent_encoding::percent_decode_str(&level).decode_utf8().expect("UTF-8 stays UTF-8");
    assert_eq!(decoded, text);
    let identifier = escape::identifier(text);
    assert!(identifier.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
    assert!(!printable::line(text).chars().any(char::is_control));
    let _ = printable::parse_path(text);
    if let Some(name) = StampedName::parse(text) {
        assert!(text.starts_with(name.stem) && text.ends_with(name.suffix) && name.number > 0);
        if let Some(start) = name.start() {
            assert_eq!(utc::stamp(utc::of_epoch_ms(start)), name.stamp.1);
        }
    }
    if let Some(time) = utc::parse(text) {
        assert_eq!(utc::parse(&utc::exact(time)), Some(time), "{text:?}");
    }
    let _ = (text.parse::<Cursor>(), text.parse::<PicturedInterval>(), text.parse::<listing::Cursor>());
}

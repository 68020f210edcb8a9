//! Text of strangers, such as names of files, labels and keys, as it may go to a terminal: without characters that a
//! terminal obeys, and not longer than anybody reads.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Longest word and longest text, in characters. A remedy stands at the end, so what is left out is in the middle.
const WORD: usize = 200;
const TEXT: usize = 4000;

/// `text` with every character that a terminal obeys written as its number. Line breaks stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        // Those that turn the direction of writing make a name look like another.
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let escaped = |c: char| if obeyed(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// `text` in the lines that it has, bounded.
pub fn lines(text: &str) -> String {
    let bounded: String = text
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            let (word, space) = word.split_at(word.trim_end().len());
            format!("{}{space}", shortened(word, WORD))
        })
        .collect();
    visible(&shortened(&bounded, TEXT)).into_owned()
}

/// `text` in one line, bounded.
pub fn line(text: &str) -> String {
    lines(&text.split_whitespace().map(|word| shortened(word, WORD)).collect::<Vec<_>>().join(" "))
}

/// A path in which bytes that are no text are written like `\xFF`, so that no two paths look alike.
pub fn path(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// The path that [`path`] has written so, where it had bytes that are no text.
pub fn parse_path(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find("\\x") {
        let byte = rest.get(place + 2..place + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else { break };
        bytes.extend_from_slice(&rest.as_bytes()[..place]);
        bytes.push(byte);
        rest = &rest[place + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    OsString::from_vec(bytes).into()
}

/// `text` without its middle where it has more than `most` characters.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most || text.chars().count() <= most {
        return text.into();
    }
    let place = |number: usize| text.char_indices().nth(number).map_or(text.len(), |(place, _)| place);
    let back = text.char_indices().rev().nth(most / 3).map_or(0, |(place, _)| place);
    format!("{}…{}", &text[..place(most - most / 3 - 2)], &text[back..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_its_number() {
        assert_eq!(visible("Küche\n\t1"), "Küche\n\\u{9}1");
        assert_eq!(visible("a\u{1b}[31m\u{7}\u{9b}\u{202e}b"), "a\\u{1b}[31m\\u{7}\\u{9b}\\u{202e}b");
        assert_eq!(line(" a\r\nb\u{0}  c "), "a b\\u{0} c");
    }

    #[test]
    fn long_words_and_texts_lose_their_middle() {
        let long = line(&format!("begin {} end", "ä".repeat(10_000_000)));
        assert!(long.starts_with("begin ää") && long.ends_with("ä end") && long.contains('…'), "{long}");
        assert_eq!(long.chars().count(), WORD + "begin  end".len());
        let text = lines(&"word ".repeat(1_000_000));
        assert_eq!(text.chars().count(), TEXT);
        assert_eq!(line(&"x".repeat(WORD)), "x".repeat(WORD));
    }

    #[test]
    fn paths_that_are_no_text_keep_their_differences() {
        for bytes in [&b"a\xff.mp4"[..], b"a\xfe\xfd", b"K\xc3\xbcche.mp4", b"\xe2\x82"] {
            let clip = Path::new(std::ffi::OsStr::from_bytes(bytes));
            assert_eq!(parse_path(&path(clip)), clip);
        }
        assert_eq!(path(Path::new(std::ffi::OsStr::from_bytes(b"a\xff.mp4"))), "a\\xFF.mp4");
        assert_eq!(parse_path("a\\xZZ\\x"), Path::new("a\\xZZ\\x"));
    }
}

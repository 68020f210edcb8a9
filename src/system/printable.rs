//! Makes untrusted text, such as file names, labels and keys, safe to print: escapes control characters and limits the
//! length.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Maximum length of a word and of a text, in characters. The middle is cut, since the remedy is at the end.
const MAX_WORD: usize = 200;
const MAX_TEXT: usize = 4000;

/// Escapes control characters in `text`, except line breaks.
pub fn visible(text: &str) -> Cow<'_, str> {
    let unsafe_char = |c: char| {
        // Characters that change the writing direction could make one name look like another.
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unsafe_char) {
        return text.into();
    }
    let escaped = |c: char| if unsafe_char(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// Returns `text` with its line breaks, escaped and limited in length.
pub fn lines(text: &str) -> String {
    let bounded: String = text
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            let (word, space) = word.split_at(word.trim_end().len());
            format!("{}{space}", shortened(word, MAX_WORD))
        })
        .collect();
    visible(&shortened(&bounded, MAX_TEXT)).into_owned()
}

/// Returns `text` as one line, escaped and limited in length.
pub fn line(text: &str) -> String {
    lines(&text.split_whitespace().map(|word| shortened(word, MAX_WORD)).collect::<Vec<_>>().join(" "))
}

/// Formats a path. Bytes that are not UTF-8 are written like `\xFF`, so that different paths look different.
pub fn path(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// Parses a path that [`path`] formatted.
pub fn parse_path(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(index) = rest.find("\\x") {
        let byte = rest.get(index + 2..index + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else { break };
        bytes.extend_from_slice(&rest.as_bytes()[..index]);
        bytes.push(byte);
        rest = &rest[index + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    OsString::from_vec(bytes).into()
}

/// Cuts the middle of `text` if it has more than `max` characters.
fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max || text.chars().count() <= max {
        return text.into();
    }
    let offset = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(offset, _)| offset);
    let tail = text.char_indices().rev().nth(max / 3).map_or(0, |(offset, _)| offset);
    format!("{}…{}", &text[..offset(max - max / 3 - 2)], &text[tail..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("Küche\n\t1"), "Küche\n\\u{9}1");
        assert_eq!(visible("a\u{1b}[31m\u{7}\u{9b}\u{202e}b"), "a\\u{1b}[31m\\u{7}\\u{9b}\\u{202e}b");
        assert_eq!(line(" a\r\nb\u{0}  c "), "a b\\u{0} c");
    }

    #[test]
    fn long_words_and_texts_lose_their_middle() {
        let long = line(&format!("begin {} end", "ä".repeat(10_000_000)));
        assert!(long.starts_with("begin ää") && long.ends_with("ä end") && long.contains('…'), "{long}");
        assert_eq!(long.chars().count(), MAX_WORD + "begin  end".len());
        let text = lines(&"word ".repeat(1_000_000));
        assert_eq!(text.chars().count(), MAX_TEXT);
        assert_eq!(line(&"x".repeat(MAX_WORD)), "x".repeat(MAX_WORD));
    }

    #[test]
    fn paths_that_are_not_utf8_are_formatted_and_parsed() {
        for bytes in [&b"a\xff.mp4"[..], b"a\xfe\xfd", b"K\xc3\xbcche.mp4", b"\xe2\x82"] {
            let clip = Path::new(std::ffi::OsStr::from_bytes(bytes));
            assert_eq!(parse_path(&path(clip)), clip);
        }
        assert_eq!(path(Path::new(std::ffi::OsStr::from_bytes(b"a\xff.mp4"))), "a\\xFF.mp4");
        assert_eq!(parse_path("a\\xZZ\\x"), Path::new("a\\xZZ\\x"));
    }
}

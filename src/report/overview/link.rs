//! Links from the overview to files: relative where both are below a common folder, so that the folder can be moved.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Everything but what RFC 3986 leaves to paths. A colon is escaped, so that no name looks like a scheme.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the URL of `file` in a page in `folder`. Both are absolute.
pub fn link(file: &Path, folder: &Path) -> String {
    let names = |path: &Path| -> Vec<String> {
        let name = |part: Component| match part {
            Component::Normal(name) => Some(percent_encode(name.as_bytes(), ESCAPED).to_string()),
            _ => None,
        };
        path.components().filter_map(name).collect()
    };
    let (file, folder) = (names(file), names(folder));
    let shared = file.iter().zip(&folder).take_while(|(a, b)| a == b).count();
    if shared == 0 && !folder.is_empty() {
        return format!("file:///{}", file.join("/"));
    }
    let up = std::iter::repeat_n("..", folder.len() - shared);
    up.chain(file[shared..].iter().map(String::as_str)).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn links_are_relative_below_a_common_folder() {
        let from = |file: &str| link(Path::new(file), Path::new("/home/me/results"));
        assert_eq!(from("/home/me/results/a.mp4"), "a.mp4");
        assert_eq!(from("/home/me/clips/day 1/a.mp4"), "../clips/day%201/a.mp4");
        assert_eq!(from("/mnt/disk/a.mp4"), "file:///mnt/disk/a.mp4");
        assert_eq!(link(Path::new("/a.mp4"), Path::new("/")), "a.mp4");
    }

    #[test]
    fn any_name_is_escaped() {
        let from = |name: &[u8]| link(&Path::new("/c").join(OsStr::from_bytes(name)), Path::new("/c"));
        assert_eq!(from(b"javascript:alert(1)"), "javascript%3Aalert%281%29");
        assert_eq!(from(b"\"><script>.mp4"), "%22%3E%3Cscript%3E.mp4");
        assert_eq!(from(b"a#b?c&d%.mp4"), "a%23b%3Fc%26d%25.mp4");
        assert_eq!(from(b"\xff\n.mp4"), "%FF%0A.mp4");
    }
}

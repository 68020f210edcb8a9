//! Rules that give items a subclass by their group and the words of their note.

use std::path::Path;

use crate::error::Result;
use crate::train::dataset::Item;
use crate::train::lines;
use crate::train::selection::Selection;

/// Gives the items of one class a subclass.
#[derive(Debug)]
pub struct Rule {
    class: String,
    subclass: String,
    selection: Selection,
    /// In lower case; the note contains one of them. If empty, every note matches.
    words: Vec<String>,
}

impl Rule {
    fn applies(&self, class: &str, item: &Item) -> bool {
        let note = item.note.to_lowercase();
        self.class == class
            && self.selection.includes(&item.group, &item.name)
            && (self.words.is_empty() || self.words.iter().any(|word| note.contains(word)))
    }
}

/// Reads lines of `class<TAB>subclass<TAB>groups<TAB>words`. Groups are in [`Selection`]'s format, words are separated by
/// commas; both may be empty.
///
/// # Errors
/// `Input` if the file cannot be read or a line does not have four fields.
pub fn read(path: &Path) -> Result<Vec<Rule>> {
    let rows = lines::read(path, "four", "class, subclass, group prefixes, and words of the note", 2)?;
    let rule = |[class, subclass, groups, words]: [String; 4]| Rule {
        class,
        subclass,
        selection: Selection { group_prefixes: (!groups.is_empty()).then_some(groups), ..Selection::default() },
        words: words.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect(),
    };
    Ok(rows.into_iter().map(rule).collect())
}

/// Returns the subclass by the first rule that applies. Without one: what the item has.
pub fn subclass<'a>(rules: &'a [Rule], class: &str, item: &'a Item) -> &'a str {
    rules.iter().find(|rule| rule.applies(class, item)).map_or(&item.subclass, |rule| &rule.subclass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_applies_names_the_subclass() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "rest\tcar\tcar-\t\nrest\tphone\t\tphoning, Texting\ntea\tcup\t\tcup\n";
        std::fs::write(file.path(), text).unwrap();
        let rules = read(file.path()).unwrap();
        let item = |group: &str, note: &str| Item { group: group.into(), note: note.into(), ..Item::default() };
        let cases = [
            ("rest", item("car-1", "phoning"), "car"),
            ("rest", item("bus-1", "Texting a friend"), "phone"),
            ("rest", item("bus-1", "a cup"), ""),
            ("tea", item("bus-1", "a cup"), "cup"),
        ];
        for (class, item, expected) in cases {
            assert_eq!(subclass(&rules, class, &item), expected, "{item:?}");
        }
        let known = Item { subclass: "tram".into(), ..Item::default() };
        assert_eq!(subclass(&rules, "tea", &known), "tram");
    }

    #[test]
    fn a_line_with_other_fields_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "rest\tphone\tphoning\n").unwrap();
        let error = read(file.path()).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("four fields"), "{error}");
    }
}

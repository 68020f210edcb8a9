//! The colours of labels, the same on the picture, in plots and on the page. The n-th label has the n-th colour; `other`
//! is grey wherever it stands.
//!
//! The style sheets of the page and of the overview repeat these numbers, and the page's script the rule; a test compares
//! them.

use crate::labels::REST;

/// Number of colours. Further labels begin again at the first.
pub const COUNT: usize = 6;

/// sRGB colours on a light ground. They differ in lightness too, for colour-blind readers.
const ON_LIGHT: [[u8; 3]; COUNT] =
    [[0, 114, 178], [200, 82, 0], [0, 138, 99], [180, 73, 138], [90, 79, 207], [143, 106, 0]];
const REST_ON_LIGHT: [u8; 3] = [118, 130, 123];

/// The same hues on a dark ground.
const ON_DARK: [[u8; 3]; COUNT] =
    [[86, 180, 233], [242, 138, 62], [46, 196, 146], [229, 140, 191], [167, 155, 245], [227, 191, 63]];
const REST_ON_DARK: [u8; 3] = [134, 146, 139];

/// Returns the index of a label's colour; `None` for `other`.
pub fn index(labels: &[String], label: usize) -> Option<usize> {
    (labels[label] != REST).then_some(label % COUNT)
}

/// Returns whether lines of this label are dashed, because a label before it has the same colour.
pub fn is_dashed(label: usize) -> bool {
    label / COUNT % 2 == 1
}

/// Returns the colour of a label on a light ground.
pub fn on_light(labels: &[String], label: usize) -> [u8; 3] {
    index(labels, label).map_or(REST_ON_LIGHT, |index| ON_LIGHT[index])
}

/// Returns the colour of a label on a dark ground.
pub fn on_dark(labels: &[String], label: usize) -> [u8; 3] {
    index(labels, label).map_or(REST_ON_DARK, |index| ON_DARK[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nine labels, of which the third is `other`.
    fn labels() -> Vec<String> {
        ["a", "b", REST, "d", "e", "f", "g", "h", "i"].map(String::from).to_vec()
    }

    #[test]
    fn a_label_has_the_colour_of_its_place_and_other_is_grey() {
        let labels = labels();
        assert_eq!([1, 7].map(|label| on_light(&labels, label)), [[200, 82, 0]; 2]);
        assert_eq!([1, 7].map(|label| on_dark(&labels, label)), [[242, 138, 62]; 2]);
        assert_eq!([1, 7, 2, 8].map(|label| index(&labels, label)), [Some(1), Some(1), None, Some(2)]);
        assert_eq!((on_light(&labels, 2), on_dark(&labels, 2)), ([118, 130, 123], [134, 146, 139]));
        assert_eq!([0, 5, 6, 11, 12].map(is_dashed), [false, false, true, true, false]);
    }

    #[test]
    fn the_page_and_the_overview_have_the_same_colours() {
        for css in [include_str!("../web/page/page.css"), include_str!("../report/overview/overview.css")] {
            let names = (0..COUNT).map(|index| index.to_string()).chain(["rest".into()]);
            for (index, name) in names.enumerate() {
                let light = ON_LIGHT.get(index).unwrap_or(&REST_ON_LIGHT);
                let dark = ON_DARK.get(index).unwrap_or(&REST_ON_DARK);
                let lines = [light, dark].map(|[r, g, b]| format!("--label-{name}: #{r:02x}{g:02x}{b:02x};"));
                assert!(lines.iter().all(|line| css.contains(line)), "{lines:?}");
                // The page has the dark ones twice: also for captions on pictures. Nothing else defines a colour.
                let all = css.matches(&format!("--label-{name}: ")).count();
                assert_eq!(lines.map(|line| css.matches(&line).count()).iter().sum::<usize>(), all, "{name}");
            }
        }
    }

    #[test]
    fn the_page_has_the_same_rule() {
        let words = include_str!("../web/page/words.js");
        for line in [
            format!("export const COLOURS = {COUNT};"),
            format!("export const REST = '{REST}';"),
            "(labels[index] === REST ? 'var(--label-rest)' : `var(--label-${index % COLOURS})`);".into(),
            "export const dashed = label => Math.floor(label / COLOURS) % 2 === 1;".into(),
        ] {
            assert!(words.contains(&line), "{line}");
        }
    }
}

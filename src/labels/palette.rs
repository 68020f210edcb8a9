//! The colours of labels, the same on the picture, in plots and on the page. The n-th label has the n-th colour.
//!
//! The style sheets of the page and of the overview repeat these numbers; a test compares them.

/// Number of colours. Further labels begin again at the first.
pub const COUNT: usize = 6;

/// sRGB colours on a light ground. They differ in lightness too, for colour-blind readers.
pub const ON_LIGHT: [[u8; 3]; COUNT] =
    [[0, 114, 178], [200, 82, 0], [0, 138, 99], [180, 73, 138], [90, 79, 207], [143, 106, 0]];

/// The same hues on a dark ground.
pub const ON_DARK: [[u8; 3]; COUNT] =
    [[86, 180, 233], [242, 138, 62], [46, 196, 146], [229, 140, 191], [167, 155, 245], [227, 191, 63]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_overview_have_the_same_colours() {
        for css in [include_str!("../web/page/page.css"), include_str!("../report/overview/overview.css")] {
            for (name, palette) in [("light", ON_LIGHT), ("dark", ON_DARK)] {
                for (label, [r, g, b]) in palette.into_iter().enumerate() {
                    let line = format!("--label-{label}: #{r:02x}{g:02x}{b:02x};");
                    assert!(css.contains(&line), "{name}: {line}");
                }
            }
        }
    }
}

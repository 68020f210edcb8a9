//! Pictures among the inputs of a run.

use std::path::{Path, PathBuf};

use crate::config::inputs::{LabelConfig, check_extension, check_is_folder, output_path};
use crate::config::options::{FileKind, StreamOptions};
use crate::error::{Error, Result};
use crate::labels::overlay::OverlayStyle;

/// A picture and its outputs, which are written only where the user asks for them.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureJob {
    pub input: PathBuf,
    pub name: String,
    pub label_config: LabelConfig,
    pub overlay: OverlayStyle,
    /// The picture with its label drawn, JPEG or PNG.
    pub labelled: Option<PathBuf>,
    /// The confidence of every label, as JSON.
    pub confidences: Option<PathBuf>,
}

impl PictureJob {
    /// # Errors
    /// Usage, if an option is for clips or cameras, or names a file of another kind.
    pub fn resolve(options: &StreamOptions, input: &Path, several: bool, name: String, stem: &str) -> Result<Self> {
        let named = [&options.output, &options.timeline];
        if several {
            named.into_iter().flatten().try_for_each(|path| check_is_folder(path))?;
        } else if let Some((option, _)) =
            [("plot", &options.plot), ("subtitles", &options.subtitles)].iter().find(|(_, path)| path.is_some())
        {
            return Err(Error::usage(format!("{}: a picture has no {option}", input.display()))
                .remedy(format!("leave out --{option}")));
        }
        let resolve = |kind: FileKind, named: &Option<PathBuf>, suffix: &str| {
            let wanted = options.only.as_ref().is_some_and(|only| only.contains(&kind));
            output_path(options, several, named.as_deref(), wanted, &format!("{stem}{suffix}"))
        };
        let labelled = resolve(FileKind::Video, &options.output, ".labelled.jpg");
        let confidences = resolve(FileKind::Timeline, &options.timeline, ".picture.json");
        check_extension(labelled.as_deref(), &["jpg", "jpeg", "png"], "output")?;
        check_extension(confidences.as_deref(), &["json"], "timeline")?;
        let label_config = LabelConfig::of(options, false);
        let overlay = options.overlay.unwrap_or_default();
        Ok(Self { input: input.into(), name, label_config, overlay, labelled, confidences })
    }

    /// Returns the files that are written.
    pub fn outputs(&self) -> impl Iterator<Item = &Path> {
        [&self.labelled, &self.confidences].into_iter().flatten().map(PathBuf::as_path)
    }
}

//! The models that were made of corrections: those of a folder, and which of them is in use.
//!
//! `models/NAME.onnx` is a model, `models/NAME.json` the trainer's report on it, and `models/in-use.json` says which one is
//! in use instead of the one that the run names. That file holds the checksum of the model it was chosen for, so a run
//! that names another model uses that one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::learning::files;
use crate::system::utc;

/// The folder of the models, and the file that says which one is in use.
const FOLDER: &str = "models";
const IN_USE: &str = "in-use.json";
/// Largest report that is read, in bytes: of a thousand labels it has a tenth of that.
const MAX_REPORT: u64 = 4 << 20;
/// The verdict of a model that may be used without being asked twice.
const BETTER: &str = "better";

/// The model that the run names.
#[derive(Clone, Debug)]
pub struct Base {
    pub path: PathBuf,
    /// The file's name without folders.
    pub name: String,
    pub sha256: String,
    pub labels: Vec<String>,
}

/// A model that was made of corrections.
#[derive(Debug)]
pub struct AdaptedModel {
    /// The name of its file.
    pub name: String,
    /// What the trainer reported of it; `None` if that cannot be read.
    pub report: Option<Value>,
}

/// The models of a folder, for a run that names one of its own.
#[derive(Debug)]
pub struct Models {
    folder: PathBuf,
    base: Mutex<Base>,
}

/// The content of the file that says which model is in use.
#[derive(Serialize, Deserialize)]
struct InUse {
    /// The name of the model's file; `None` for the one that the run names.
    model: Option<String>,
    /// The checksum of the model that the run named then.
    base: String,
}

impl Models {
    /// Returns the models in the folder `learning`, which need not exist.
    pub fn new(learning: &Path, base: Base) -> Self {
        Self { folder: learning.join(FOLDER), base: Mutex::new(base) }
    }

    pub fn base(&self) -> Base {
        self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the model that the run names from now on.
    pub fn set_base(&self, base: Base) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
    }

    /// Returns the name of the model in use instead of the one that the run names, if there is one.
    ///
    /// # Errors
    /// Those of [`Self::in_use_instead_of`].
    pub fn in_use(&self) -> Result<Option<String>> {
        self.in_use_instead_of(&self.base().sha256)
    }

    /// Returns the name of the model in use instead of the one with the checksum `base`, if there is one.
    ///
    /// # Errors
    /// `Failed` if the file that says so cannot be read, and `Input` if it says something else.
    pub fn in_use_instead_of(&self, base: &str) -> Result<Option<String>> {
        let path = self.folder.join(IN_USE);
        let remedy = "choose a model on the page, or remove that file";
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(cause) => {
                return Err(Error::failed(format!("{}: cannot be read", path.display())).because(cause).remedy(remedy));
            }
        };
        let in_use: InUse = serde_json::from_slice(&bytes).map_err(|cause| {
            Error::input(format!("{}: does not say which model is in use", path.display()))
                .because(cause)
                .remedy(remedy)
        })?;
        Ok(in_use.model.filter(|_| in_use.base == base))
    }

    /// Returns the path of a model; of the one that the run names for `None`.
    ///
    /// # Errors
    /// `Usage` if there is no such model.
    pub fn path(&self, name: Option<&str>) -> Result<PathBuf> {
        let Some(name) = name else { return Ok(self.base().path) };
        let path = self.folder.join(name);
        // A name with folders in it is none of the list's.
        if is_model(name) && path.file_name() == Some(name.as_ref()) && path.is_file() {
            return Ok(path);
        }
        Err(Error::usage(format!("{name}: there is no such model in {}", self.folder.display()))
            .remedy("choose one of the list"))
    }

    /// Sets the model in use. The file is replaced as a whole, so a kill leaves the model before in use, or this one.
    ///
    /// # Errors
    /// `Usage` if there is no such model, and `Failed` if the file cannot be written.
    pub fn set_in_use(&self, name: Option<&str>) -> Result<()> {
        self.path(name)?;
        let in_use = InUse { model: name.map(Into::into), base: self.base().sha256 };
        let text = serde_json::to_string(&in_use).map_err(|cause| Error::internal(cause.to_string()))?;
        self.create()?;
        files::replace(&self.folder.join(IN_USE), text.as_bytes())
    }

    /// Returns the models that were made of corrections, newest first.
    pub fn list(&self) -> Vec<AdaptedModel> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut models: Vec<(Option<OffsetDateTime>, String)> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_model(name))
            .map(|name| (made(&name), name))
            .collect();
        models.sort();
        models.into_iter().rev().map(|(_, name)| AdaptedModel { report: self.report(&name), name }).collect()
    }

    /// Returns whether the trainer found the model better than the one before it.
    pub fn is_better(&self, name: &str) -> bool {
        self.report(name).is_some_and(|report| report["verdict"] == BETTER)
    }

    /// Returns paths for the next model and its report, named after the model that the run names and after the time.
    pub fn next(&self, now: OffsetDateTime) -> (PathBuf, PathBuf) {
        let name = self.base().name;
        let stem = name.strip_suffix(".onnx").unwrap_or(&name);
        let path = self.folder.join(format!("{stem}-{}.onnx", utc::stamp(now)));
        (path.clone(), path.with_extension("json"))
    }

    fn report(&self, name: &str) -> Option<Value> {
        let path = self.folder.join(name).with_extension("json");
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= MAX_REPORT);
        is_small.then(|| serde_json::from_slice(&fs::read(path).ok()?).ok())?
    }

    /// Creates the folder, if it is missing.
    ///
    /// # Errors
    /// `Failed` if it cannot be created.
    pub fn create(&self) -> Result<()> {
        files::make_folder(&self.folder).map_err(|cause| Error::unwritable(&self.folder, cause))
    }
}

/// Returns whether a file name is that of a complete model. Temporary files begin with a dot.
fn is_model(name: &str) -> bool {
    name.ends_with(".onnx") && !name.starts_with('.')
}

/// Returns when a model was made, by its file name; `None` for a file that somebody put there.
pub fn made(name: &str) -> Option<OffsetDateTime> {
    utc::parse_stamp(name.strip_suffix(".onnx")?.rsplit_once('-')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(sha256: &str) -> Base {
        Base {
            path: "/models/waving.onnx".into(),
            name: "waving.onnx".into(),
            sha256: sha256.into(),
            labels: vec!["still".into(), "waving".into()],
        }
    }

    fn models() -> (tempfile::TempDir, Models) {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::new(folder.path(), base("ab"));
        (folder, models)
    }

    /// Puts a model there as the trainer does.
    fn add(models: &Models, time: &str, verdict: &str) -> String {
        models.create().unwrap();
        let (path, report) = models.next(utc::parse(time).unwrap());
        fs::write(&path, "model").unwrap();
        fs::write(report, format!("{{\"verdict\":\"{verdict}\"}}")).unwrap();
        path.file_name().unwrap().to_str().unwrap().into()
    }

    #[test]
    fn the_newest_model_comes_first() {
        let (folder, models) = models();
        assert!(models.list().is_empty());
        let old = add(&models, "2026-01-02T03:04:05Z", "better");
        let new = add(&models, "2026-11-28T14:03:05Z", "worse");
        fs::write(folder.path().join("models/.part.onnx"), "").unwrap();
        fs::write(folder.path().join("models/mine.onnx"), "").unwrap();
        let list = models.list();
        assert_eq!(list.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), [&new, &old, "mine.onnx"]);
        assert_eq!(old, "waving-20260102T030405Z.onnx");
        assert_eq!(list[0].report.as_ref().unwrap()["verdict"], "worse");
        assert!(list[2].report.is_none());
        assert!(models.is_better(&old) && !models.is_better(&new) && !models.is_better("mine.onnx"));
    }

    #[test]
    fn a_model_is_in_use_until_another_one_is_chosen_or_named() {
        let (folder, models) = models();
        assert_eq!(models.in_use().unwrap(), None);
        let name = add(&models, "2026-01-02T03:04:05Z", "better");
        models.set_in_use(Some(&name)).unwrap();
        assert_eq!(models.in_use().unwrap().as_ref(), Some(&name));
        assert_eq!(models.path(Some(&name)).unwrap(), folder.path().join("models").join(&name));
        models.set_base(base("cd"));
        assert_eq!(models.in_use().unwrap(), None);
        models.set_base(base("ab"));
        models.set_in_use(None).unwrap();
        assert_eq!(models.in_use().unwrap(), None);
        assert_eq!(models.path(None).unwrap(), Path::new("/models/waving.onnx"));
    }

    #[test]
    fn only_models_of_the_folder_can_be_used() {
        let (folder, models) = models();
        add(&models, "2026-01-02T03:04:05Z", "better");
        fs::write(folder.path().join("other.onnx"), "").unwrap();
        for name in ["../other.onnx", "absent.onnx", "in-use.json", "", ".", "..", "/etc/passwd", "a/../b.onnx"] {
            assert!(models.set_in_use(Some(name)).is_err(), "{name}");
        }
        assert_eq!(models.in_use().unwrap(), None);
    }

    #[test]
    fn damage_is_reported() {
        let (folder, models) = models();
        fs::create_dir(folder.path().join("models")).unwrap();
        fs::write(folder.path().join("models/in-use.json"), "{").unwrap();
        let error = models.in_use().unwrap_err().to_string();
        assert!(error.contains("in-use.json: does not say which model is in use"), "{error}");
        models.set_in_use(None).unwrap();
        assert_eq!(models.in_use().unwrap(), None);
    }
}

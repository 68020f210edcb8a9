//! A camera to watch: what submitters send and workers read. It has an address and settings, and no credentials.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cluster::job::{self, Unusable};
use crate::cluster::names::{self, CAMERA, WATCH};
use crate::config::Config;
use crate::config::camera_credentials::CameraCredentials;
use crate::config::inputs::Job;
use crate::config::options::StreamOptions;
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::media::camera::Camera;

/// The version of the messages that this program sends and understands.
pub const VERSION: u32 = 1;
/// The options that a camera of a cluster can have. The others say where something is, which is the worker's, or are of clips.
pub const OPTIONS: [&str; 17] = [
    "action",
    "window",
    "threshold",
    "hysteresis",
    "overlay",
    "format",
    "stride",
    "transport",
    "latency",
    "max_pixels",
    "segment",
    "segment_video",
    "segment_audio",
    "keep",
    "keep_intervals",
    "only_active",
    "interval_pictures",
];
/// Folder of all cameras in that of a worker's results.
const FOLDER: &str = "cameras";

names::token_type!(
    /// Identifies a camera of a cluster: letters, digits, - and _.
    CameraName,
    "this is not the name of a camera"
);

impl CameraName {
    pub fn settings_subject(&self) -> String {
        format!("{CAMERA}{self}")
    }

    pub fn watch_subject(&self) -> String {
        format!("{WATCH}{self}")
    }
}

/// A camera and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraSettings {
    pub version: u32,
    pub camera: CameraName,
    /// Its address, without credentials.
    pub input: String,
    /// Keys and values of a pipeline file.
    pub settings: StreamOptions,
}

impl CameraSettings {
    /// Returns a camera. `settings` has neither inputs nor a name.
    ///
    /// # Errors
    /// Usage, if the settings contradict each other, or the address is one of a single machine or has credentials.
    pub fn new(camera: CameraName, input: &str, settings: StreamOptions) -> Result<Self> {
        let new = Self { version: VERSION, camera, input: input.into(), settings };
        new.check()?;
        Ok(new)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Says why it is of no use to this program.
    pub fn read(bytes: &[u8]) -> std::result::Result<Self, Unusable> {
        let camera: Self = job::read_version(bytes, VERSION, "camera")?;
        camera.check().map_err(|error| Unusable::Garbage(error.to_string()))?;
        Ok(camera)
    }

    /// Returns whether a camera that another program sent can be watched.
    pub fn is_usable(&self) -> bool {
        self.version <= VERSION && self.check().is_ok()
    }

    fn check(&self) -> Result<()> {
        let name = &self.camera;
        if let Some(key) = job::option_outside(&self.settings, &OPTIONS) {
            return Err(Error::usage(format!("{name}: a camera of a cluster cannot have --{}", key.replace('_', "-")))
                .remedy("leave it out: workers know where files go, and credentials are theirs"));
        }
        // Anything else would be looked for on the disk.
        if !Camera::is_live(&self.input) {
            return Err(Error::usage(format!("{name}: is no camera")).remedy("write rtsp://HOST/PATH"));
        }
        let job = self.job(Path::new("/"))?;
        let camera = job.live.as_ref().map(|live| &live.camera);
        if camera.is_none_or(|camera| camera.is_device()) {
            return Err(
                Error::usage(format!("{name}: is a device of one machine")).remedy("run it there with livelabel run")
            );
        }
        if camera.is_some_and(|camera| camera.has_credentials()) {
            return Err(Error::usage(format!("{name}: its address has credentials, which must not be in a message"))
                .remedy("leave them out, and give them to the workers with --camera-credentials FILE"));
        }
        Ok(())
    }

    /// Returns the job of a worker whose results are in `output`.
    ///
    /// # Errors
    /// Usage, if the settings contradict each other.
    pub fn resolve(&self, output: &Path, credentials: &CameraCredentials) -> Result<Job> {
        let mut job = self.job(output)?;
        if let Some(live) = &mut job.live {
            let host = live.camera.endpoint().map(|(host, _)| host.to_string());
            let known = host.as_deref().and_then(|host| credentials.of(host)).cloned();
            known.into_iter().for_each(|known| live.camera.set_credentials(known));
        }
        Ok(job)
    }

    fn job(&self, output: &Path) -> Result<Job> {
        let streams = StreamOptions {
            input: vec![self.input.clone().into()],
            name: Some(self.camera.to_string()),
            output_dir: Some(folder(output, &self.camera)),
            ..self.settings.clone()
        };
        let config = Config::resolve(Settings { streams, ..Settings::default() })?;
        let no_camera = || Error::usage(format!("{}: is no camera", self.camera)).remedy("write rtsp://HOST/PATH");
        config.jobs.into_iter().next().filter(|job| job.live.is_some()).ok_or_else(no_camera)
    }
}

/// Returns the folder of a camera's files.
pub fn folder(output: &Path, camera: &CameraName) -> PathBuf {
    output.join(FOLDER).join(camera.as_str())
}

/// Returns the folders of all cameras.
pub fn folders(output: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(output.join(FOLDER)).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(input: &str, settings: StreamOptions) -> Result<CameraSettings> {
        CameraSettings::new("door".parse().unwrap(), input, settings)
    }

    #[test]
    fn a_message_is_read_back_and_what_is_newer_is_left() {
        let sent =
            camera("rtsp://10.0.0.7/live", StreamOptions { threshold: Some(0.5), ..StreamOptions::default() }).unwrap();
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(CameraSettings::read(text.as_bytes()).unwrap(), sent);
        let newer = [text.replace("threshold", "threshold_of_later"), text.replace("\"version\":1", "\"version\":2")];
        assert!(newer.iter().all(|text| matches!(CameraSettings::read(text.as_bytes()), Err(Unusable::Newer(_)))));
        let moved = text.replace("{\"threshold\":0.5}", "{\"password_file\":\"/etc/shadow\"}");
        let clip = text.replace("rtsp://10.0.0.7/live", "/etc/passwd");
        for garbage in ["", "{}", &text[..40], &moved, &clip] {
            assert!(matches!(CameraSettings::read(garbage.as_bytes()), Err(Unusable::Garbage(_))), "{garbage}");
        }
    }

    #[test]
    fn credentials_are_the_workers_and_only_for_their_hosts() {
        let refused = camera("rtsp://me:secret@10.0.0.7/live", StreamOptions::default()).unwrap_err().to_string();
        assert!(refused.contains("--camera-credentials") && !refused.contains("secret"), "{refused}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cameras.toml");
        std::fs::write(&file, "[inside]\nhosts = [\"10.0.0.*\"]\nuser = \"viewer\"\npassword = \"p\"\n").unwrap();
        let credentials = CameraCredentials::read(&file).unwrap();
        let has = |input: &str| {
            let camera = camera(input, StreamOptions::default()).unwrap();
            camera.resolve(Path::new("/out"), &credentials).unwrap().live.unwrap().camera.has_credentials()
        };
        assert_eq!(["rtsp://10.0.0.7/live", "rtsp://10.0.1.7/live", "test://"].map(has), [true, false, false]);
    }

    #[test]
    fn a_camera_has_a_folder_of_its_own_and_is_of_no_single_machine() {
        let job = camera("test://", StreamOptions::default())
            .unwrap()
            .resolve(Path::new("/out"), &CameraCredentials::default())
            .unwrap();
        assert_eq!(job.live.unwrap().recording.folder, Path::new("/out/cameras/door"));
        assert!(camera("/dev/video0", StreamOptions::default()).unwrap_err().to_string().contains("livelabel run"));
        assert!(["a/b", "a.b", "", "ü"].iter().all(|name| name.parse::<CameraName>().is_err()));
    }
}

//! The pictures of a camera's intervals: JPEGs, one after the other, in a file beside a journal. The journal says where each is.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::{LockedFile, journal, lock_output};

/// Suffix of the files. Players show them as Motion JPEG.
pub const SUFFIX: &str = ".pictures.mjpg";
/// Pictures of one file, at most.
pub const MAX_PICTURES: usize = 3000;
/// Longest side of a picture, in pixels.
pub const LONGEST: usize = 320;
/// Bytes of one picture, at most.
pub const MAX_BYTES: u64 = 256 << 10;

/// Returns the path or name of the file beside a journal.
pub fn beside(journal: &str) -> String {
    format!("{}{SUFFIX}", journal.strip_suffix(journal::SUFFIX).unwrap_or(journal))
}

/// A file that a run writes.
pub struct PictureFile {
    file: LockedFile,
    path: PathBuf,
    bytes: u64,
    pictures: usize,
}

impl PictureFile {
    /// Creates the file.
    ///
    /// # Errors
    /// Returns an error if it is locked or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file = lock_output(path)?;
        file.set_len(0).map_err(|cause| Error::unwritable(path, cause))?;
        Ok(Self { file, path: path.into(), bytes: 0, pictures: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file has space for `count` more pictures.
    pub fn has_space(&self, count: usize) -> bool {
        self.pictures + count <= MAX_PICTURES
    }

    /// Appends JPEGs, all or none. Returns the offset of the first, in bytes.
    ///
    /// # Errors
    /// Returns a failure if the disk is full or unavailable, or if the file is not as it was left: a picture would be found where
    /// another one was.
    pub fn append(&mut self, jpegs: &[Vec<u8>]) -> Result<u64> {
        let unwritable = |cause| Error::unwritable(&self.path, cause);
        let found = self.file.metadata().map_err(unwritable)?;
        if found.nlink() == 0 || found.len() != self.bytes {
            return Err(Error::failed(format!("{}: was changed or removed while it was written", self.path.display()))
                .remedy("leave it alone; the next journal has another one"));
        }
        let (offset, all) = (self.bytes, jpegs.concat());
        if let Err(cause) = self.file.write_all_at(&all, offset) {
            let _ = self.file.set_len(offset);
            return Err(Error::unwritable(&self.path, cause));
        }
        self.bytes += all.len() as u64;
        self.pictures += jpegs.len();
        Ok(offset)
    }
}

/// Reads a picture. Returns `None` if the file is gone, is a link, ends before, or has something else there.
pub fn read(path: &Path, offset: u64, bytes: u64) -> Option<Vec<u8>> {
    if bytes > MAX_BYTES {
        return None;
    }
    // Opening a pipe would wait for its writer.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut jpeg = vec![0; usize::try_from(bytes).ok()?];
    file.read_exact_at(&mut jpeg, offset).ok()?;
    (jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.ends_with(&[0xff, 0xd9])).then_some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG as far as its first and last bytes say.
    fn jpeg(content: u8, length: usize) -> Vec<u8> {
        [&[0xff, 0xd8, 0xff][..], &vec![content; length], &[0xff, 0xd9]].concat()
    }

    #[test]
    fn a_picture_is_read_from_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(beside("a-20260102T030405Z.timeline.jsonl"));
        assert!(path.ends_with("a-20260102T030405Z.pictures.mjpg"));
        let mut file = PictureFile::create(&path).unwrap();
        let pictures = [jpeg(1, 10), jpeg(2, 20), jpeg(3, 30)];
        assert_eq!(file.append(&pictures[..1]).unwrap(), 0);
        assert_eq!(file.append(&pictures[1..]).unwrap(), 15);
        assert_eq!(read(&path, 0, 15).as_ref(), Some(&pictures[0]));
        assert_eq!(read(&path, 15, 25).as_ref(), Some(&pictures[1]));
        assert_eq!(read(&path, 40, 35).as_ref(), Some(&pictures[2]));
        for (offset, bytes) in [(0, 14), (1, 14), (15, 59), (40, 36), (0, 0), (0, u64::MAX), (u64::MAX, 15)] {
            assert_eq!(read(&path, offset, bytes), None, "{offset} {bytes}");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!((read(&link, 0, 15), read(folder.path(), 0, 15)), (None, None));
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..40]).unwrap();
        assert_eq!((read(&path, 15, 25), read(&path, 40, 35)), (Some(pictures[1].clone()), None));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 0, 15), None);
    }

    #[test]
    fn a_file_that_somebody_changed_gets_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pictures.mjpg");
        let changes: [fn(&Path); 2] =
            [|path| std::fs::write(path, []).unwrap(), |path| std::fs::remove_file(path).unwrap()];
        for change in changes {
            let mut file = PictureFile::create(&path).unwrap();
            file.append(&[jpeg(1, 10)]).unwrap();
            change(&path);
            let refused = file.append(&[jpeg(2, 10)]).unwrap_err().to_string();
            assert!(refused.contains("was changed or removed"), "{refused}");
            assert_eq!(read(&path, 0, 15), None);
        }
    }

    #[test]
    fn the_number_of_pictures_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = PictureFile::create(&folder.path().join("a.pictures.mjpg")).unwrap();
        for _ in 0..MAX_PICTURES / 3 {
            assert!(file.has_space(3));
            file.append(&[jpeg(1, 1), jpeg(2, 1), jpeg(3, 1)]).unwrap();
        }
        assert!(!file.has_space(1));
    }
}

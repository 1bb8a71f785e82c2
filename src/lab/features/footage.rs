//! The pictures of an annotated video: a folder of numbered pictures, or a video file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};

use crate::camera::{self, CameraError, Source, Stop};
use crate::clock::Clock;
use crate::config;
use crate::frame::Frame;

/// What a file may be called besides its video's name.
const ENDINGS: [&str; 6] = ["avi", "mp4", "mkv", "webm", "mjpeg", "mov"];
/// No video has more pictures.
const MOST_PICTURES: usize = 1 << 22;

/// Where a video's pictures are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Footage {
    Folder(PathBuf),
    File(PathBuf),
}

impl Footage {
    /// Below `root`, by the video's name or by the last part of it. `None` if there is nothing of that name.
    pub fn find(root: &Path, video: &str) -> Option<Self> {
        // A name is a place below the root and nowhere else.
        let inside =
            Path::new(video).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let last = video.rsplit('/').next().unwrap_or_default();
        [video, last].into_iter().filter(|name| inside && !name.is_empty()).find_map(|name| {
            let path = root.join(name);
            if path.is_dir() {
                return Some(Self::Folder(path));
            }
            let with = |ending: &&str| root.join(format!("{name}.{ending}"));
            let files = std::iter::once(path.clone()).chain(ENDINGS.iter().map(with));
            files.into_iter().find(|file| file.is_file()).map(Self::File)
        })
    }

    /// Its name for people, and in the key of what was made of it.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }

    /// The pictures in order.
    pub fn open(&self, clock: Arc<dyn Clock>, stop: Stop) -> anyhow::Result<Frames> {
        match self {
            Self::Folder(path) => {
                let mut pictures = Vec::new();
                for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
                    let file = entry?.path();
                    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                    let known = ["png", "jpg", "jpeg"].iter().any(|known| ending.eq_ignore_ascii_case(known));
                    let number = file.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok());
                    pictures.extend(number.filter(|_| known).map(|number| (i64::from(number), file)));
                    ensure!(pictures.len() <= MOST_PICTURES, "{}: too many pictures", path.display());
                }
                ensure!(
                    !pictures.is_empty(),
                    "{}: there are no pictures in it that are called by a number (00001.png)",
                    path.display()
                );
                pictures.sort_unstable();
                Ok(Frames::Pictures(pictures.into_iter()))
            }
            Self::File(path) => {
                let source = path.to_str().context("a path that is not UTF-8")?.to_owned();
                let camera = config::Camera { source, ..config::Camera::default() };
                Ok(Frames::Video { source: camera::open(&camera, clock, stop)?, number: 0 })
            }
        }
    }
}

/// Pictures with their numbers, in order.
pub enum Frames {
    Pictures(std::vec::IntoIter<(i64, PathBuf)>),
    Video { source: Box<dyn Source>, number: i64 },
}

impl Frames {
    /// Fills `frame` with the next whose number `wanted` picks, and says its number: a picture's own, or in a video counted
    /// from 1. `None` at the end.
    pub fn next(
        &mut self,
        frame: &mut Frame,
        wanted: impl Fn(i64) -> bool,
    ) -> Result<Option<i64>, CameraError> {
        match self {
            Self::Pictures(pictures) => match pictures.find(|(number, _)| wanted(*number)) {
                Some((number, path)) => {
                    frame.picture = camera::read_picture(&path)?;
                    Ok(Some(number))
                }
                None => Ok(None),
            },
            Self::Video { source, number } => {
                while source.read(frame)? {
                    *number += 1;
                    if wanted(*number) {
                        return Ok(Some(*number));
                    }
                }
                Ok(None)
            }
        }
    }
}

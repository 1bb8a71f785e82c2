//! A video of JPEGs in an AVI container (RIFF; `MJPG`, one stream, `idx1` index): plays everywhere, needs no codec.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::Canvas;

/// Why a frame was not written.
#[derive(Debug, thiserror::Error)]
pub enum AviError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a frame could not be encoded: {0}")]
    Encode(#[from] jpeg_encoder::EncodingError),
    #[error("the video has reached 2 GB, the most an AVI holds; analyse the recording in parts")]
    Full,
}

/// Players differ in what they make of sizes with the top bit set.
const LARGEST: u64 = 1 << 31;
/// The header's length, up to the first frame.
const HEADER: u32 = 224;
const KEY_FRAME: u32 = 0x10;

/// Writes frames as they come; index and header are completed by [`AviWriter::finish`], or, if that was not reached, when
/// the writer is dropped, so that what was recorded until then can be seen.
pub struct AviWriter {
    file: BufWriter<File>,
    fps: f64,
    size: (u32, u32),
    jpeg: Vec<u8>,
    /// Offset from `movi`, and length.
    index: Vec<(u32, u32)>,
    position: u64,
    limit: u64,
    finished: bool,
}

impl AviWriter {
    /// Creates the file; `fps` is how fast it is to be played, 0.1 to 1000.
    pub fn create(path: &Path, fps: f64) -> io::Result<Self> {
        let fps = if fps.is_finite() { fps.clamp(0.1, 1000.0) } else { 25.0 };
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&[0; HEADER as usize])?;
        let position = u64::from(HEADER);
        let (jpeg, index) = (Vec::new(), Vec::new());
        Ok(Self { file, fps, size: (0, 0), jpeg, index, position, limit: LARGEST, finished: false })
    }

    /// Appends a frame.
    pub fn write(&mut self, canvas: &Canvas) -> Result<(), AviError> {
        self.jpeg.clear();
        canvas.encode_jpeg(&mut self.jpeg)?;
        let length = self.jpeg.len() as u64;
        let index = 16 * (self.index.len() as u64 + 1);
        if self.position + length + index + 16 > self.limit {
            return Err(AviError::Full);
        }
        if self.index.is_empty() {
            let (width, height) = canvas.dimensions();
            self.size = (width as u32, height as u32);
        }
        // Below LARGEST, so all of these fit 32 bits.
        self.index.push(((self.position - u64::from(HEADER) + 4) as u32, length as u32));
        self.file.write_all(b"00dc")?;
        self.file.write_all(&(length as u32).to_le_bytes())?;
        if length % 2 == 1 {
            self.jpeg.push(0); // chunks are aligned to two bytes
        }
        self.file.write_all(&self.jpeg)?;
        self.position += 8 + self.jpeg.len() as u64;
        Ok(())
    }

    /// Writes the index and the header.
    pub fn finish(mut self) -> Result<(), AviError> {
        self.complete()
    }

    fn complete(&mut self) -> Result<(), AviError> {
        self.finished = true;
        self.file.write_all(b"idx1")?;
        self.file.write_all(&(self.index.len() as u32 * 16).to_le_bytes())?;
        for (offset, length) in &self.index {
            self.file.write_all(b"00dc")?;
            for word in [KEY_FRAME, *offset, *length] {
                self.file.write_all(&word.to_le_bytes())?;
            }
        }
        let header = self.header();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.flush()?;
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        const HAS_INDEX: u32 = 0x10;
        let (width, height) = self.size;
        let frames = self.index.len() as u32;
        let largest = self.index.iter().map(|(_, length)| *length).max().unwrap_or(0);
        let rate = (self.fps * 1000.0).round() as u32;
        let mut out = Vec::with_capacity(HEADER as usize);
        let mut put = |tag: &[u8; 4], words: &[u32]| {
            out.extend_from_slice(tag);
            out.extend(words.iter().flat_map(|w| w.to_le_bytes()));
        };
        let total = self.position as u32 + 8 + frames * 16 - 8;
        put(b"RIFF", &[total]);
        put(b"AVI ", &[]);
        put(b"LIST", &[192]);
        put(b"hdrl", &[]);
        let interval = (1e6 / self.fps).round() as u32;
        put(b"avih", &[56, interval, 0, 0, HAS_INDEX, frames, 0, 1, largest, width, height, 0, 0, 0, 0]);
        put(b"LIST", &[116]);
        put(b"strl", &[]);
        put(b"strh", &[56]);
        put(b"vids", &[]);
        put(b"MJPG", &[0, 0, 0, 1000, rate, 0, frames, largest, u32::MAX, 0, 0, width | height << 16]);
        put(b"strf", &[40, 40, width, height, 1 | 24 << 16]);
        put(b"MJPG", &[width * height * 3, 0, 0, 0, 0]);
        put(b"LIST", &[(self.position - u64::from(HEADER)) as u32 + 4]);
        put(b"movi", &[]);
        out
    }
}

impl Drop for AviWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.complete()
        {
            tracing::warn!(%error, "an annotated video could not be completed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{self, Stop};
    use crate::clock::SystemClock;
    use crate::config;
    use crate::frame::{Picture, PixelFormat};

    fn clip(path: &Path, frames: u8) -> AviWriter {
        let mut writer = AviWriter::create(path, 12.5).unwrap();
        let mut canvas = Canvas::default();
        for n in 0..frames {
            let mut picture = Picture::new(PixelFormat::Rgb24, 64, 48);
            picture.data.fill(n * 10);
            canvas.load(&picture);
            writer.write(&canvas).unwrap();
        }
        writer
    }

    #[test]
    fn the_header_is_as_long_as_the_room_left_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avi");
        let writer = AviWriter::create(&path, 25.0).unwrap();
        assert_eq!(writer.header().len(), HEADER as usize);
    }

    #[test]
    fn an_independent_player_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avi");
        clip(&path, 20).finish().unwrap();
        let probe = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-show_entries"])
            .args(["stream=codec_name,width,height,avg_frame_rate,nb_read_frames", "-of", "csv=p=0"])
            .arg(&path)
            .output();
        let Ok(probe) = probe else { return eprintln!("skipped: ffprobe is not installed") };
        assert_eq!(String::from_utf8_lossy(&probe.stderr), "");
        assert_eq!(String::from_utf8_lossy(&probe.stdout).trim(), "mjpeg,64,48,25/2,20");
    }

    /// The grey of each frame of a video.
    fn greys(path: &Path) -> Vec<u8> {
        let camera = config::Camera { source: path.display().to_string(), ..Default::default() };
        let mut source = camera::open(&camera, std::sync::Arc::new(SystemClock), Stop::new()).unwrap();
        assert_eq!((source.info().fps, source.info().frames), (Some(12.5), Some(20)));
        let mut frame = crate::frame::Frame::default();
        let mut rgb = Vec::new();
        let mut greys = Vec::new();
        while source.read(&mut frame).unwrap() {
            frame.picture.to_rgb(&mut rgb);
            assert_eq!(rgb.len(), 64 * 48 * 3);
            greys.push(rgb[1000]);
        }
        greys
    }

    #[test]
    fn our_own_reader_reads_it_even_if_it_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        for finish in [true, false] {
            let path = folder.path().join("a.avi");
            let writer = clip(&path, 20);
            if finish {
                writer.finish().unwrap()
            } else {
                drop(writer)
            }
            let greys = greys(&path);
            assert_eq!(greys.len(), 20);
            for (n, grey) in (0u8..).zip(greys) {
                assert!(grey.abs_diff(n * 10) <= 2, "frame {n}: {grey}");
            }
        }
    }

    #[test]
    fn a_full_video_refuses_and_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avi");
        let mut writer = clip(&path, 20);
        writer.limit = writer.position + 16 * 20 + 40;
        let mut canvas = Canvas::default();
        canvas.load(&Picture::new(PixelFormat::Rgb24, 64, 48));
        let error = writer.write(&canvas).unwrap_err();
        assert!(error.to_string().contains("2 GB"), "{error}");
        let limit = writer.limit;
        writer.finish().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() <= limit);
        assert_eq!(greys(&path).len(), 20);
    }
}

//! Pictures read natively: a folder of JPEGs, JPEGs one after the other in a file, a single picture.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::avi::Avi;
use super::recording::{self, Next, Recording};
use super::{ASSUMED_FPS, CameraError, MAX_PIXELS, MAX_SIDE, Source, SourceInfo, Stop, jpeg};
use crate::clock::Clock;
use crate::frame::{Picture, PixelFormat};

/// The bytes of a recording: a file's, or the program's own.
pub(super) trait Input: Read + Seek + Send {}
impl<T: Read + Seek + Send> Input for T {}

/// A file, buffered.
pub(super) fn file(path: &Path) -> Result<BufReader<File>, CameraError> {
    let file = File::open(path).map_err(|error| CameraError::io(&path.display().to_string(), error))?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// An AVI of JPEGs that is carried in the program. `name` is what errors call it.
pub fn avi_bytes(
    name: &str,
    bytes: &'static [u8],
    repeat: bool,
    clock: Arc<dyn Clock>,
    stop: Stop,
) -> Result<Box<dyn Source>, CameraError> {
    let avi = Avi::open(name, Cursor::new(bytes))?;
    let avi =
        avi.ok_or_else(|| CameraError::Video { name: name.into(), reason: "it holds no JPEGs".into() })?;
    Ok(recording::play(avi, repeat, clock, stop))
}

/// A picture from a JPEG or PNG file, as RGB and the right way up.
pub fn read_picture(path: &Path) -> Result<Picture, CameraError> {
    let name = path.display().to_string();
    let fail =
        |error: image::ImageError| CameraError::Picture { name: name.clone(), reason: error.to_string() };
    let reader =
        ImageReader::new(file(path)?).with_guessed_format().map_err(|error| CameraError::io(&name, error))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_PIXELS as u64 * 8);
    let mut decoder = reader.into_decoder().map_err(fail)?;
    decoder.set_limits(limits).map_err(fail)?;
    let orientation = decoder.orientation().map_err(fail)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    let mut picture = Picture::new(PixelFormat::Rgb24, 0, 0);
    picture.data = image.as_raw().clone();
    picture.reset(PixelFormat::Rgb24, image.width() as usize, image.height() as usize);
    Ok(picture)
}

/// A folder of JPEGs, in the order in which people number them.
pub(super) struct Folder {
    info: SourceInfo,
    files: Vec<PathBuf>,
    at: usize,
    bytes: Vec<u8>,
}

impl Folder {
    pub fn open(path: &Path, fps: Option<f64>) -> Result<Self, CameraError> {
        let name = path.display().to_string();
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| CameraError::io(&name, error))? {
            let file = entry.map_err(|error| CameraError::io(&name, error))?.path();
            let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if ["jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known)) {
                files.push(file);
            }
        }
        files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        let Some(first) = files.first() else {
            return Err(CameraError::Video { name, reason: "there are no .jpg or .jpeg files in it".into() });
        };
        let mut bytes = Vec::new();
        read_file(first, &mut bytes)?;
        let (width, height) = jpeg::size(&bytes)
            .map_err(|reason| CameraError::Picture { name: first.display().to_string(), reason })?;
        let info = SourceInfo {
            description: format!("{name}, {} JPEGs, {width}x{height}", files.len()),
            width,
            height,
            fps: fps.or(Some(ASSUMED_FPS)),
            frames: Some(files.len() as u64),
            live: false,
        };
        Ok(Self { info, files, at: 0, bytes })
    }
}

/// Reads a file that is to hold one picture; one that is unreadable is a bad picture.
fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<(), CameraError> {
    let fail = |reason: String| CameraError::Picture { name: path.display().to_string(), reason };
    bytes.clear();
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let read =
        file.take(jpeg::MAX_BYTES as u64 + 1).read_to_end(bytes).map_err(|error| fail(error.to_string()))?;
    if read > jpeg::MAX_BYTES { Err(fail(format!("more than {} bytes", jpeg::MAX_BYTES))) } else { Ok(()) }
}

impl Recording for Folder {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError> {
        let Some(path) = self.files.get(self.at) else { return Ok(Next::End) };
        self.at += 1;
        read_file(path, &mut self.bytes)?;
        jpeg::decode(&self.bytes, picture)
            .map_err(|reason| CameraError::Picture { name: path.display().to_string(), reason })?;
        Ok(Next::Picture)
    }

    fn rewind(&mut self) -> Result<(), CameraError> {
        self.at = 0;
        Ok(())
    }
}

/// Orders names so that `9` comes before `10`: runs of digits by their value, the rest by bytes.
pub(super) fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let digits = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
        let (m, n) = (digits(a), digits(b));
        let order = if m > 0 && n > 0 {
            let value = |s: &[u8]| s.iter().skip_while(|c| **c == b'0').copied().collect::<Vec<u8>>();
            let (x, y) = (value(&a[..m]), value(&b[..n]));
            (a, b) = (&a[m..], &b[n..]);
            x.len().cmp(&y.len()).then(x.cmp(&y)).then(m.cmp(&n))
        } else {
            let (Some((x, p)), Some((y, q))) = (a.split_first(), b.split_first()) else {
                return a.len().cmp(&b.len());
            };
            (a, b) = (p, q);
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// JPEGs one after the other, with nothing or rubbish between them.
pub(super) struct Mjpeg<R> {
    info: SourceInfo,
    name: String,
    input: R,
    /// What has been read and not been used, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    index: u64,
}

impl<R: Input> Mjpeg<R> {
    pub fn open(name: &str, input: R, fps: Option<f64>) -> Result<Self, CameraError> {
        let info = SourceInfo {
            description: String::new(),
            width: 0,
            height: 0,
            fps: fps.or(Some(ASSUMED_FPS)),
            frames: None,
            live: false,
        };
        let mut this = Self { info, name: name.into(), input, buffer: Vec::new(), at: 0, index: 0 };
        let Some(length) = this.find()? else {
            return Err(CameraError::Video { name: name.into(), reason: "there is no JPEG in it".into() });
        };
        let (width, height) =
            jpeg::size(&this.buffer[this.at..][..length]).map_err(|reason| this.bad(reason))?;
        this.info.description = format!("{name}, JPEGs in a row, {width}x{height}");
        (this.info.width, this.info.height) = (width, height);
        Ok(this)
    }

    fn bad(&self, reason: String) -> CameraError {
        CameraError::Picture { name: format!("{}, picture {}", self.name, self.index), reason }
    }

    /// Goes to the next JPEG's first byte and reads until all of it is in the buffer. Its length, or `None` at the end.
    fn find(&mut self) -> Result<Option<usize>, CameraError> {
        let mut end = false;
        loop {
            match extent(&self.buffer[self.at..]) {
                Extent::Garbage(length) => self.at += length,
                Extent::Whole(length) => return Ok(Some(length)),
                // What is left is a picture without an end; let the decoder say so.
                Extent::Unfinished if end => {
                    return Ok(Some(self.buffer.len() - self.at).filter(|left| *left > 2));
                }
                Extent::Unfinished if self.buffer.len() - self.at > jpeg::MAX_BYTES => self.at += 2,
                Extent::Unfinished => end = !self.fill()?,
            }
        }
    }

    /// Reads some more; false at the end.
    fn fill(&mut self) -> Result<bool, CameraError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let some = (&mut self.input).take(1 << 18).read_to_end(&mut self.buffer);
        some.map(|read| read > 0).map_err(|error| CameraError::io(&self.name, error))
    }
}

impl<R: Input> Recording for Mjpeg<R> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError> {
        let Some(length) = self.find()? else { return Ok(Next::End) };
        let decoded = jpeg::decode(&self.buffer[self.at..][..length], picture);
        self.at += length;
        let result = decoded.map(|()| Next::Picture).map_err(|reason| self.bad(reason));
        self.index += 1;
        result
    }

    fn rewind(&mut self) -> Result<(), CameraError> {
        self.buffer.clear();
        (self.at, self.index) = (0, 0);
        self.input.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|error| CameraError::io(&self.name, error))
    }
}

/// What the first bytes of a run of JPEGs are.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    /// So many bytes that no JPEG begins with.
    Garbage(usize),
    /// A JPEG of so many bytes.
    Whole(usize),
    /// A JPEG that goes on beyond these bytes, or too few to say.
    Unfinished,
}

/// Finds a JPEG's end by walking its segments (ITU-T T.81, annex B), so that a thumbnail inside does not end it.
fn extent(bytes: &[u8]) -> Extent {
    const SOI: u8 = 0xd8;
    const EOI: u8 = 0xd9;
    const SOS: u8 = 0xda;
    match bytes.windows(2).position(|pair| pair == [0xff, SOI]) {
        Some(0) => {}
        Some(start) => return Extent::Garbage(start),
        // The last byte may be the first of a marker.
        None if bytes.len() > 1 => return Extent::Garbage(bytes.len() - 1),
        None => return Extent::Unfinished,
    }
    let mut at = 2;
    loop {
        let Some(&[first, marker]) = bytes.get(at..at + 2) else { return Extent::Unfinished };
        match (first, marker) {
            (0xff, EOI) => return Extent::Whole(at + 2),
            // The next picture begins: this one has no end.
            (0xff, SOI) => return Extent::Whole(at),
            // A fill byte.
            (0xff, 0xff) => at += 1,
            // Restarts and stuffed bytes stand in entropy-coded data; so does anything that is no marker.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
            (0xff, marker) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return Extent::Unfinished };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                if marker == SOS {
                    match bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0xff)) {
                        Some(data) => at += data,
                        None => return Extent::Unfinished,
                    }
                }
            }
            _ => match bytes[at..].iter().position(|b| *b == 0xff) {
                Some(data) => at += data,
                None => return Extent::Unfinished,
            },
        }
    }
}

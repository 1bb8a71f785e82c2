//! AVI files whose video is JPEGs, read as a stream of RIFF chunks (Microsoft, "AVI RIFF File Reference"; OpenDML's
//! further `RIFF AVIX` parts too). The index is not needed; a file that is cut off ends where it is cut off.

use std::io::{Read, Seek, SeekFrom};

use super::images::Input;
use super::recording::{Next, Recording};
use super::{ASSUMED_FPS, CameraError, SourceInfo, jpeg};
use crate::frame::Picture;

/// A chunk of a header that is longer than this is damaged.
const MAX_HEADER: usize = 1 << 16;

/// An AVI of JPEGs.
pub(super) struct Avi<R> {
    info: SourceInfo,
    name: String,
    input: R,
    /// Where the first `movi` list begins.
    first: u64,
    /// `00dc`, `00db`, ..: the names of the stream's chunks, but for the last byte.
    stream: [u8; 3],
    bytes: Vec<u8>,
    index: u64,
}

/// A RIFF chunk's name and length. A list has been entered; anything else is to be read or passed over.
enum Chunk {
    List([u8; 4]),
    Data([u8; 4], u32),
    End,
}

/// Reads the next chunk's head. The file's end, wherever it comes, is [`Chunk::End`].
fn chunk<R: Read>(input: &mut R) -> std::io::Result<Chunk> {
    let mut head = [0; 8];
    let mut list = [0; 4];
    let ended = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Ok(Chunk::End),
        _ => Err(error),
    };
    if let Err(error) = input.read_exact(&mut head) {
        return ended(error);
    }
    let [a, b, c, d, size @ ..] = head;
    match &[a, b, c, d] {
        b"RIFF" | b"LIST" => match input.read_exact(&mut list) {
            Ok(()) => Ok(Chunk::List(list)),
            Err(error) => ended(error),
        },
        name => Ok(Chunk::Data(*name, u32::from_le_bytes(size))),
    }
}

/// Passes over a chunk's data and the byte that makes it even.
fn skip<R: Seek>(input: &mut R, size: u32) -> std::io::Result<()> {
    input.seek_relative(i64::from(size) + i64::from(size & 1))
}

/// What the headers say of the first video stream.
#[derive(Debug, Default)]
struct Headers {
    microseconds: u32,
    /// Streams seen.
    streams: u8,
    /// The video's number among them.
    video: Option<u8>,
    scale: u32,
    rate: u32,
    length: u32,
    width: u32,
    height: u32,
    compression: [u8; 4],
}

impl Headers {
    /// Takes up one header chunk. Fields are at the offsets that the reference gives.
    fn take(&mut self, name: [u8; 4], data: &[u8]) {
        let four = |at: usize| data.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
        let number = |at: usize| u32::from_le_bytes(four(at));
        match &name {
            b"avih" => self.microseconds = number(0),
            b"strh" => {
                if four(0) == *b"vids" && self.video.is_none() {
                    self.video = Some(self.streams);
                    (self.scale, self.rate, self.length) = (number(20), number(24), number(32));
                }
                self.streams = self.streams.saturating_add(1);
            }
            b"strf" if self.video.is_some_and(|video| video + 1 == self.streams) => {
                (self.width, self.height) = (number(4), (number(8) as i32).unsigned_abs());
                self.compression = four(16).map(|c| c.to_ascii_uppercase());
            }
            _ => {}
        }
    }

    fn fps(&self) -> f64 {
        let by_stream = f64::from(self.rate) / f64::from(self.scale);
        let by_file = 1e6 / f64::from(self.microseconds);
        [by_stream, by_file].into_iter().find(|fps| (0.01..=1000.0).contains(fps)).unwrap_or(ASSUMED_FPS)
    }
}

impl<R: Input> Avi<R> {
    /// Reads the headers; `None` if this is no AVI, or its video is something else than JPEGs.
    pub fn open(name: &str, mut input: R) -> Result<Option<Self>, CameraError> {
        let io = |error| CameraError::io(name, error);
        let damaged = |reason: &str| CameraError::Video { name: name.into(), reason: reason.into() };
        let mut headers = Headers::default();
        let mut bytes = Vec::new();
        if !matches!(chunk(&mut input).map_err(io)?, Chunk::List(kind) if kind == *b"AVI ") {
            return Ok(None);
        }
        loop {
            match chunk(&mut input).map_err(io)? {
                Chunk::List(kind) if kind == *b"movi" => break,
                Chunk::List(_) => {}
                Chunk::Data(kind, size)
                    if [b"avih", b"strh", b"strf"].contains(&&kind) && size as usize <= MAX_HEADER =>
                {
                    bytes.clear();
                    let length = u64::from(size) + u64::from(size & 1);
                    (&mut input).take(length).read_to_end(&mut bytes).map_err(io)?;
                    headers.take(kind, &bytes);
                }
                Chunk::Data(_, size) => skip(&mut input, size).map_err(io)?,
                Chunk::End => return Err(damaged("the AVI file ends before its first frame")),
            }
        }
        let Some(video) = headers.video.filter(|video| *video < 100) else {
            return Err(damaged("the AVI file has no video"));
        };
        if headers.compression != *b"MJPG" {
            return Ok(None);
        }
        let (width, height, fps) = (headers.width as usize, headers.height as usize, headers.fps());
        let info = SourceInfo {
            description: format!("{name}, AVI of JPEGs, {width}x{height}, {fps:.3} frames/s"),
            width,
            height,
            fps: Some(fps),
            frames: (headers.length > 0).then_some(headers.length.into()),
            live: false,
        };
        let first = input.stream_position().map_err(io)?;
        let stream = [b'0' + video / 10, b'0' + video % 10, b'd'];
        Ok(Some(Self { info, name: name.into(), input, first, stream, bytes, index: 0 }))
    }

    fn cut_off(&self) {
        tracing::warn!(
            source = self.name,
            frames = self.index,
            "the recording is cut off in the middle of a frame"
        );
    }
}

impl<R: Input> Recording for Avi<R> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, picture: &mut Picture) -> Result<Next, CameraError> {
        loop {
            match chunk(&mut self.input).map_err(|error| CameraError::io(&self.name, error))? {
                Chunk::List(_) => {}
                Chunk::Data([a, b, c, _], size)
                    if [a, b, c] == self.stream && size as usize <= jpeg::MAX_BYTES =>
                {
                    self.bytes.clear();
                    let length = u64::from(size);
                    let read = (&mut self.input).take(length + (length & 1)).read_to_end(&mut self.bytes);
                    if (read.map_err(|error| CameraError::io(&self.name, error))? as u64) < length {
                        self.cut_off();
                        return Ok(Next::End);
                    }
                    let index = self.index;
                    self.index += 1;
                    if size == 0 {
                        return Ok(Next::Nothing);
                    }
                    return jpeg::decode(&self.bytes, picture).map(|()| Next::Picture).map_err(|reason| {
                        CameraError::Picture { name: format!("{}, frame {index}", self.name), reason }
                    });
                }
                Chunk::Data(_, size) => {
                    skip(&mut self.input, size).map_err(|error| CameraError::io(&self.name, error))?;
                }
                Chunk::End => return Ok(Next::End),
            }
        }
    }

    fn rewind(&mut self) -> Result<(), CameraError> {
        self.index = 0;
        let sought = self.input.seek(SeekFrom::Start(self.first));
        sought.map(|_| ()).map_err(|error| CameraError::io(&self.name, error))
    }
}

//! The bytes of a pickle, taken from the front.

/// What has not been read yet.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    /// The next `length` bytes.
    pub fn slice(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.place.checked_add(length).filter(|end| *end <= self.bytes.len());
        let (start, end) = (self.place, end.ok_or("it is cut short")?);
        self.place = end;
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }

    /// The next few bytes.
    pub fn take<const WIDTH: usize>(&mut self) -> Result<[u8; WIDTH], String> {
        self.slice(WIDTH)?.try_into().map_err(|_| "it is cut short".into())
    }

    /// A number of so many bytes, the least first.
    pub fn length<const WIDTH: usize>(&mut self) -> Result<usize, String> {
        Ok(self.take::<WIDTH>()?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Up to the end of the line, which is taken too.
    pub fn line(&mut self) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.place..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or("it is cut short")?;
        self.place += length + 1;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// A line with a number.
    pub fn index_line(&mut self) -> Result<usize, String> {
        let line = std::str::from_utf8(self.line()?).ok();
        line.and_then(|line| line.parse().ok()).ok_or_else(|| "a number out of order".into())
    }
}

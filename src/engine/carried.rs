//! Bytes that the program carries, read from the program's file.
//!
//! They lie in its memory already, mapped. But what is touched there counts as the process's own for as long as the
//! system has room, and what passes through a file does not: the nano pack is 35 MB that are read once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// A part of the program's file, as a file of its own.
pub struct Carried {
    file: File,
    start: u64,
    length: u64,
    at: u64,
}

impl Carried {
    /// Where `bytes` stand in the program's file; `None` if they do not, or where the kernel does not say (`/proc`).
    pub fn find(bytes: &'static [u8]) -> Option<Self> {
        let program = fs::read_link("/proc/self/exe").ok()?;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let (address, length) = (bytes.as_ptr().addr() as u64, bytes.len() as u64);
        let start = maps.lines().find_map(|line| offset(line, program.to_str()?, address, length))?;
        Some(Self { file: File::open("/proc/self/exe").ok()?, start, length, at: 0 })
    }
}

/// Where in the file `program` those bytes of our memory come from, if `line` of proc_pid_maps(5) has all of them:
/// `7f3e4000-7f3e9000 r--p 00012000 fe:00 1234   /usr/bin/watchword`.
fn offset(line: &str, program: &str, address: u64, length: u64) -> Option<u64> {
    let mut words = line.splitn(6, ' ');
    let (from, to) = words.next()?.split_once('-')?;
    let number = |word| u64::from_str_radix(word, 16).ok();
    let (from, to) = (number(from)?, number(to)?);
    // What may be written need not be as in the file any more.
    let as_in_file = !words.next()?.contains('w');
    let offset = number(words.next()?)?;
    let same = words.nth(2)?.trim_start() == program;
    let inside = from <= address && address.checked_add(length)? <= to;
    (same && as_in_file && inside).then(|| offset + (address - from))
}

impl Read for Carried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Carried {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PICTURE: &[u8] = include_bytes!("carried.rs");

    #[test]
    fn what_the_program_carries_is_read_from_its_file() {
        let mut carried = Carried::find(PICTURE).unwrap();
        let mut read = Vec::new();
        carried.read_to_end(&mut read).unwrap();
        assert!(read == PICTURE);
        carried.seek(SeekFrom::End(-3)).unwrap();
        carried.seek(SeekFrom::Current(1)).unwrap();
        read.clear();
        carried.read_to_end(&mut read).unwrap();
        assert_eq!(read, PICTURE[PICTURE.len() - 2..]);
        assert!(carried.seek(SeekFrom::Current(-1 << 40)).is_err());
        carried.seek(SeekFrom::Start(1 << 40)).unwrap();
        assert_eq!(carried.read(&mut [0; 8]).unwrap(), 0, "nothing beyond the end");
    }

    #[test]
    fn bytes_that_were_made_are_not_in_the_file() {
        assert!(Carried::find(vec![7; 1 << 16].leak()).is_none());
    }

    #[test]
    fn a_line_of_the_map_counts_if_all_bytes_are_in_it_as_they_are_in_the_file() {
        let line = "1000-3000 r--p 00500000 fe:00 1234                       /opt/a b/watchword";
        let at = |address, length| offset(line, "/opt/a b/watchword", address, length);
        assert_eq!(at(0x1000, 0x2000), Some(0x50_0000));
        assert_eq!(at(0x1010, 1), Some(0x50_0010));
        assert_eq!((at(0xFFF, 1), at(0x2FFF, 2), at(0x1000, u64::MAX)), (None, None, None));
        assert_eq!(offset(line, "/opt/a", 0x1000, 1), None);
        assert_eq!(offset(&line.replace("r--p", "rw-p"), "/opt/a b/watchword", 0x1000, 1), None);
        assert_eq!(offset("1000-3000 rw-p 00000000 00:00 0 ", "", 0x1000, 1), None);
        assert_eq!(offset("no map", "", 0, 0), None);
    }
}

//! A safetensors file read in parts: its header first, then of a tensor the rows that are asked for.
//!
//! Files come from anywhere: what the header says must fit the file's length, so that nothing can be asked for that is not
//! there, and nothing is allocated that the file does not hold.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use safetensors::tensor::{Dtype, Metadata};

/// The header of a file of ours is smaller.
const MOST_HEADER: u64 = 1 << 20;

/// An open file whose header has been read.
pub struct Source {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the tensors begin.
    start: u64,
}

/// Rows of f32 in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    start: u64,
    rows: usize,
    width: usize,
}

impl Source {
    /// Opens the file and refuses one whose length is not what its header says.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).context("cut short: it has no header")?;
        let length = u64::from_le_bytes(length);
        ensure!(length <= MOST_HEADER, "its header is longer than {MOST_HEADER} bytes: no file of features");
        let mut header = Vec::new();
        file.by_ref().take(length).read_to_end(&mut header)?;
        ensure!(header.len() as u64 == length, "cut short in its header");
        let header: Metadata = serde_json::from_slice(&header).context("its header cannot be read")?;
        let start = 8 + length;
        let end = header.tensors().values().map(|tensor| tensor.data_offsets.1).max().unwrap_or(0);
        let found = file.metadata()?.len();
        ensure!(
            start.checked_add(end as u64) == Some(found),
            "cut short or added to: {found} bytes, its header says {start} + {end}"
        );
        Ok(Self { path: path.to_owned(), file, header, start })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An entry of the metadata.
    pub fn about(&self, key: &str) -> anyhow::Result<&str> {
        let value = self.header.metadata().as_ref().and_then(|map| map.get(key));
        value.map(String::as_str).with_context(|| format!("its metadata have no {key:?}"))
    }

    /// Refuses a file that does not call itself `format`.
    pub fn expect_format(&self, format: &str) -> anyhow::Result<()> {
        let found = self.about("format").unwrap_or_default();
        ensure!(
            found == format,
            "its format is {found:?}, not {format:?}; `watchword lab features` makes it"
        );
        Ok(())
    }

    /// The labels in the metadata.
    pub fn labels(&self) -> anyhow::Result<Vec<String>> {
        serde_json::from_str(self.about("labels")?).context("its labels are no JSON list")
    }

    /// The sizes of a tensor.
    pub fn shape(&self, name: &str) -> anyhow::Result<&[usize]> {
        let tensor = self.header.info(name).with_context(|| format!("tensor {name} is missing"))?;
        Ok(&tensor.shape)
    }

    /// Where the rows of an f32 tensor `[rows, width]` are.
    pub fn table(&self, name: &str, rows: Option<usize>, width: usize) -> anyhow::Result<Table> {
        let found = self.shape(name)?.first().copied().unwrap_or_default();
        let rows = rows.unwrap_or(found);
        let start = self.place(name, Dtype::F32, &[rows, width])?.start;
        Ok(Table { start, rows, width })
    }

    /// The elements of an f32 tensor, all finite.
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f32>> {
        let start = self.place(name, Dtype::F32, shape)?.start;
        let table = Table { start, rows: 1, width: shape.iter().product() };
        let mut values = Vec::new();
        table.read(&mut self.file, 0..1, &mut values).with_context(|| format!("tensor {name}"))?;
        Ok(values)
    }

    /// The elements of an i64 tensor.
    pub fn integers(&mut self, name: &str, count: Option<usize>) -> anyhow::Result<Vec<i64>> {
        let found = self.shape(name)?.iter().product();
        let bytes = self.bytes(name, Dtype::I64, &[count.unwrap_or(found)])?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// The elements of an u8 tensor.
    pub fn flags(&mut self, name: &str, shape: &[usize]) -> anyhow::Result<Vec<u8>> {
        let flags = self.bytes(name, Dtype::U8, shape)?;
        ensure!(flags.iter().all(|flag| *flag <= 1), "tensor {name} holds something besides 0 and 1");
        Ok(flags)
    }

    fn bytes(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> anyhow::Result<Vec<u8>> {
        let place = self.place(name, dtype, shape)?;
        let mut bytes = vec![0; usize::try_from(place.end - place.start)?];
        self.file.seek(SeekFrom::Start(place.start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn place(&self, name: &str, dtype: Dtype, shape: &[usize]) -> anyhow::Result<Range<u64>> {
        let Some(tensor) = self.header.info(name) else { bail!("tensor {name} is missing") };
        ensure!(
            tensor.dtype == dtype && tensor.shape == shape,
            "tensor {name} is {:?} {:?}, it must be {dtype:?} {shape:?}",
            tensor.dtype,
            tensor.shape
        );
        let (start, end) = tensor.data_offsets;
        Ok(self.start + start as u64..self.start + end as u64)
    }
}

impl Table {
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends `rows`, all of finite numbers, to `out`.
    pub fn read(&self, file: &mut File, rows: Range<usize>, out: &mut Vec<f32>) -> anyhow::Result<()> {
        ensure!(rows.end <= self.rows, "row {} of {}", rows.end, self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let row = self.width * size_of::<f32>();
        file.seek(SeekFrom::Start(self.start + (rows.start * row) as u64))?;
        let mut bytes = vec![0; rows.len() * row];
        file.read_exact(&mut bytes).context("it has become shorter since it was opened")?;
        let first = out.len();
        out.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        let finite = out.iter().skip(first).all(|value| value.is_finite());
        ensure!(finite, "rows {rows:?} hold a number that is not finite");
        Ok(())
    }
}

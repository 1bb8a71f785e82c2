//! `heads.safetensors`: reading it, and refusing what does not fit together.
//!
//! Knows names, shapes and number formats; what the tensors are for is known to the units and the prompting.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::matrix::{Matrix, Values};
use super::metadata::Metadata;

/// Why a file holds no usable heads.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("not a safetensors file, or cut short: {0}")]
    Format(String),
    #[error(
        "it is {0:?}, no interaction heads: of what `lab train` makes, a board runs the method iclip alone"
    )]
    Foreign(String),
    #[error("metadata {field} is {found:?}: it must be {expected}")]
    Metadata { field: String, found: String, expected: &'static str },
    #[error("tensor {0} is missing")]
    Missing(String),
    #[error("tensor {tensor} is {found}, it must be {expected}")]
    Shape { tensor: String, found: String, expected: String },
    #[error("tensor {tensor} is {found}: f32, f16, and for matrices int8 with a .scale per row, can be read")]
    Dtype { tensor: String, found: String },
    #[error("tensor {tensor} holds a number that is not finite")]
    NotFinite { tensor: String },
    #[error(
        "tensor {0} is of no use here: its name is not one of a heads file, or its unit is not in `units`"
    )]
    Unknown(String),
    #[error(
        "its features come from {found}, the pack's from {expected}: heads work only with the encoder they were trained on"
    )]
    Space { found: String, expected: String },
    #[error("it is made for embeddings {found} wide, the pack's are {expected} wide")]
    Width { found: usize, expected: usize },
}

/// An open weights file, from which each tensor is taken once.
pub struct Weights<'a> {
    file: SafeTensors<'a>,
    metadata: Metadata,
    taken: RefCell<HashSet<String>>,
}

impl<'a> Weights<'a> {
    /// Reads the header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let format = |error: safetensors::SafeTensorError| WeightsError::Format(error.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let empty = HashMap::new();
        let metadata = Metadata::parse(header.metadata().as_ref().unwrap_or(&empty))?;
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        Ok(Self { file, metadata, taken: RefCell::default() })
    }

    /// What the header says.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_ok()
    }

    /// The width of the embeddings: the length of `prompt.alpha`, or the rows of the first matrix.
    pub fn width(&self) -> Result<usize, WeightsError> {
        let named = ["unit.0.value.weight", "prompt.alpha"];
        let tensor = named.iter().find_map(|name| self.file.tensor(name).ok());
        let width = tensor.and_then(|tensor| tensor.shape().first().copied());
        width.filter(|width| *width > 0).ok_or_else(|| WeightsError::Missing(named[0].to_owned()))
    }

    /// A vector of `length`.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.take(name)?;
        check_shape(name, &tensor, &[length])?;
        floats(name, &tensor)
    }

    /// A vector of `length` if it is there.
    pub fn optional_vector(&self, name: &str, length: usize) -> Result<Option<Vec<f32>>, WeightsError> {
        self.has(name).then(|| self.vector(name, length)).transpose()
    }

    /// `rows` vectors of `columns`, one after the other.
    pub fn table(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.take(name)?;
        check_shape(name, &tensor, &[rows, columns])?;
        floats(name, &tensor)
    }

    /// A matrix `[rows, columns]` for `x → x·Wᵀ`; `None` for `rows` takes what the file has.
    pub fn matrix(&self, name: &str, rows: Option<usize>, columns: usize) -> Result<Matrix, WeightsError> {
        let tensor = self.take(name)?;
        let rows = rows.or(tensor.shape().first().copied()).unwrap_or_default();
        check_shape(name, &tensor, &[rows, columns])?;
        let values = match tensor.dtype() {
            Dtype::I8 => {
                let scales = self.vector(&format!("{name}.scale"), rows)?;
                // -128 has no counterpart and would overflow what the kernels add up in 16 bits.
                let data = tensor.data().iter().map(|byte| byte.cast_signed().max(-127)).collect();
                Values::Int8 { data, scales }
            }
            _ => Values::Float(floats(name, &tensor)?),
        };
        Ok(Matrix { rows, columns, values })
    }

    /// Says that a tensor may be there although nothing reads it.
    pub fn ignore(&self, name: &str) {
        for name in [name.to_owned(), format!("{name}.scale")] {
            self.taken.borrow_mut().insert(name);
        }
    }

    /// Refuses tensors that nobody has taken: a name misspelt is a weight left out.
    pub fn finish(&self) -> Result<(), WeightsError> {
        let taken = self.taken.borrow();
        let mut left: Vec<_> = self.file.names().into_iter().filter(|name| !taken.contains(*name)).collect();
        left.sort_unstable();
        left.first().map_or(Ok(()), |name| Err(WeightsError::Unknown((*name).to_owned())))
    }

    fn take(&self, name: &str) -> Result<TensorView<'a>, WeightsError> {
        self.taken.borrow_mut().insert(name.to_owned());
        self.file.tensor(name).map_err(|_| WeightsError::Missing(name.to_owned()))
    }
}

fn check_shape(name: &str, tensor: &TensorView<'_>, shape: &[usize]) -> Result<(), WeightsError> {
    if tensor.shape() == shape {
        return Ok(());
    }
    Err(WeightsError::Shape {
        tensor: name.to_owned(),
        found: format!("{:?}", tensor.shape()),
        expected: format!("{shape:?}"),
    })
}

/// The elements of an f32 or f16 tensor, all finite.
pub fn floats(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let data = tensor.data();
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        other => return Err(WeightsError::Dtype { tensor: name.to_owned(), found: format!("{other:?}") }),
    };
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(WeightsError::NotFinite { tensor: name.to_owned() })
    }
}

/// A tensor to be written.
pub struct Tensor<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Cow<'a, [u8]>,
}

impl Tensor<'static> {
    /// An f32 tensor.
    pub fn floats(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes: Cow::Owned(bytes) }
    }
}

impl safetensors::View for &Tensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

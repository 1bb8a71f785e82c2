//! NumPy's arrays in a pickle, as data.

use crate::pickle::{self, Value};

pub type Pickle = pickle::Pickle<Name>;

/// The names that annotations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Array,
    Dtype,
    /// `_reconstruct(ndarray, (0,), b"b")`, whose state is the array.
    Reconstruct,
    /// `_frombuffer(bytes, dtype, shape, order)`, since protocol 5.
    FromBuffer,
    /// `scalar(dtype, bytes)`
    Scalar,
    /// `_codecs.encode(text, "latin1")`, how Python 3 writes bytes in protocols 0 to 2.
    Encode,
    /// `bytes()`, how it writes none.
    Bytes,
}

/// The values of a file. The error says what was refused.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    pickle::read(bytes, |module, name| {
        Some(match (module, name) {
            ("numpy", "ndarray") => Name::Array,
            ("numpy", "dtype") => Name::Dtype,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Name::Reconstruct,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Name::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Name::FromBuffer,
            ("_codecs", "encode") => Name::Encode,
            ("__builtin__" | "builtins", "bytes") => Name::Bytes,
            _ => return None,
        })
    })
}

/// Numbers in rows: all but the first dimension in one.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    /// The rows of a table of `COLUMNS`; of an empty array, none.
    pub fn rows<const COLUMNS: usize>(&self) -> Result<&[[f64; COLUMNS]], String> {
        match self.shape[..] {
            [_, columns] if columns == COLUMNS => Ok(self.values.as_chunks().0),
            _ if self.values.is_empty() => Ok(&[]),
            _ => Err(format!("an array of shape {:?}, not of rows of {COLUMNS}", self.shape)),
        }
    }
}

/// Rows that a file may still have. An array may stand in many places of a pickle, and each costs memory; no honest file
/// has more rows than bytes.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    pub fn of(file: &[u8]) -> Self {
        Self(file.len())
    }

    /// The error says that there are too many.
    pub fn spend(&mut self, rows: usize) -> Result<(), String> {
        self.0 = self
            .0
            .checked_sub(rows)
            .ok_or("the same arrays stand in it over and over, more rows than bytes")?;
        Ok(())
    }
}

/// The array that a value is, of numbers.
pub fn array(pickle: &Pickle, value: &Value<Name>) -> Result<Array, String> {
    let (dtype, shape, fortran, data) = match pickle.call(value) {
        Some((Name::Reconstruct, _, Some(state))) => match pickle.sequence(state) {
            Some([_, shape, dtype, Value::Bool(fortran), data]) => (dtype, shape, *fortran, data),
            Some([_, shape, dtype, Value::Int(fortran), data]) => (dtype, shape, *fortran != 0, data),
            _ => return Err("an array without its state".into()),
        },
        Some((Name::FromBuffer, [data, dtype, shape, order], _)) => {
            (dtype, shape, order.text().as_deref() == Some("F"), data)
        }
        _ => return Err("no array".into()),
    };
    let mut lengths = Vec::new();
    for length in pickle.sequence(shape).ok_or("an array without a shape")? {
        let length = integer(pickle, length).and_then(|length| usize::try_from(length).ok());
        lengths.push(length.ok_or("an array whose shape is no number")?);
    }
    let data = raw(pickle, data).ok_or("an array without data")?;
    let mut values = numbers(&dtype_of(pickle, dtype)?, &data)?;
    let count = lengths.iter().try_fold(1usize, |count, length| count.checked_mul(*length));
    if count != Some(values.len()) {
        return Err(format!("an array of shape {lengths:?} with {} values", values.len()));
    }
    match lengths[..] {
        // Columns lie together.
        [rows, columns] if fortran && rows > 0 && columns > 0 => {
            let mut turned = Vec::with_capacity(values.len());
            for row in 0..rows {
                turned.extend(values.iter().skip(row).step_by(rows));
            }
            values = turned;
        }
        _ if fortran && lengths.len() > 2 => return Err("an array in Fortran's order".into()),
        _ => {}
    }
    Ok(Array { shape: lengths, values })
}

/// A whole number, of Python or of NumPy.
pub fn integer(pickle: &Pickle, value: &Value<Name>) -> Option<i64> {
    match number(pickle, value)? {
        value if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i64),
        _ => None,
    }
}

/// A number, of Python or of NumPy.
pub fn number(pickle: &Pickle, value: &Value<Name>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => match pickle.call(value)? {
            (Name::Scalar, [dtype, data], _) => {
                let values = numbers(&dtype_of(pickle, dtype).ok()?, &raw(pickle, data)?).ok()?;
                values.first().copied()
            }
            _ => None,
        },
    }
}

/// A text, of Python or of NumPy.
pub fn text(pickle: &Pickle, value: &Value<Name>) -> Option<String> {
    if let Some(text) = value.text() {
        return Some(text.into_owned());
    }
    let Some((Name::Scalar, [dtype, data], _)) = pickle.call(value) else { return None };
    let (Dtype { kind: 'U', .. }, data) = (dtype_of(pickle, dtype).ok()?, raw(pickle, data)?) else {
        return None;
    };
    data.as_chunks().0.iter().map(|letter| char::from_u32(u32::from_le_bytes(*letter))).collect()
}

struct Dtype {
    kind: char,
    /// Bytes a value, or letters of a text.
    size: usize,
    big_endian: bool,
}

/// `dtype("f4", ..)` with the state `(3, "<", ..)`.
fn dtype_of(pickle: &Pickle, value: &Value<Name>) -> Result<Dtype, String> {
    let (code, state) = match pickle.call(value) {
        Some((Name::Dtype, [code, ..], state)) => (code.text(), state),
        _ => (None, None),
    };
    let code = code.ok_or("an array without a type")?;
    let mut letters = code.chars();
    let (kind, size) = (letters.next(), letters.as_str().parse().ok());
    let order = state.and_then(|state| pickle.sequence(state)?.get(1)?.text());
    let (kind, size) = kind.zip(size).ok_or_else(|| format!("an array of type {code:?}"))?;
    Ok(Dtype { kind, size, big_endian: order.as_deref() == Some(">") })
}

/// The bytes that a value is.
fn raw(pickle: &Pickle, value: &Value<Name>) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        // Python 2's bytes, read and written again by Python 3 as Latin-1.
        Value::Text(text) => latin1(text),
        _ => match pickle.call(value)? {
            (Name::Encode, [Value::Text(text), ..], _) => latin1(text),
            (Name::Bytes, [], _) => Some(Vec::new()),
            _ => None,
        },
    }
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

fn numbers(dtype: &Dtype, data: &[u8]) -> Result<Vec<f64>, String> {
    /// The numbers of `data`, each of its size, in its order of bytes.
    macro_rules! read {
        ($number:ty) => {{
            let (chunks, rest) = data.as_chunks();
            if !rest.is_empty() {
                return Err("an array that ends within a value".into());
            }
            let number = |bytes: &[u8; size_of::<$number>()]| {
                if dtype.big_endian {
                    <$number>::from_be_bytes(*bytes)
                } else {
                    <$number>::from_le_bytes(*bytes)
                }
            };
            chunks.iter().map(|bytes| number(bytes) as f64).collect()
        }};
    }
    Ok(match (dtype.kind, dtype.size) {
        ('f', 8) => read!(f64),
        ('f', 4) => read!(f32),
        ('i', 8) => read!(i64),
        ('i', 4) => read!(i32),
        ('i', 2) => read!(i16),
        ('i', 1) => read!(i8),
        ('u', 8) => read!(u64),
        ('u', 4) => read!(u32),
        ('u', 2) => read!(u16),
        ('u' | 'b', 1) => read!(u8),
        (kind, size) => return Err(format!("an array of type {kind}{size}, which holds no plain numbers")),
    })
}

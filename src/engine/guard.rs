//! What every runtime is guarded against: inputs that do not fit, panics.
//!
//! Knows nothing of any runtime.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Element, Input, Port, Tensor};

/// Runs `work`, and turns a panic inside it into an error.
///
/// Both runtimes index and `unwrap` their way through a graph that they have not validated, so a damaged or hostile
/// model can make them panic; a daemon that watches other cameras must outlive that. A caller whose state `work` may
/// have left half changed must replace that state when this fails: that is what makes the assertion below true.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(format!("the runtime gave up: {}", message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

/// Whether `inputs` fit `ports`: their number, element types, ranks, fixed dimensions and lengths.
pub fn check_inputs(ports: &[Port], inputs: &[Input<'_>]) -> Result<(), String> {
    if ports.len() != inputs.len() {
        return Err(format!("takes {} inputs, not {}", ports.len(), inputs.len()));
    }
    for (port, input) in ports.iter().zip(inputs) {
        let (element, shape, length) = match *input {
            Input::F32 { shape, data } => (Element::F32, shape, data.len()),
            Input::I64 { shape, data } => (Element::I64, shape, data.len()),
        };
        if element != port.element {
            return Err(format!("input {} is {:?}, not {element:?}", port.name, port.element));
        }
        let fits = shape.len() == port.shape.len()
            && shape.iter().zip(&port.shape).all(|(size, fixed)| fixed.is_none_or(|fixed| fixed == *size));
        if !fits {
            return Err(format!("input {} is {}, not {shape:?}", port.name, Shape(&port.shape)));
        }
        if shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size)) != Some(length) {
            return Err(format!("input {}: {length} values are not {shape:?}", port.name));
        }
    }
    Ok(())
}

/// `[?, 3, 224, 224]`
struct Shape<'a>(&'a [Option<usize>]);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (index, size) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            match size {
                Some(size) => write!(f, "{size}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}

impl Tensor {
    /// Takes a new shape and new values, keeps the memory.
    pub(super) fn overwrite(&mut self, shape: &[usize], data: impl Iterator<Item = f32>) {
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        self.data.clear();
        self.data.extend(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port { name: "x".into(), element: Element::F32, shape: vec![None, Some(2)] }
    }

    #[test]
    fn inputs_that_fit_pass_and_others_are_named() {
        let data = [0.0; 6];
        let check = |input| check_inputs(&[port()], &[input]);
        assert_eq!(check(Input::F32 { shape: &[3, 2], data: &data }), Ok(()));
        let refused = |input, part: &str| {
            let message = check(input).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        refused(Input::F32 { shape: &[2, 3], data: &data }, "[?, 2], not [2, 3]");
        refused(Input::F32 { shape: &[6], data: &data }, "[?, 2], not [6]");
        refused(Input::F32 { shape: &[4, 2], data: &data }, "6 values are not [4, 2]");
        refused(Input::F32 { shape: &[usize::MAX, 2], data: &data }, "6 values");
        refused(Input::I64 { shape: &[3, 2], data: &[0; 6] }, "is F32, not I64");
        assert!(check_inputs(&[port()], &[]).unwrap_err().contains("takes 1 inputs, not 0"));
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let error = guarded::<()>(|| panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error, "the runtime gave up: index 7 out of range");
    }
}

//! Which of a model's inputs and outputs is which, and whether they are what the manifest says.

use super::ClipError;
use crate::engine::{Element, Port, Tensor};

/// Refuses `port` unless it takes `element`s in `shape` (`None`: of any size).
pub fn check(model: &str, port: &Port, element: Element, shape: &[Option<usize>]) -> Result<(), ClipError> {
    if port.element == element && fits(port, shape) {
        return Ok(());
    }
    Err(mismatch(
        model,
        format!("input {}", port.name),
        describe(port),
        format!("{element:?} {}", brackets(shape)),
    ))
}

/// Index of the output called `name`, or else of the only one that may have `shape`.
pub fn output(
    model: &str,
    outputs: &[Port],
    name: &str,
    shape: &[Option<usize>],
) -> Result<usize, ClipError> {
    let expected = || format!("{name} {}", brackets(shape));
    if let Some(index) = outputs.iter().position(|port| port.name == name) {
        return match outputs.get(index) {
            Some(port) if !fits(port, shape) => {
                Err(mismatch(model, "output".into(), format!("{} {}", port.name, describe(port)), expected()))
            }
            _ => Ok(index),
        };
    }
    let mut fitting = outputs.iter().enumerate().filter(|(_, port)| fits(port, shape));
    match (fitting.next(), fitting.next()) {
        (Some((index, _)), None) => Ok(index),
        _ => {
            let found: Vec<_> =
                outputs.iter().map(|port| format!("{} {}", port.name, describe(port))).collect();
            Err(mismatch(model, "output".into(), found.join(" and "), expected()))
        }
    }
}

/// Refuses a result of another shape than the model was chosen for.
pub fn check_result(model: &str, result: Option<&Tensor>, shape: &[usize]) -> Result<(), ClipError> {
    match result {
        Some(tensor) if tensor.shape == shape && tensor.data.len() == shape.iter().product::<usize>() => {
            Ok(())
        }
        other => {
            let found = other.map_or("absent".into(), |tensor| format!("{:?}", tensor.shape));
            Err(mismatch(model, "the result".into(), found, format!("{shape:?}")))
        }
    }
}

/// A [`ClipError::Mismatch`].
pub fn mismatch(model: &str, field: String, found: String, expected: String) -> ClipError {
    ClipError::Mismatch { model: model.to_owned(), field, found, expected }
}

/// A port without a shape has not said what it is; the result is checked at the first run.
fn fits(port: &Port, shape: &[Option<usize>]) -> bool {
    let same = |(a, b): (&Option<usize>, &Option<usize>)| a.is_none() || b.is_none() || a == b;
    port.shape.is_empty() || (port.shape.len() == shape.len() && port.shape.iter().zip(shape).all(same))
}

/// `F32 [?, 3, 224, 224]`
fn describe(port: &Port) -> String {
    format!("{:?} {}", port.element, brackets(&port.shape))
}

fn brackets(shape: &[Option<usize>]) -> String {
    let sizes: Vec<_> = shape.iter().map(|size| size.map_or("?".into(), |size| size.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, shape: &[Option<usize>]) -> Port {
        Port { name: name.into(), element: Element::F32, shape: shape.into() }
    }

    #[test]
    fn the_output_is_found_by_name_or_by_shape() {
        let hidden = port("last_hidden_state", &[None, Some(50), Some(768)]);
        let embeds = port("image_embeds", &[None, Some(512)]);
        let other = port("other", &[None, Some(512)]);
        let wanted = [None, Some(512)];
        let find =
            |outputs: &[Port]| output("m", outputs, "image_embeds", &wanted).map_err(|e| e.to_string());
        assert_eq!(find(&[hidden.clone(), embeds.clone()]), Ok(1));
        assert_eq!(find(&[other.clone(), embeds]), Ok(1), "the name decides");
        assert_eq!(find(&[hidden.clone(), other.clone()]), Ok(1));
        assert_eq!(find(&[port("undeclared", &[])]), Ok(0));
        assert_eq!(
            find(std::slice::from_ref(&hidden)),
            Err("model m: output is last_hidden_state F32 [?, 50, 768], the manifest wants image_embeds [?, 512]".into())
        );
        assert!(find(&[other.clone(), other]).is_err(), "two would do: which?");
        assert_eq!(
            find(&[port("image_embeds", &[None, Some(384)])]),
            Err("model m: output is image_embeds F32 [?, 384], the manifest wants image_embeds [?, 512]"
                .into())
        );
    }

    #[test]
    fn inputs_are_checked_by_element_rank_and_size() {
        let wanted = [None, Some(3), Some(8)];
        let check = |port: &Port| check("m", port, Element::F32, &wanted).map_err(|e| e.to_string());
        assert_eq!(check(&port("x", &[None, Some(3), Some(8)])), Ok(()));
        assert_eq!(check(&port("x", &[Some(1), Some(3), None])), Ok(()));
        assert_eq!(
            check(&port("x", &[None, Some(3), Some(9)])),
            Err("model m: input x is F32 [?, 3, 9], the manifest wants F32 [?, 3, 8]".into())
        );
        assert!(check(&port("x", &[None, Some(3)])).is_err());
        assert!(check(&Port { element: Element::I64, ..port("x", &[None, Some(3), Some(8)]) }).is_err());
    }
}

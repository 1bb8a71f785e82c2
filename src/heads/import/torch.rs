//! What `torch.save` pickles: the few names that stand for a tensor in a checkpoint. Nothing here touches a file or a
//! tensor's data.

use std::rc::Rc;

use crate::pickle::{self, Node, Value};

pub type Pickle = pickle::Pickle<Name>;

/// The names that a checkpoint may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// Of a storage; those that we cannot use are only passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F32,
    F16,
    Unused,
}

/// A tensor in its storage, which is an entry of the archive; offset and strides count elements.
#[derive(Debug)]
pub struct View {
    pub element: Element,
    pub key: Rc<str>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The checkpoint's values. The error says what was refused.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    pickle::read(bytes, known)
}

fn known(module: &str, name: &str) -> Option<Name> {
    Some(match (module, name) {
        ("torch", "Size") => Name::Size,
        ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Name::RebuildParameter,
        ("torch", "FloatStorage") => Name::Storage(Element::F32),
        ("torch", "HalfStorage") => Name::Storage(Element::F16),
        (
            "torch",
            "DoubleStorage" | "BFloat16Storage" | "LongStorage" | "IntStorage" | "ShortStorage"
            | "CharStorage" | "ByteStorage" | "BoolStorage",
        ) => Name::Storage(Element::Unused),
        _ => return None,
    })
}

/// The tensor that a value is, if it is one.
pub fn tensor(pickle: &Pickle, value: &Value<Name>) -> Result<Option<View>, String> {
    let Some((name, arguments, _)) = pickle.call(value) else { return Ok(None) };
    match (name, arguments) {
        // A parameter is a tensor in one wrapping.
        (Name::RebuildParameter, [inner, ..]) => match pickle.call(inner) {
            Some((Name::RebuildTensor, arguments, _)) => view(pickle, arguments).map(Some),
            _ => Err("a parameter that is no tensor".into()),
        },
        (Name::RebuildTensor, arguments) => view(pickle, arguments).map(Some),
        (Name::Size, _) => Ok(None),
        (name, _) => Err(format!("{name:?} is called with what it does not take")),
    }
}

/// `(storage, offset, shape, strides, ..)`
fn view(pickle: &Pickle, arguments: &[Value<Name>]) -> Result<View, String> {
    let [storage, Value::Int(offset), shape, strides, ..] = arguments else {
        return Err("a tensor of an unknown kind".into());
    };
    let (element, key) = self::storage(pickle, storage)?;
    let offset = usize::try_from(*offset).map_err(|_| "a tensor before its storage")?;
    let (shape, strides) = (sizes(pickle, shape)?, sizes(pickle, strides)?);
    if shape.len() != strides.len() {
        return Err("a tensor with another number of strides than of dimensions".into());
    }
    Ok(View { element, key, offset, shape, strides })
}

/// `("storage", type, key, device, length)`
fn storage(pickle: &Pickle, value: &Value<Name>) -> Result<(Element, Rc<str>), String> {
    let Some(Node::Persistent(id)) = pickle.node(value) else {
        return Err("a storage that is not named".into());
    };
    match pickle.sequence(id) {
        Some([Value::Text(kind), Value::Name(Name::Storage(element)), Value::Text(key), ..])
            if **kind == *"storage" =>
        {
            Ok((*element, Rc::clone(key)))
        }
        _ => Err("a storage of an unknown kind".into()),
    }
}

/// The numbers of a tuple, or of a `torch.Size` around one.
fn sizes(pickle: &Pickle, value: &Value<Name>) -> Result<Vec<usize>, String> {
    let items = match pickle.call(value) {
        Some((Name::Size, arguments, _)) => arguments.first().and_then(|inner| pickle.sequence(inner)),
        _ => pickle.sequence(value),
    };
    let size = |item: &Value<Name>| match item {
        Value::Int(size) => usize::try_from(*size).map_err(|_| "a tensor with a negative size".to_owned()),
        _ => Err("a tensor whose shape is no number".into()),
    };
    items.ok_or("a tensor without a shape")?.iter().map(size).collect()
}

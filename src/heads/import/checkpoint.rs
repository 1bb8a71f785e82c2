//! A checkpoint of PyTorch: a zip archive of a pickle and of the memory of its tensors.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use zip::ZipArchive;

use super::torch::{self, Element, Pickle, View};
use crate::pickle::Value;

/// A pickle that only names tensors is not larger.
const MOST_PICKLE: u64 = 64 << 20;
/// No tensor of heads is larger, and none of CLIP ViT-B.
const MOST_STORAGE: u64 = 1 << 29;
/// Dictionaries in dictionaries that are looked into.
const DEEPEST: usize = 4;
const MOST_TENSORS: usize = 100_000;

/// An f32 tensor with its shape.
pub type Found = (Vec<usize>, Vec<f32>);

/// The tensors of a checkpoint whose dotted names `wanted` picks. The error says why there are none.
pub fn tensors(
    file: impl Read + Seek,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Found>, String> {
    let mut archive = ZipArchive::new(file).map_err(|error| {
        format!("not a checkpoint of PyTorch 1.6 or later, which is a zip archive: {error}")
    })?;
    let mut names = archive.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned);
    let name = names.find(|name| name.ends_with("/data.pkl"));
    drop(names);
    let name = name.ok_or("the archive holds no data.pkl: it is no checkpoint of PyTorch")?;
    let pickle = entry(&mut archive, &name, MOST_PICKLE)?;
    let pickle = torch::read(&pickle).map_err(|reason| format!("refused: {reason}"))?;
    let folder = name.trim_end_matches("data.pkl");

    let mut views = BTreeMap::new();
    flatten(&pickle, pickle.root(), "", DEEPEST, &mut views)
        .map_err(|reason| format!("refused: {reason}"))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        if wanted(&name) {
            let data =
                floats(&mut archive, folder, &view).map_err(|reason| format!("tensor {name}: {reason}"))?;
            tensors.insert(name, (view.shape.clone(), data));
        }
    }
    Ok(tensors)
}

/// All tensors below `value`, by their keys joined with dots. The outermost of what contains them, `model` or
/// `state_dict` as a rule, is part of the name.
fn flatten(
    pickle: &Pickle,
    value: &Value<torch::Name>,
    name: &str,
    depth: usize,
    out: &mut BTreeMap<String, View>,
) -> Result<(), String> {
    if let Some(view) = torch::tensor(pickle, value)? {
        out.insert(name.to_owned(), view);
        // A dictionary that contains another many times over is small in the file and endless here.
        return if out.len() <= MOST_TENSORS {
            Ok(())
        } else {
            Err("more tensors than any model has".into())
        };
    }
    let entries = if depth > 0 { pickle.dict(value) } else { None };
    for (key, value) in entries.unwrap_or_default() {
        if let Some(key) = key.text() {
            let name = if name.is_empty() { key.into_owned() } else { format!("{name}.{key}") };
            flatten(pickle, value, &name, depth - 1, out)?;
        }
    }
    Ok(())
}

/// The elements of a tensor that lies in its storage without gaps.
fn floats<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    folder: &str,
    view: &View,
) -> Result<Vec<f32>, String> {
    let size = match view.element {
        Element::F32 => 4,
        Element::F16 => 2,
        Element::Unused => return Err("neither f32 nor f16".into()),
    };
    let mut expected = 1usize;
    for (length, stride) in view.shape.iter().zip(&view.strides).rev() {
        if *length != 1 && *stride != expected {
            return Err("not contiguous; save it with .contiguous()".into());
        }
        expected = expected.checked_mul(*length).ok_or("larger than memory")?;
    }
    let bytes = entry(archive, &format!("{folder}data/{}", view.key), MOST_STORAGE)?;
    let start = view.offset.checked_mul(size);
    let end = view.offset.checked_add(expected).and_then(|end| end.checked_mul(size));
    let range = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
    let bytes = range.ok_or("its storage is shorter than the tensor")?;
    Ok(match view.element {
        Element::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        _ => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
    })
}

fn entry<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let file = archive.by_name(name).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} is larger than {most} bytes"));
    }
    Ok(bytes)
}

//! What is no usable heads file is refused, with the name of what is wrong.

use std::collections::HashMap;

use proptest::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors};

use super::*;

const SIZE: Size = Size { width: 8, layers: 1, hidden: 16 };

fn refused(bytes: &[u8]) -> String {
    Interaction::read(bytes).err().expect("refused").to_string()
}

fn with(change: impl FnOnce(&mut Tensors, &mut HashMap<String, String>)) -> Vec<u8> {
    let bytes = random(&[Kind::Person, Kind::Memory], Pads::default(), SIZE, 1);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut map = header.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let own = |(name, tensor): (&str, safetensors::tensor::TensorView<'_>)| {
        let shape = tensor.shape().to_vec();
        (name.to_owned(), Tensor { dtype: tensor.dtype(), shape, bytes: tensor.data().to_vec().into() })
    };
    let mut tensors: Tensors = file.iter().map(own).collect();
    change(&mut tensors, &mut map);
    safetensors::serialize(&tensors, Some(map)).unwrap()
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    assert!(Interaction::read(&with(|_, _| ())).is_ok());
    let missing = with(|tensors, _| drop(tensors.remove("unit.1.position.key")));
    assert_eq!(refused(&missing), "tensor unit.1.position.key is missing");
    let short =
        with(|tensors, _| drop(tensors.insert("unit.0.key.bias".into(), Tensor::floats(&[7], &[0.0; 7]))));
    assert_eq!(refused(&short), "tensor unit.0.key.bias is [7], it must be [8]");
    let nan = with(|tensors, _| {
        let values: Vec<f32> = (0..64).map(|i| if i == 9 { f32::NAN } else { 0.1 }).collect();
        tensors.insert("unit.1.out.weight".into(), Tensor::floats(&[8, 8], &values));
    });
    assert_eq!(refused(&nan), "tensor unit.1.out.weight holds a number that is not finite");
    let double = with(|tensors, _| {
        let tensor = Tensor { dtype: Dtype::F64, shape: vec![8], bytes: vec![0; 64].into() };
        tensors.insert("prompt.alpha".into(), tensor);
    });
    assert!(refused(&double).starts_with("tensor prompt.alpha is F64"), "{}", refused(&double));
    let extra =
        with(|tensors, _| drop(tensors.insert("unit.0.querry.weight".into(), Tensor::floats(&[1], &[0.0]))));
    assert!(refused(&extra).starts_with("tensor unit.0.querry.weight is of no use"), "{}", refused(&extra));
    let unscaled = with(|tensors, _| {
        let tensor = Tensor { dtype: Dtype::I8, shape: vec![8, 8], bytes: vec![1; 64].into() };
        tensors.insert("unit.0.key.weight".into(), tensor);
    });
    assert_eq!(refused(&unscaled), "tensor unit.0.key.weight.scale is missing");
}

#[test]
fn metadata_that_cannot_be_is_named() {
    let set = |key: &str, value: &str| refused(&with(|_, map| drop(map.insert(key.into(), value.into()))));
    assert_eq!(
        set("units", "person,thing"),
        "metadata units is \"thing\": it must be person, object, context or memory"
    );
    assert!(set("tau", "-1").starts_with("metadata tau is \"-1\""));
    assert!(set("memory_before", "100000").starts_with("metadata memory_before"));
    assert!(set("pad_person", "many").starts_with("metadata pad_person is \"many\""));
    assert!(set("relu", "perhaps").starts_with("metadata relu is \"perhaps\""));
    let without = with(|_, map| drop(map.remove("units")));
    assert!(refused(&without).starts_with("metadata units is \"\""));
}

#[test]
fn heads_for_another_encoder_are_refused() {
    let heads = Interaction::read(&with(|_, _| ())).unwrap();
    assert!(heads.check("here", 8).is_ok());
    let error = heads.check("there", 8).unwrap_err().to_string();
    assert!(error.starts_with("its features come from here, the pack's from there"), "{error}");
    let error = heads.check("here", 512).unwrap_err().to_string();
    assert_eq!(error, "it is made for embeddings 8 wide, the pack's are 512 wide");
}

#[test]
fn half_precision_and_the_papers_units_are_read() {
    let halves = with(|tensors, _| {
        for tensor in tensors.values_mut() {
            let floats = tensor.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            tensor.bytes = floats.flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect();
            tensor.dtype = Dtype::F16;
        }
    });
    assert!(Interaction::read(&halves).is_ok());
    let paper = with(|tensors, map| {
        map.extend([("relu", "false"), ("ln_affine", "true")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        tensors.retain(|name, _| !name.contains(".out.") || name.starts_with("prompt"));
        for unit in 0..2 {
            tensors.insert(format!("unit.{unit}.norm.weight"), Tensor::floats(&[8], &[2.0; 8]));
            tensors.insert(format!("unit.{unit}.norm.bias"), Tensor::floats(&[8], &[0.0; 8]));
        }
    });
    let mut heads = Interaction::read(&paper).unwrap();
    let around = Surroundings { objects: &[], context: &[0.0; 8], memory: &[] };
    let feature = heads.enhance(&[0.5, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8], &around, None);
    let added: f32 = feature.iter().sum::<f32>() * 2.0 - 3.6;
    assert!(added.abs() < 1e-4, "what is added has a mean of zero, not rectified: {added}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_an_error_and_no_panic(cut in 0usize..6000, place in 0usize..6000, byte: u8) {
        let mut bytes = with(|_, _| ());
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 3 * cut));
        let _ = Interaction::read(&bytes);
    }
}

//! `lab heads`: the heads alone, from features to probabilities, to be checked against another implementation.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::clip::Embeddings;
use crate::cmd::assemble::read_bounded;
use crate::heads::{Interaction, Recalled, Surroundings, Tensor, Tensors, similarity};
use crate::lab::transformer::floats;

/// A case holds `person [N, D]`, `object [O, D]`, `context [D]`, `memory [M, D]` with its `slots [M]` (i64), and
/// `text [L, D]`, all raw encoder outputs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The heads
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Features, as safetensors
    #[arg(long, value_name = "FILE")]
    case: PathBuf,
    /// For `interaction`, `text_prompted`, `probabilities`, `probabilities_unprompted`, `probabilities_baseline`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the heads on the case.
pub fn run(args: Args) -> anyhow::Result<()> {
    let name = || format!("heads {}", args.weights.display());
    let mut heads = Interaction::read(&read_bounded(&args.weights).with_context(name)?).with_context(name)?;
    let bytes = read_bounded(&args.case).with_context(|| format!("case {}", args.case.display()))?;
    let case = Case::parse(&bytes, &heads).with_context(|| format!("case {}", args.case.display()))?;
    let tensors = answer(&mut heads, &case)?;
    safetensors::serialize_to_file(&tensors, None, &args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))
}

struct Case {
    person: Vec<f32>,
    object: Vec<f32>,
    context: Vec<f32>,
    memory: Vec<f32>,
    slots: Vec<usize>,
    text: Vec<f32>,
}

impl Case {
    fn parse(bytes: &[u8], heads: &Interaction) -> anyhow::Result<Self> {
        let file = SafeTensors::deserialize(bytes)?;
        let width = heads.width();
        let rows = |name: &str| -> anyhow::Result<Vec<f32>> {
            let tensor = file.tensor(name).with_context(|| format!("tensor {name}"))?;
            let fits = tensor.shape().last() == Some(&width) && tensor.dtype() == Dtype::F32;
            ensure!(
                fits,
                "tensor {name} is {:?} {:?}, not f32 rows of {width}",
                tensor.dtype(),
                tensor.shape()
            );
            Ok(floats(tensor.data()))
        };
        let slots = file.tensor("slots").context("tensor slots")?;
        ensure!(slots.dtype() == Dtype::I64, "tensor slots is {:?}, not i64", slots.dtype());
        let most = heads.metadata().slots();
        let slots = slots.data().as_chunks().0.iter().map(|bytes| {
            let slot = usize::try_from(i64::from_le_bytes(*bytes)).ok().filter(|slot| *slot < most);
            slot.with_context(|| format!("tensor slots: each must be below {most}"))
        });
        let slots = slots.collect::<anyhow::Result<Vec<_>>>()?;
        let case = Self {
            person: rows("person")?,
            object: rows("object")?,
            context: rows("context")?,
            memory: rows("memory")?,
            slots,
            text: rows("text")?,
        };
        ensure!(case.context.len() == width, "tensor context is not one row");
        ensure!(
            case.memory.len() == case.slots.len() * width,
            "there is not one slot for each row of memory"
        );
        Ok(case)
    }
}

fn answer(heads: &mut Interaction, case: &Case) -> anyhow::Result<Tensors> {
    let width = heads.width();
    let projected = heads.project_all(&case.memory);
    let frames = case.slots.iter().zip(&projected);
    let memory: Vec<_> = frames.map(|(&slot, projected)| Recalled { slot, projected }).collect();
    let around = Surroundings { objects: &case.object, context: &case.context, memory: &memory };
    let interaction = heads.enhance(&case.person, &around, None).to_vec();

    let mut labels = Embeddings::new(width);
    ensure!(case.text.chunks_exact(width).all(|row| labels.push(row)), "a row of text is zero or not finite");
    let (persons, count) = (interaction.len() / width, labels.len());
    let prompted = match heads.prompt(&labels) {
        Some(prompted) => prompted.to_vec(),
        None => case.text.repeat(persons),
    };
    let scale = heads.metadata().tau.recip();
    let rows = || interaction.chunks_exact(width);
    let with: Vec<f32> = rows()
        .zip(prompted.chunks_exact((count * width).max(1)))
        .flat_map(|(feature, labels)| similarity(feature, labels, scale))
        .collect();
    let without: Vec<f32> = rows().flat_map(|feature| similarity(feature, &case.text, scale)).collect();
    let baseline = similarity(&case.context, &case.text, scale);
    let outputs = [
        ("interaction", vec![persons, width], interaction.clone()),
        ("text_prompted", vec![persons, count, width], prompted.clone()),
        ("probabilities", vec![persons, count], with),
        ("probabilities_unprompted", vec![persons, count], without),
        ("probabilities_baseline", vec![1, count], baseline),
    ];
    Ok(outputs.into_iter().map(|(name, shape, data)| (name.into(), Tensor::floats(&shape, &data))).collect())
}

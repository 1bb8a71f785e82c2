//! Words that are learned around a label's: vectors in the place of tokens before and after its name, read by the pack's
//! own text tower, which stays as it is (Efficient-Prompting, Ju et al. 2022).
//!
//! Knows packs and text towers; has never heard of features, training, or how it is judged.

#[cfg(test)]
mod tests;
mod tower;

use anyhow::{Context, ensure};
use candle_core::{Device, Result, Tensor};

use crate::clip::TextTower;
use crate::config::EngineKind;
use crate::engine::{self, Options};
use crate::pack::{Pack, Role};
use tower::Tower;

/// A text tower, and what it is fed for the names of labels.
#[derive(Debug)]
pub struct Wording {
    tower: Tower,
    /// Of each label, `[tokens, width]`.
    names: Vec<Tensor>,
    /// The marks of a text, `[1, width]`.
    start: Tensor,
    end: Tensor,
}

/// What this works with.
const SUPPORTED: &str = "learned prompts go through the f32 text towers that `watchword models make-random` writes, and \
                         others whose weights bear the same names";
/// How far the tower here may be from what the engine makes of the same file, as a share of an embedding's length.
const TOLERANCE: f32 = 1e-3;

impl Wording {
    /// Of the text tower of `pack`, for labels that read so, in their order.
    pub fn open(pack: &Pack, labels: &[String], device: &Device) -> anyhow::Result<Self> {
        let engine = engine::engine(EngineKind::Cpu);
        let model = pack.model(Role::Text, engine.name())?;
        let mut text = TextTower::open(pack, &*engine, Options::of(0))?;
        let mut read = || {
            let bytes = model.bytes.whole().map_err(anyhow::Error::msg)?;
            let (tower, table) = tower::read(&bytes, device)?;
            let embed = |tokens: &[u32]| {
                let mut rows = Vec::new();
                for token in tokens {
                    rows.extend_from_slice(table.row(*token).context("a token is not in its table")?);
                }
                anyhow::Ok(Tensor::from_vec(rows, (tokens.len(), tower.width), device)?)
            };
            let (mut names, mut marks) = (Vec::new(), None);
            for label in labels {
                let tokens = text.tokens(label)?;
                let [start, name @ .., end] = &tokens[..] else { anyhow::bail!("{label:?} has no tokens") };
                names.push(embed(name)?);
                marks = Some((embed(&[*start])?, embed(&[*end])?));
            }
            let (start, end) = marks.context("there are no labels")?;
            let wording = Self { tower, names, start, end };
            wording.check(labels, &mut text)?;
            Ok(wording)
        };
        read().with_context(|| format!("text tower {}; {SUPPORTED}", model.name))
    }

    /// Elements of a token's embedding.
    pub fn width(&self) -> usize {
        self.tower.width
    }

    /// That what the weights' names say is what the file computes: bare names here and in the engine.
    fn check(&self, labels: &[String], text: &mut TextTower) -> anyhow::Result<()> {
        let some = labels.len().min(2);
        let expected = text.embed(labels.get(..some).unwrap_or_default())?;
        let none = Tensor::zeros((0, self.width()), candle_core::DType::F32, &self.tower.device)?;
        let found = self.embed(&(0..some).collect::<Vec<_>>(), &none, &none)?.to_vec2::<f32>()?;
        for (found, expected) in found.iter().zip(expected.rows()) {
            let apart: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
            let share = crate::clip::norm(&apart) / crate::clip::norm(expected);
            ensure!(
                found.len() == expected.len() && share <= TOLERANCE,
                "its file computes something else than the names of its weights say"
            );
        }
        Ok(())
    }

    /// The embeddings `[L, E]` of `labels`, each as `before`, its name, `after`: vectors in the place of tokens,
    /// `[count, width]`. The error names what is too long.
    pub fn embed(&self, labels: &[usize], before: &Tensor, after: &Tensor) -> Result<Tensor> {
        let given = before.device();
        let [before, after] = [before, after].map(|vectors| vectors.to_device(&self.tower.device));
        let (before, after) = (before?, after?);
        let mut texts = Vec::new();
        for label in labels {
            let name = self.names.get(*label).context("a label without a name").map_err(wrapped)?;
            let pieces = [&self.start, &before, name, &after, &self.end];
            let pieces: Vec<&Tensor> = pieces.into_iter().filter(|piece| piece.elem_count() > 0).collect();
            texts.push(Tensor::cat(&pieces, 0)?);
        }
        let lengths = texts.iter().map(|text| text.dim(0)).collect::<Result<Vec<_>>>()?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if longest > self.tower.context {
            return Err(candle_core::Error::Msg(format!(
                "a label with its prompts has {longest} tokens, the text tower reads {}: fewer vectors",
                self.tower.context
            )));
        }
        let padded = |(text, length): (&Tensor, &usize)| text.pad_with_zeros(0, 0, longest - length);
        let texts = texts.iter().zip(&lengths).map(padded).collect::<Result<Vec<_>>>()?;
        let ends: Vec<usize> = lengths.iter().map(|length| length - 1).collect();
        self.tower.run(&Tensor::stack(&texts, 0)?, &ends)?.to_device(given)
    }
}

fn wrapped(error: anyhow::Error) -> candle_core::Error {
    candle_core::Error::Msg(error.to_string())
}

//! The text tower: phrases to embeddings. CLIP's byte pairs or MiniLM's word pieces, as the pack's tokenizer says.

use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationParams};
use tracing::warn;

use super::{ClipError, Embeddings, ports};
use crate::engine::{Element, Engine, Input, Options, Session, Tensor};
use crate::pack::{Pack, PackError, Pooling, Role};

/// What a model may be fed, and in which order it asks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    /// `input_ids`
    Ids,
    /// `attention_mask`: 1 for a token, 0 for padding.
    Mask,
    /// `token_type_ids`: all the first sentence's.
    Types,
}

/// A text tower.
///
/// Phrases run one by one, at their own length: int8 models quantise activations by the whole tensor, so that in
/// a batch the embedding of a phrase would depend on its neighbours, and a cached one would not be the one that is
/// made anew.
pub struct TextTower {
    model: String,
    session: Box<dyn Session>,
    tokenizer: Tokenizer,
    /// The id of words that the tokenizer does not know, if it has one.
    unknown: Option<u32>,
    fields: Vec<Field>,
    /// Tokens that the model insists on.
    fixed_length: Option<usize>,
    context: usize,
    pooling: Pooling,
    output: usize,
    width: usize,
    outputs: Vec<Tensor>,
}

impl TextTower {
    /// Loads the text tower and the tokenizer of `pack`.
    pub fn open(pack: &Pack, engine: &dyn Engine, options: Options) -> Result<Self, ClipError> {
        let manifest = pack.manifest();
        let text = manifest.text.as_ref().ok_or_else(|| PackError::NoText { pack: pack.identity() })?;
        let tokenizer = pack.tokenizer()?;
        // It says a few words and goes.
        let session = pack.load(Role::Text, engine, Options { prepack: false, ..options })?;
        let name = format!("{} text tower", pack.identity());
        Self::new(name, session, &tokenizer, text.context, text.pooling, manifest.embedding.width)
    }

    /// A tower that runs `session`, called `model` in errors, on what `tokenizer` (a `tokenizer.json`) makes of
    /// phrases, cut to `context` tokens. The model must take i64 `[1, L]` and give, when it pools by itself
    /// ([`Pooling::Eot`]), `text_embeds` `[1, width]`; else ([`Pooling::Mean`]) `last_hidden_state` `[1, L, width]`.
    pub fn new(
        model: String,
        session: Box<dyn Session>,
        tokenizer: &[u8],
        context: usize,
        pooling: Pooling,
        width: usize,
    ) -> Result<Self, ClipError> {
        let tokenizer = read_tokenizer(tokenizer, context)
            .map_err(|reason| ClipError::Tokenizer { model: model.clone(), reason: reason.to_string() })?;
        let mut fields = Vec::new();
        let mut fixed_length = None;
        for port in session.inputs() {
            fields.push(match port.name.as_str() {
                "input_ids" => Field::Ids,
                "attention_mask" => Field::Mask,
                "token_type_ids" => Field::Types,
                other => {
                    let expected = "input_ids, attention_mask or token_type_ids".into();
                    return Err(ports::mismatch(&model, "an input".into(), other.into(), expected));
                }
            });
            ports::check(&model, port, Element::I64, &[Some(1), None])?;
            fixed_length = fixed_length.or(port.shape.get(1).copied().flatten());
        }
        if !fields.contains(&Field::Ids) {
            return Err(ports::mismatch(
                &model,
                "input_ids".into(),
                "absent".into(),
                "it among the inputs".into(),
            ));
        }
        if let Some(length) = fixed_length.filter(|&length| length < context) {
            let expected = format!("text.context = {context}");
            return Err(ports::mismatch(
                &model,
                "its longest input".into(),
                format!("{length} tokens"),
                expected,
            ));
        }
        let output = match pooling {
            Pooling::Eot => ports::output(&model, session.outputs(), "text_embeds", &[None, Some(width)]),
            Pooling::Mean => {
                ports::output(&model, session.outputs(), "last_hidden_state", &[None, None, Some(width)])
            }
        }?;
        let unknown = tokenizer.token_to_id("[UNK]");
        let outputs = Vec::new();
        Ok(Self {
            model,
            session,
            tokenizer,
            unknown,
            fields,
            fixed_length,
            context,
            pooling,
            output,
            width,
            outputs,
        })
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row for each phrase, in order.
    pub fn embed(&mut self, phrases: &[String]) -> Result<Embeddings, ClipError> {
        let mut embeddings = Embeddings::new(self.width);
        let mut pooled = vec![0.0; self.width];
        for (row, phrase) in phrases.iter().enumerate() {
            let encoding = self.encode(phrase)?;
            if !encoding.get_overflowing().is_empty() {
                warn!(
                    phrase,
                    tokens = self.context,
                    "phrase is longer than the text tower reads; its end is ignored"
                );
            }
            if self.unknown.is_some_and(|unknown| encoding.get_ids().contains(&unknown)) {
                warn!(phrase, "phrase has words that the pack's tokenizer does not know");
            }
            let pooling = self.pooling;
            let hidden = self.run(&encoding)?;
            match pooling {
                Pooling::Eot => pooled.copy_from_slice(hidden),
                Pooling::Mean => mean(hidden, encoding.get_attention_mask(), &mut pooled),
            }
            if !embeddings.push(&pooled) {
                return Err(ClipError::Degenerate { model: self.model.clone(), row });
            }
        }
        Ok(embeddings)
    }

    /// The tokens of a phrase, with the marks at its start and end.
    pub fn tokens(&self, phrase: &str) -> Result<Vec<u32>, ClipError> {
        Ok(self.encode(phrase)?.get_ids().to_vec())
    }

    fn encode(&self, phrase: &str) -> Result<Encoding, ClipError> {
        self.tokenizer.encode(phrase, true).map_err(|reason| ClipError::Tokenizer {
            model: self.model.clone(),
            reason: format!("{phrase:?}: {reason}"),
        })
    }

    /// The model's output for one phrase: `[width]`, or `[L, width]` where we pool.
    fn run(&mut self, encoding: &Encoding) -> Result<&[f32], ClipError> {
        let tokens = encoding.get_ids().len();
        let length = self.fixed_length.unwrap_or(tokens);
        let padded = |values: &[u32]| {
            let mut padded: Vec<i64> = values.iter().map(|&value| i64::from(value)).collect();
            // Any token will do: it is masked, or stands behind the end where a causal model does not look.
            padded.resize(length, 0);
            padded
        };
        let fields: Vec<Vec<i64>> = self
            .fields
            .iter()
            .map(|field| match field {
                Field::Ids => padded(encoding.get_ids()),
                Field::Mask => padded(encoding.get_attention_mask()),
                Field::Types => padded(encoding.get_type_ids()),
            })
            .collect();
        let shape = [1, length];
        let inputs: Vec<_> = fields.iter().map(|data| Input::I64 { shape: &shape, data }).collect();
        self.session.run(&inputs, &mut self.outputs)?;
        let result = self.outputs.get(self.output);
        match self.pooling {
            Pooling::Eot => ports::check_result(&self.model, result, &[1, self.width])?,
            Pooling::Mean => ports::check_result(&self.model, result, &[1, length, self.width])?,
        }
        Ok(result.map_or(&[], |tensor| &tensor.data))
    }
}

/// Reads a tokenizer that cuts at `context` tokens and does not pad.
fn read_tokenizer(bytes: &[u8], context: usize) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(bytes)?;
    let marks = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    if context <= marks {
        // tokenizers 0.23 subtracts one from the other without looking.
        return Err(
            format!("text.context = {context} leaves no room beside {marks} marks at start and end").into()
        );
    }
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(TruncationParams { max_length: context, ..Default::default() }))?;
    Ok(tokenizer)
}

/// The mean of the rows of `hidden` whose `mask` is not 0.
fn mean(hidden: &[f32], mask: &[u32], out: &mut [f32]) {
    out.fill(0.0);
    for (row, _) in hidden.chunks_exact(out.len().max(1)).zip(mask).filter(|(_, mask)| **mask != 0) {
        out.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    let count = mask.iter().filter(|mask| **mask != 0).count().max(1) as f32;
    out.iter_mut().for_each(|sum| *sum /= count);
}

#[cfg(test)]
mod tests;

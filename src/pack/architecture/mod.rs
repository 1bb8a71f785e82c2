//! CLIP's towers as ONNX graphs with random weights: for benchmarks and tests of packs whose weights are not at hand.
//!
//! Knows what the networks look like, nothing of packs or engines. The graphs are those of OpenAI's CLIP as
//! `transformers` implements it (`CLIPVisionModelWithProjection`, `CLIPTextModelWithProjection`); initializers bear
//! the names of its state dictionary, see [`clip`]. `models/test_architectures.py` checks names, shapes and outputs
//! against `transformers`.

mod clip;
mod messages;
mod onnx;
mod random;

pub use onnx::Graph;

/// One of the two transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tower {
    /// Of the residual stream; the perceptron between is four times as wide.
    pub width: usize,
    pub layers: usize,
    /// Of attention; divides `width`.
    pub heads: usize,
}

/// A CLIP: both towers and what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    /// Side of the square picture, pixels.
    pub picture: usize,
    /// Side of a patch, pixels; divides `picture`.
    pub patch: usize,
    pub image: Tower,
    pub text: Tower,
    /// Most tokens in a phrase.
    pub context: usize,
    /// Number of tokens.
    pub vocabulary: usize,
    /// Elements of an embedding.
    pub embedding: usize,
}

/// What the weights of matrix products are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// As onnxruntime's dynamic quantisation leaves it, see [`Graph`].
    Int8,
}

impl Precision {
    /// As in names of files and packs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// What a random tower is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    pub clip: Clip,
    pub precision: Precision,
    /// The same seed gives the same weights on every machine, and the same before quantisation in either precision.
    pub seed: u64,
}

impl Recipe {
    /// `pixel_values` `[batch, 3, picture, picture]` f32 → `image_embeds` `[batch, embedding]`, not normalised.
    pub fn image_tower(&self) -> Graph {
        clip::image_tower(self)
    }

    /// `input_ids` `[batch, sequence]` i64, sequence ≤ context → `text_embeds` `[batch, embedding]`, not normalised.
    pub fn text_tower(&self) -> Graph {
        clip::text_tower(self)
    }
}

const OPENAI_TEXT: Tower = Tower { width: 512, layers: 12, heads: 8 };

/// `openai/clip-vit-base-patch16`
pub const CLIP_VIT_B16: Clip = Clip {
    picture: 224,
    patch: 16,
    image: Tower { width: 768, layers: 12, heads: 12 },
    text: OPENAI_TEXT,
    context: 77,
    vocabulary: 49408,
    embedding: 512,
};

/// `openai/clip-vit-base-patch32`
pub const CLIP_VIT_B32: Clip = Clip { patch: 32, ..CLIP_VIT_B16 };

/// TinyCLIP-ViT-8M-16-Text-3M; attention heads are 64 wide, as everywhere in CLIP.
pub const TINYCLIP_VIT_8M_16: Clip = Clip {
    image: Tower { width: 256, layers: 10, heads: 4 },
    text: Tower { width: 256, layers: 3, heads: 4 },
    ..CLIP_VIT_B16
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(clip: Clip) -> (usize, usize) {
        let recipe = Recipe { clip, precision: Precision::F32, seed: 0 };
        (recipe.image_tower().parameters(), recipe.text_tower().parameters())
    }

    /// Of `openai/clip-vit-base-patch{16,32}`: 149 620 737 and 151 277 313 with the one of the logit scale.
    #[test]
    #[ignore = "draws 300 million weights: some seconds in a release build"]
    fn parameters_are_as_many_as_published() {
        let (image, text) = parameters(CLIP_VIT_B16);
        assert_eq!(image + text + 1, 149_620_737);
        let (image, text) = parameters(CLIP_VIT_B32);
        assert_eq!(image + text + 1, 151_277_313);
    }

    /// Eight million in the image tower, three in the text tower's layers (its token table not counted).
    #[test]
    fn tinyclip_is_as_small_as_its_name() {
        let (image, text) = parameters(TINYCLIP_VIT_8M_16);
        assert_eq!(image, 8_276_992);
        assert_eq!(text - 49408 * 256, 2_520_576);
    }
}

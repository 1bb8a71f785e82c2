//! The packs that can be pulled, and where their files are.

use crate::pack::architecture::{CLIP_VIT_B16, CLIP_VIT_B32, Clip, Precision};

/// Where models are published: `{HOST}/{repository}/resolve/{revision}/{path}`.
pub const HOST: &str = "https://huggingface.co";

/// A pack whose towers somebody publishes.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// As on the command line.
    pub name: &'static str,
    pub clip: Clip,
    /// What heads and vocabularies are made for; see the manifest.
    pub space: &'static str,
    /// Of the weights.
    pub license: &'static str,
    /// Where the ONNX form is.
    pub repository: &'static str,
    pub revision: &'static str,
}

impl Known {
    /// The address of the repository's files at `host`.
    pub(super) fn below(&self, host: &str) -> String {
        format!("{}/{}/resolve/{}", host.trim_end_matches('/'), self.repository, self.revision)
    }
}

/// OpenAI's CLIP (Radford et al. 2021), as published for transformers.js.
pub const KNOWN: [Known; 2] = [
    Known {
        name: "clip-vit-b16",
        clip: CLIP_VIT_B16,
        space: "openai/clip-vit-base-patch16",
        license: "MIT",
        repository: "Xenova/clip-vit-base-patch16",
        revision: "main",
    },
    Known {
        name: "clip-vit-b32",
        clip: CLIP_VIT_B32,
        space: "openai/clip-vit-base-patch32",
        license: "MIT",
        repository: "Xenova/clip-vit-base-patch32",
        revision: "main",
    },
];

/// Image tower, text tower and tokenizer, with weights of this precision: their paths where they are published, and
/// their names in the pack.
pub(super) fn published(precision: Precision) -> [(&'static str, &'static str); 3] {
    let tokenizer = ("tokenizer.json", "tokenizer.json");
    match precision {
        Precision::F32 => [
            ("onnx/vision_model.onnx", "image.f32.onnx"),
            ("onnx/text_model.onnx", "text.f32.onnx"),
            tokenizer,
        ],
        Precision::Int8 => [
            ("onnx/vision_model_quantized.onnx", "image.int8.onnx"),
            ("onnx/text_model_quantized.onnx", "text.int8.onnx"),
            tokenizer,
        ],
    }
}

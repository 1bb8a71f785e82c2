//! The two towers of CLIP (Radford et al. 2021), node by node.
//!
//! Parameters are named as in `transformers`' state dictionary. Its linear layers keep `[out, in]` and multiply by
//! the transpose; MatMul reads `[in, out]`, so here **every `*.weight` of a linear layer is stored transposed**, and
//! no engine has to. All else is stored as there.

use super::messages::DataType;
use super::onnx::{Attribute, Graph, Size};
use super::{Recipe, Tower};

/// Of embeddings and the patch convolution, `initializer_range`.
const EMBEDDING_DEVIATION: f32 = 0.02;

pub fn image_tower(recipe: &Recipe) -> Graph {
    let clip = &recipe.clip;
    let tower = clip.image;
    let width = tower.width;
    let tokens = (clip.picture / clip.patch).pow(2) + 1;
    let scope = "vision_model.embeddings";
    let mut graph = Graph::new(recipe);

    let side = || Size::Fixed(clip.picture);
    let shape = [Size::Named("batch"), Size::Fixed(3), side(), side()];
    let pixels = graph.input("pixel_values", DataType::Float, &shape);
    let patches =
        graph.patches(&format!("{scope}.patch_embedding"), &pixels, width, clip.patch, EMBEDDING_DEVIATION);
    let flat = graph.integers("flat_patches", &[3], &[0, width as i64, -1]);
    let patches = graph.node("Reshape", "patches.flat", &[&patches, &flat], &[]);
    let patches = graph.node("Transpose", "patches", &[&patches], &[perm(&[0, 2, 1])]);

    // The class token, once a picture.
    let class = graph.weight(&format!("{scope}.class_embedding"), &[width], 0.0, inverse_root(width));
    let batch =
        graph.node("Shape", "batch", &[&pixels], &[("start", Attribute::Int(0)), ("end", Attribute::Int(1))]);
    let one = graph.integers("class_shape", &[2], &[1, width as i64]);
    let shape = graph.node("Concat", "class.shape", &[&batch, &one], &[axis(0)]);
    let class = graph.node("Expand", "class", &[&class, &shape], &[]);
    let tokens_in = graph.node("Concat", "tokens", &[&class, &patches], &[axis(1)]);

    let position = graph.weight(
        &format!("{scope}.position_embedding.weight"),
        &[tokens, width],
        0.0,
        EMBEDDING_DEVIATION,
    );
    let x = graph.node("Add", scope, &[&tokens_in, &position], &[]);
    // Spelt so in the published parameters.
    let x = graph.layer_norm("vision_model.pre_layrnorm", &x, width);
    let x = encoder(&mut graph, "vision_model.encoder", x, tower, None);
    let first = graph.integers("class_index", &[], &[0]);
    let pooled = graph.node("Gather", "vision_model.pooled", &[&x, &first], &[axis(1)]);
    let pooled = graph.layer_norm("vision_model.post_layernorm", &pooled, width);
    graph.linear("visual_projection", &pooled, [width, clip.embedding], inverse_root(width), false);
    graph.output("image_embeds", &[Size::Named("batch"), Size::Fixed(clip.embedding)]);
    graph
}

pub fn text_tower(recipe: &Recipe) -> Graph {
    let clip = &recipe.clip;
    let tower = clip.text;
    let width = tower.width;
    let scope = "text_model.embeddings";
    let mut graph = Graph::new(recipe);

    let ids = graph.input("input_ids", DataType::Int64, &[Size::Named("batch"), Size::Named("sequence")]);
    let table = [clip.vocabulary, width];
    let tokens = graph.table(&format!("{scope}.token_embedding"), &ids, table, EMBEDDING_DEVIATION);

    // Positions and the causal mask, as far as this sequence goes.
    let length =
        graph.node("Shape", "length", &[&ids], &[("start", Attribute::Int(1)), ("end", Attribute::Int(2))]);
    let zero = graph.integers("zero", &[1], &[0]);
    let position = graph.weight(
        &format!("{scope}.position_embedding.weight"),
        &[clip.context, width],
        0.0,
        EMBEDDING_DEVIATION,
    );
    let position = graph.node("Slice", "positions", &[&position, &zero, &length, &zero], &[]);
    let mask: Vec<f32> = (0..clip.context * clip.context)
        .map(|index| if index % clip.context > index / clip.context { f32::MIN } else { 0.0 })
        .collect();
    let mask = graph.floats("causal_mask", &[clip.context, clip.context], &mask);
    let one = graph.integers("one", &[1], &[1]);
    let mask = graph.node("Slice", "mask.rows", &[&mask, &zero, &length, &zero], &[]);
    let mask = graph.node("Slice", "mask", &[&mask, &zero, &length, &one], &[]);

    let x = graph.node("Add", scope, &[&tokens, &position], &[]);
    let x = encoder(&mut graph, "text_model.encoder", x, tower, Some(&mask));
    let x = graph.layer_norm("text_model.final_layer_norm", &x, width);
    // The end of the text is the highest token there is: pool where it stands.
    let last = graph.node("ArgMax", "end_of_text", &[&ids], &[axis(1), ("keepdims", Attribute::Int(1))]);
    let pooled =
        graph.node("GatherND", "text_model.pooled", &[&x, &last], &[("batch_dims", Attribute::Int(1))]);
    graph.linear("text_projection", &pooled, [width, clip.embedding], inverse_root(width), false);
    graph.output("text_embeds", &[Size::Named("batch"), Size::Fixed(clip.embedding)]);
    graph
}

/// Pre-norm transformer layers: `x + attention(norm(x))`, then `x + perceptron(norm(x))`.
fn encoder(graph: &mut Graph, scope: &str, mut x: String, tower: Tower, mask: Option<&str>) -> String {
    let Tower { width, layers, heads } = tower;
    // As CLIP initialises, so that activations stay at the scale of a trained model's.
    let into = inverse_root(width) * inverse_root(2 * layers);
    let split = graph.integers("heads_apart", &[4], &[0, 0, heads as i64, (width / heads) as i64]);
    let merge = graph.integers("heads_together", &[3], &[0, 0, width as i64]);
    let scale = graph.floats("attention_scale", &[], &[inverse_root(width / heads)]);
    let steepness = graph.floats("quick_gelu", &[], &[1.702]);
    for layer in 0..layers {
        let scope = format!("{scope}.layers.{layer}");
        let attention = format!("{scope}.self_attn");

        let norm = graph.layer_norm(&format!("{scope}.layer_norm1"), &x, width);
        let mut project = |part: &str, order: &[i64]| {
            let y = graph.linear(&format!("{attention}.{part}_proj"), &norm, [width, width], into, true);
            let y = match part {
                "q" => graph.node("Mul", &format!("{y}.scaled"), &[&y, &scale], &[]),
                _ => y,
            };
            let y = graph.node("Reshape", &format!("{y}.heads"), &[&y, &split], &[]);
            graph.node("Transpose", &format!("{y}.first"), &[&y], &[perm(order)])
        };
        let q = project("q", &[0, 2, 1, 3]);
        let k = project("k", &[0, 2, 3, 1]);
        let v = project("v", &[0, 2, 1, 3]);
        let mut logits = graph.node("MatMul", &format!("{attention}.logits"), &[&q, &k], &[]);
        if let Some(mask) = mask {
            logits = graph.node("Add", &format!("{attention}.masked"), &[&logits, mask], &[]);
        }
        let weights = graph.node("Softmax", &format!("{attention}.weights"), &[&logits], &[axis(-1)]);
        let y = graph.node("MatMul", &format!("{attention}.values"), &[&weights, &v], &[]);
        let y = graph.node("Transpose", &format!("{attention}.tokens"), &[&y], &[perm(&[0, 2, 1, 3])]);
        let y = graph.node("Reshape", &format!("{attention}.merged"), &[&y, &merge], &[]);
        let y = graph.linear(&format!("{attention}.out_proj"), &y, [width, width], inverse_root(width), true);
        x = graph.node("Add", &attention, &[&x, &y], &[]);

        let perceptron = format!("{scope}.mlp");
        let y = graph.layer_norm(&format!("{scope}.layer_norm2"), &x, width);
        let (wide, outward) = ([width, 4 * width], inverse_root(2 * width));
        let y = graph.linear(&format!("{perceptron}.fc1"), &y, wide, outward, true);
        let gate = graph.node("Mul", &format!("{perceptron}.steep"), &[&y, &steepness], &[]);
        let gate = graph.node("Sigmoid", &format!("{perceptron}.gate"), &[&gate], &[]);
        let y = graph.node("Mul", &format!("{perceptron}.quick_gelu"), &[&y, &gate], &[]);
        let y = graph.linear(&format!("{perceptron}.fc2"), &y, [4 * width, width], into, true);
        x = graph.node("Add", &scope, &[&x, &y], &[]);
    }
    x
}

fn inverse_root(x: usize) -> f32 {
    (x as f32).sqrt().recip()
}

fn axis(axis: i64) -> (&'static str, Attribute) {
    ("axis", Attribute::Int(axis))
}

fn perm(order: &[i64]) -> (&'static str, Attribute) {
    ("perm", Attribute::Ints(order.to_vec()))
}

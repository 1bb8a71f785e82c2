use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::*;
use crate::clip::dot;
use crate::engine::{EngineError, KINDS, Port, engine};

/// One run's inputs, by name.
type Run = Vec<(String, Vec<i64>)>;

/// Token `t` has the hidden state `[1, t, t²]`; pooled by itself, the last token has it.
struct Squares {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    runs: Arc<Mutex<Vec<Run>>>,
}

impl Session for Squares {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        let mut run = Vec::new();
        for (port, input) in self.inputs.iter().zip(inputs) {
            let Input::I64 { shape, data } = input else { panic!("{} is not i64", port.name) };
            assert_eq!(*shape, [1, data.len()]);
            run.push((port.name.clone(), data.to_vec()));
        }
        let (_, ids) = run.iter().find(|(name, _)| name == "input_ids").unwrap();
        let hidden = |id: &i64| [1.0, *id as f32, (id * id) as f32];
        outputs.resize_with(1, Tensor::default);
        outputs[0] = match self.outputs[0].shape.len() {
            3 => Tensor { shape: vec![1, ids.len(), 3], data: ids.iter().flat_map(hidden).collect() },
            _ => Tensor { shape: vec![1, 3], data: hidden(ids.last().unwrap()).to_vec() },
        };
        self.runs.lock().unwrap().push(run);
        Ok(())
    }
}

/// `length`: what the model insists on.
fn squares(inputs: &[&str], pooling: Pooling, length: Option<usize>) -> (Squares, Arc<Mutex<Vec<Run>>>) {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let input =
        |name: &&str| Port { name: name.to_string(), element: Element::I64, shape: vec![None, length] };
    let (name, shape) = match pooling {
        Pooling::Eot => ("text_embeds", vec![None, Some(3)]),
        Pooling::Mean => ("last_hidden_state", vec![None, None, Some(3)]),
    };
    let session = Squares {
        inputs: inputs.iter().map(input).collect(),
        outputs: vec![Port { name: name.into(), element: Element::F32, shape }],
        runs: Arc::clone(&runs),
    };
    (session, runs)
}

/// Words between spaces, in brackets of `[CLS]` 1 and `[SEP]` 2; pads to 9 tokens, which nobody should notice.
const TOKENIZER: &str = r#"{
    "version": "1.0", "truncation": null,
    "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "[UNK]",
              "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "person": 5, "waving": 6}}
}"#;

const ALL: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

fn tower(session: Squares, context: usize, pooling: Pooling) -> Result<TextTower, ClipError> {
    TextTower::new("squares".into(), Box::new(session), TOKENIZER.as_bytes(), context, pooling, 3)
}

fn phrases(phrases: &[&str]) -> Vec<String> {
    phrases.iter().map(|phrase| phrase.to_string()).collect()
}

fn assert_close(a: Option<&[f32]>, b: &[f32]) {
    let a = a.unwrap();
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
}

#[test]
fn tokens_are_averaged_without_the_padding() {
    // 1 4 5 6 2: of the fixed length 8, three are padding.
    let expected = [1.0, 18.0 / 5.0, (1.0 + 16.0 + 25.0 + 36.0 + 4.0) / 5.0];
    for length in [None, Some(8)] {
        let (session, runs) = squares(&ALL, Pooling::Mean, length);
        let mut tower = tower(session, 8, Pooling::Mean).unwrap();
        let rows = tower.embed(&phrases(&["A person WAVING", "a"])).unwrap();
        assert_eq!(rows.len(), 2);
        assert_close(rows.row(0), &expected);
        assert_close(rows.row(1), &[1.0, 7.0 / 3.0, 21.0 / 3.0]);
        let padded = |values: &[i64]| {
            let mut values = values.to_vec();
            values.resize(length.unwrap_or(values.len()), 0);
            values
        };
        let runs = runs.lock().unwrap();
        let first = ALL.map(str::to_owned).into_iter().zip([
            padded(&[1, 4, 5, 6, 2]),
            padded(&[1; 5]),
            padded(&[0; 5]),
        ]);
        assert_eq!(runs[0], first.collect::<Vec<_>>());
    }
}

#[test]
fn a_model_is_given_what_it_asks_for_in_its_order() {
    let (session, runs) = squares(&["attention_mask", "input_ids"], Pooling::Eot, None);
    let mut tower = tower(session, 77, Pooling::Eot).unwrap();
    let rows = tower.embed(&phrases(&["person"])).unwrap();
    assert_close(rows.row(0), &[1.0, 2.0, 4.0]);
    let expected = [("attention_mask".to_owned(), vec![1; 3]), ("input_ids".to_owned(), vec![1, 5, 2])];
    assert_eq!(runs.lock().unwrap()[0], expected);
}

#[test]
fn a_long_phrase_keeps_its_end_mark() {
    let (session, runs) = squares(&["input_ids"], Pooling::Eot, None);
    let mut tower = tower(session, 4, Pooling::Eot).unwrap();
    tower.embed(&phrases(&["a person waving a person"])).unwrap();
    assert_eq!(runs.lock().unwrap()[0][0].1, [1, 4, 5, 2]);
}

#[test]
fn other_models_are_refused_by_name() {
    let refused = |session: Squares, context: usize, pooling: Pooling, expected: &str| {
        assert_eq!(tower(session, context, pooling).err().unwrap().to_string(), expected);
    };
    let mean = || squares(&ALL, Pooling::Mean, Some(8)).0;
    refused(
        mean(),
        9,
        Pooling::Mean,
        "model squares: its longest input is 8 tokens, the manifest wants text.context = 9",
    );
    refused(
        mean(),
        8,
        Pooling::Eot,
        "model squares: output is last_hidden_state F32 [?, ?, 3], the manifest wants text_embeds [?, 3]",
    );
    refused(
        squares(&["attention_mask"], Pooling::Eot, None).0,
        8,
        Pooling::Eot,
        "model squares: input_ids is absent, the manifest wants it among the inputs",
    );
    refused(
        squares(&["input_ids", "pixel_values"], Pooling::Eot, None).0,
        8,
        Pooling::Eot,
        "model squares: an input is pixel_values, the manifest wants input_ids, attention_mask or token_type_ids",
    );
    let mut floats = mean();
    floats.inputs[0].element = Element::F32;
    refused(
        floats,
        8,
        Pooling::Mean,
        "model squares: input input_ids is F32 [?, 8], the manifest wants I64 [1, ?]",
    );
}

#[test]
fn a_tokenizer_of_garbage_is_an_error() {
    for garbage in [&b""[..], b"{}", b"\xff\xfe", &TOKENIZER.as_bytes()[..300]] {
        let (session, _) = squares(&ALL, Pooling::Mean, None);
        let result = TextTower::new("squares".into(), Box::new(session), garbage, 8, Pooling::Mean, 3);
        assert!(matches!(result, Err(ClipError::Tokenizer { .. })));
    }
    let (session, _) = squares(&ALL, Pooling::Mean, None);
    let error = tower(session, 2, Pooling::Mean).err().unwrap().to_string();
    assert!(error.contains("text.context = 2 leaves no room beside 2 marks"), "{error}");
}

/// What Python made of a text; see `fixtures/make.py`.
#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<i64>,
    #[serde(default)]
    embedding_e4: Vec<f32>,
}

fn golden(json: &str) -> Vec<Golden> {
    let cases: Vec<Golden> = serde_json::from_str(json).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn clip_tokenizer() -> Vec<u8> {
    let plain = models().join("clip/tokenizer.json");
    std::fs::read(&plain).unwrap_or_else(|_| {
        let packed = std::fs::File::open(plain.with_extension("json.zst")).unwrap();
        let mut bytes = Vec::new();
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed).unwrap();
        std::io::Read::read_to_end(&mut decoder, &mut bytes).unwrap();
        bytes
    })
}

#[test]
fn clip_tokens_are_those_of_transformers() {
    let (session, runs) = squares(&["input_ids"], Pooling::Eot, None);
    let tokenizer = clip_tokenizer();
    let mut tower =
        TextTower::new("clip".into(), Box::new(session), &tokenizer, 77, Pooling::Eot, 3).unwrap();
    let cases = golden(include_str!("../fixtures/clip_tokens.json"));
    let texts: Vec<_> = cases.iter().map(|case| case.text.clone()).collect();
    tower.embed(&texts).unwrap();
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), cases.len());
    for (case, run) in cases.iter().zip(&*runs) {
        assert_eq!(run[0].1, case.ids, "{:?}", case.text);
    }
    assert!(cases.iter().any(|case| case.ids.len() == 77), "one is too long");
}

#[test]
fn minilm_embeds_as_onnxruntime_does() {
    let pack = Pack::open(&models().join("nano")).unwrap();
    let cases = golden(include_str!("../fixtures/minilm.json"));
    let texts: Vec<_> = cases.iter().map(|case| case.text.clone()).collect();
    for &kind in KINDS {
        let engine = engine(kind);
        let mut tower = TextTower::open(&pack, &*engine, Options::of(1)).unwrap();
        let rows = tower.embed(&texts).unwrap();
        for (case, row) in cases.iter().zip(rows.rows()) {
            let ids = tower.tokenizer.encode(case.text.as_str(), true).unwrap();
            assert!(
                ids.get_ids().iter().map(|&id| i64::from(id)).eq(case.ids.iter().copied()),
                "{}",
                case.text
            );
            let norm = dot(&case.embedding_e4, &case.embedding_e4).sqrt();
            let cosine = dot(row, &case.embedding_e4) / norm;
            assert!(cosine >= 0.998, "{}, {}: {cosine}", engine.name(), case.text);
        }
        // Whichever phrases it is asked for together with, a phrase is embedded as it is alone.
        let alone = tower.embed(&texts[3..4]).unwrap();
        assert_eq!(alone.row(0), rows.row(3));
    }
}

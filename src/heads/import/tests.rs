use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::*;

/// A checkpoint of this pickle.
fn archive(pickle: &[u8]) -> Cursor<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("heads/data.pkl", stored).unwrap();
    zip.write_all(pickle).unwrap();
    zip.finish().unwrap()
}

fn setting() -> Setting {
    Setting { embedding: "here".into(), before: None, rate: 1.0, pads: AUTHORS_PADS, tau: 0.07 }
}

fn refused(pickle: &[u8]) -> String {
    import(archive(pickle), &setting()).unwrap_err().to_string()
}

#[test]
fn a_pickle_that_would_run_something_is_refused_by_name() {
    // What `__reduce__` returning (os.system, ("touch /tmp/x",)) becomes.
    let by_line = b"\x80\x02cposix\nsystem\nq\x00X\x05\x00\x00\x00touchq\x01\x85q\x02Rq\x03.";
    assert_eq!(refused(by_line), "refused: it wants to run posix.system; data does not");
    let by_stack = b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94\x8c\x011\x94\x85\x94R\x94.";
    assert!(refused(by_stack).contains("builtins.eval"), "{}", refused(by_stack));
    let instance = b"\x80\x02(i__main__\nX\n.";
    assert!(refused(instance).contains("instruction 0x69"), "{}", refused(instance));
    let not_called = b"\x80\x02X\x01\x00\x00\x00a)R.";
    assert!(refused(not_called).contains("calls what is no name"));
}

#[test]
fn what_is_no_checkpoint_is_said_to_be_none() {
    let error = import(Cursor::new(b"weights".to_vec()), &setting()).unwrap_err().to_string();
    assert!(error.starts_with("not a checkpoint of PyTorch"), "{error}");
    assert!(matches!(import(archive(b"\x80\x02}."), &setting()), Err(ImportError::NoUnits)));
    assert!(refused(b"\x80\x02}").contains("cut short"));
}

#[test]
fn names_find_their_places() {
    let unit = |round, kind, part: &str| Some(Place::Unit { round, kind, part: part.into() });
    let prompt = |name: &str| Some(Place::Prompt(name.into()));
    let structure = "model.module.roi_heads.action.ia_structure";
    for (name, place) in [
        (format!("{structure}.H_block_2.query.weight"), unit(2, Kind::Context, "query.weight")),
        (format!("{structure}.M_block_1.temporal_position_v"), unit(1, Kind::Memory, "position.value")),
        (format!("{structure}.X_block_1.query.weight"), None),
        (
            "prompts_generator.decoder.1.cross_attn.proj.bias".into(),
            prompt("prompt.layer.1.attention.out.bias"),
        ),
        ("prompts_generator.decoder.0.norm3.weight".into(), prompt("prompt.layer.0.norm2.weight")),
        ("prompts_generator.decoder.0.mlp.3.weight".into(), prompt("prompt.layer.0.mlp.down.weight")),
        ("prompts_generator.alpha".into(), prompt("prompt.alpha")),
        ("prompts_generator.norm.bias".into(), prompt("prompt.norm.bias")),
        ("clip.visual.norm.bias".into(), None),
    ] {
        assert_eq!(Place::of(&name), place, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = import(archive(&bytes), &setting());
    }

    #[test]
    fn any_instructions_are_an_error_and_no_panic(
        opcodes in proptest::collection::vec(
            proptest::sample::select(&b"(NK\x01]) }\x85\x86\x87taesuq\x00h\x00\x94Rb.\x95QX\x01\x00\x00\x00a"[..]), 0..60)
    ) {
        let _ = import(archive(&opcodes), &setting());
    }
}

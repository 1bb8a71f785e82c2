use proptest::prelude::*;

use super::*;

/// A reader that knows one name, `numpy.dtype`.
fn read(bytes: &[u8]) -> Result<Pickle<()>, String> {
    super::read(bytes, |module, name| ((module, name) == ("numpy", "dtype")).then_some(()))
}

fn refused(bytes: &[u8]) -> String {
    read(bytes).unwrap_err()
}

#[test]
fn a_pickle_that_would_run_something_is_refused_by_name() {
    // What `__reduce__` returning (os.system, ("touch /tmp/x",)) becomes, in protocols 0, 2 and 4.
    let by_line = b"cposix\nsystem\np0\n(Vtouch /tmp/x\np1\ntp2\nRp3\n.";
    assert_eq!(refused(by_line), "it wants to run posix.system; data does not");
    let binary = b"\x80\x02cposix\nsystem\nq\x00X\x05\x00\x00\x00touchq\x01\x85q\x02Rq\x03.";
    assert_eq!(refused(binary), "it wants to run posix.system; data does not");
    let by_stack = b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94\x8c\x011\x94\x85\x94R\x94.";
    assert_eq!(refused(by_stack), "it wants to run builtins.eval; data does not");
    // A known name does not lend its module.
    assert!(refused(b"cnumpy\nload\n.").contains("numpy.load"));
    // INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, PERSID, NEXT_BUFFER
    for opcode in [b'i', b'o', 0x81, 0x92, 0x82, b'P', 0x97] {
        let error = refused(&[b'N', b'(', b'N', opcode, b'a', b'\n', b'b', b'\n', b'.']);
        assert!(error.contains(&format!("instruction {opcode:#04x}")), "{error}");
    }
    assert!(refused(b"Va\n(tR.").contains("calls what is no name"));
}

#[test]
fn a_known_name_is_kept_as_a_call_with_its_state() {
    let pickle = read(b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\ntb.").unwrap();
    let Some(((), arguments, Some(state))) = pickle.call(pickle.root()) else { panic!("{pickle:?}") };
    assert_eq!(arguments[0].text().unwrap(), "f4");
    assert_eq!(pickle.sequence(state).unwrap()[1].text().unwrap(), "<");
}

#[test]
fn plain_values_of_every_protocol_are_read() {
    let dict =
        b"(dVcaf\\u00e9\\x\nF1.5\nsS'it\\'s\\x00'\nI-7\nsVt\nI01\nsVl\nL12L\nsVh\nL99999999999999999999L\ns.";
    let pickle = read(dict).unwrap();
    let entry = |key: &str| pickle.entry(pickle.root(), key).unwrap();
    assert!(matches!(entry("caf\u{e9}\\x"), Value::Float(1.5)));
    assert!(matches!(entry("it's\0"), Value::Int(-7)));
    assert!(matches!(entry("t"), Value::Bool(true)));
    assert!(matches!(entry("l"), Value::Int(12)));
    assert!(matches!(entry("h"), Value::Huge));
    let long = read(b"\x80\x02\x8a\x02\xf9\xff.").unwrap();
    assert!(matches!(long.root(), Value::Int(-7)), "sign of a short LONG1");
    let ordered = read(b"\x80\x02ccollections\nOrderedDict\n]]U\x01aaK\x05aa\x85R.").unwrap();
    assert!(matches!(ordered.entry(ordered.root(), "a"), Some(Value::Int(5))));
}

#[test]
fn depth_costs_no_stack_and_a_container_may_contain_itself() {
    let mut deep = b"\x80\x02)".to_vec();
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(read(&deep).is_ok());
    let own = read(b"\x80\x02]q\x00h\x00a.").unwrap();
    assert_eq!(own.sequence(own.root()).unwrap().len(), 1);
}

#[test]
fn more_instructions_than_any_data_are_refused() {
    let mut long = b"\x80\x02".to_vec();
    long.extend(std::iter::repeat_n(*b"N0", 4_000_001).flatten());
    long.extend(b"N.");
    assert!(refused(&long).contains("more than 8000000 instructions"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_instructions_are_read_or_refused(
        opcodes in proptest::collection::vec(
            proptest::sample::select(
                &b"(NK\x01]) }\x85\x86\x87tlaesduq\x00h\x00\x94Rb.\x95QX\x01\x00\x00\x00a012IFS'Vp\ng\ncnumpy\ndtype\n"[..]),
            0..60)
    ) {
        let _ = read(&opcodes);
    }
}

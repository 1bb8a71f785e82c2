//! A first look at an ONNX file, before a runtime parses it: is it whole?
//!
//! Says what is wrong in plain words, and keeps from the parsers what they do not survive: a length beyond 2⁶³ makes
//! rten 0.27 seek backwards for ever. Nodes and tensors are stepped over, so that a look costs next to nothing.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use super::ModelBytes;

/// No ONNX file is larger: Protocol Buffers end at 2 GiB.
const LARGEST_MODEL: u64 = 1 << 31;

/// Looks at a model; an error says why it cannot be one.
pub fn check(bytes: &ModelBytes) -> Result<(), String> {
    let size = bytes.size()?;
    look(&mut bytes.open()?, size)
}

fn look(model: &mut (impl Read + Seek), size: u64) -> Result<(), String> {
    match size {
        0 => return Err("is empty; fetch the pack again".into()),
        LARGEST_MODEL.. => return Err(format!("is {size} bytes; an ONNX model has less than 2 GiB")),
        _ => {}
    }
    match walk(model, size) {
        Ok(true) => Ok(()),
        Ok(false) => Err("has no graph: not an ONNX model".into()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err("is cut off or no ONNX model".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// ModelProto's graph: its field number as the key of a wire type with a length.
const GRAPH: u64 = 7 << 3 | 2;

/// Whether there is a graph.
fn walk(model: &mut (impl Read + Seek), size: u64) -> io::Result<bool> {
    let mut graph = None;
    fields(model, 0..size, |key, body| {
        if key == GRAPH {
            graph = Some(body);
        }
    })?;
    let Some(graph) = graph else {
        return Ok(false);
    };
    fields(model, graph, |_, _| {})?;
    Ok(true)
}

/// Visits the fields of the message at `message`: a field's key and where its value lies.
fn fields(
    model: &mut (impl Read + Seek),
    message: Range<u64>,
    mut visit: impl FnMut(u64, Range<u64>),
) -> io::Result<()> {
    let mut at = message.start;
    while at < message.end {
        model.seek(SeekFrom::Start(at))?;
        let key = varint(model)?;
        // Wire types: https://protobuf.dev/programming-guides/encoding/#structure
        let length = match key & 7 {
            0 => varint(model).map(|_| 0)?,
            1 => 8,
            2 => varint(model)?,
            5 => 4,
            _ => return Err(no_model()),
        };
        let start = model.stream_position()?;
        at = start.saturating_add(length);
        if at > message.end {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        visit(key, start..at);
    }
    Ok(())
}

fn varint(from: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        let [byte] = byte;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(no_model())
}

fn no_model() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "is no ONNX model")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    fn look(bytes: &[u8]) -> Result<(), String> {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    /// ir_version 8; a graph with a node of operator "Ab" and a tensor of one byte; a producer "x".
    const GOOD: [u8; 16] = [0x08, 8, 0x3A, 9, 0x0A, 4, 0x22, 2, b'A', b'b', 0x2A, 1, 0, 0x12, 1, b'x'];

    #[test]
    fn only_a_whole_message_with_a_graph_is_a_model() {
        look(&GOOD).unwrap();
        assert!(look(&[]).unwrap_err().contains("empty"));
        assert!(look(&GOOD[..2]).unwrap_err().contains("no graph"));
        for length in (1..GOOD.len()).filter(|length| ![2, 13].contains(length)) {
            assert!(look(&GOOD[..length]).unwrap_err().contains("cut off"), "{length}");
        }
        // A node that is longer than its graph, lengths beyond the file, beyond 2⁶³, and a number that never ends.
        assert!(look(&[0x3A, 3, 0x0A, 4, 0, 0, 0, 0]).unwrap_err().contains("cut off"));
        assert!(look(&[0x3A, 200, 1, 0]).unwrap_err().contains("cut off"));
        assert!(look(&[&[0x3A][..], &[0xFF; 9], &[1]].concat()).unwrap_err().contains("cut off"));
        assert!(look(&[0xFF; 32]).unwrap_err().contains("no ONNX model"));
        assert!(super::look(&mut Cursor::new(GOOD), 1 << 31).unwrap_err().contains("2 GiB"));
    }
}

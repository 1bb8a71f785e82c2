//! The stack machine that a pickle is written for, protocols 0 to 5, without whatever could act.

use std::collections::HashMap;
use std::rc::Rc;

use super::cursor::Cursor;
use super::text::{literal, unescaped};
use super::{Node, Pickle, Place, Value};

/// More instructions than any annotation or checkpoint has; it bounds the memory that a file can take.
const MOST_STEPS: usize = 8_000_000;

/// The values that `bytes` stand for. `names` knows the names, by module and name, that the file may call.
/// The error says what was refused.
pub fn read<N: Copy>(bytes: &[u8], names: impl Fn(&str, &str) -> Option<N>) -> Result<Pickle<N>, String> {
    let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { file: Cursor::new(bytes), names, nodes: Vec::new(), stack, marks, memo };
    for _ in 0..MOST_STEPS {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { nodes: machine.nodes, root });
        }
    }
    Err(format!("it has more than {MOST_STEPS} instructions"))
}

struct Machine<'a, N, F> {
    file: Cursor<'a>,
    names: F,
    nodes: Vec<Node<N>>,
    stack: Vec<Value<N>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<N>>,
}

impl<N: Copy, F: Fn(&str, &str) -> Option<N>> Machine<'_, N, F> {
    /// One instruction (names as in CPython's pickletools); a value at the end.
    fn step(&mut self) -> Result<Option<Value<N>>, String> {
        let [opcode] = self.file.take()?;
        match opcode {
            0x80 => drop(self.file.take::<1>()?),            // PROTO
            0x95 => drop(self.file.take::<8>()?),            // FRAME
            b'.' => return self.pop().map(Some),             // STOP
            b'(' => self.marks.push(self.stack.len()),       // MARK
            b'0' => drop(self.pop()?),                       // POP
            b'1' => drop(self.above_mark()?),                // POP_MARK
            b'2' => self.stack.push(self.top()?.clone()),    // DUP
            b'N' => self.stack.push(Value::None),            // NONE
            0x88 => self.stack.push(Value::Bool(true)),      // NEWTRUE
            0x89 => self.stack.push(Value::Bool(false)),     // NEWFALSE
            b'I' | b'L' | b'F' => self.number_line(opcode)?, // INT, LONG, FLOAT
            b'G' => {
                let value = f64::from_be_bytes(self.file.take()?); // BINFLOAT
                self.stack.push(Value::Float(value));
            }
            b'K' => self.int::<1>()?, // BININT1
            b'M' => self.int::<2>()?, // BININT2
            b'J' => {
                let value = i32::from_le_bytes(self.file.take()?); // BININT
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => self.long::<1>()?, // LONG1
            0x8b => self.long::<4>()?, // LONG4
            b'S' => {
                let line = self.file.line()?; // STRING
                let bytes = std::str::from_utf8(line).ok().and_then(literal).ok_or("a text out of order")?;
                self.stack.push(Value::Bytes(bytes.into()));
            }
            b'V' => {
                let text = unescaped(self.file.line()?).ok_or("a text out of order")?; // UNICODE
                self.stack.push(Value::Text(text.into()));
            }
            b'X' => self.text::<4>()?,                            // BINUNICODE
            0x8c => self.text::<1>()?,                            // SHORT_BINUNICODE
            0x8d => self.text::<8>()?,                            // BINUNICODE8
            b'T' => self.bytes::<4>()?,                           // BINSTRING
            b'U' => self.bytes::<1>()?,                           // SHORT_BINSTRING
            b'B' => self.bytes::<4>()?,                           // BINBYTES
            b'C' => self.bytes::<1>()?,                           // SHORT_BINBYTES
            0x8e => self.bytes::<8>()?,                           // BINBYTES8
            0x96 => self.bytes::<8>()?,                           // BYTEARRAY8
            b']' | b')' => self.push(Node::Sequence(Vec::new())), // EMPTY_LIST, EMPTY_TUPLE
            b'}' => self.push(Node::Dict(Vec::new())),            // EMPTY_DICT
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' | b'l' => {
                let items = self.above_mark()?; // TUPLE, LIST
                self.push(Node::Sequence(items));
            }
            b'd' => {
                let items = self.above_mark()?; // DICT
                self.push(Node::Dict(pairs(items)));
            }
            b'a' => {
                let item = self.pop()?; // APPEND
                self.append([item].into())?;
            }
            b'e' => {
                let items = self.above_mark()?; // APPENDS
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?); // SETITEM
                self.set([key, value].into())?;
            }
            b'u' => {
                let items = self.above_mark()?; // SETITEMS
                self.set(items)?;
            }
            b'p' => {
                let index = self.file.index_line()?; // PUT
                self.remember(index)?;
            }
            b'q' => self.memoise::<1>()?,            // BINPUT
            b'r' => self.memoise::<4>()?,            // LONG_BINPUT
            0x94 => self.remember(self.memo.len())?, // MEMOIZE
            b'g' => {
                let index = self.file.index_line()?; // GET
                self.recall(index)?;
            }
            b'h' => self.binary_recall::<1>()?, // BINGET
            b'j' => self.binary_recall::<4>()?, // LONG_BINGET
            b'c' => {
                let module = String::from_utf8_lossy(self.file.line()?).into_owned(); // GLOBAL
                let name = String::from_utf8_lossy(self.file.line()?).into_owned();
                self.name(&module, &name)?;
            }
            0x93 => {
                let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err("a name that is no text".into()); // STACK_GLOBAL
                };
                self.name(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?; // BINPERSID
                self.push(Node::Persistent(id));
            }
            b'R' => self.call()?,  // REDUCE
            b'b' => self.build()?, // BUILD
            other => return Err(format!("instruction {other:#04x} has no place in data")),
        }
        Ok(None)
    }

    fn int<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let number = self.file.length::<WIDTH>()?;
        self.stack.push(i64::try_from(number).map_or(Value::Huge, Value::Int));
        Ok(())
    }

    fn long<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let length = self.file.length::<WIDTH>()?;
        let digits = self.file.slice(length)?;
        let sign = if digits.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut value = [sign; 8];
        let fits = value.get_mut(..digits.len()).map(|value| value.copy_from_slice(digits)).is_some();
        self.stack.push(if fits { Value::Int(i64::from_le_bytes(value)) } else { Value::Huge });
        Ok(())
    }

    fn number_line(&mut self, opcode: u8) -> Result<(), String> {
        let line = std::str::from_utf8(self.file.line()?).map_err(|_| "a number out of order")?;
        let value = match (opcode, line) {
            (b'I', "00") => Value::Bool(false),
            (b'I', "01") => Value::Bool(true),
            (b'F', line) => Value::Float(line.parse().map_err(|_| "a number out of order")?),
            (_, line) => match line.trim_end_matches('L').parse::<i64>() {
                Ok(value) => Value::Int(value),
                Err(error) if is_overflow(&error) => Value::Huge,
                Err(_) => return Err("a number out of order".into()),
            },
        };
        self.stack.push(value);
        Ok(())
    }

    fn text<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let length = self.file.length::<WIDTH>()?;
        let text =
            std::str::from_utf8(self.file.slice(length)?).map_err(|_| "a text that is not UTF-8")?.into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn bytes<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let length = self.file.length::<WIDTH>()?;
        let bytes = Rc::from(self.file.slice(length)?);
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    fn push(&mut self, node: Node<N>) {
        self.stack.push(Value::Node(Place(self.nodes.len())));
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Value<N>, String> {
        // What lies below a mark is not ours to take before the mark is gone.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("it takes what is not there".into());
        }
        self.stack.pop().ok_or_else(|| "it takes what is not there".into())
    }

    fn top(&self) -> Result<&Value<N>, String> {
        self.stack.last().ok_or_else(|| "it takes what is not there".into())
    }

    fn top_node(&mut self) -> Option<&mut Node<N>> {
        match self.stack.last()? {
            Value::Node(place) => self.nodes.get_mut(place.0),
            _ => None,
        }
    }

    fn above_mark(&mut self) -> Result<Vec<Value<N>>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.insert(0, self.pop()?);
        }
        self.push(Node::Sequence(items));
        Ok(())
    }

    fn append(&mut self, mut items: Vec<Value<N>>) -> Result<(), String> {
        match self.top_node() {
            Some(Node::Sequence(list)) => list.append(&mut items),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value<N>>) -> Result<(), String> {
        match self.top_node() {
            Some(Node::Dict(entries)) => entries.append(&mut pairs(items)),
            _ => return Err("it sets items of what is no dictionary".into()),
        }
        Ok(())
    }

    fn memoise<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let index = self.file.length::<WIDTH>()?;
        self.remember(index)
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let value = self.stack.last().cloned().ok_or("it remembers what is not there")?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn binary_recall<const WIDTH: usize>(&mut self) -> Result<(), String> {
        let index = self.file.length::<WIDTH>()?;
        self.recall(index)
    }

    fn recall(&mut self, index: usize) -> Result<(), String> {
        let value = self.memo.get(&index).cloned().ok_or("it recalls what it never remembered")?;
        self.stack.push(value);
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), String> {
        let value = match (self.names)(module, name) {
            Some(name) => Value::Name(name),
            None if (module, name) == ("collections", "OrderedDict") => Value::Dictionary,
            None => return Err(format!("it wants to run {module}.{name}; data does not")),
        };
        self.stack.push(value);
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        match callee {
            Value::Name(name) => self.push(Node::Call { name, arguments, state: None }),
            Value::Dictionary => {
                // Python 2 passes the entries, as a list of pairs. The list was made for this call: what it holds
                // is moved, as copies could be asked for without end.
                let list = match self.items(&arguments).and_then(|arguments| arguments.first().cloned()) {
                    Some(list) => self.items(&list).map(std::mem::take).unwrap_or_default(),
                    None => Vec::new(),
                };
                let entries = list.iter().filter_map(|pair| match &self.items(pair)?[..] {
                    [key, value] => Some((key.clone(), value.clone())),
                    _ => None,
                });
                let entries = entries.collect();
                self.push(Node::Dict(entries));
            }
            _ => return Err("it calls what is no name".into()),
        }
        Ok(())
    }

    fn items(&mut self, value: &Value<N>) -> Option<&mut Vec<Value<N>>> {
        match value {
            Value::Node(place) => match self.nodes.get_mut(place.0)? {
                Node::Sequence(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The state of an object is kept with the call that made it. Attributes of anything else, such as a state
    /// dictionary's `_metadata`, are passed over.
    fn build(&mut self) -> Result<(), String> {
        let given = self.pop()?;
        if let Some(Node::Call { state, .. }) = self.top_node() {
            *state = Some(given);
        }
        Ok(())
    }
}

fn is_overflow(error: &std::num::ParseIntError) -> bool {
    matches!(error.kind(), std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow)
}

fn pairs<N>(items: Vec<Value<N>>) -> Vec<(Value<N>, Value<N>)> {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

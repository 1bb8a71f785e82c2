//! Python's pickle as `torch.save` writes it, and no more: a pickle is a program, and this runs none of it.
//!
//! What builds plain values is followed; the few names that stand for a tensor in a checkpoint are known; any other
//! name, and any other instruction, refuses the file. Nothing here touches a file or a tensor's data.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A value of a checkpoint. Containers are shared as in Python, so that a file cannot make us copy them.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number or anything else that is no use to us.
    Other,
    Int(i64),
    Text(Rc<str>),
    Sequence(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A name that is known.
    Global(Global),
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
}

/// The names that a checkpoint may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// Of a storage; those that we cannot use are only passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F32,
    F16,
    Unused,
}

/// A tensor's memory: an entry of the archive.
#[derive(Debug)]
pub struct Storage {
    pub element: Element,
    pub key: Rc<str>,
}

/// A tensor in its storage; offset and strides count elements.
#[derive(Debug)]
pub struct View {
    pub storage: Rc<Storage>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// More instructions than any checkpoint of heads has.
const MOST_STEPS: usize = 4_000_000;

/// The value that `bytes` end in. The error says what was refused.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine { bytes, place: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    for _ in 0..MOST_STEPS {
        if let Some(value) = machine.step()? {
            return Ok(value);
        }
    }
    Err("it is longer than any checkpoint".into())
}

struct Machine<'a> {
    bytes: &'a [u8],
    place: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
}

impl Machine<'_> {
    /// One instruction (names as in CPython's pickletools); a value at the end.
    fn step(&mut self) -> Result<Option<Value>, String> {
        let [opcode] = self.take()?;
        match opcode {
            0x80 => drop(self.take::<1>()?),                                  // PROTO
            0x95 => drop(self.take::<8>()?),                                  // FRAME
            b'.' => return self.pop().map(Some),                              // STOP
            b'(' => self.marks.push(self.stack.len()),                        // MARK
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),              // NONE, NEWTRUE, NEWFALSE
            b'G' => drop((self.take::<8>()?, self.stack.push(Value::Other))), // BINFLOAT
            b'K' => self.int::<1>()?,                                         // BININT1
            b'M' => self.int::<2>()?,                                         // BININT2
            b'J' => {
                let value = i32::from_le_bytes(self.take()?); // BININT
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => {
                let [length] = self.take()?; // LONG1
                let digits = self.slice(length.into())?;
                let mut value = [0; 8];
                let fits = value.get_mut(..digits.len()).map(|value| value.copy_from_slice(digits)).is_some();
                self.stack.push(if fits { Value::Int(i64::from_le_bytes(value)) } else { Value::Other });
            }
            b'X' => self.text::<4>()?,                               // BINUNICODE
            0x8c => self.text::<1>()?,                               // SHORT_BINUNICODE
            b']' => self.stack.push(Value::Sequence(Rc::default())), // EMPTY_LIST
            b')' => self.stack.push(Value::Sequence(Rc::default())), // EMPTY_TUPLE
            b'}' => self.stack.push(Value::Dict(Rc::default())),     // EMPTY_DICT
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.above_mark()?; // TUPLE
                self.stack.push(sequence(items));
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
            b'q' => self.memoise::<1>()?,            // BINPUT
            b'r' => self.memoise::<4>()?,            // LONG_BINPUT
            0x94 => self.remember(self.memo.len())?, // MEMOIZE
            b'h' => self.recall::<1>()?,             // BINGET
            b'j' => self.recall::<4>()?,             // LONG_BINGET
            b'c' => {
                let (module, name) = (self.line()?, self.line()?); // GLOBAL
                self.stack.push(Value::Global(global(&module, &name)?));
            }
            0x93 => {
                let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err("a name that is no text".into()); // STACK_GLOBAL
                };
                self.stack.push(Value::Global(global(&module, &name)?));
            }
            b'Q' => {
                let id = self.pop()?; // BINPERSID
                self.stack.push(storage(&id)?);
            }
            b'R' => {
                let (arguments, callee) = (self.pop()?, self.pop()?); // REDUCE
                self.stack.push(call(&callee, &arguments)?);
            }
            // BUILD: attributes such as a state dict's `_metadata`, of no use here.
            b'b' => drop(self.pop()?),
            other => return Err(format!("instruction {other:#04x} has no place in a checkpoint")),
        }
        Ok(None)
    }

    fn slice(&mut self, length: usize) -> Result<&[u8], String> {
        let end = self.place.checked_add(length).filter(|end| *end <= self.bytes.len());
        let (start, end) = (self.place, end.ok_or("it is cut short")?);
        self.place = end;
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.slice(N)?.try_into().map_err(|_| "it is cut short".into())
    }

    fn number<const N: usize>(&mut self) -> Result<usize, String> {
        Ok(self.take::<N>()?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn int<const N: usize>(&mut self) -> Result<(), String> {
        let number = self.number::<N>()?;
        self.stack.push(i64::try_from(number).map_or(Value::Other, Value::Int));
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<(), String> {
        let length = self.number::<N>()?;
        let text = std::str::from_utf8(self.slice(length)?).map_err(|_| "a text that is not UTF-8")?.into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.place..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or("it is cut short")?;
        let line = String::from_utf8_lossy(self.slice(length)?).into_owned();
        self.place += 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, String> {
        // What lies below a mark is not ours to take before the mark is gone.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("it takes what is not there".into());
        }
        self.stack.pop().ok_or_else(|| "it takes what is not there".into())
    }

    fn above_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.insert(0, self.pop()?);
        }
        self.stack.push(sequence(items));
        Ok(())
    }

    fn append(&mut self, mut items: Vec<Value>) -> Result<(), String> {
        match self.stack.last() {
            Some(Value::Sequence(list)) => list.borrow_mut().append(&mut items),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return Err("it sets items of what is no dictionary".into());
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.borrow_mut().push((key, value));
        }
        Ok(())
    }

    fn memoise<const N: usize>(&mut self) -> Result<(), String> {
        let index = self.number::<N>()?;
        self.remember(index)
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let value = self.stack.last().cloned().ok_or("it remembers what is not there")?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), String> {
        let index = self.number::<N>()?;
        let value = self.memo.get(&index).cloned().ok_or("it recalls what it never remembered")?;
        self.stack.push(value);
        Ok(())
    }
}

fn sequence(items: Vec<Value>) -> Value {
    Value::Sequence(Rc::new(RefCell::new(items)))
}

fn global(module: &str, name: &str) -> Result<Global, String> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "Size") => Global::Size,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "FloatStorage") => Global::Storage(Element::F32),
        ("torch", "HalfStorage") => Global::Storage(Element::F16),
        (
            "torch",
            "DoubleStorage" | "BFloat16Storage" | "LongStorage" | "IntStorage" | "ShortStorage"
            | "CharStorage" | "ByteStorage" | "BoolStorage",
        ) => Global::Storage(Element::Unused),
        _ => return Err(format!("it wants to run {module}.{name}; a checkpoint of tensors does not")),
    })
}

/// `("storage", type, key, device, length)`
fn storage(id: &Value) -> Result<Value, String> {
    let Value::Sequence(id) = id else { return Err("a storage that is not named".into()) };
    match &id.borrow()[..] {
        [Value::Text(kind), Value::Global(Global::Storage(element)), Value::Text(key), ..]
            if **kind == *"storage" =>
        {
            Ok(Value::Storage(Rc::new(Storage { element: *element, key: Rc::clone(key) })))
        }
        _ => Err("a storage of an unknown kind".into()),
    }
}

/// What a known name makes of its arguments.
fn call(callee: &Value, arguments: &Value) -> Result<Value, String> {
    let (Value::Global(callee), Value::Sequence(arguments)) = (callee, arguments) else {
        return Err("it calls what is no name".into());
    };
    let arguments = arguments.borrow();
    match (callee, &arguments[..]) {
        (Global::OrderedDict, _) => Ok(Value::Dict(Rc::default())),
        (Global::Size, [size]) => Ok(size.clone()),
        (Global::RebuildParameter, [tensor, ..]) => Ok(tensor.clone()),
        (Global::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
            let offset = usize::try_from(*offset).map_err(|_| "a tensor before its storage")?;
            let (shape, strides) = (sizes(shape)?, sizes(strides)?);
            if shape.len() != strides.len() {
                return Err("a tensor with another number of strides than of dimensions".into());
            }
            Ok(Value::Tensor(Rc::new(View { storage: Rc::clone(storage), offset, shape, strides })))
        }
        _ => Err(format!("{callee:?} is called with what it does not take")),
    }
}

fn sizes(value: &Value) -> Result<Vec<usize>, String> {
    let Value::Sequence(items) = value else { return Err("a tensor without a shape".into()) };
    let size = |item: &Value| match item {
        Value::Int(size) => usize::try_from(*size).map_err(|_| "a tensor with a negative size".to_owned()),
        _ => Err("a tensor whose shape is no number".into()),
    };
    items.borrow().iter().map(size).collect()
}

//! Python's pickles as data.
//!
//! A pickle is a program; this follows what builds plain values, and runs nothing. A call stays a call: which names a
//! file may call is the caller's to say, and what such a call stands for is the caller's to read. Every other name,
//! and every other instruction, refuses the file.
//!
//! Containers lie side by side in one list and refer to each other by their place, so a file cannot make us copy
//! them, nor nest them deeper than the stack of whoever drops them.

mod cursor;
mod machine;
mod text;

#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use machine::read;

/// A value; `N` are the names that the caller knows.
#[derive(Debug, Clone)]
pub enum Value<N> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Name(N),
    /// `collections.OrderedDict`, which when called is a dictionary like any other.
    Dictionary,
    Node(Place),
    /// An integer beyond 64 bits.
    Huge,
}

/// Where a container lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(usize);

/// What contains other values.
#[derive(Debug)]
pub enum Node<N> {
    /// A list or a tuple.
    Sequence(Vec<Value<N>>),
    /// As written: a later entry with the same key comes later.
    Dict(Vec<(Value<N>, Value<N>)>),
    /// A known name with its arguments, and the state that the object was given afterwards.
    Call { name: N, arguments: Value<N>, state: Option<Value<N>> },
    /// What only the program that wrote the file could look up.
    Persistent(Value<N>),
}

/// A call's name, its arguments, and the state that the object was given afterwards.
pub type Call<'a, N> = (&'a N, &'a [Value<N>], Option<&'a Value<N>>);

/// The values of a file.
#[derive(Debug)]
pub struct Pickle<N> {
    nodes: Vec<Node<N>>,
    root: Value<N>,
}

impl<N> Pickle<N> {
    /// The value that the file stands for.
    pub fn root(&self) -> &Value<N> {
        &self.root
    }

    /// The container that a value is, if it is one.
    pub fn node(&self, value: &Value<N>) -> Option<&Node<N>> {
        match value {
            Value::Node(place) => self.nodes.get(place.0),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub fn sequence(&self, value: &Value<N>) -> Option<&[Value<N>]> {
        match self.node(value)? {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The call that a value is, if it is one.
    pub fn call(&self, value: &Value<N>) -> Option<Call<'_, N>> {
        match self.node(value)? {
            Node::Call { name, arguments, state } => {
                Some((name, self.sequence(arguments).unwrap_or_default(), state.as_ref()))
            }
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub fn dict(&self, value: &Value<N>) -> Option<&[(Value<N>, Value<N>)]> {
        match self.node(value)? {
            Node::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// What a dictionary has under a textual key; the last, as in Python.
    pub fn entry(&self, value: &Value<N>, key: &str) -> Option<&Value<N>> {
        let entries = self.dict(value)?;
        entries.iter().rev().find(|(name, _)| name.text().as_deref() == Some(key)).map(|(_, value)| value)
    }
}

impl<N> Value<N> {
    /// A text; the byte strings of Python 2 are texts too.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Text(text) => Some((&**text).into()),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(Into::into),
            _ => None,
        }
    }
}

//! Values as CPython's `json` writes them, exceptions as traces show them, and a heap that compares as Python does.

use std::cmp::Ordering;

use heist_asyncio as asyncio;
use serde_json::Value;

/// A user's exception, by its name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UserError(pub(crate) String);

/// A name that does not exist.
#[derive(Clone, Debug, thiserror::Error)]
#[error("KeyError: {0}")]
pub(crate) struct KeyError(pub(crate) String);

/// Values that have no order.
#[derive(Clone, Debug, thiserror::Error)]
#[error("TypeError")]
pub(crate) struct TypeError;

/// A statement that makes no sense; it ends the program.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

/// `json.dumps(value)`.
pub(crate) fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (idx, item) in items.iter().enumerate() {
                if idx > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (idx, (key, item)) in map.iter().enumerate() {
                if idx > 0 {
                    out.push_str(", ");
                }
                write_string(out, key);
                out.push_str(": ");
                write_value(out, item);
            }
            out.push('}');
        }
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// An exception as traces show it.
pub(crate) fn show(error: &asyncio::Exception) -> String {
    if error.is_cancelled() {
        return match error.cancel_message() {
            None => "Cancelled".to_owned(),
            Some(message) => format!("Cancelled({message})"),
        };
    }
    if let Some(group) = error.downcast_ref::<asyncio::ExceptionGroup>() {
        let mut members: Vec<String> = group.exceptions().iter().map(show).collect();
        members.sort();
        return format!("Group[{}]", members.join(","));
    }
    if let Some(UserError(name)) = error.downcast_ref() {
        return name.clone();
    }
    let names: [(&str, bool); 10] = [
        ("Timeout", error.is::<asyncio::TimeoutError>()),
        ("InvalidState", error.is::<asyncio::InvalidStateError>()),
        ("QueueEmpty", error.is::<asyncio::QueueEmpty>()),
        ("QueueFull", error.is::<asyncio::QueueFull>()),
        ("QueueShutDown", error.is::<asyncio::QueueShutDown>()),
        ("BrokenBarrier", error.is::<asyncio::BrokenBarrierError>()),
        ("ValueError", error.is::<asyncio::ValueError>()),
        ("RuntimeError", error.is::<asyncio::RuntimeError>()),
        ("KeyError", error.is::<KeyError>()),
        ("TypeError", error.is::<TypeError>()),
    ];
    match names.iter().find(|(_, is)| *is) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("?{error}"),
    }
}

/// The kind of a shown exception: what handlers are chosen by.
pub(crate) fn kind(shown: &str) -> &str {
    shown.split(['(', '[']).next().unwrap_or(shown)
}

/// Python's `heapq`, with its comparisons and its failures.
#[derive(Default)]
pub(crate) struct PyHeap(Vec<Value>);

impl PyHeap {
    fn sift_down(&mut self, start: usize, mut pos: usize) -> Result<(), TypeError> {
        while pos > start {
            let parent = (pos - 1) / 2;
            if !less(&self.0[pos], &self.0[parent])? {
                break;
            }
            self.0.swap(pos, parent);
            pos = parent;
        }
        Ok(())
    }

    fn sift_up(&mut self, mut pos: usize) -> Result<(), TypeError> {
        let (start, end) = (pos, self.0.len());
        while pos < end / 2 {
            let mut child = 2 * pos + 1;
            if child + 1 < end && !less(&self.0[child], &self.0[child + 1])? {
                child += 1;
            }
            self.0.swap(child, pos);
            pos = child;
        }
        self.sift_down(start, pos)
    }
}

impl asyncio::QueueStore<Value> for PyHeap {
    fn put(&mut self, item: Value) -> asyncio::Result<()> {
        self.0.push(item);
        Ok(self.sift_down(0, self.0.len() - 1)?)
    }

    fn get(&mut self) -> asyncio::Result<Option<Value>> {
        let Some(last) = self.0.pop() else {
            return Ok(None);
        };
        if self.0.is_empty() {
            return Ok(Some(last));
        }
        let first = std::mem::replace(&mut self.0[0], last);
        self.sift_up(0)?;
        Ok(Some(first))
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// A number, booleans included.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn less(a: &Value, b: &Value) -> Result<bool, TypeError> {
    Ok(compare(a, b)? == Ordering::Less)
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, TypeError> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b).ok_or(TypeError);
    }
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b) {
                if !equal(a, b) {
                    return compare(a, b);
                }
            }
            Ok(a.len().cmp(&b.len()))
        }
        _ => Err(TypeError),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => a == b,
            _ => false,
        },
    }
}

//! The pickle of a `torch.save`: which tensor is where. Follows CPython's `pickletools.py` (what the codes do) and torch's
//! `_utils.py` (of what a tensor is made).
//!
//! Nothing is run: classes are names, and calls are noted, not made. All values lie in one list and name each other by their
//! places, so that neither depth nor sharing costs more than the pickle has bytes.

use std::collections::HashMap;
use std::result::Result;

/// A tensor of the pickled table.
#[derive(Debug, PartialEq)]
pub struct Tensor<'p> {
    /// Its key in the table.
    pub name: &'p str,
    /// The class of its storage, `FloatStorage`.
    pub storage: &'p str,
    /// The name of the storage's file.
    pub key: &'p str,
    /// Of its first value within the storage, in values.
    pub offset: usize,
    /// The outermost dimension first.
    pub shape: Vec<usize>,
    /// Values from one element of a dimension to the next.
    pub strides: Vec<usize>,
}

/// Entries of the table. Bounds are far above any published checkpoint: what the pickle has once may be asked for by
/// each entry.
const MAX_TENSORS: usize = 1 << 16;
/// Bytes of a name.
const MAX_NAME: usize = 512;
/// Dimensions of a tensor.
const MAX_SIDES: usize = 8;

/// Place of a value.
type Id = usize;

#[derive(Debug)]
enum Value<'p> {
    /// What no tensor is made of.
    Other,
    Int(i64),
    Text(&'p str),
    Class(&'p str, &'p str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Call(Id, Id),
    /// Something that lies outside of the pickle.
    Outside(Id),
}

/// The tensors of a pickled dictionary, in its order. Entries that are no tensors are passed over.
///
/// The error says what is wrong with the pickle. A tensor that is made in an unknown way is one.
pub fn tensors(pickle: &[u8]) -> Result<Vec<Tensor<'_>>, String> {
    let mut machine = Machine { rest: pickle, ..Machine::default() };
    let root = machine.run()?;
    let Value::Dict(entries) = &machine.values[root] else {
        return Err("the pickle is no table of tensors".into());
    };
    if entries.len() > MAX_TENSORS {
        return Err(format!("{} entries in it, expected at most {MAX_TENSORS}", entries.len()));
    }
    let mut tensors = Vec::new();
    for (name, value) in entries {
        if let Value::Text(name) = machine.values[*name]
            && let Some(args) = machine.rebuilt(*value)
        {
            let tensor = machine.tensor(name, args);
            tensors.push(tensor.ok_or_else(|| unknown(name))?);
        }
    }
    Ok(tensors)
}

/// The pickle machine: a stack of places in the list of values.
#[derive(Default)]
struct Machine<'p> {
    rest: &'p [u8],
    values: Vec<Value<'p>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'p> Machine<'p> {
    /// Up to the end: the value that is left.
    fn run(&mut self) -> Result<Id, String> {
        loop {
            match self.byte()? {
                b'.' => return self.pop(),
                code => self.step(code)?,
            }
        }
    }

    /// One code, as `pickletools.py` describes it. Unknown ones are an error.
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // PROTO, FRAME
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST, EMPTY_SET, BINFLOAT
            b'N' | 0x88 | 0x89 | b']' | 0x8f => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            // BININT, BININT1, BININT2, LONG1
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => {
                let length = self.byte()?;
                let value = long(self.take(length.into())?);
                self.push(value);
            }
            // SHORT_BINUNICODE, BINUNICODE
            0x8c => {
                let length = self.byte()?;
                self.text(length.into())?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let class = Value::Class(self.line()?, self.line()?);
                self.push(class);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name]) else {
                    return Err("a class whose name is no text".into());
                };
                let class = Value::Class(module, name);
                self.push(class);
            }
            // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' => {
                let place = self.byte()?;
                self.put(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.put(place)?;
            }
            0x94 => self.put(self.memo.len() as u32)?,
            b'h' => {
                let place = self.byte()?;
                self.get(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.get(place)?;
            }
            // MARK, TUPLE, EMPTY_TUPLE, TUPLE1 to TUPLE3
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let parts = self.pop_to_mark()?;
                self.push(Value::Tuple(parts));
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let mut parts = Vec::new();
                for _ in 0x84..code {
                    parts.push(self.pop()?);
                }
                parts.reverse();
                self.push(Value::Tuple(parts));
            }
            // APPEND, APPENDS, ADDITEMS: no tensor is made of lists and sets.
            b'a' => {
                self.pop()?;
            }
            b'e' | 0x90 => {
                self.pop_to_mark()?;
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let entries = self.pop_to_mark()?;
                self.set(&entries)?;
            }
            // BINPERSID, REDUCE, NEWOBJ, BUILD
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Outside(id));
            }
            b'R' | 0x81 => {
                let (args, callee) = (self.pop()?, self.pop()?);
                let value = match self.values[callee] {
                    Value::Class("collections", "OrderedDict" | "defaultdict") => Value::Dict(Vec::new()),
                    _ => Value::Call(callee, args),
                };
                self.push(value);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.pop()?);
                // An object is what its state is; a dictionary has its entries already.
                self.stack.push(if matches!(self.values[object], Value::Dict(_)) { object } else { state });
            }
            other => return Err(format!("code {other:#04x} of the pickle is not known")),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&'p [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| cut())
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let text = utf8(self.take(length)?)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<&'p str, String> {
        let length = memchr::memchr(b'\n', self.rest).ok_or_else(cut)?;
        let line = self.take(length)?;
        self.take(1)?;
        utf8(line)
    }

    fn push(&mut self, value: Value<'p>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// What lies below a mark is not to be had.
    fn pop(&mut self) -> Result<Id, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err("the pickle takes what is not there".into());
        }
        self.stack.pop().ok_or_else(cut)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("the pickle has no mark")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn put(&mut self, place: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or("the pickle keeps what is not there")?;
        self.memo.insert(place, *value);
        Ok(())
    }

    fn get(&mut self, place: u32) -> Result<(), String> {
        let value = self.memo.get(&place).ok_or("the pickle repeats what was not kept")?;
        self.stack.push(*value);
        Ok(())
    }

    /// Keys and values in turns. Entries of other objects do not matter.
    fn set(&mut self, entries: &[Id]) -> Result<(), String> {
        let top = self.stack.last().ok_or("the pickle fills what is not there")?;
        if let Some(Value::Dict(dict)) = self.values.get_mut(*top) {
            dict.extend(entries.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)));
        }
        Ok(())
    }

    /// What a tensor is made of, where the value is one.
    fn rebuilt(&self, mut value: Id) -> Option<&[Id]> {
        // A parameter has a tensor in it, and there are no more layers than these.
        for _ in 0..3 {
            let Value::Call(mut callee, mut args) = self.values[value] else { return None };
            if let Value::Class("torch._tensor", "_rebuild_from_type_v2") = self.values[callee] {
                (callee, args) = (*self.tuple(args)?.first()?, *self.tuple(args)?.get(2)?);
            }
            match self.values[callee] {
                Value::Class("torch._utils", "_rebuild_tensor_v2") => return self.tuple(args),
                Value::Class("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                    value = *self.tuple(args)?.first()?
                }
                _ => return None,
            }
        }
        None
    }

    /// From `(storage, offset, shape, strides, ...)`, where a storage is `("storage", class, key, ...)`.
    fn tensor(&self, name: &'p str, args: &[Id]) -> Option<Tensor<'p>> {
        let [storage, offset, shape, strides, ..] = args else { return None };
        let Value::Outside(storage) = self.values[*storage] else { return None };
        let [_, class, key, ..] = self.tuple(storage)? else { return None };
        let (Value::Class(_, storage), Value::Text(key)) = (&self.values[*class], &self.values[*key]) else {
            return None;
        };
        let numbers = |id| self.tuple(id)?.iter().map(|id| self.number(*id)).collect::<Option<Vec<usize>>>();
        let short = [name, storage, key].iter().all(|text| text.len() <= MAX_NAME);
        if !short || self.tuple(*shape)?.len() > MAX_SIDES || self.tuple(*strides)?.len() > MAX_SIDES {
            return None;
        }
        let (shape, strides) = (numbers(*shape)?, numbers(*strides)?);
        let offset = self.number(*offset)?;
        (shape.len() == strides.len()).then_some(Tensor { name, storage, key, offset, shape, strides })
    }

    fn tuple(&self, id: Id) -> Option<&[Id]> {
        match &self.values[id] {
            Value::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    fn number(&self, id: Id) -> Option<usize> {
        match self.values[id] {
            Value::Int(value) => value.try_into().ok(),
            _ => None,
        }
    }
}

/// In two's complement, however many bytes there are.
fn long(bytes: &[u8]) -> Value<'_> {
    let mut value = [if bytes.last().is_some_and(|b| b & 0x80 > 0) { 0xff } else { 0 }; 8];
    match value.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return Value::Other,
    }
    Value::Int(i64::from_le_bytes(value))
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| format!("a text of the pickle: {e}"))
}

fn unknown(name: &str) -> String {
    format!("tensor \"{}\" is pickled in a way that is not known", name.chars().take(MAX_NAME).collect::<String>())
}

fn cut() -> String {
    "the pickle is cut".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn class(module: &str, name: &str) -> Vec<u8> {
        format!("c{module}\n{name}\n").into_bytes()
    }

    /// Calls the class with what lies between the mark and here.
    fn call(name: &str, args: &[&[u8]]) -> Vec<u8> {
        [&class("torch._utils", name)[..], b"(", &args.concat(), b"tR"].concat()
    }

    /// Of six values from the second on, two rows of three.
    fn tensor(strides: &[u8]) -> Vec<u8> {
        let storage =
            [&b"("[..], &text("storage"), &class("torch", "FloatStorage"), &text("7"), &text("cpu"), b"K\x08tQ"]
                .concat();
        call("_rebuild_tensor_v2", &[&storage, b"K\x01", b"K\x02K\x03\x86", strides, b"\x89}"])
    }

    fn table(value: &[u8]) -> Vec<u8> {
        [&b"\x80\x02}"[..], &text("a"), value, b"s."].concat()
    }

    const ROWS: &[u8] = b"K\x03K\x01\x86";

    #[test]
    fn tensors_and_parameters() {
        let expected =
            Tensor { name: "a", storage: "FloatStorage", key: "7", offset: 1, shape: vec![2, 3], strides: vec![3, 1] };
        let plain = tensor(ROWS);
        let parameter = call("_rebuild_parameter", &[&plain, b"\x88}"]);
        let typed = [
            &class("torch._tensor", "_rebuild_from_type_v2")[..],
            b"(",
            &class("torch._utils", "_rebuild_tensor_v2"),
            b"N",
        ];
        let of_type =
            [&typed.concat()[..], &plain[class("torch._utils", "_rebuild_tensor_v2").len()..plain.len() - 1], b"NtR"]
                .concat();
        for value in [plain, parameter, of_type] {
            assert_eq!(tensors(&table(&value)).unwrap().as_slice(), std::slice::from_ref(&expected));
        }
        let others = [&b"K\x05"[..], b"]K\x01a", b"(tR", &call("_rebuild_other", &[])];
        assert!(tensors(&table(others[0])).unwrap().is_empty());
        assert!(tensors(&table(others[1])).unwrap().is_empty());
        assert!(tensors(&table(others[2])).is_err());
        assert!(tensors(&table(others[3])).unwrap().is_empty());
    }

    #[test]
    fn what_is_short_is_refused() {
        let whole = table(&tensor(ROWS));
        for cut in 0..whole.len() {
            assert!(tensors(&whole[..cut]).is_err(), "cut at {cut}");
        }
        // Fewer parts than a tensor, a storage, a parameter have; strides for other sides.
        let short = call("_rebuild_tensor_v2", &[b"K\x01"]);
        let storage = call("_rebuild_tensor_v2", &[&text("x"), b"\x85QK\x00)))"]);
        for value in [short, storage, tensor(b"K\x01\x85"), tensor(b"}"), tensor(b"K\x01J\xff\xff\xff\xff\x86")] {
            assert!(tensors(&table(&value)).is_err(), "{value:?}");
        }
        assert!(tensors(&table(&call("_rebuild_parameter", &[]))).unwrap().is_empty());
        assert!(tensors(b"K\x01.").is_err());
        assert!(tensors(b"X\xff\xff\xff\xffabc.").is_err());
        assert!(tensors(b"(t(\x85.").is_err(), "what lies below a mark");
    }

    /// Values in values, and pairs of the same pairs: a million deep, or 2^200 of them where each was a copy.
    #[test]
    fn depth_and_sharing_cost_nothing() {
        let deep = [&b"}"[..], &text("a"), b")", &b"\x85".repeat(1 << 20), b"s."].concat();
        assert!(tensors(&deep).unwrap().is_empty());
        let shared = [&b"}"[..], &text("a"), b")q\0", &b"h\0\x86q\0".repeat(200), b"s."].concat();
        assert!(tensors(&shared).unwrap().is_empty());
        // A dictionary in itself.
        let circle = [&b"}q\0"[..], &text("a"), b"h\0s."].concat();
        assert!(tensors(&circle).unwrap().is_empty());
    }

    #[test]
    fn what_is_asked_for_often_is_bounded() {
        let long = [&text(&"a".repeat(600))[..], &tensor(ROWS)].concat();
        assert!(tensors(&[&b"}"[..], &long, b"s."].concat()).is_err());
        let sides = [&b"("[..], &b"K\x01".repeat(9), b"t"].concat();
        assert!(tensors(&table(&tensor(&sides))).is_err());
        let entries = [&b"}("[..], &text("a"), b"q\0", &b"h\0".repeat(1 << 18), b"Nu."].concat();
        assert!(tensors(&entries).is_err());
    }

    #[test]
    fn numbers_of_any_length() {
        let value = |bytes: &[u8]| match long(bytes) {
            Value::Int(value) => Some(value),
            _ => None,
        };
        assert_eq!(value(b""), Some(0));
        assert_eq!(value(b"\xff"), Some(-1));
        assert_eq!(value(b"\xff\0"), Some(255));
        assert_eq!(value(&[0xff; 8]), Some(-1));
        assert_eq!(value(&[1; 255]), None);
    }
}

//! Writes JSON objects straight into one text: every call pays for its record, so its members go out one after the other, without
//! a document in between, and in steps of a fixed size, which in wasm are single stores where a copy of any other is a call.

use crate::time::Time;
use crate::visible::is_visible;
use std::io::Write as _;
use std::rc::Rc;

/// Members of a JSON object, under way. Names are plain: they have nothing to escape.
#[derive(Debug)]
pub(crate) struct Members(Vec<u8>);

impl Members {
    /// An object with room for `bytes`.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut text = Vec::with_capacity(bytes);
        text.push(b'{');
        Self(text)
    }

    /// The object so far, but for its closing brace, as bytes: that cannot fail.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// The object but for its closing brace.
    pub(crate) fn open(self) -> String {
        // Made of texts and ASCII: this cannot fail. Were it to, the record is a link without members, which shows.
        String::from_utf8(self.0).unwrap_or_else(|_| "{\"v\":1".to_owned())
    }

    /// The whole object.
    pub(crate) fn close(self) -> String {
        let mut text = self.open();
        text.push('}');
        text
    }

    /// A member.
    pub(crate) fn add(&mut self, name: &str, value: impl Value) {
        self.name(name);
        value.write(&mut self.0);
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.name(name);
        self.braces(members);
    }

    /// A member that is an object, or `null`.
    pub(crate) fn some_object<T>(&mut self, name: &str, of: Option<T>, members: impl FnOnce(&mut Self, T)) {
        match of {
            Some(of) => self.object(name, |object| members(object, of)),
            None => self.add(name, None::<u64>),
        }
    }

    /// A member that is a list of objects.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        all: impl IntoIterator<Item = T>,
        mut members: impl FnMut(&mut Self, T),
    ) {
        self.name(name);
        self.0.push(b'[');
        for one in all {
            comma(&mut self.0);
            self.braces(|object| members(object, one));
        }
        self.0.push(b']');
    }

    fn braces(&mut self, members: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        members(self);
        self.0.push(b'}');
    }

    #[inline(never)]
    fn name(&mut self, name: &str) {
        comma(&mut self.0);
        self.0.push(b'"');
        plain(name, &mut self.0);
        self.0.extend_from_slice(b"\":");
    }
}

/// What can stand in a member.
pub(crate) trait Value {
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Value + ?Sized> Value for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl<T: Value> Value for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: Value> Value for [T] {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for value in self {
            comma(out);
            value.write(out);
        }
        out.push(b']');
    }
}

impl Value for str {
    #[inline(never)]
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        if self.is_ascii() {
            escaped(self, out);
        } else {
            self.chars().for_each(|character| one_visible(character, out));
        }
        out.push(b'"');
    }
}

impl Value for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Value for Rc<str> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl Value for bool {
    fn write(&self, out: &mut Vec<u8>) {
        plain(if *self { "true" } else { "false" }, out);
    }
}

impl Value for u64 {
    #[inline(never)]
    fn write(&self, out: &mut Vec<u8>) {
        // As many digits as the largest has; the last is always written.
        let mut digits = [b'0'; 20];
        let (mut rest, mut first) = (*self, digits.len());
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            (rest, first) = (rest / 10, first.saturating_sub(1));
            if rest == 0 {
                break;
            }
        }
        for digit in digits.iter().skip(first) {
            out.push(*digit);
        }
    }
}

impl Value for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }
}

impl Value for u16 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }
}

impl Value for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }
}

impl Value for Time {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self.text() {
            Some(text) => out.extend_from_slice(&text),
            None => drop(write!(out, "{self}")),
        }
        out.push(b'"');
    }
}

/// A comma, unless what comes is the first of an object or a list. (Behind a string stands its quotation mark.)
fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// A text with nothing to escape.
fn plain(text: &str, out: &mut Vec<u8>) {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    for eight in eights {
        out.extend_from_slice(eight);
    }
    for byte in rest {
        out.push(*byte);
    }
}

/// The inside of a JSON string (RFC 8259, section 7).
fn escaped(text: &str, out: &mut Vec<u8>) {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    for eight in eights {
        if has_to_be_escaped(u64::from_le_bytes(*eight)) {
            eight.iter().for_each(|byte| one_escaped(*byte, out));
        } else {
            out.extend_from_slice(eight);
        }
    }
    rest.iter().for_each(|byte| one_escaped(*byte, out));
}

/// Whether one of eight ASCII bytes may not stand in a JSON string as it is.
fn has_to_be_escaped(eight: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |bytes: u64, least: u64| bytes.wrapping_sub(ONES * least) & !bytes;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    (below(eight, 0x20) | is(b'"') | is(b'\\')) & (ONES * 0x80) != 0
}

fn one_escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        0..0x20 => drop(write!(out, "\\u{byte:04x}")),
        _ => out.push(byte),
    }
}

/// One character of a text that is not all ASCII. What a person would not see in the line of a log, or would see at another place,
/// is escaped.
fn one_visible(character: char, out: &mut Vec<u8>) {
    if let Ok(byte @ 0..0x80) = u8::try_from(u32::from(character)) {
        return one_escaped(byte, out);
    }
    if is_visible(character) {
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    fn written(members: impl FnOnce(&mut Members)) -> String {
        let mut object = Members::with_room(0);
        members(&mut object);
        object.close()
    }

    #[test]
    fn members_stand_in_the_order_they_were_added() {
        let text = written(|object| {
            object.add("none", None::<&str>);
            object.add("flag", true);
            object.add("texts", ["a{", "b["].as_slice());
            object.add("no_texts", [""; 0].as_slice());
            object.object("inner", |object| object.add("n", 7_u16));
            object.some_object("some", Some(3_u64), |object, n| object.add("n", n));
            object.some_object("nobody", None::<u64>, |object, n| object.add("n", n));
            object.objects("list", [1_u32, 2], |object, n| object.add("n", n));
            object.objects("empty", [0_u32; 0], |object, n| object.add("n", n));
        });
        assert_eq!(
            text,
            r#"{"none":null,"flag":true,"texts":["a{","b["],"no_texts":[],"inner":{"n":7},"some":{"n":3},"nobody":null,"list":[{"n":1},{"n":2}],"empty":[]}"#
        );
        assert_eq!(written(|_| ()), "{}");
    }

    #[test]
    fn numbers_are_written_with_all_their_digits() {
        for number in [0, 1, 9, 10, 99, 100, 1_000_000, u64::MAX - 1, u64::MAX] {
            assert_eq!(written(|object| object.add("n", number)), format!("{{\"n\":{number}}}"));
        }
    }

    #[test]
    fn times_are_written_as_everywhere() {
        for time in [Time(0), Time(1_795_532_400_123), Time(u64::MAX)] {
            assert_eq!(written(|object| object.add("t", time)), format!("{{\"t\":\"{time}\"}}"));
        }
    }

    #[test]
    fn what_hides_or_turns_text_round_is_escaped() {
        let text = written(|object| object.add("t", "\u{202e}a\u{200b}é\u{85}\u{e0041}\"\n"));
        assert_eq!(text, r#"{"t":"\u202ea\u200bé\u0085\udb40\udc41\"\u000a"}"#);
    }

    proptest! {
        #[test]
        fn a_plain_parser_reads_every_text_back(text in "(?s).{0,40}", odd in "[\"\\\\\u{0}-\u{1f}\u{7f}-\u{ff}a]{0,20}") {
            for text in [text, odd] {
                let got = written(|object| object.add("t", text.as_str()));
                prop_assert_eq!(serde_json::from_str::<Json>(&got).unwrap(), json!({"t": text}));
            }
        }
    }
}

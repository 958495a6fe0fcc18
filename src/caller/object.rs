//! Header and claims of a token: one JSON object that everybody reads alike, read in one pass and kept within bounds.
//!
//! Reading them costs more than anything else that is ours in a token never seen before, and anybody can send them unsigned.

use super::refusal::Refusal;
use crate::json::{Name, REPEATED};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Most members of all objects in a header or a payload together. Real tokens have some dozens; thousands fit into
/// [`super::TOKEN_BYTES`], and each costs more than its bytes.
const MEMBERS: usize = 256;

/// Deepest nesting, the object itself included. Real tokens have four or five.
const DEPTH: usize = 16;

/// Reads an object: UTF-8, one JSON value, no two members of the same name in any object (escapes decoded first), nothing behind it
/// but white space. `malformed`: what to say of anything else.
///
/// # Errors
/// `malformed`, or the bound that does not hold.
pub(super) fn read(text: &[u8], malformed: Refusal) -> Result<Map<String, Value>, Refusal> {
    let text = std::str::from_utf8(text).map_err(|_| malformed)?;
    let bounds = Bounds { members: Cell::new(MEMBERS), broken: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { bounds: &bounds, depth: DEPTH }.deserialize(&mut reader);
    match value {
        Ok(Value::Object(members)) => reader.end().map(|()| members).map_err(|_| malformed),
        Ok(_) => Err(malformed),
        Err(_) => Err(bounds.broken.get().unwrap_or(malformed)),
    }
}

/// What is left of the bounds, and which of them was broken.
struct Bounds {
    members: Cell<usize>,
    broken: Cell<Option<Refusal>>,
}

impl Bounds {
    fn breaks<E: serde::de::Error>(&self, refusal: Refusal) -> E {
        self.broken.set(Some(refusal));
        E::custom("a bound is broken")
    }
}

/// Reads any value.
#[derive(Clone, Copy)]
struct Strict<'b> {
    bounds: &'b Bounds,
    /// How many levels may still be opened.
    depth: usize,
}

impl Strict<'_> {
    /// One level further down.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.bounds.breaks(Refusal::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inner, mut all) = (self.inner()?, Vec::new());
        while let Some(item) = items.next_element_seed(inner)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (inner, mut all) = (self.inner()?, Map::new());
        while let Some(name) = members.next_key_seed(Name)? {
            let left = self.bounds.members.get().checked_sub(1);
            self.bounds.members.set(left.ok_or_else(|| self.bounds.breaks(Refusal::TooManyMembers))?);
            let value = members.next_value_seed(inner)?;
            if all.insert(name.into_owned(), value).is_some() {
                return Err(A::Error::custom(REPEATED));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    const MALFORMED: Refusal = Refusal::PayloadMalformed;

    /// The same in two passes: the strict check that all rooms share, and serde_json's own document.
    fn naive(text: &[u8]) -> Option<Map<String, Value>> {
        match json::read(text) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        }
    }

    #[test]
    fn objects_within_bounds_are_read_as_the_shared_reader_reads_them() {
        for text in [
            r#"{}"#,
            r#" {"a":[1,-2,3.5,1e3,true,null,"x",{"b":{}}],"\u0062":"\ud83d\ude00\n"} "#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":[{"x":1,"x":1}]}"#,
            r#"{"a":1e999}"#,
            r#"{"a":18446744073709551615,"b":18446744073709551616,"c":-9223372036854775808}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"$serde_json::private::RawValue":"1"}"#,
            r#"{"a":1}x"#,
            r#"{"a":1,}"#,
            r#"[]"#,
            r#"["alg"]"#,
            r#""#,
        ] {
            let one = read(text.as_bytes(), MALFORMED).ok();
            // serde_json gives one name a meaning of its own, which no token has.
            if text.contains("RawValue") {
                assert_eq!(one.map(|members| members.len()), Some(1));
            } else {
                assert_eq!(one, naive(text.as_bytes()), "{text}");
            }
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}", MALFORMED), Err(MALFORMED));
    }

    #[test]
    fn the_members_of_all_objects_count_together() {
        let members = |count: usize| (0..count).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        let flat = |count: usize| read(format!("{{{}}}", members(count)).as_bytes(), MALFORMED).map(|all| all.len());
        assert_eq!(flat(MEMBERS), Ok(MEMBERS));
        assert_eq!(flat(MEMBERS + 1), Err(Refusal::TooManyMembers));
        let half = members(MEMBERS / 2);
        let spread = format!("{{\"a\":{{{half}}},\"b\":[{{{half}}}]}}");
        assert_eq!(read(spread.as_bytes(), MALFORMED), Err(Refusal::TooManyMembers));
    }

    #[test]
    fn nesting_counts_objects_and_arrays() {
        let nested = |depth: usize| {
            let inner = depth - 1;
            let (open, close) = (format!("{}{}", "[".repeat(inner / 2), "{\"b\":".repeat(inner - inner / 2)), "]");
            let text = format!("{{\"a\":{open}0{}{}}}", "}".repeat(inner - inner / 2), close.repeat(inner / 2));
            read(text.as_bytes(), MALFORMED).map(|_| ())
        };
        assert_eq!(nested(DEPTH), Ok(()));
        assert_eq!(nested(DEPTH + 1), Err(Refusal::TooDeep));
    }

    fn json_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:e}")),
            "[a-c\"\\\\u0061{}]{0,8}".prop_map(|text| format!("\"{text}\"")),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(("[ab]|\\\\u0061", inner), 0..4).prop_map(|members| {
                    let members = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn one_pass_reads_what_two_passes_read(text in json_text()) {
            prop_assert_eq!(read(text.as_bytes(), MALFORMED).ok(), naive(text.as_bytes()));
        }

        #[test]
        fn arbitrary_bytes_are_judged_as_the_shared_reader_judges_them(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(read(&text, MALFORMED).ok(), naive(&text));
        }
    }
}

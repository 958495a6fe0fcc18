//! Header and claims of a token: one JSON object that everybody reads alike, read in one pass and kept within bounds.
//!
//! Reading them costs more than anything else that is ours in a token never seen before, and anybody can send them unsigned. So
//! before its signature is proved a payload is only glanced at: the bounds, and the few claims that lead to the key.

use super::refusal::Refusal;
use crate::json::{Name, REPEATED};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
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
    whole(text, malformed, |bounds, reader| match (Strict { bounds, depth: DEPTH }).deserialize(reader)? {
        Value::Object(members) => Ok(members),
        _ => Err(serde_json::Error::custom("no object")),
    })
}

/// The members of these `names` alone, of an object that is not believed yet: nothing else of it is kept, so this costs about as
/// much as looking at each byte once. Objects and arrays under these names come out empty. Whether other names are repeated is for
/// [`read`] to judge, once the object is believed.
///
/// # Errors
/// As [`read`], as far as it looks.
pub(super) fn glance(text: &[u8], names: &[&str], malformed: Refusal) -> Result<Map<String, Value>, Refusal> {
    whole(text, malformed, |bounds, reader| reader.deserialize_map(Glance { bounds, names }))
}

fn whole<'t>(
    text: &'t [u8],
    malformed: Refusal,
    read: impl FnOnce(
        &Bounds,
        &mut serde_json::Deserializer<serde_json::de::StrRead<'t>>,
    ) -> serde_json::Result<Map<String, Value>>,
) -> Result<Map<String, Value>, Refusal> {
    let text = std::str::from_utf8(text).map_err(|_| malformed)?;
    let bounds = Bounds { members: Cell::new(MEMBERS), broken: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = read(&bounds, &mut reader).map_err(|_| bounds.broken.get().unwrap_or(malformed))?;
    reader.end().map(|()| members).map_err(|_| malformed)
}

/// What is left of the bounds, and which of them was broken.
struct Bounds {
    members: Cell<usize>,
    broken: Cell<Option<Refusal>>,
}

impl Bounds {
    /// One member more.
    fn member<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.members.get().checked_sub(1);
        self.members.set(left.ok_or_else(|| self.breaks(Refusal::TooManyMembers))?);
        Ok(())
    }

    /// One level further down.
    fn inner<E: serde::de::Error>(&self, depth: usize) -> Result<usize, E> {
        depth.checked_sub(1).ok_or_else(|| self.breaks(Refusal::TooDeep))
    }

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
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        Ok(Self { depth: self.bounds.inner(self.depth)?, ..self })
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
            self.bounds.member()?;
            let value = members.next_value_seed(inner)?;
            if all.insert(name.into_owned(), value).is_some() {
                return Err(A::Error::custom(REPEATED));
            }
        }
        Ok(Value::Object(all))
    }
}

/// Reads an object, and keeps the members of some names.
struct Glance<'b> {
    bounds: &'b Bounds,
    names: &'b [&'b str],
}

impl<'de> Visitor<'de> for Glance<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (passed, mut kept) = (Passed { bounds: self.bounds, depth: self.bounds.inner(DEPTH)? }, Map::new());
        while let Some(name) = members.next_key_seed(Name)? {
            self.bounds.member()?;
            let value = members.next_value_seed(passed)?;
            if self.names.contains(&&*name) && kept.insert(name.into_owned(), value.into()).is_some() {
                return Err(A::Error::custom(REPEATED));
            }
        }
        Ok(kept)
    }
}

/// Passes any value within the bounds, and keeps nothing of what is in objects and arrays.
#[derive(Clone, Copy)]
struct Passed<'b> {
    bounds: &'b Bounds,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Passed<'_> {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Scalar<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Passed<'_> {
    type Value = Scalar<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        Number::from_f64(value)
            .map(|number| Scalar::Other(Value::Number(number)))
            .ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        let inner = Self { depth: self.bounds.inner(self.depth)?, ..self };
        while items.next_element_seed(inner)?.is_some() {}
        Ok(Scalar::Other(Value::Array(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scalar<'de>, A::Error> {
        let inner = Self { depth: self.bounds.inner(self.depth)?, ..self };
        while members.next_key_seed(Name)?.is_some() {
            self.bounds.member()?;
            members.next_value_seed(inner)?;
        }
        Ok(Scalar::Other(Value::Object(Map::new())))
    }
}

/// A value without what is in it; text is borrowed where it can be.
enum Scalar<'de> {
    Text(Cow<'de, str>),
    Other(Value),
}

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Text(text) => Self::String(text.into_owned()),
            Scalar::Other(value) => value,
        }
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

    /// What [`glance`] may keep of what [`read`] reads.
    fn naive_glance(members: Map<String, Value>) -> Map<String, Value> {
        let empty = |value| match value {
            Value::Array(_) => Value::Array(Vec::new()),
            Value::Object(_) => Value::Object(Map::new()),
            other => other,
        };
        members.into_iter().filter(|(name, _)| name == "a").map(|(name, value)| (name, empty(value))).collect()
    }

    #[test]
    fn a_glance_has_the_same_bounds_and_refuses_what_it_looks_for_twice() {
        let glance = |text: &str| glance(text.as_bytes(), &["a"], MALFORMED);
        let members = |count: usize| (0..count).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        assert!(glance(&format!("{{{}}}", members(MEMBERS))).unwrap().is_empty());
        assert_eq!(glance(&format!("{{{}}}", members(MEMBERS + 1))), Err(Refusal::TooManyMembers));
        assert_eq!(glance(&format!("{{\"b\":[{{{}}}]}}", members(MEMBERS))), Err(Refusal::TooManyMembers));
        let nested = |depth: usize| format!("{{\"b\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(glance(&nested(DEPTH)).is_ok());
        assert_eq!(glance(&nested(DEPTH + 1)), Err(Refusal::TooDeep));
        for text in [r#"{"a":1,"\u0061":2}"#, r#"{"a":1}x"#, r#"["a"]"#, r#"{"b":"\ud800"}"#, "{\"b\":01}", ""] {
            assert_eq!(glance(text), Err(MALFORMED), "{text}");
        }
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

        /// Before the signature no object is refused that is accepted after it, and none is read in another way.
        #[test]
        fn a_glance_sees_what_a_reading_sees(text in json_text()) {
            if let Ok(members) = read(text.as_bytes(), MALFORMED) {
                prop_assert_eq!(glance(text.as_bytes(), &["a"], MALFORMED), Ok(naive_glance(members)));
            }
        }

        #[test]
        fn arbitrary_bytes_are_judged_as_the_shared_reader_judges_them(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(read(&text, MALFORMED).ok(), naive(&text));
        }
    }
}

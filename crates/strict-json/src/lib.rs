//! Strict JSON: what two parsers could read differently is refused.
//!
//! RFC 8259 leaves open what a repeated member name means (section 4), and parsers differ: an upstream might read another
//! `model` than the one that was decided on. So nobody reads JSON from outside without [`check`] or a visitor of their own that
//! refuses repeated names. [`wording`] says what is wrong with a document, to those who wrote it.
//!
//! ```
//! use rerank_guard_strict_json::{check, read};
//!
//! assert!(check(br#"{"model": "small", "top_n": 3}"#).is_ok());
//! assert!(check(br#"{"model": "small", "\u006dodel": "large"}"#).is_err(), "one model for some, another for others");
//! let wrong = read::<u32>(br#""three""#).unwrap_err().to_string();
//! assert!(wrong.starts_with("found a text, expected a whole number from 0 to 4294967295"), "{wrong}");
//! ```

pub mod wording;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Why a text is not JSON that everybody reads alike. One line, never quotes a value; names members and positions only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(wording::malformed(&error))
    }
}

/// Reads `text` into a `T`, after [`check`].
///
/// # Errors
/// What [`check`] refuses, and what does not fit `T`.
pub fn read<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, Malformed> {
    check(text)?;
    serde_json::from_slice(text).map_err(|error| Malformed(wording::misfit(&error)))
}

/// Accepts `text` if it is UTF-8 and one JSON value in which no object has two members of the same name (escapes decoded
/// first, so `"\u0061"` and `"a"` are the same), nested at most 128 deep, with nothing behind it but white space.
///
/// # Errors
/// Anything else, a byte order mark and lone surrogates in names or strings included.
pub fn check(text: &[u8]) -> Result<(), Malformed> {
    let text =
        std::str::from_utf8(text).map_err(|error| Malformed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Unambiguous.deserialize(&mut reader)?;
    Ok(reader.end()?)
}

/// Accepts any value without keeping it, and refuses repeated member names in it, however deep.
#[derive(Debug, Clone, Copy)]
pub struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            seen.add(name)?;
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// Reads a member name, borrowed where it has no escape.
#[derive(Debug, Clone, Copy)]
pub struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// What [`Names::add`] says.
pub const REPEATED: &str = "an object has two members of the same name";

/// The member names of one object, as they come. Few are compared in turn, which is cheaper than hashing; many are hashed, so
/// that an object of a million members costs no more than linear time.
#[derive(Debug, Default)]
pub struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    const FEW: usize = 16;

    /// Remembers `name`.
    ///
    /// # Errors
    /// `name` was there before. Names can be personal data in documents, so the message does not repeat it.
    pub fn add<E: serde::de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        let repeated = if self.few.len() < Self::FEW {
            let repeated = self.few.contains(&name);
            self.few.push(name);
            repeated
        } else {
            if self.many.is_empty() {
                self.many.extend(self.few.iter().cloned());
            }
            !self.many.insert(name)
        };
        if repeated { Err(E::custom(REPEATED)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repeated_names_are_refused_at_any_depth_and_behind_escapes() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":[{"x":1,"x":1}]}}]"#, r#"{"":0,"":0}"#]
        {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        let wide: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
        assert!(check(format!("{{{wide}\"z\":0}}").as_bytes()).is_ok());
        for repeated in [0, 15, 16, 39] {
            assert!(check(format!("{{{wide}\"k{repeated}\":0}}").as_bytes()).is_err(), "k{repeated}");
        }
    }

    #[test]
    fn what_is_not_one_whole_json_value_is_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "{", "{} {}", "{},", "[1,]", "\u{feff}{}", r#""\ud800""#, "nul", "01", "1e999", &deep] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        assert!(check(b"\"\xa1\"").is_err());
        assert!(check(b" {\"a\":[1,2.5,null,true,\"x\"]} ").is_ok());
    }

    #[test]
    fn messages_repeat_no_names() {
        let said = check(br#"{"ann@example.org":1,"ann@example.org":2}"#).unwrap_err().to_string();
        assert!(!said.contains("ann"), "{said}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let strict = check(&text);
            if strict.is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}

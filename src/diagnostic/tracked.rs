//! Reads a value out of JSON and, when it does not fit, says exactly where: serde_json knows lines of the text, not places in
//! the document. Stricter than serde_json, too: `null` is nowhere taken for an absent member.

use super::flaw::{Flaw, Part, Place, Step};
use crate::wording;
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use std::fmt;

/// Whose document it is: the words that its authors are used to, and what they may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// A policy bundle. `null` is nowhere taken for an absent member; texts are quoted, for none is a secret.
    Bundle,
    /// The plugin configuration. `null` is an absent member; no text is quoted, for somebody may have written a secret where its name
    /// belongs.
    Configuration,
}

/// Reads `value` as a `T`.
///
/// # Errors
/// The first thing that does not fit.
pub(crate) fn read<T: DeserializeOwned>(value: &Value, words: Words) -> Result<T, Flaw> {
    try_read(value, words).map_err(|misfit| misfit.flaw(misfit.place.clone(), words))
}

/// The same, with what there is to know of a misfit.
pub(super) fn try_read<T: DeserializeOwned>(value: &Value, words: Words) -> Result<T, Misfit> {
    T::deserialize(Tracked(value, words))
}

/// Why a value is no `T`.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The place, counted from the value read. Where a member is missing it is that of what lacks it.
    pub(super) place: Place,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// Something else than what is expected; where it is a text, the text.
    Other {
        text: Option<String>,
        found: String,
        expected: String,
    },
    /// So many items instead of what is expected.
    Length(usize, String),
    Missing(&'static str),
    UnknownName(String, &'static [&'static str]),
    UnknownValue(String, &'static [&'static str]),
    /// A choice of forms, in none of them.
    Form,
    Told(String),
}

impl Misfit {
    fn under(mut self, step: Step) -> Self {
        self.place = self.place.under(step);
        self
    }

    fn new(why: Why) -> Self {
        Self { place: Place::root(), why }
    }

    fn told(what: &str) -> Self {
        Self::new(Why::Told(what.to_owned()))
    }

    /// Whether something is not there, so that there is nothing at its place.
    pub(super) const fn is_of_absence(&self) -> bool {
        matches!(self.why, Why::Missing(_) | Why::Form)
    }

    /// Whether a member is there that nothing asks for.
    pub(super) const fn is_unknown_name(&self) -> bool {
        matches!(self.why, Why::UnknownName(..))
    }

    /// The flaw, at `place`.
    pub(super) fn flaw(&self, place: Place, words: Words) -> Flaw {
        let is_bundle = words == Words::Bundle;
        let known = |of: &str, name: &str, choice: &[&str]| {
            let (what, hint) = (format!("unknown {of} `{}`", wording::shorten(name)), wording::known(name, choice));
            if is_bundle {
                Flaw::new(place.clone(), what).hint(hint)
            } else {
                Flaw::new(place.clone(), format!("{what}: {hint}"))
            }
        };
        match &self.why {
            Why::Other { text: Some(text), expected, .. } if is_bundle => {
                Flaw::new(place, format!("found the text `{}`, expected {expected}", wording::shorten(text)))
            }
            Why::Other { found, expected, .. } => Flaw::new(place, format!("found {found}, expected {expected}")),
            Why::Length(length, expected) => Flaw::new(place, format!("found {length} items, expected {expected}")),
            Why::Missing(name) if is_bundle => Flaw::new(place, format!("`{name}` is missing")),
            Why::Missing(name) => Flaw::new(place, format!("missing field `{name}`")),
            Why::UnknownName(name, choice) => {
                let of = if is_bundle { "name" } else { "field" };
                Flaw { part: Part::Name, ..known(of, name, choice) }
            }
            Why::UnknownValue(name, choice) => {
                // Where it is the name of the one member of an object, it is that name.
                let is_name = matches!(place.steps().last(), Some(Step::Name(last)) if last == name);
                let part = if is_name { Part::Name } else { Part::Value };
                Flaw { part, ..known("value", name, choice) }
            }
            Why::Form => Flaw::new(place, "found another form, expected one name with its value"),
            Why::Told(what) => Flaw::new(place, what),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flaw(self.place.clone(), Words::Configuration).fmt(out)
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Why::Told(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let text = if let Unexpected::Str(text) = found { Some(text.to_owned()) } else { None };
        let expected = wording::expected(&expected.to_string());
        Self::new(Why::Other { text, found: wording::found(&found), expected })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Why::Length(length, wording::expected(&expected.to_string())))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Why::Missing(name))
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Why::UnknownName(name.to_owned(), expected))
    }

    fn unknown_variant(name: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Why::UnknownValue(name.to_owned(), expected))
    }
}

#[derive(Clone, Copy)]
struct Tracked<'v>(&'v Value, Words);

impl<'de> Deserializer<'de> for Tracked<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, Some(number)) => visitor.visit_f64(number),
                _ => Err(Misfit::told("a number that is too large")),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { left: items, at: 0, words: self.1 }),
            Value::Object(members) => visitor.visit_map(Members { left: members.iter(), current: None, words: self.1 }),
        }
    }

    /// A member of a bundle that is there has a value: nothing written behind its name is an oversight, not a wish.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Self(Value::Null, Words::Configuration) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// serde would take a list for a struct, too: its members by their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => Err(Misfit::invalid_type(unexpected(other), &"names with values")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, value: None, words: self.1 }),
            other if self.1 == Words::Bundle => Err(Misfit::invalid_type(unexpected(other), &"a text")),
            Value::Object(members) => match members.iter().next() {
                Some((name, value)) if members.len() == 1 => {
                    visitor.visit_enum(Variant { name, value: Some(value), words: self.1 })
                }
                _ => Err(Misfit::new(Why::Form)),
            },
            _ => Err(Misfit::new(Why::Form)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(yes) => Unexpected::Bool(*yes),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Unexpected::Unsigned(number),
            (_, Some(number), _) => Unexpected::Signed(number),
            (_, _, number) => Unexpected::Float(number.unwrap_or_default()),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items<'v> {
    left: &'v [Value],
    at: usize,
    words: Words,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((first, left)) = self.left.split_first() else { return Ok(None) };
        let at = self.at;
        (self.left, self.at) = (left, at.saturating_add(1));
        seed.deserialize(Tracked(first, self.words)).map(Some).map_err(|misfit| misfit.under(Step::Item(at)))
    }
}

struct Members<'v> {
    left: serde_json::map::Iter<'v>,
    current: Option<(&'v String, &'v Value)>,
    words: Words,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.current = self.left.next();
        let Some((name, _)) = self.current else { return Ok(None) };
        let reader: StrDeserializer<'_, Misfit> = name.as_str().into_deserializer();
        seed.deserialize(reader).map(Some).map_err(|misfit| misfit.under(Step::Name(name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((name, value)) = self.current else { return Err(Misfit::told("a member without a name")) };
        seed.deserialize(Tracked(value, self.words)).map_err(|misfit| misfit.under(Step::Name(name.clone())))
    }
}

/// An enum's variant: a name, and what is written behind it if anything.
struct Variant<'v> {
    name: &'v str,
    value: Option<&'v Value>,
    words: Words,
}

impl Variant<'_> {
    /// What is wrong inside of an object stands under its name.
    fn under(&self, misfit: Misfit) -> Misfit {
        if self.value.is_some() { misfit.under(Step::Name(self.name.to_owned())) } else { misfit }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let reader: StringDeserializer<Misfit> = self.name.to_owned().into_deserializer();
        let variant = seed.deserialize(reader).map_err(|misfit| self.under(misfit))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        if self.value.is_none() { Ok(()) } else { Err(Misfit::new(Why::Form)) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        match self.value {
            Some(value) => seed.deserialize(Tracked(value, self.words)).map_err(|misfit| self.under(misfit)),
            None if self.words == Words::Bundle => Err(Misfit::told("a name alone, expected one with a value")),
            None => Err(Misfit::new(Why::Form)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::told("a name alone, expected one with values"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::told("a name alone, expected one with members"))
    }
}

//! Reads a value out of JSON and, when it does not fit, says exactly where: serde_json knows lines of the text, not places in
//! the document. Stricter than serde_json, too: `null` is nowhere taken for an absent member.

use super::flaw::{Flaw, Part, Place, Step};
use crate::wording;
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use std::fmt;

/// Reads `value` as a `T`.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    T::deserialize(Tracked(value))
}

/// Why a value is no `T`.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The flaw, its place counted from the value read.
    pub(super) flaw: Flaw,
    /// Whether a member is missing, so that there is nothing at the place.
    pub(super) missing: bool,
}

impl Misfit {
    fn under(mut self, step: Step) -> Self {
        self.flaw.place = self.flaw.place.under(step);
        self
    }

    fn new(what: impl Into<String>) -> Self {
        Self { flaw: Flaw::new(Place::root(), what), missing: false }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flaw.fmt(out)
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => format!("the text `{}`", wording::shorten(text)),
            other => wording::found(&other),
        };
        Self::new(format!("found {found}, expected {}", wording::expected(&expected.to_string())))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("found {length} items, expected {}", wording::expected(&expected.to_string())))
    }

    fn missing_field(name: &'static str) -> Self {
        let mut misfit = Self::new(format!("`{name}` is missing"));
        misfit.missing = true;
        misfit
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        let mut misfit = Self::new(format!("unknown name `{}`", wording::shorten(name)));
        misfit.flaw.part = Part::Name;
        misfit.flaw.hint = Some(wording::known(name, expected));
        misfit
    }

    fn unknown_variant(name: &str, expected: &'static [&'static str]) -> Self {
        let mut misfit = Self::new(format!("unknown value `{}`", wording::shorten(name)));
        misfit.flaw.hint = Some(wording::known(name, expected));
        misfit
    }
}

#[derive(Clone, Copy)]
struct Tracked<'v>(&'v Value);

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
                _ => Err(Misfit::new("a number that is too large")),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { left: items, at: 0 }),
            Value::Object(members) => visitor.visit_map(Members { left: members.iter(), current: None }),
        }
    }

    /// A member that is there has a value: nothing written behind its name is an oversight, not a wish.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
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
            Value::String(name) => visitor.visit_enum(Unit(name)),
            other => Err(Misfit::invalid_type(unexpected(other), &"a text")),
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
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((first, left)) = self.left.split_first() else { return Ok(None) };
        let at = self.at;
        (self.left, self.at) = (left, at.saturating_add(1));
        seed.deserialize(Tracked(first)).map(Some).map_err(|misfit| misfit.under(Step::Item(at)))
    }
}

struct Members<'v> {
    left: serde_json::map::Iter<'v>,
    current: Option<(&'v String, &'v Value)>,
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
        let Some((name, value)) = self.current else { return Err(Misfit::new("a member without a name")) };
        seed.deserialize(Tracked(value)).map_err(|misfit| misfit.under(Step::Name(name.clone())))
    }
}

/// An enum's variant that is only a name.
struct Unit<'v>(&'v str);

impl<'de> EnumAccess<'de> for Unit<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let reader: StringDeserializer<Misfit> = self.0.to_owned().into_deserializer();
        Ok((seed.deserialize(reader)?, self))
    }
}

impl<'de> VariantAccess<'de> for Unit<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(Misfit::new("a name alone, expected one with a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::new("a name alone, expected one with values"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::new("a name alone, expected one with members"))
    }
}

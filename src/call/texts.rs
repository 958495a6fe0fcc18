//! The texts of a call, for whoever looks for something in them: its query and its documents, without any copy of the whole.

use super::dialect::{Dialect, Place, Places, Role};
use crate::json::Name;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Whether `look` finds what it looks for in a string of the query or of a document, names of members included. None: the body
/// is none of this dialect.
pub(crate) fn any(dialect: &Dialect, body: &[u8], look: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
    let body = std::str::from_utf8(body).ok()?;
    let mut found = false;
    let mut reader = serde_json::Deserializer::from_str(body);
    let walk = Walk { within: Within::Places(&dialect.places), look, found: &mut found };
    walk.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(found)
}

#[derive(Clone, Copy)]
enum Within<'a> {
    /// An object in which places of the dialect stand.
    Places(&'a Places),
    /// The query or a document.
    Text,
}

struct Walk<'a> {
    within: Within<'a>,
    look: &'a mut dyn FnMut(&str) -> bool,
    found: &'a mut bool,
}

impl<'a> Walk<'a> {
    fn inside<'b>(&'b mut self, within: Within<'b>) -> Walk<'b> {
        Walk { within, look: &mut *self.look, found: &mut *self.found }
    }

    fn text(&mut self, text: &str) {
        if matches!(self.within, Within::Text) && !*self.found {
            *self.found = (self.look)(text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a call")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
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

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let within = self.within;
        while items.next_element_seed(self.inside(within))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let within = self.within;
        while let Some(name) = members.next_key_seed(Name)? {
            self.text(&name);
            match within {
                Within::Text => members.next_value_seed(self.inside(Within::Text))?,
                Within::Places(places) => match places.find(&name) {
                    Some(Place::Leaf(Role::Query | Role::Documents)) => {
                        members.next_value_seed(self.inside(Within::Text))?;
                    }
                    Some(Place::Inner(inner)) => members.next_value_seed(self.inside(Within::Places(inner)))?,
                    Some(Place::Leaf(_)) | None => drop(members.next_value::<IgnoredAny>()?),
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Option<Vec<String>> {
        let dialects = Dialect::built_in().unwrap();
        let dialect = dialects.iter().find(|dialect| dialect.name() == "cohere-v1").unwrap();
        let mut texts = Vec::new();
        any(dialect, body.as_bytes(), &mut |text| {
            texts.push(text.to_owned());
            false
        })?;
        Some(texts)
    }

    #[test]
    fn the_query_and_all_of_the_documents_are_looked_at_and_nothing_else() {
        let body = r#"{"model":"m","query":"q\u0031","documents":["a",{"text":"b","n":[1,null,true,{"c":"d"}]}],"rank_fields":["x"]}"#;
        assert_eq!(texts(body).unwrap(), ["q1", "a", "text", "b", "n", "c", "d"]);
        for body in ["", "{", r#"{"query":}"#, "{} x"] {
            assert_eq!(texts(body), None, "{body}");
        }
    }
}

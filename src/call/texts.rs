//! The texts of a call, for whoever looks for something in them: its query, its documents and its parameters, without any copy of the
//! whole.

use super::dialect::{Dialect, Place, Places, Role};
use crate::json::Name;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A piece of a call's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// The query, a document or a parameter begins: nothing goes on from before.
    Apart,
    /// A string in it.
    Text(&'t str),
    /// The name of a member in it, or a number as text.
    Aside(&'t str),
}

/// Shows `look` all texts of the query, the documents and the parameters, in the order they stand. None: the body is none of this
/// dialect.
pub(crate) fn each(dialect: &Dialect, body: &[u8], look: &mut dyn FnMut(Piece<'_>)) -> Option<()> {
    let body = std::str::from_utf8(body).ok()?;
    let mut reader = serde_json::Deserializer::from_str(body);
    let walk = Walk { within: Within::Places(&dialect.places), look };
    walk.deserialize(&mut reader).ok()?;
    reader.end().ok()
}

#[derive(Clone, Copy)]
enum Within<'a> {
    /// An object in which places of the dialect stand.
    Places(&'a Places),
    /// The array of documents.
    Documents,
    /// The query, a document or a parameter.
    Text,
}

struct Walk<'a> {
    within: Within<'a>,
    look: &'a mut dyn FnMut(Piece<'_>),
}

impl<'a> Walk<'a> {
    fn inside<'b>(&'b mut self, within: Within<'b>) -> Walk<'b> {
        Walk { within, look: &mut *self.look }
    }

    fn show(&mut self, piece: Piece<'_>) {
        if !matches!(self.within, Within::Places(_)) {
            (self.look)(piece);
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
        self.show(Piece::Text(text));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<(), E> {
        self.show(Piece::Aside(&number.to_string()));
        Ok(())
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<(), E> {
        self.show(Piece::Aside(&number.to_string()));
        Ok(())
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<(), E> {
        self.show(Piece::Aside(&number.to_string()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let within = self.within;
        let inner = if matches!(within, Within::Documents) { Within::Text } else { within };
        loop {
            if matches!(within, Within::Documents) {
                self.show(Piece::Apart);
            }
            if items.next_element_seed(self.inside(inner))?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let within = self.within;
        while let Some(name) = members.next_key_seed(Name)? {
            self.show(Piece::Aside(&name));
            let inner = match within {
                Within::Text | Within::Documents => Within::Text,
                Within::Places(places) => match places.find(&name) {
                    Some(Place::Leaf(Role::Documents)) => Within::Documents,
                    Some(Place::Leaf(Role::Query | Role::Parameter)) => {
                        (self.look)(Piece::Apart);
                        Within::Text
                    }
                    Some(Place::Inner(inner)) => Within::Places(inner),
                    Some(Place::Leaf(_)) | None => {
                        members.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            members.next_value_seed(self.inside(inner))?;
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
        each(dialect, body.as_bytes(), &mut |piece| {
            texts.push(match piece {
                Piece::Apart => "|".to_owned(),
                Piece::Text(text) => text.to_owned(),
                Piece::Aside(text) => format!("({text})"),
            });
        })?;
        Some(texts)
    }

    #[test]
    fn query_documents_and_parameters_are_looked_at_each_apart_and_nothing_else() {
        let body = r#"{"model":"m","query":"q\u0031","documents":["a",{"text":"b","n":[1,null,true,{"c":["d","e"]},-2,1.5]}],"top_n":3,"rank_fields":["x",{"y":"z"}]}"#;
        let wanted = "| q1 | a | (text) b (n) (1) (c) d e (-2) (1.5) | | x (y) z";
        assert_eq!(texts(body).unwrap().join(" "), wanted);
        for body in ["", "{", r#"{"query":}"#, "{} x"] {
            assert_eq!(texts(body), None, "{body}");
        }
    }
}

//! Changes one member of a request where its dialect has it. All else stays byte for byte.

use super::dialect::{Dialect, Role};
use crate::json::Name;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The body with `value` (JSON) as the member that means `role`, in the place of what it says there, or added in front. None: the
/// dialect has no such member, or the body has no room for it.
pub(crate) fn set(dialect: &Dialect, role: Role, value: &str, body: &[u8]) -> Option<Vec<u8>> {
    let way = dialect.places.way(role)?;
    let whole = std::str::from_utf8(body).ok()?;
    let mut object = whole;
    let mut names = way.as_slice();
    while let Some((name, rest)) = names.split_first() {
        let mut reader = serde_json::Deserializer::from_str(object);
        let looked = reader.deserialize_map(Look { name }).ok()?;
        let Some(there) = looked.found else {
            let at = place_of(whole, object)?.checked_add(object.find('{')?)?.checked_add(1)?;
            let inner = rest.iter().rev().fold(value.to_owned(), |inner, name| member(name, &inner, true));
            let added = member(name, &inner, false) + if looked.is_empty { "" } else { "," };
            return Some([whole.get(..at)?, &added, whole.get(at..)?].concat().into_bytes());
        };
        object = there.get();
        names = rest;
    }
    let at = place_of(whole, object)?;
    Some([whole.get(..at)?, value, whole.get(at.checked_add(object.len())?..)?].concat().into_bytes())
}

fn member(name: &str, value: &str, as_object: bool) -> String {
    let written = format!("{}:{value}", serde_json::Value::from(name));
    if as_object { format!("{{{written}}}") } else { written }
}

/// Where `part`, which is a part of `whole`, begins in it.
fn place_of(whole: &str, part: &str) -> Option<usize> {
    part.as_ptr().addr().checked_sub(whole.as_ptr().addr())
}

/// Looks for one member of an object.
struct Look<'n> {
    name: &'n str,
}

struct Looked<'de> {
    found: Option<&'de RawValue>,
    is_empty: bool,
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Looked<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut looked = Looked { found: None, is_empty: true };
        while let Some(name) = members.next_key_seed(Name)? {
            looked.is_empty = false;
            if *name == *self.name {
                looked.found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(looked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn changed(dialect: &str, role: Role, value: &str, body: &str) -> Option<String> {
        let nested = r#"{"name": "nested", "request": {"query": "/q", "documents": {"at": "/d"}, "top_n": "/options/rank/top",
            "return_documents": {"at": "/options/echo", "default": true}}, "response": {"kept": []}}"#;
        let mut dialects = Dialect::built_in().unwrap();
        dialects.push(Dialect::new(serde_json::from_str(nested).unwrap()).unwrap());
        let dialect = dialects.iter().find(|one| one.name() == dialect).unwrap();
        set(dialect, role, value, body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn one_member_is_changed_where_it_stands_or_added_in_front() {
        let echo = Role::ReturnDocuments;
        for (dialect, role, value, body, becomes) in [
            (
                "jina",
                echo,
                "false",
                r#" {"query": "q", "return_documents" : true , "top_n":3}"#,
                r#" {"query": "q", "return_documents" : false , "top_n":3}"#,
            ),
            ("jina", echo, "false", r#"{"return\u005fdocuments":null}"#, r#"{"return\u005fdocuments":false}"#),
            ("jina", echo, "false", r#" { "query":"q {"}"#, r#" {"return_documents":false, "query":"q {"}"#),
            ("jina", Role::TopN, "5", "{ }", r#"{"top_n":5 }"#),
            ("tei", echo, "false", r#"{"return_text":true,"texts":["é"]}"#, r#"{"return_text":false,"texts":["é"]}"#),
            ("nested", echo, "false", r#"{"q":"x"}"#, r#"{"options":{"echo":false},"q":"x"}"#),
            ("nested", echo, "false", r#"{"q":"x","options":{}}"#, r#"{"q":"x","options":{"echo":false}}"#),
            (
                "nested",
                Role::TopN,
                "2",
                r#"{"options": {"echo":true}}"#,
                r#"{"options": {"rank":{"top":2},"echo":true}}"#,
            ),
        ] {
            assert_eq!(changed(dialect, role, value, body).as_deref(), Some(becomes), "{body}");
        }
    }

    #[test]
    fn where_there_is_no_place_nothing_is_made_up() {
        assert_eq!(changed("tei", Role::TopN, "5", "{}"), None, "TEI ranks all there is");
        assert_eq!(changed("cohere-v2", Role::ReturnDocuments, "false", "{}"), None, "Cohere v2 has no switch");
        for body in ["", "[]", "{", r#"{"options":null}"#, r#"{"options":[]}"#] {
            assert_eq!(changed("nested", Role::ReturnDocuments, "false", body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_parser_sees_one_member_changed(text in ".{0,12}", there in any::<bool>(), top_n in any::<u32>()) {
            let mut body = json!({"query": text, "documents": [text, "return_documents"], "top_n": top_n});
            if there { body["return_documents"] = json!(true); }
            let got = changed("jina", Role::ReturnDocuments, "false", &body.to_string()).unwrap();
            body["return_documents"] = json!(false);
            prop_assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), body);
        }
    }
}

//! Reads a request body into what it asks for: one streaming pass, nothing kept but what decides.

use super::dialect::{Dialect, Place, Places, Role};
use crate::json::{Name, Names, REPEATED, Unambiguous};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a body asks for, before the route says on which dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    pub(crate) model: Option<String>,
    pub(crate) query: String,
    pub(crate) documents: u64,
    /// UTF-8 bytes of all strings of the largest document.
    pub(crate) largest_document: u64,
    /// None: all documents.
    pub(crate) top_n: Option<u64>,
    pub(crate) return_documents: Option<bool>,
    /// Names of the further parameters, in the order they came.
    pub(crate) parameters: Vec<String>,
    pub(crate) datasets: Named,
    pub(crate) tenants: Named,
}

/// What the documents of a call name as their dataset or tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Named {
    /// The first name that stood in a document.
    pub(crate) name: Option<String>,
    /// Whether another document named another.
    pub(crate) several: bool,
    /// How many documents named one.
    pub(crate) times: u64,
}

impl Named {
    fn add(&mut self, name: String) {
        self.times = self.times.saturating_add(1);
        match &self.name {
            None => self.name = Some(name),
            Some(first) => self.several |= *first != name,
        }
    }
}

/// Reads `body` as a call of `dialect`; `naming` says which members of a document name its dataset and tenant.
///
/// # Errors
/// A body that is no such call, in one line that repeats nothing of it but member names of the dialect.
pub(crate) fn read(dialect: &Dialect, naming: &Places, body: &[u8]) -> Result<Asked, String> {
    // serde_json does not look into the bytes of strings it skips.
    let body = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    let mut asked = Asked::default();
    let mut seen = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(body);
    let object = Object { dialect, naming, places: &dialect.places, asked: &mut asked, seen: &mut seen };
    object.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| said(&error))?;
    for (role, name) in [(Role::Query, "query"), (Role::Documents, "documents"), (Role::Model, "model")] {
        if !seen.contains(&role) && (role != Role::Model || (dialect.names_model && asked.model.is_none())) {
            return Err(format!("the body has no {name}"));
        }
    }
    Ok(asked)
}

const UNKNOWN: &str = "a member that this dialect does not have";
const NO_RESULTS: &str = "a limit of 0 results";
const NO_TEXT: &str = "a document that is neither text nor, where the dialect has them, an object";
const MISPLACED: &str = "a dataset outside documents";
const NEARLY: &str =
    "a document's member that reads like the one that names its dataset or tenant: write it exactly so, or not at all";

/// What is wrong and where, without the value: serde's own messages quote what they met, and that may be personal data.
fn said(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let own =
        [UNKNOWN, NO_RESULTS, NO_TEXT, MISPLACED, NEARLY, REPEATED].into_iter().find(|own| message.starts_with(own));
    let what = own.unwrap_or(if error.is_data() { "not what this dialect has there" } else { "not JSON" });
    format!("{what}, at line {} column {}", error.line(), error.column())
}

/// An object of the request in which places of the dialect stand.
struct Object<'a> {
    dialect: &'a Dialect,
    naming: &'a Places,
    places: &'a Places,
    asked: &'a mut Asked,
    seen: &'a mut Vec<Role>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            match self.places.find(&name) {
                None => return Err(A::Error::custom(UNKNOWN)),
                Some(Place::Inner(places)) => members.next_value_seed(Object {
                    dialect: self.dialect,
                    naming: self.naming,
                    places,
                    asked: &mut *self.asked,
                    seen: &mut *self.seen,
                })?,
                Some(Place::Leaf(role)) => {
                    self.seen.push(*role);
                    match role {
                        Role::Model => self.asked.model = Some(members.next_value()?),
                        Role::Query => self.asked.query = members.next_value()?,
                        Role::Documents => members.next_value_seed(Documents {
                            naming: self.naming,
                            objects: self.dialect.objects,
                            asked: &mut *self.asked,
                        })?,
                        Role::TopN => match members.next_value::<Option<u64>>()? {
                            Some(0) if !self.dialect.top_n_zero_is_all => {
                                return Err(A::Error::custom(NO_RESULTS));
                            }
                            Some(0) | None => {}
                            some => self.asked.top_n = some,
                        },
                        Role::ReturnDocuments => self.asked.return_documents = members.next_value()?,
                        Role::Parameter => {
                            members.next_value_seed(Unambiguous)?;
                            self.asked.parameters.push(name.clone().into_owned());
                        }
                        Role::Dataset | Role::Tenant => return Err(A::Error::custom(MISPLACED)),
                    }
                }
            }
            names.add(name)?;
        }
        Ok(())
    }
}

struct Documents<'a> {
    naming: &'a Places,
    objects: bool,
    asked: &'a mut Asked,
}

impl<'de> DeserializeSeed<'de> for Documents<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Documents<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let mut bytes = 0;
            let document = Document {
                naming: Some(self.naming),
                whole: true,
                objects: self.objects,
                bytes: &mut bytes,
                asked: &mut *self.asked,
            };
            if items.next_element_seed(document)?.is_none() {
                return Ok(());
            }
            self.asked.documents = self.asked.documents.saturating_add(1);
            self.asked.largest_document = self.asked.largest_document.max(bytes);
        }
    }
}

/// A document or a value inside one: counts its text, refuses repeated names, notes what it names as dataset and tenant.
struct Document<'a> {
    /// The members that name something at this depth of the document, if any.
    naming: Option<&'a Places>,
    whole: bool,
    objects: bool,
    bytes: &'a mut u64,
    asked: &'a mut Asked,
}

impl Document<'_> {
    fn inside<'b>(&'b mut self, naming: Option<&'b Places>) -> Document<'b> {
        Document { naming, whole: false, objects: true, bytes: &mut *self.bytes, asked: &mut *self.asked }
    }

    fn count(&mut self, text: &str) {
        *self.bytes = self.bytes.saturating_add(text.len() as u64);
    }

    fn scalar<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.whole { Err(E::custom(NO_TEXT)) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a document")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.count(text);
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.scalar()?;
        while items.next_element_seed(self.inside(None))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        if !self.objects {
            return Err(A::Error::custom(NO_TEXT));
        }
        let mut names = Names::default();
        let naming = self.naming;
        while let Some(name) = members.next_key_seed(Name)? {
            self.count(&name);
            if naming.is_some_and(|naming| naming.is_nearly(&name)) {
                return Err(A::Error::custom(NEARLY));
            }
            match naming.and_then(|naming| naming.find(&name)) {
                Some(Place::Leaf(Role::Dataset)) => self.asked.datasets.add(members.next_value()?),
                Some(Place::Leaf(Role::Tenant)) => self.asked.tenants.add(members.next_value()?),
                Some(Place::Leaf(_)) => drop(members.next_value::<IgnoredAny>()?),
                Some(Place::Inner(inner)) => members.next_value_seed(self.inside(Some(inner)))?,
                None => members.next_value_seed(self.inside(None))?,
            }
            names.add(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dialect(name: &str) -> Dialect {
        Dialect::built_in().unwrap().into_iter().find(|dialect| &*dialect.name == name).unwrap()
    }

    fn naming() -> Places {
        let mut naming = Places::default();
        naming.add("/dataset", Role::Dataset).unwrap();
        naming.add("/meta/tenant", Role::Tenant).unwrap();
        naming
    }

    #[test]
    fn each_dialect_is_read_where_its_api_keeps_things() {
        let cases = [
            (
                "cohere-v2",
                r#"{"model":"m","query":"é?","documents":["a","bcd"],"top_n":1,"priority":3}"#,
                Some("m"),
                Some(1),
                None,
                3,
            ),
            (
                "cohere-v1",
                r#"{"model":"m","query":"é?","documents":[{"text":"abcd","n":1},"x"],"return_documents":true}"#,
                Some("m"),
                None,
                Some(true),
                9,
            ),
            ("jina", r#"{"query":"é?","documents":["a",{"text":"b"}],"model":"m"}"#, Some("m"), None, None, 5),
            ("tei", r#"{"query":"é?","texts":["a","b"],"raw_scores":false,"return_text":null}"#, None, None, None, 1),
            ("vllm", r#"{"model":"m","query":"é?","documents":["a","b"],"top_n":0}"#, Some("m"), None, None, 1),
        ];
        for (name, body, model, top_n, return_documents, largest) in cases {
            let asked = read(&dialect(name), &Places::default(), body.as_bytes()).unwrap();
            assert_eq!(asked.model.as_deref(), model, "{name}");
            assert_eq!(asked.query, "é?", "{name}");
            assert_eq!((asked.documents, asked.top_n), (2, top_n), "{name}");
            assert_eq!(asked.return_documents, return_documents, "{name}");
            assert_eq!(asked.largest_document, largest, "{name}");
        }
    }

    #[test]
    fn what_is_no_call_of_the_dialect_is_refused() {
        for (name, body) in [
            ("cohere-v2", r#""#),
            ("cohere-v2", r#"[]"#),
            ("cohere-v2", r#"{"model":"m","query":"q"}"#),
            ("cohere-v2", r#"{"model":"m","documents":["a"]}"#),
            ("cohere-v2", r#"{"query":"q","documents":["a"]}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"]} x"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"],"return_documents":true}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":[{"text":"a"}]}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":[1]}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":[["a"]]}"#),
            ("cohere-v1", r#"{"model":"m","query":"q","documents":[null]}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":"a"}"#),
            ("cohere-v2", r#"{"model":"m","query":["q"],"documents":["a"]}"#),
            ("cohere-v2", r#"{"model":null,"query":"q","documents":["a"]}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"],"top_n":0}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"],"top_n":-1}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"],"top_n":1.5}"#),
            ("cohere-v2", r#"{"model":"m","query":"q","documents":["a"],"top_n":"1"}"#),
            ("jina", r#"{"model":"m","query":"q","documents":["a"],"return_documents":"no"}"#),
            ("cohere-v2", r#"{"model":"m","model":"n","query":"q","documents":["a"]}"#),
            ("cohere-v2", r#"{"model":"m","mod\u0065l":"n","query":"q","documents":["a"]}"#),
            ("cohere-v1", r#"{"model":"m","query":"q","documents":[{"text":"a","text":"b"}]}"#),
            ("cohere-v1", r#"{"model":"m","query":"q","documents":[{"x":{"a":1,"a":2}}]}"#),
            ("cohere-v1", r#"{"model":"m","query":"q","documents":["a"],"rank_fields":[{"a":1,"a":2}]}"#),
            ("cohere-v2", "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"],\"documents\":[\"b\"]}"),
            ("tei", r#"{"query":"q","documents":["a"]}"#),
        ] {
            assert!(read(&dialect(name), &Places::default(), body.as_bytes()).is_err(), "{name} {body}");
        }
        let not_utf8 = b"{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\"],\"priority\":\"\xa1\"}";
        assert!(read(&dialect("cohere-v2"), &Places::default(), not_utf8).is_err());
    }

    /// NVIDIA NIM's `/v1/ranking`, written as a platform team would.
    #[test]
    fn a_fifth_dialect_is_data() {
        let written = r#"{
            "name": "nim",
            "request": {"model": "/model", "query": "/query/text", "documents": {"at": "/passages", "objects": true},
                        "return_documents": {"always": false}, "parameters": ["truncate"]},
            "response": {"kept": ["/rankings/*/index", "/rankings/*/logit"]}}"#;
        let nim = Dialect::new(serde_json::from_str(written).unwrap()).unwrap();
        let body = r#"{"model":"m","query":{"text":"q"},"passages":[{"text":"abc"},{"text":"d"}],"truncate":"END"}"#;
        let asked = read(&nim, &Places::default(), body.as_bytes()).unwrap();
        assert_eq!((asked.query.as_str(), asked.documents, asked.largest_document), ("q", 2, 7));
        for body in [
            r#"{"model":"m","query":"q","passages":[{"text":"a"}]}"#,
            r#"{"model":"m","query":{"text":"q","text":"r"},"passages":[{"text":"a"}]}"#,
            r#"{"model":"m","query":{"text":"q","image":"x"},"passages":[{"text":"a"}]}"#,
        ] {
            assert!(read(&nim, &Places::default(), body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn documents_say_whose_they_are() {
        let read = |documents: &str| {
            let body = format!(r#"{{"model":"m","query":"q","documents":{documents}}}"#);
            read(&dialect("cohere-v1"), &naming(), body.as_bytes())
        };
        let asked = read(r#"["x",{"dataset":"hr","meta":{"tenant":"t1"}},{"dataset":"hr"}]"#).unwrap();
        assert_eq!(asked.datasets, Named { name: Some("hr".to_owned()), several: false, times: 2 });
        assert_eq!(asked.tenants, Named { name: Some("t1".to_owned()), several: false, times: 1 });
        assert!(read(r#"[{"dataset":"hr"},{"dataset":"web"}]"#).unwrap().datasets.several);
        assert!(read(r#"[{"dataset":7}]"#).is_err());
        assert!(read(r#"[{"meta":{"tenant":null}}]"#).is_err());
        // A member of that name elsewhere in the document names nothing.
        assert_eq!(read(r#"[{"meta":{"dataset":"hr"},"tenant":"x"}]"#).unwrap().datasets.times, 0);
    }

    /// Some services look names up in whatever case: to them the call would be about another dataset than was decided.
    #[test]
    fn a_document_that_nearly_names_a_dataset_or_tenant_is_refused() {
        let read = |document: &str| {
            let body = format!(r#"{{"model":"m","query":"q","documents":["x",{document}]}}"#);
            read(&dialect("cohere-v1"), &naming(), body.as_bytes())
        };
        for name in [
            "Dataset",
            "DATASET",
            "dataſet",
            "data_set",
            "data-set",
            "d\\u0430taset",
            "dataset\\u200b",
            "\\u0044ataset",
            "ｄataset",
            "dáta\u{301}set",
        ] {
            for document in [format!(r#"{{"{name}":"hr"}}"#), format!(r#"{{"dataset":"hr","{name}":"hr"}}"#)] {
                let said = read(&document).unwrap_err();
                assert!(said.starts_with(NEARLY) && !said.contains("hr\""), "{document}: {said}");
            }
        }
        for document in [
            r#"{"Meta":{}}"#,
            r#"{"meta":{"Tenant":"t"}}"#,
            r#"{"meta":{"TENANT":1}}"#,
            r#"{"meta.tenant":"t"}"#,
            r#"{"metaTenant":7}"#,
        ] {
            assert!(read(document).unwrap_err().starts_with(NEARLY), "{document}");
        }
        for document in
            [r#"{"d\u0061taset":"hr"}"#, r#"{"datasets":1,"meta":{"Dataset":2}}"#, r#"{"text":{"Dataset":"x"}}"#]
        {
            assert!(read(document).is_ok(), "{document}");
        }
    }

    /// What a lax service would take for `model` is a member that no dialect has.
    #[test]
    fn top_level_members_in_another_spelling_are_refused() {
        for name in
            ["Model", "MODEL", "top_N", "topN", "Documents", "mоdel", "Query", "rank_Fields", "documents\\u200b"]
        {
            let body = format!(r#"{{"model":"m","query":"q","documents":["a"],"{name}":null}}"#);
            assert!(
                read(&dialect("cohere-v1"), &naming(), body.as_bytes()).unwrap_err().starts_with(UNKNOWN),
                "{name}"
            );
        }
    }

    #[test]
    fn messages_repeat_no_values() {
        let repeated = r#"{"model":"m","query":"q","documents":[{"ann@example.org":1,"ann@example.org":1}]}"#;
        for body in [r#"{"model":"m","query":4111111111111111}"#, r#"{"ann@example.org":1}"#, repeated] {
            let said = read(&dialect("cohere-v2"), &Places::default(), body.as_bytes()).unwrap_err();
            assert!(!said.contains("ann") && !said.contains("4111"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&dialect("cohere-v1"), &naming(), &body);
        }

        /// Against serde_json's own reading of the same body.
        #[test]
        fn counts_are_those_of_a_plain_parser(documents in proptest::collection::vec(".{0,20}", 0..30), top_n in proptest::option::of(1u64..50)) {
            let mut body = serde_json::json!({"model": "m", "query": "q", "documents": documents});
            if let (Some(top_n), Some(object)) = (top_n, body.as_object_mut()) { object.insert("top_n".into(), top_n.into()); }
            let asked = read(&dialect("cohere-v2"), &Places::default(), body.to_string().as_bytes()).unwrap();
            prop_assert_eq!(asked.documents as usize, documents.len());
            prop_assert_eq!(asked.top_n, top_n);
            prop_assert_eq!(asked.largest_document as usize, documents.iter().map(String::len).max().unwrap_or(0));
        }
    }
}

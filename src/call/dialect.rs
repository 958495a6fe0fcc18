//! Dialects as data: where a rerank API keeps its model, query, documents and limit. The built-in ones stand in
//! `dialects.json`; a platform team adds another in its configuration, without code.

use super::header::why_not_upstream;
use crate::diagnostic::{self, Flaw};
use crate::fold;
use crate::media::ContentType;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

/// A dialect as it is written down. Places are JSON pointers (RFC 6901) without escapes, such as `/query/text`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What routes call it.
    pub name: String,
    /// The operation that policies see.
    #[serde(default = "rerank")]
    pub operation: String,
    /// The content type of this API's requests and answers where it is not `application/json`, such as
    /// `application/vnd.elasticsearch+json; compatible-with=9`. Requests go up under it, and may come under it.
    pub media_type: Option<String>,
    /// Where the request says what.
    pub request: WrittenRequest,
    /// What the response's numbers are.
    pub response: WrittenResponse,
}

fn rerank() -> String {
    "rerank".to_owned()
}

/// The request's side of a dialect.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WrittenRequest {
    /// The model's name. Without it every route of this dialect names the model.
    pub model: Option<String>,
    /// The query text.
    pub query: String,
    /// The documents.
    pub documents: WrittenDocuments,
    /// How many results the caller wants. Without it the answer ranks all documents.
    pub top_n: Option<String>,
    /// Whether a limit of 0 asks for all results (vLLM) instead of being malformed.
    #[serde(default)]
    pub top_n_zero_is_all: bool,
    /// Whether the answer repeats the documents' text.
    pub return_documents: WrittenReturn,
    /// Further members of the request's top level that may stand there. Any other is refused.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Further request headers, in lower case, that this API needs; they go upstream.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": crate::schema::HEADER})))]
    pub headers: Vec<String>,
}

/// Where the documents stand, and what they may be.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WrittenDocuments {
    /// The array of documents.
    pub at: String,
    /// Whether a document may be an object; a string it may always be.
    #[serde(default)]
    pub objects: bool,
}

/// Whether the answer repeats the documents' text: fixed, or the caller's choice.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum WrittenReturn {
    /// The API has no switch.
    Fixed {
        /// What it always does.
        always: bool,
    },
    /// A boolean of the request decides.
    Switch {
        /// Where it stands.
        at: String,
        /// What its absence means.
        default: bool,
    },
}

/// The response's side of a dialect.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WrittenResponse {
    /// Numbers that are structure (index, scores, usage) and stay byte for byte. Any other number is looked at as text is.
    pub kept: Vec<String>,
}

/// What a place in a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Model,
    Query,
    Documents,
    TopN,
    ReturnDocuments,
    Parameter,
    Dataset,
    Tenant,
}

/// A dialect that can be read: its places form one tree without conflicts.
#[derive(Debug)]
pub struct Dialect {
    pub(crate) name: Rc<str>,
    pub(crate) operation: Rc<str>,
    pub(crate) places: Places,
    pub(crate) names_model: bool,
    pub(crate) objects: bool,
    pub(crate) top_n_zero_is_all: bool,
    pub(crate) returns_documents_by_default: bool,
    /// Where the text of a request stands: its query, its documents.
    pub(crate) texts: [String; 2],
    /// The same and its parameters, which can have text in them too.
    pub(crate) looked_at: Vec<String>,
    /// The API's own content type, as it is written and as it is read; None: `application/json`.
    pub(crate) media_type: Option<(String, ContentType)>,
    /// Further request headers that go upstream.
    pub(crate) headers: Vec<String>,
    /// Numbers of the response that stay byte for byte.
    pub kept: Vec<String>,
}

impl Dialect {
    /// Compiles what is written.
    ///
    /// # Errors
    /// A place that is no pointer, two meanings for one place, a content type that is not JSON's, or a header that may not go
    /// upstream.
    pub fn new(written: Written) -> Result<Self, Misdrawn> {
        let request = written.request;
        let misdrawn =
            |place: &str, what: String| Misdrawn { dialect: written.name.clone(), place: place.to_owned(), what };
        let media_type = match written.media_type {
            None => None,
            Some(text) => match ContentType::read(text.as_bytes()).filter(ContentType::is_json) {
                Some(read) => Some((text, read)),
                None => {
                    let what = "is no JSON content type: write one such as `application/vnd.api+json; version=1`";
                    return Err(misdrawn(&text.escape_debug().to_string(), format!("media_type: {what}")));
                }
            },
        };
        if let Some((name, why)) = request.headers.iter().find_map(|name| Some((name, why_not_upstream(name)?))) {
            return Err(misdrawn(&name.escape_debug().to_string(), format!("request.headers: {why}")));
        }
        let mut places = Places::default();
        let mut add = |place: &str, role| places.add(place, role).map_err(|what| misdrawn(place, what));
        add(&request.query, Role::Query)?;
        add(&request.documents.at, Role::Documents)?;
        if let Some(model) = &request.model {
            add(model, Role::Model)?;
        }
        if let Some(top_n) = &request.top_n {
            add(top_n, Role::TopN)?;
        }
        let returns_documents_by_default = match &request.return_documents {
            WrittenReturn::Fixed { always } => *always,
            WrittenReturn::Switch { at, default } => {
                add(at, Role::ReturnDocuments)?;
                *default
            }
        };
        let mut looked_at = vec![request.query.clone(), request.documents.at.clone()];
        for parameter in request.parameters.iter().collect::<BTreeSet<_>>() {
            let place = format!("/{parameter}");
            add(&place, Role::Parameter)?;
            looked_at.push(place);
        }
        Ok(Self {
            name: written.name.into(),
            operation: written.operation.into(),
            places,
            names_model: request.model.is_some(),
            objects: request.documents.objects,
            top_n_zero_is_all: request.top_n_zero_is_all,
            returns_documents_by_default,
            texts: [request.query, request.documents.at],
            looked_at,
            media_type,
            headers: request.headers,
            kept: written.response.kept,
        })
    }

    /// The dialects that come with the module.
    ///
    /// # Errors
    /// None in a module that passed its tests: the text is fixed.
    pub fn built_in() -> Result<Vec<Self>, Misdrawn> {
        let written: Vec<Written> = serde_json::from_str(include_str!("dialects.json")).map_err(|error| Misdrawn {
            dialect: "built-in".to_owned(),
            place: String::new(),
            what: error.to_string(),
        })?;
        written.into_iter().map(Self::new).collect()
    }

    /// What routes call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why a dialect cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misdrawn {
    dialect: String,
    place: String,
    what: String,
}

impl Misdrawn {
    /// As a flaw of the dialect's document.
    pub(crate) fn flaw(&self) -> Flaw {
        Flaw::new(diagnostic::Place::root(), format!("`{}`: {}", self.place, self.what))
    }
}

impl fmt::Display for Misdrawn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "dialect `{}`: `{}`: {}", self.dialect, self.place, self.what)
    }
}

impl std::error::Error for Misdrawn {}

/// A tree of member names with a meaning at each leaf.
#[derive(Debug, Default)]
pub(crate) struct Places {
    members: Vec<(String, Place)>,
    /// The names of the members, and those of the ways to every leaf in one, as lax readers compare them.
    folded: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Place {
    Leaf(Role),
    Inner(Places),
}

impl Places {
    /// Gives the place at `pointer` a meaning.
    pub(crate) fn add(&mut self, pointer: &str, role: Role) -> Result<(), String> {
        let path = pointer.strip_prefix('/').filter(|path| !path.is_empty() && !path.contains('~'));
        let path = path.ok_or("is no place: write a JSON pointer such as `/query/text`")?;
        let first = path.split('/').next().unwrap_or_default();
        self.folded.extend([fold::name(first), fold::name(path)].into_iter().filter(|name| !name.is_empty()));
        match path.split_once('/') {
            None => {
                if self.find(path).is_some() {
                    return Err("two meanings for one place".to_owned());
                }
                self.members.push((path.to_owned(), Place::Leaf(role)));
                Ok(())
            }
            Some((first, _)) => {
                let rest = path.get(first.len()..).unwrap_or_default();
                if self.find(first).is_none() {
                    self.members.push((first.to_owned(), Place::Inner(Self::default())));
                }
                match self.members.iter_mut().find(|(name, _)| name == first) {
                    Some((_, Place::Inner(inner))) => inner.add(rest, role),
                    _ => Err("two meanings for one place".to_owned()),
                }
            }
        }
    }

    /// The names on the way to the one place that means `role`.
    pub(crate) fn way(&self, role: Role) -> Option<Vec<&str>> {
        self.members.iter().find_map(|(name, place)| match place {
            Place::Leaf(leaf) => (*leaf == role).then(|| vec![name.as_str()]),
            Place::Inner(inner) => Some([vec![name.as_str()], inner.way(role)?].concat()),
        })
    }

    /// Whether a reader that is lax about names can take `member` for one of these, or for the way to one, while it is not written
    /// so: in another case, with marks or other scripts' letters, with `-` or `_`, as `meta.dataset`.
    pub(crate) fn is_nearly(&self, member: &str) -> bool {
        !self.folded.is_empty() && self.find(member).is_none() && {
            let folded = fold::name(member);
            self.folded.contains(&folded)
        }
    }

    pub(crate) fn find(&self, member: &str) -> Option<&Place> {
        self.members.iter().find(|(name, _)| name == member).map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_dialects_can_be_read() {
        let names: Vec<_> = Dialect::built_in().unwrap().iter().map(|dialect| dialect.name.to_string()).collect();
        assert_eq!(names, ["cohere-v1", "cohere-v2", "jina", "tei", "vllm"]);
    }

    #[test]
    fn a_place_has_one_meaning() {
        let mut places = Places::default();
        places.add("/query/text", Role::Query).unwrap();
        for (pointer, role) in [
            ("/query/text", Role::Model),
            ("/query", Role::Model),
            ("/query/text/x", Role::Model),
            ("model", Role::Model),
            ("/", Role::Model),
            ("/a~1b", Role::Model),
        ] {
            assert!(places.add(pointer, role).is_err(), "{pointer}");
        }
        places.add("/query/lang", Role::Parameter).unwrap();
    }

    #[test]
    fn names_that_lax_readers_take_for_a_place_are_near_it_and_others_are_not() {
        let mut places = Places::default();
        assert!(!places.is_nearly("dataset"));
        places.add("/meta/data_set", Role::Dataset).unwrap();
        places.add("/tenant", Role::Tenant).unwrap();
        for near in [
            "Meta",
            "META",
            "me\u{200b}ta",
            "ｍeta",
            "mеta",
            "meta.data_set",
            "meta/dataset",
            "metaDataSet",
            "Tenant",
            "ten-ant",
            "$tenant",
            "tenant[]",
        ] {
            assert!(places.is_nearly(near), "{near}");
        }
        for other in ["meta", "tenant", "dataset", "metadata", "tenants", "", "_", "id"] {
            assert!(!places.is_nearly(other), "{other}");
        }
    }
}

//! What do they ask for? Reads a request into a [`Call`]: dialect, operation, model, dataset, parameters, documents.
//!
//! ```
//! use rerank_guard::call::Template;
//!
//! let template = Template::new("/cohere/{dataset}/v2/rerank").unwrap();
//! assert_eq!(template.fit("/cohere/handbook/v2/rerank"), Some(vec![("dataset", "handbook")]));
//! assert_eq!(template.fit("/cohere/handbook/v2/rerank/more"), None, "a path fits whole");
//! ```

mod body;
mod dialect;
mod edit;
mod header;
mod route;
mod texts;

pub(crate) use dialect::Role;
pub use dialect::{Dialect, Misdrawn, Written as WrittenDialect};
pub(crate) use edit::set as set_member;
pub use header::{is_credential, why_not_to_callers, why_not_upstream};
pub use route::{DocumentsName, Route, Source, Template, Written as WrittenRoute, is_header_name, is_name};
pub(crate) use texts::{Piece, each as each_text};

use std::fmt;
use std::rc::Rc;

/// A rerank call. One that exists was read whole and names one model, one dataset and, where the route has tenants, one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The dialect's name.
    pub dialect: Rc<str>,
    /// `rerank`, or what the dialect says.
    pub operation: Rc<str>,
    /// The model's name, as the request or the route has it.
    pub model: String,
    /// The dataset.
    pub dataset: String,
    /// The tenant.
    pub tenant: Option<String>,
    /// The query: may hold personal data, never recorded. Empty once it was looked at.
    pub query: String,
    /// How long it is.
    pub query_bytes: u64,
    /// How many documents.
    pub documents: u64,
    /// UTF-8 bytes of the text of the largest document, its member names included.
    pub largest_document: u64,
    /// How many results the caller asks for; without a limit of its own, all documents.
    pub top_n: u64,
    /// Whether the answer will repeat the documents.
    pub return_documents: bool,
    /// The names of its further parameters.
    pub parameters: Vec<String>,
}

/// Why a request is no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCall {
    /// The body is no request of this dialect. The text says where, and quotes nothing.
    Unreadable(String),
    /// The model's name is empty, too long, or has characters that are none of ASCII's visible ones.
    BadModel,
    /// The header that names the dataset or tenant is missing, doubled, or holds no name.
    BadName(&'static str),
    /// Documents name no dataset or tenant where each must, or names that differ.
    UnclearDocuments(&'static str),
    /// A document names another dataset or tenant than the call.
    ForeignDocument(&'static str),
}

impl fmt::Display for NoCall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what) => out.write_str(what),
            Self::BadModel => {
                out.write_str("the model's name is no 1 to 256 visible characters of ASCII without blanks")
            }
            Self::BadName(what) => write!(out, "the request names no {what}, or not exactly one"),
            Self::UnclearDocuments(what) => write!(out, "every document must name the same {what}"),
            Self::ForeignDocument(what) => write!(out, "a document names another {what} than the call"),
        }
    }
}

impl std::error::Error for NoCall {}

/// Where names can come from besides the body.
pub trait Head {
    /// The values of a header, in order.
    fn header(&self, name: &str) -> Vec<&[u8]>;
    /// A named segment of the path.
    fn segment(&self, name: &str) -> Option<&str>;
}

impl Call {
    /// Reads the call that `head` and `body` carry on `route`.
    ///
    /// # Errors
    /// Whatever is not exactly one call.
    pub fn read(route: &Route, dialect: &Dialect, head: &impl Head, body: &[u8]) -> Result<Self, NoCall> {
        let asked = body::read(dialect, &route.naming, body).map_err(NoCall::Unreadable)?;
        let model = asked.model.or_else(|| route.model.clone()).ok_or(NoCall::BadModel)?;
        if !is_model_name(&model) {
            return Err(NoCall::BadModel);
        }
        let dataset = name("dataset", &route.dataset, &asked.datasets, asked.documents, head)?;
        let tenant = match &route.tenant {
            Some(source) => Some(name("tenant", source, &asked.tenants, asked.documents, head)?),
            None => None,
        };
        Ok(Self {
            dialect: dialect.name.clone(),
            operation: dialect.operation.clone(),
            model,
            dataset,
            tenant,
            query_bytes: asked.query.len() as u64,
            query: asked.query,
            documents: asked.documents,
            largest_document: asked.largest_document,
            top_n: asked.top_n.unwrap_or(asked.documents).min(asked.documents),
            return_documents: asked.return_documents.unwrap_or(dialect.returns_documents_by_default),
            parameters: asked.parameters,
        })
    }
}

/// Whether `name` can name a model: 1 to 256 visible characters of ASCII, without blanks. Others could pass for one another before
/// the people who write rules, approve calls and read records.
pub(crate) fn is_model_name(name: &str) -> bool {
    (1..=256).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The call's dataset or tenant, once every document that names one agrees.
fn name(
    what: &'static str,
    source: &Source,
    named: &body::Named,
    documents: u64,
    head: &impl Head,
) -> Result<String, NoCall> {
    let stated = match source {
        Source::Fixed(name) => name.clone(),
        Source::Segment(segment) => head.segment(segment).ok_or(NoCall::BadName(what))?.to_owned(),
        Source::Header(header) => match head.header(header).as_slice() {
            [one] => std::str::from_utf8(one).map_err(|_| NoCall::BadName(what))?.to_owned(),
            _ => return Err(NoCall::BadName(what)),
        },
        Source::Document(_) => match &named.name {
            Some(name) if !named.several && named.times == documents => name.clone(),
            _ => return Err(NoCall::UnclearDocuments(what)),
        },
    };
    if !is_name(&stated) {
        return Err(NoCall::BadName(what));
    }
    if named.several || named.name.as_ref().is_some_and(|name| *name != stated) {
        return Err(NoCall::ForeignDocument(what));
    }
    Ok(stated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Fake(Vec<(&'static str, &'static [u8])>);

    impl Head for Fake {
        fn header(&self, name: &str) -> Vec<&[u8]> {
            self.0.iter().filter(|(header, _)| *header == name).map(|(_, value)| *value).collect()
        }

        fn segment(&self, name: &str) -> Option<&str> {
            (name == "dataset").then_some("hr")
        }
    }

    fn route(fields: &str) -> Result<Route, String> {
        let written = serde_json::from_str(&format!(
            r#"{{"path":"/{{dataset}}/v1/rerank","clusters":["up"],"credentials":["c"],{fields}}}"#
        ))
        .unwrap();
        let known = BTreeMap::from([("cohere-v1", (0, true)), ("tei", (1, false))]);
        Route::new(written, &known).map_err(|flaw| flaw.to_string())
    }

    fn read(fields: &str, head: &Fake, documents: &str) -> Result<Call, NoCall> {
        let dialect = Dialect::built_in().unwrap().into_iter().find(|dialect| dialect.name() == "cohere-v1").unwrap();
        let body = format!(r#"{{"model":"m","query":"q","documents":{documents}}}"#);
        Call::read(&route(fields).unwrap(), &dialect, head, body.as_bytes())
    }

    #[test]
    fn the_dataset_comes_from_where_the_platform_team_says() {
        let head = Fake(vec![("x-dataset", b"web")]);
        for (dataset, documents, expected) in [
            (r#"{"segment":"dataset"}"#, r#"["a"]"#, "hr"),
            (r#"{"header":"x-dataset"}"#, r#"["a"]"#, "web"),
            (r#"{"document":"ds"}"#, r#"[{"ds":"docs"},{"ds":"docs"}]"#, "docs"),
            (r#"{"fixed":"always"}"#, r#"["a"]"#, "always"),
        ] {
            let call = read(&format!(r#""dialect":"cohere-v1","dataset":{dataset}"#), &head, documents).unwrap();
            assert_eq!(call.dataset, expected);
        }
    }

    #[test]
    fn a_dataset_that_is_not_named_exactly_once_is_refused() {
        let by_header = r#""dialect":"cohere-v1","dataset":{"header":"x-dataset"}"#;
        for head in [
            vec![],
            vec![("x-dataset", b"a" as &[u8]), ("x-dataset", b"a")],
            vec![("x-dataset", b"")],
            vec![("x-dataset", b"\xa1")],
            vec![("x-dataset", b"a,b")],
        ] {
            assert_eq!(read(by_header, &Fake(head), r#"["a"]"#), Err(NoCall::BadName("dataset")));
        }
        let by_document = r#""dialect":"cohere-v1","dataset":{"document":"ds"}"#;
        for documents in [r#"[{"ds":"a"},{"ds":"b"}]"#, r#"[{"ds":"a"},"text"]"#, r#"[{"ds":"a"},{}]"#, "[]"] {
            assert_eq!(
                read(by_document, &Fake(vec![]), documents),
                Err(NoCall::UnclearDocuments("dataset")),
                "{documents}"
            );
        }
    }

    #[test]
    fn a_document_of_another_dataset_or_tenant_is_refused() {
        let fields = r#""dialect":"cohere-v1","dataset":{"segment":"dataset"},"tenant":{"header":"x-tenant"},"documents_name":{"dataset":"ds","tenant":"/meta/t"}"#;
        let head = Fake(vec![("x-tenant", b"t1")]);
        let call = read(fields, &head, r#"["text",{"ds":"hr"},{"meta":{"t":"t1"}}]"#).unwrap();
        assert_eq!((call.dataset.as_str(), call.tenant.as_deref()), ("hr", Some("t1")));
        assert_eq!(read(fields, &head, r#"[{"ds":"hr"},{"ds":"web"}]"#), Err(NoCall::ForeignDocument("dataset")));
        assert_eq!(read(fields, &head, r#"[{"meta":{"t":"t2"}}]"#), Err(NoCall::ForeignDocument("tenant")));
    }

    #[test]
    fn a_limit_above_the_documents_counts_as_all_of_them() {
        let dialect = Dialect::built_in().unwrap().remove(0);
        let route = route(r#""dialect":"cohere-v1","dataset":{"fixed":"d"}"#).unwrap();
        for (limit, top_n) in [("", 2), (r#","top_n":1"#, 1), (r#","top_n":9"#, 2)] {
            let body = format!(r#"{{"model":"m","query":"q","documents":["a","b"]{limit}}}"#);
            assert_eq!(Call::read(&route, &dialect, &Fake(vec![]), body.as_bytes()).unwrap().top_n, top_n);
        }
    }

    #[test]
    fn a_model_that_is_no_name_is_refused() {
        let dialect = Dialect::built_in().unwrap().remove(0);
        let route = route(r#""dialect":"cohere-v1","dataset":{"fixed":"d"}"#).unwrap();
        for model in [
            "",
            "a\\nb",
            "a\\u0000",
            "a b",
            "rerank-v3.5\\u200b",
            "\\u202erevres",
            "\u{2066}m",
            "m\u{feff}",
            "rer\u{430}nk",
            "ｍ",
            "m\u{e0041}",
            "m\\u00a0",
            &"x".repeat(257),
        ] {
            let body = format!(r#"{{"model":"{model}","query":"q","documents":["a"]}}"#);
            assert_eq!(Call::read(&route, &dialect, &Fake(vec![]), body.as_bytes()), Err(NoCall::BadModel), "{model}");
        }
        for model in ["m", "BAAI/bge-reranker-v2-m3", "cohere.rerank-v3-5:0", "a@b+c~d", &"x".repeat(256)] {
            let body = format!(r#"{{"model":"{model}","query":"q","documents":["a"]}}"#);
            assert_eq!(Call::read(&route, &dialect, &Fake(vec![]), body.as_bytes()).unwrap().model, model);
        }
    }

    #[test]
    fn a_route_that_cannot_work_is_refused_at_load() {
        for fields in [
            r#""dialect":"cohere","dataset":{"fixed":"d"}"#,
            r#""dialect":"tei","dataset":{"fixed":"d"}"#,
            r#""dialect":"cohere-v1","dataset":{"fixed":"d"},"model":"m""#,
            r#""dialect":"cohere-v1","dataset":{"segment":"ds"}"#,
            r#""dialect":"cohere-v1","dataset":{"header":"X-Dataset"}"#,
            r#""dialect":"cohere-v1","dataset":{"fixed":"a b"}"#,
            r#""dialect":"cohere-v1","dataset":{"fixed":"d"},"documents_name":{"tenant":"t"}"#,
            r#""dialect":"cohere-v1","dataset":{"document":"d"},"documents_name":{"dataset":"t"}"#,
        ] {
            assert!(route(fields).is_err(), "{fields}");
        }
    }
}

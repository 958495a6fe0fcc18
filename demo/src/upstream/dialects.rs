//! Which rerank API a call speaks, and what all of them share. Each API has its own file: how a call is read, what an
//! answer looks like, and what an error looks like.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bm25::{self, Ranked};

mod cohere;
mod jina;
mod tei;
mod vllm;

/// A rerank API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    CohereV1,
    CohereV2,
    Jina,
    Tei,
    Vllm,
}

/// What goes back to the caller: a status and, where the API has one, a JSON body.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
}

impl Dialect {
    /// The API a POST to this path speaks, by what its body looks like where one path serves several.
    pub(crate) fn of(path: &str, body: &[u8]) -> Option<Self> {
        let member = |name: &str| serde_json::from_slice::<Value>(body).ok().and_then(|body| body.get(name).cloned());
        match path {
            "/v2/rerank" => Some(Self::CohereV2),
            "/v1/rerank" => match member("model") {
                Some(Value::String(model)) if model.starts_with("jina-") => Some(Self::Jina),
                Some(Value::String(model)) if model.starts_with("BAAI/") || model.starts_with("vllm-") => {
                    Some(Self::Vllm)
                }
                _ => Some(Self::CohereV1),
            },
            "/rerank" if member("texts").is_none() && member("documents").is_some() => Some(Self::Vllm),
            "/rerank" => Some(Self::Tei),
            _ => None,
        }
    }

    /// Reranks. `id` names the answer where the API names answers.
    pub(crate) fn rerank(self, body: &[u8], id: &str) -> Reply {
        match self {
            Self::CohereV1 => cohere::rerank_v1(body, id),
            Self::CohereV2 => cohere::rerank_v2(body, id),
            Self::Jina => jina::rerank(body),
            Self::Tei => tei::rerank(body),
            Self::Vllm => vllm::rerank(body, id),
        }
    }

    /// What a call without the right credential gets.
    pub(crate) fn unauthorized(self, id: &str) -> Reply {
        match self {
            Self::CohereV1 | Self::CohereV2 => cohere::error(401, "invalid api token", id),
            Self::Jina => jina::error(401, "Unauthorized"),
            Self::Tei => Reply { status: 401, body: None },
            Self::Vllm => vllm::unauthorized(),
        }
    }
}

impl Reply {
    fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body) }
    }
}

/// Why a body is no call.
enum Unreadable {
    NotJson(String),
    NotSuchACall(String),
}

impl Unreadable {
    fn why(&self) -> &str {
        match self {
            Self::NotJson(why) | Self::NotSuchACall(why) => why,
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Unreadable::NotSuchACall(error.to_string())
        } else {
            Unreadable::NotJson(error.to_string())
        }
    })
}

/// A result, with the document it is about.
struct Hit<'a, D> {
    index: usize,
    score: f64,
    document: &'a D,
}

/// The best `top` documents. `text` gives what of a document is searched.
fn best<'a, D>(query: &str, documents: &'a [D], text: impl Fn(&D) -> String, top: usize) -> Vec<Hit<'a, D>> {
    let texts: Vec<String> = documents.iter().map(text).collect();
    bm25::rank(query, &texts)
        .into_iter()
        .take(top)
        .filter_map(|Ranked { index, score }| documents.get(index).map(|document| Hit { index, score, document }))
        .collect()
}

/// A BM25 score as a relevance from 0 to below 1, which is what the APIs promise. Keeps the order.
fn relevance(score: f64) -> f64 {
    score / (1.0 + score)
}

/// What the APIs count as tokens; here, words.
fn tokens<'a>(query: &str, texts: impl Iterator<Item = &'a str>) -> usize {
    bm25::words(query).len() + texts.map(|text| bm25::words(text).len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_follows_from_the_path_and_then_from_the_body() {
        let table = [
            ("/v2/rerank", r#"{"model":"BAAI/x"}"#, Some(Dialect::CohereV2)),
            ("/v1/rerank", r#"{"model":"rerank-v3.5"}"#, Some(Dialect::CohereV1)),
            ("/v1/rerank", r#"{"query":"no model"}"#, Some(Dialect::CohereV1)),
            ("/v1/rerank", r#"{"model":7}"#, Some(Dialect::CohereV1)),
            ("/v1/rerank", "not json", Some(Dialect::CohereV1)),
            ("/v1/rerank", r#"{"model":"jina-reranker-v2-base-multilingual"}"#, Some(Dialect::Jina)),
            ("/v1/rerank", r#"{"model":"BAAI/bge-reranker-v2-m3"}"#, Some(Dialect::Vllm)),
            ("/v1/rerank", r#"{"model":"vllm-anything"}"#, Some(Dialect::Vllm)),
            ("/rerank", r#"{"query":"q","texts":["a"]}"#, Some(Dialect::Tei)),
            ("/rerank", r#"{"query":"q","documents":["a"],"model":"m"}"#, Some(Dialect::Vllm)),
            ("/rerank", "not json", Some(Dialect::Tei)),
            ("/rerank/", "{}", None),
            ("/v3/rerank", "{}", None),
        ];
        for (path, body, expected) in table {
            assert_eq!(Dialect::of(path, body.as_bytes()), expected, "{path} {body}");
        }
    }

    #[test]
    fn a_relevance_stays_between_nothing_and_one_and_keeps_the_order() {
        assert_eq!(relevance(0.0), 0.0);
        assert_eq!(relevance(1.0), 0.5);
        assert_eq!(relevance(3.0), 0.75);
        assert!(relevance(1e6) < 1.0);
    }
}

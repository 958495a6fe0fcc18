//! Cohere's rerank API, v1 and v2. Errors are `{id, message}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Hit, Reply, Unreadable, best, read, relevance};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct V1 {
    #[serde(rename = "model")]
    _model: Option<String>,
    query: String,
    documents: Vec<Value>,
    top_n: Option<usize>,
    #[serde(default = "text")]
    rank_fields: Vec<String>,
    #[serde(default)]
    return_documents: bool,
    #[serde(rename = "max_chunks_per_doc")]
    _max_chunks_per_doc: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct V2 {
    #[serde(rename = "model")]
    _model: String,
    query: String,
    documents: Vec<String>,
    top_n: Option<usize>,
    #[serde(rename = "max_tokens_per_doc")]
    _max_tokens_per_doc: Option<u32>,
    #[serde(rename = "priority")]
    _priority: Option<u16>,
}

/// v1: documents are strings or objects; an object is searched in its `rank_fields` and comes back whole.
pub(super) fn rerank_v1(body: &[u8], id: &str) -> Reply {
    let call: V1 = match read(body) {
        Ok(call) => call,
        Err(unreadable) => return refuse(&unreadable, id),
    };
    let top = match top(&call.query, call.documents.len(), call.top_n) {
        Ok(top) => top,
        Err(why) => return error(400, why, id),
    };
    let mut documents = Vec::with_capacity(call.documents.len());
    for (index, document) in call.documents.into_iter().enumerate() {
        match Document::read(document, &call.rank_fields) {
            Some(document) => documents.push(document),
            None => {
                let why = format!("invalid request: document at index {index} has none of the rank fields");
                return error(400, &why, id);
            }
        }
    }
    let results = best(&call.query, &documents, |document| document.searched.clone(), top).into_iter().map(|hit| {
        let mut result = result(&hit);
        if call.return_documents
            && let Value::Object(members) = &mut result
        {
            members.insert("document".into(), hit.document.returned.clone());
        }
        result
    });
    answer(results.collect(), "1", id)
}

/// v2: documents are strings, and no text comes back.
pub(super) fn rerank_v2(body: &[u8], id: &str) -> Reply {
    let call: V2 = match read(body) {
        Ok(call) => call,
        Err(unreadable) => return refuse(&unreadable, id),
    };
    match top(&call.query, call.documents.len(), call.top_n) {
        Ok(top) => {
            let hits = best(&call.query, &call.documents, String::clone, top);
            answer(hits.iter().map(result).collect(), "2", id)
        }
        Err(why) => error(400, why, id),
    }
}

/// Cohere's error body.
pub(super) fn error(status: u16, message: &str, id: &str) -> Reply {
    Reply::new(status, json!({ "id": id, "message": message }))
}

/// A document of a v1 call.
struct Document {
    searched: String,
    returned: Value,
}

impl Document {
    /// `None` for what is neither a string nor an object with one of the fields.
    fn read(document: Value, fields: &[String]) -> Option<Self> {
        match document {
            Value::String(text) => Some(Self { returned: json!({ "text": text }), searched: text }),
            Value::Object(members) => {
                let fields: Vec<&str> = fields.iter().filter_map(|name| members.get(name)?.as_str()).collect();
                let searched = if fields.is_empty() { None } else { Some(fields.join("\n")) };
                searched.map(|searched| Self { searched, returned: Value::Object(members) })
            }
            _ => None,
        }
    }
}

fn text() -> Vec<String> {
    vec!["text".into()]
}

fn top(query: &str, documents: usize, top_n: Option<usize>) -> Result<usize, &'static str> {
    match top_n {
        _ if query.is_empty() => Err("invalid request: query must not be empty"),
        _ if documents == 0 => Err("invalid request: list of documents must not be empty"),
        Some(0) => Err("invalid request: top_n must be greater than 0"),
        Some(top_n) => Ok(top_n),
        None => Ok(documents),
    }
}

fn result<D>(hit: &Hit<'_, D>) -> Value {
    json!({ "index": hit.index, "relevance_score": relevance(hit.score) })
}

fn answer(results: Vec<Value>, version: &str, id: &str) -> Reply {
    let meta = json!({ "api_version": { "version": version }, "billed_units": { "search_units": 1 } });
    Reply::new(200, json!({ "id": id, "results": results, "meta": meta }))
}

/// Cohere answers 422 to fields it does not know and 400 to all else it cannot read.
fn refuse(unreadable: &Unreadable, id: &str) -> Reply {
    match unreadable {
        Unreadable::NotSuchACall(why) if why.starts_with("unknown field") => error(422, why, id),
        Unreadable::NotSuchACall(_) | Unreadable::NotJson(_) => {
            error(400, &format!("invalid request: {}", unreadable.why()), id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(body: &Value) -> (u16, Value) {
        let reply = rerank_v1(body.to_string().as_bytes(), "an-id");
        (reply.status, reply.body.unwrap())
    }

    fn v2(body: &Value) -> (u16, Value) {
        let reply = rerank_v2(body.to_string().as_bytes(), "an-id");
        (reply.status, reply.body.unwrap())
    }

    fn indices(body: &Value) -> Vec<u64> {
        body["results"].as_array().unwrap().iter().map(|result| result["index"].as_u64().unwrap()).collect()
    }

    #[test]
    fn v2_answers_indices_and_scores_and_no_text() {
        let (status, body) = v2(&json!({
            "model": "rerank-v3.5", "query": "capital", "documents": ["a town", "the capital", "capital, capital"], "top_n": 2
        }));
        assert_eq!(status, 200);
        assert_eq!(indices(&body), [2, 1]);
        for result in body["results"].as_array().unwrap() {
            assert_eq!(result.as_object().unwrap().keys().collect::<Vec<_>>(), ["index", "relevance_score"]);
        }
        assert_eq!(body["id"], "an-id");
        assert_eq!(body["meta"]["api_version"]["version"], "2");
    }

    #[test]
    fn v1_returns_documents_only_when_asked_and_objects_whole() {
        let mut call =
            json!({ "query": "capital", "documents": ["the capital", { "text": "a town", "iban": "x", "n": 1 }] });
        let (status, body) = v1(&call);
        assert_eq!((status, indices(&body)), (200, vec![0, 1]));
        assert!(body["results"][0].get("document").is_none());

        call["return_documents"] = json!(true);
        let (_, body) = v1(&call);
        assert_eq!(body["results"][0]["document"], json!({ "text": "the capital" }));
        assert_eq!(body["results"][1]["document"], json!({ "text": "a town", "iban": "x", "n": 1 }));
    }

    #[test]
    fn v1_searches_the_rank_fields() {
        let documents = json!([{ "title": "rust", "body": "iron" }, { "title": "iron", "body": "rust" }]);
        let mut call = json!({ "query": "rust", "documents": documents, "rank_fields": ["body"] });
        assert_eq!(indices(&v1(&call).1), [1, 0]);
        call["rank_fields"] = json!(["title"]);
        assert_eq!(indices(&v1(&call).1), [0, 1]);
        call["rank_fields"] = json!(["nowhere"]);
        assert_eq!(v1(&call).0, 400);
    }

    #[test]
    fn bad_calls_get_cohere_errors() {
        let good = json!({ "model": "m", "query": "q", "documents": ["a"] });
        let table = [
            ("query", json!(null), 400),
            ("query", json!(""), 400),
            ("documents", json!([]), 400),
            ("documents", json!("a"), 400),
            ("documents", json!([7]), 400),
            ("top_n", json!(0), 400),
            ("top_n", json!(-1), 400),
            ("top_k", json!(3), 422),
        ];
        for (field, value, expected) in table {
            let mut call = good.clone();
            call[field] = value.clone();
            for (status, body) in [v1(&call), v2(&call)] {
                assert_eq!(status, expected, "{field}: {value}");
                assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "message"]);
            }
        }
        assert_eq!(v2(&json!({ "query": "q", "documents": ["a"] })).0, 400, "v2 needs a model");
        assert_eq!(v2(&json!({ "model": "m", "query": "q", "documents": [{ "text": "a" }] })).0, 400);
        assert_eq!(rerank_v1(b"{", "an-id").status, 400);
    }
}

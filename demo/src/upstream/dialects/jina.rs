//! Jina's rerank API. Errors are `{detail}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, Unreadable, best, read, relevance, tokens};

#[derive(Deserialize)]
struct Call {
    model: String,
    query: String,
    documents: Vec<Document>,
    top_n: Option<usize>,
    #[serde(default = "yes")]
    return_documents: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Bare(String),
    Object { text: String },
}

impl Document {
    fn text(&self) -> &str {
        match self {
            Self::Bare(text) | Self::Object { text } => text,
        }
    }
}

fn yes() -> bool {
    true
}

/// Text comes back unless the caller says otherwise.
pub(super) fn rerank(body: &[u8]) -> Reply {
    let call: Call = match read(body) {
        Ok(call) => call,
        Err(Unreadable::NotJson(why)) => return error(400, &why),
        Err(Unreadable::NotSuchACall(why)) => return error(422, &why),
    };
    if call.documents.is_empty() || call.top_n == Some(0) {
        return error(422, "documents and top_n must not be empty");
    }
    let top = call.top_n.unwrap_or(call.documents.len());
    let results =
        best(&call.query, &call.documents, |document| document.text().to_owned(), top).into_iter().map(|hit| {
            let score = relevance(hit.score);
            if call.return_documents {
                json!({ "index": hit.index, "relevance_score": score, "document": { "text": hit.document.text() } })
            } else {
                json!({ "index": hit.index, "relevance_score": score })
            }
        });
    let results: Vec<Value> = results.collect();
    let total = tokens(&call.query, call.documents.iter().map(Document::text));
    Reply::new(200, json!({ "model": call.model, "usage": { "total_tokens": total }, "results": results }))
}

/// Jina's error body.
pub(super) fn error(status: u16, detail: &str) -> Reply {
    Reply::new(status, json!({ "detail": detail }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> (u16, Value) {
        let reply = rerank(body.to_string().as_bytes());
        (reply.status, reply.body.unwrap())
    }

    #[test]
    fn documents_come_back_as_text_unless_refused() {
        let mut call = json!({
            "model": "jina-reranker-v2", "query": "tea", "documents": ["coffee", { "text": "green tea", "owner": "x" }]
        });
        let (status, body) = ask(&call);
        assert_eq!(status, 200);
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "results", "usage"]);
        assert_eq!(body["model"], "jina-reranker-v2");
        assert_eq!(body["usage"], json!({ "total_tokens": 4 }));
        assert_eq!(body["results"][0]["index"], 1);
        assert_eq!(body["results"][0]["document"], json!({ "text": "green tea" }));
        assert_eq!(body["results"][1]["document"], json!({ "text": "coffee" }));

        call["return_documents"] = json!(false);
        call["top_n"] = json!(1);
        let (_, body) = ask(&call);
        assert_eq!(body["results"].as_array().unwrap().len(), 1);
        assert!(body["results"][0].get("document").is_none());
    }

    #[test]
    fn bad_calls_get_a_detail() {
        let good = json!({ "model": "jina-x", "query": "q", "documents": ["a"] });
        for (field, value) in [
            ("query", json!(1)),
            ("documents", json!([{ "image": "a" }])),
            ("documents", json!([])),
            ("top_n", json!(0)),
        ] {
            let mut call = good.clone();
            call[field] = value;
            let (status, body) = ask(&call);
            assert_eq!(status, 422, "{call}");
            assert!(body["detail"].is_string());
        }
        assert_eq!(rerank(b"[").status, 400);
    }
}

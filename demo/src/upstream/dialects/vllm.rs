//! vLLM's rerank call. The document always comes back. Errors are `{error: {message, type, param, code}}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, best, read, relevance, tokens};

/// What a server started for one model calls itself.
const SERVED: &str = "BAAI/bge-reranker-v2-m3";

#[derive(Deserialize)]
struct Call {
    model: Option<String>,
    query: String,
    documents: Vec<Document>,
    #[serde(default)]
    top_n: usize,
}

/// A string, or the parts of a multimodal document; only text parts can be ranked here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Bare(String),
    Parts { content: Vec<Part> },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
}

impl Document {
    fn text(&self) -> String {
        match self {
            Self::Bare(text) => text.clone(),
            Self::Parts { content } => {
                content.iter().map(|Part::Text { text }| text.as_str()).collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn returned(&self) -> Value {
        match self {
            Self::Bare(text) => json!({ "text": text }),
            Self::Parts { content } => {
                let parts = content.iter().map(|Part::Text { text }| json!({ "type": "text", "text": text }));
                json!({ "multi_modal": parts.collect::<Vec<_>>() })
            }
        }
    }
}

/// There is no switch for the text: it comes back. `top_n` 0 means all.
pub(super) fn rerank(body: &[u8], id: &str) -> Reply {
    let call: Call = match read(body) {
        Ok(call) => call,
        Err(unreadable) => return error(unreadable.why()),
    };
    if call.documents.is_empty() {
        return error("documents must not be empty");
    }
    let top = if call.top_n == 0 { call.documents.len() } else { call.top_n };
    let results = best(&call.query, &call.documents, Document::text, top).into_iter().map(|hit| {
        json!({ "index": hit.index, "document": hit.document.returned(), "relevance_score": relevance(hit.score) })
    });
    let results: Vec<Value> = results.collect();
    let texts: Vec<String> = call.documents.iter().map(Document::text).collect();
    let total = tokens(&call.query, texts.iter().map(String::as_str));
    let usage = json!({ "prompt_tokens": total, "total_tokens": total });
    let model = call.model.as_deref().unwrap_or(SERVED);
    Reply::new(200, json!({ "id": format!("rerank-{id}"), "model": model, "usage": usage, "results": results }))
}

/// What vLLM's API key check answers; not the shape of its other errors.
pub(super) fn unauthorized() -> Reply {
    Reply::new(401, json!({ "error": "Unauthorized" }))
}

fn error(message: &str) -> Reply {
    let error = json!({ "message": message, "type": "BadRequestError", "param": null, "code": 400 });
    Reply::new(400, json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> (u16, Value) {
        let reply = rerank(body.to_string().as_bytes(), "an-id");
        (reply.status, reply.body.unwrap())
    }

    #[test]
    fn the_document_always_comes_back() {
        let parts = json!({ "content": [{ "type": "text", "text": "green" }, { "type": "text", "text": "tea" }] });
        let mut call = json!({ "model": "BAAI/x", "query": "tea", "documents": ["coffee", parts], "top_n": 0 });
        let (status, body) = ask(&call);
        assert_eq!(status, 200);
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "model", "results", "usage"]);
        assert_eq!((&body["id"], &body["model"]), (&json!("rerank-an-id"), &json!("BAAI/x")));
        assert_eq!(body["usage"]["total_tokens"], 4);
        assert_eq!(body["results"][0]["index"], 1);
        assert_eq!(body["results"][0]["document"], json!({ "multi_modal": parts["content"] }));
        assert_eq!(body["results"][1]["document"], json!({ "text": "coffee" }));

        call["top_n"] = json!(1);
        assert_eq!(ask(&call).1["results"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn bad_calls_get_openai_style_errors() {
        let good = json!({ "query": "q", "documents": ["a"] });
        assert_eq!(ask(&good).1["model"], SERVED);
        for (field, value) in [("query", json!(null)), ("documents", json!([])), ("top_n", json!(-1))] {
            let mut call = good.clone();
            call[field] = value;
            let (status, body) = ask(&call);
            assert_eq!((status, &body["error"]["code"]), (400, &json!(400)), "{call}");
            assert_eq!(body["error"]["type"], "BadRequestError");
        }
        let image = json!({ "content": [{ "type": "image_url", "image_url": { "url": "data:" } }] });
        assert_eq!(ask(&json!({ "query": "q", "documents": [image] })).0, 400, "an image cannot be ranked here");
    }
}

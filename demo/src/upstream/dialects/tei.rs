//! The rerank call of Hugging Face's Text Embeddings Inference: no model, no limit, a bare array back. Errors are
//! `{error, error_type}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, Unreadable, best, read, relevance};

#[derive(Deserialize)]
struct Call {
    query: String,
    texts: Vec<String>,
    #[serde(default)]
    raw_scores: bool,
    #[serde(default)]
    return_text: bool,
}

/// All texts come back scored, the best first; with `raw_scores`, the scores are BM25's own.
pub(super) fn rerank(body: &[u8]) -> Reply {
    let call: Call = match read(body) {
        Ok(call) => call,
        Err(Unreadable::NotJson(why)) => return error(400, &why, "validation"),
        Err(Unreadable::NotSuchACall(why)) => return error(422, &why, "validation"),
    };
    if call.texts.is_empty() {
        return error(400, "`texts` cannot be empty", "empty");
    }
    let ranks = best(&call.query, &call.texts, String::clone, call.texts.len()).into_iter().map(|hit| {
        let score = if call.raw_scores { hit.score } else { relevance(hit.score) };
        if call.return_text {
            json!({ "index": hit.index, "text": hit.document, "score": score })
        } else {
            json!({ "index": hit.index, "score": score })
        }
    });
    Reply::new(200, Value::Array(ranks.collect()))
}

fn error(status: u16, why: &str, kind: &str) -> Reply {
    Reply::new(status, json!({ "error": why, "error_type": kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> (u16, Value) {
        let reply = rerank(body.to_string().as_bytes());
        (reply.status, reply.body.unwrap())
    }

    #[test]
    fn a_bare_array_comes_back_with_text_only_when_asked() {
        let (status, body) = ask(&json!({ "query": "tea", "texts": ["coffee", "tea"] }));
        assert_eq!(status, 200);
        let ranks = body.as_array().unwrap();
        assert_eq!(ranks.len(), 2);
        assert_eq!(ranks[0]["index"], 1);
        assert_eq!(ranks[1], json!({ "index": 0, "score": 0.0 }));

        let (_, body) = ask(&json!({ "query": "tea", "texts": ["coffee", "tea"], "return_text": true }));
        assert_eq!(body[0]["text"], "tea");
        assert_eq!(body[1]["text"], "coffee");
    }

    /// One text, one word, no rarity to gain: ln(1 + 0.5 / 1.5) * 2.2 / 2.2.
    #[test]
    fn raw_scores_are_not_squashed() {
        let score = |raw: bool| {
            let (_, body) = ask(&json!({ "query": "tea", "texts": ["tea"], "raw_scores": raw }));
            body[0]["score"].as_f64().unwrap()
        };
        let bm25 = (4.0f64 / 3.0).ln();
        assert!((score(true) - bm25).abs() < 1e-12);
        assert!((score(false) - bm25 / (1.0 + bm25)).abs() < 1e-12);
    }

    #[test]
    fn bad_calls_get_an_error_and_its_type() {
        let table = [
            (json!({ "query": "q", "texts": [] }), 400, "empty"),
            (json!({ "query": "q" }), 422, "validation"),
            (json!({ "query": "q", "texts": [1] }), 422, "validation"),
        ];
        for (call, status, kind) in table {
            let (found, body) = ask(&call);
            assert_eq!((found, &body["error_type"]), (status, &json!(kind)), "{call}");
            assert!(body["error"].is_string());
        }
        assert_eq!(rerank(b"{").status, 400);
    }
}

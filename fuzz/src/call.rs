//! Bodies of rerank calls, in every dialect.

use crate::gateway::{DIALECTS, Gateway, NOW, mesh};
use rerank_guard::exchange::Step;
use serde_json::Value;

thread_local! {
    static GATEWAY: Gateway = Gateway::new();
}

/// The first byte chooses the dialect, the rest is the body. Only what another reader takes for one object without repeated members
/// goes upstream, unchanged, and the record counts the documents that are in it.
pub fn check(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let dialect = DIALECTS[usize::from(*choice) % DIALECTS.len()];
    let (mut exchange, step) = GATEWAY.with(|gateway| gateway.ask("web", dialect, body));
    let record: Value = serde_json::from_str(&exchange.sealed_record(NOW, &mesh())).expect("a record is JSON");
    match step {
        Step::Release(edits) => {
            assert_eq!(edits.body, None, "a call is sent on unchanged");
            let sent: Value = serde_json::from_slice(body).expect("what goes upstream is JSON");
            let documents = sent[if dialect == "tei" { "texts" } else { "documents" }].as_array();
            assert!(sent["query"].is_string(), "a call has a query");
            assert_eq!(record["call"]["documents"], documents.expect("a call has documents").len());
            if dialect != "tei" {
                assert_eq!(record["call"]["model"], sent["model"], "what was judged is what is sent");
            }
        }
        Step::Reply(reply) => {
            assert!((400..500).contains(&reply.status), "refused with {}", reply.status);
            assert!(serde_json::from_slice::<Value>(&reply.body).is_ok_and(|body| body.is_object()));
        }
        other => panic!("neither sent nor refused: {other:?}"),
    }
}

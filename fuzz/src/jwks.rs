//! Key sets and discovery documents, as an identity provider may answer them.

use crate::caller::{HEADER, NOW, Signer, callers, claims, ok};
use rerank_guard::caller::{NoNativeSignatures, Outcome};
use rerank_guard::time::Span;
use serde_json::{Value, json};

/// A body for a fetch of keys. Keys there before stay whatever comes, unless other good ones come; symmetric and private ones never do.
pub fn key_set(body: &[u8]) {
    let place = json!({"cluster": "idp", "authority": "idp.test", "path": "/keys"});
    let mut callers = callers(&json!({"jwks": place}));
    let issuer = Signer::new(1);
    let mut own = issuer.jwk();
    own["kid"] = json!("k");
    assert_eq!(callers.due(NOW).len(), 1);
    let first = json!({"keys": [own]}).to_string();
    callers.fetched(0, ok(first.as_bytes()), NOW, 0);
    let token = issuer.sign(HEADER.as_bytes(), claims().to_string().as_bytes());
    assert!(callers.identify(token.as_bytes(), NOW, &NoNativeSignatures).is_ok());
    let later = NOW.plus(Span::from_secs(300));
    assert_eq!(callers.due(later).len(), 1);
    let outcome = callers.fetched(0, ok(body), later, 0).outcome;
    let still = callers.identify(token.as_bytes(), later, &NoNativeSignatures).is_ok();
    match outcome {
        Outcome::Kept(_) | Outcome::Unchanged => assert!(still, "good keys were lost: {outcome:?}"),
        Outcome::Replaced { keys, left_out } => {
            let set: Value = serde_json::from_slice(body).expect("another reader reads the set too");
            let all = set["keys"].as_array().expect("a set has keys");
            assert!(keys > 0);
            assert_eq!(keys + left_out.len(), all.len(), "each key is used or told of");
            assert!(!all.iter().any(|key| key["kty"] == "oct"), "a set with a symmetric key");
            let usable = all.iter().enumerate().filter(|(at, _)| !left_out.iter().any(|left| left.position == *at));
            for (_, key) in usable {
                assert!(key.get("d").is_none(), "a private key");
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A body for a fetch of the discovery document. Wherever it leads, it leads to the configured host.
pub fn discovery(body: &[u8]) {
    let mut callers = callers(&json!({"discovery": {"cluster": "idp", "authority": "idp.test"}}));
    assert_eq!(callers.due(NOW).len(), 1);
    if callers.fetched(0, ok(body), NOW, 0).outcome == Outcome::Discovered {
        let fetches = callers.due(NOW);
        let [fetch] = fetches.as_slice() else { panic!("no fetch of keys") };
        assert_eq!((fetch.cluster.as_str(), fetch.authority.as_str()), ("idp", "idp.test"));
        assert!(fetch.path.starts_with('/') && fetch.path.bytes().all(|byte| byte.is_ascii_graphic()));
        let document: Value = serde_json::from_slice(body).expect("another reader reads the document too");
        assert_eq!(document["issuer"], crate::caller::ISSUER);
        assert_eq!(document["jwks_uri"], format!("https://idp.test{}", fetch.path));
    } else {
        assert!(callers.due(NOW).is_empty(), "a bad document is not followed");
    }
}

//! Bundles, and the envelopes they travel in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{KeyPair, Seed};
use rerank_guard::policy::signed::{Refused, Terms, TrustedKey, key_id, open, signed_bytes, verify};
use rerank_guard::policy::{Effect, Policy, Request};
use rerank_guard::time::Time;
use serde_json::{Value, json};

const NOW: Time = Time(1_800_000_000_000);

/// The first byte chooses what the rest is: an envelope of nobody, a bundle by itself, a bundle that a trusted key has signed, or
/// the envelope of such a bundle with the rest in the place of its signatures.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let pair = KeyPair::from_seed(Seed::new([3; 32]));
    let keys = [TrustedKey::from_bytes(&*pair.pk).expect("a key")];
    let terms = Terms { keys: &keys, id: "search", min_serial: 5, current: None, now: NOW };
    match choice % 4 {
        0 => assert!(verify(rest, &keys).is_err(), "nobody signed it"),
        1 => {
            if let Ok(policy) = Policy::load(rest) {
                decided(&policy);
            }
        }
        2 => {
            let sig = STANDARD.encode(*pair.sk.sign(signed_bytes(rest), None));
            let envelope =
                json!({"payload": STANDARD.encode(rest), "signatures": [{"key": key_id(&*pair.pk), "sig": sig}]});
            let text = envelope.to_string().into_bytes();
            assert_eq!(verify(&text, &keys).as_deref(), Ok(rest));
            match open(&text, &terms) {
                Ok(policy) => {
                    let written: Value = serde_json::from_slice(rest).expect("a bundle is JSON");
                    assert_eq!(written["bundle"]["id"], "search");
                    assert!(written["bundle"]["serial"].as_u64() >= Some(5) && policy.not_after() > Some(NOW));
                    decided(&policy);
                }
                Err(Refused::Unsigned | Refused::Forged(_) | Refused::NoEnvelope) => panic!("it is signed"),
                Err(_) => {}
            }
        }
        _ => {
            let bundle = br#"{"schema":"rerank-guard/v1","bundle":{"id":"search","serial":6,"not_after":"2036-01-01"},"rules":[]}"#;
            let rest = String::from_utf8_lossy(rest);
            let envelope = format!(r#"{{"payload":"{}","signatures":{rest}}}"#, STANDARD.encode(bundle));
            assert!(open(envelope.as_bytes(), &terms).is_err(), "nobody signed it");
        }
    }
}

/// Whatever a bundle says, a call of nobody in particular is not allowed by it: allows name groups.
fn decided(policy: &Policy) {
    let request =
        json!({"model": "m", "dataset": "hr", "documents": 3, "signals": {"pii": ["email"], "calls_per_minute": 9}});
    let request = Request::read(&request).expect("a call");
    assert_eq!(policy.decide(&request.question()).effect, Effect::Deny);
    for outcome in policy.run_tests() {
        assert!(outcome.decision.effect != Effect::Allow || !outcome.decision.rules.is_empty());
    }
}

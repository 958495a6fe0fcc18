//! Proofs of possession.

use crate::caller::{HEADER, NOW, Signer, claims, trusting};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rerank_guard::caller::{Dpop, NoNativeSignatures, Presented, Proof, Refusal, Shown, Target};
use rerank_guard::origin::{Authority, Origin};
use rerank_guard::shared::LocalMemory;
use serde_json::{Value, json};

const URI: &str = "https://gw.test/v2/rerank";

/// The first byte chooses what the rest is: a whole proof, or the claims or the header of one that the holder has signed (with
/// `ATH` for the token's digest). A proof that is taken names this method, address and token to another reader, and is taken once.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let (issuer, holder) = (Signer::new(1), Signer::new(2));
    let mut bound = claims();
    bound["cnf"] = json!({"jkt": holder.thumbprint()});
    let token = issuer.sign(HEADER.as_bytes(), bound.to_string().as_bytes());
    let ath = URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(token.as_bytes()));
    let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": holder.jwk()}).to_string();
    let good = json!({"jti": "p-1", "htm": "POST", "htu": URI, "iat": NOW.secs(), "ath": ath}).to_string();
    let rest = String::from_utf8_lossy(rest).replace("ATH", &ath);
    let (proof, signed) = match choice % 3 {
        0 => (rest.clone(), None),
        1 => (holder.sign(header.as_bytes(), rest.as_bytes()), Some(rest.as_str())),
        _ => (holder.sign(rest.as_bytes(), good.as_bytes()), Some(good.as_str())),
    };
    let (mut callers, memory) = (trusting(&issuer), LocalMemory::default());
    let origins = [Origin::read("https://gw.test").expect("an origin")];
    let authority = Authority::read("gw.test").expect("an authority");
    let target = Target { origins: &origins, authority: &authority, path: "/v2/rerank" };
    let presented = Presented {
        token: token.as_bytes(),
        is_dpop: true,
        dpop: Shown::One(Dpop { proof: proof.as_bytes(), method: "POST", target }),
        ..Presented::default()
    };
    let Ok(caller) = callers.identify_sender(&presented, NOW, &NoNativeSignatures, &memory) else { return };
    assert_eq!(caller.proof(), Proof::BoundToKey);
    let claims: Value = serde_json::from_str(signed.expect("an unsigned proof was taken")).expect("claims are JSON");
    assert_eq!((claims["htm"].as_str(), claims["ath"].as_str()), (Some("POST"), Some(ath.as_str())));
    assert!(claims["htu"].as_str().is_some_and(|htu| htu.to_ascii_lowercase().starts_with("https://gw.test")));
    assert!(claims["iat"].as_f64().is_some_and(|iat| (iat - NOW.secs() as f64).abs() < 80.0));
    assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
    let again = callers.identify_sender(&presented, NOW, &NoNativeSignatures, &memory);
    assert_eq!(again, Err(Refusal::ProofReplayed), "a proof was taken twice");
}

//! Tokens of callers.

use crate::caller::{HEADER, ISSUER, NOW, Signer, claims, trusting};
use rerank_guard::caller::NoNativeSignatures;
use serde_json::Value;

/// The first byte chooses what the rest is: a whole token, the claims or the header of one that the issuer has signed, or a token
/// of a good header and claims with the rest for its signature. Nobody is proved but by the issuer's own signature, and as nobody but
/// whom the claims name to another reader; and what is proved once is proved again, from the cache, as the same.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let issuer = Signer::new(1);
    let good = claims().to_string();
    let (token, is_signed) = match choice % 4 {
        0 => (rest.to_vec(), false),
        1 => (issuer.sign(HEADER.as_bytes(), rest).into_bytes(), true),
        2 => (issuer.sign(rest, good.as_bytes()).into_bytes(), true),
        _ => {
            let token = issuer.sign(HEADER.as_bytes(), good.as_bytes());
            let signed = &token[..=token.rfind('.').expect("a signature")];
            ([signed.as_bytes(), rest].concat(), false)
        }
    };
    let mut callers = trusting(&issuer);
    let first = callers.identify(&token, NOW, &NoNativeSignatures);
    let again = callers.identify(&token, NOW, &NoNativeSignatures);
    match (first, again) {
        (Ok(first), Ok(again)) => {
            assert!(is_signed, "an unsigned token was believed");
            assert_eq!(first, again);
            let named: Value = serde_json::from_slice(if choice % 4 == 1 { rest } else { good.as_bytes() })
                .expect("another reader reads the claims too");
            assert_eq!(named["iss"], ISSUER);
            assert_eq!(named["sub"], first.subject());
            assert!(named["exp"].as_f64().is_some_and(|exp| exp > NOW.secs() as f64 - 60.0));
            assert!(named.get("cnf").is_none(), "a bound token was taken as a bearer token");
        }
        (Err(first), Err(again)) => assert_eq!(first, again),
        (first, again) => panic!("once {first:?}, then {again:?}"),
    }
    // One byte more is another token.
    let mut other = token;
    other.push(b'A');
    assert!(callers.identify(&other, NOW, &NoNativeSignatures).is_err());
}

//! Answers of approvers, and their receipts.

use crate::gateway::{Gateway, NOW, digest_of, mesh};
use rerank_guard::exchange::Step;
use serde_json::{Value, json};

const CALL: &[u8] = br#"{"model":"m1","query":"q","documents":["a","b"]}"#;
const HEADER: &[u8] = br#"{"alg":"EdDSA","kid":"a1","typ":"rerank-approval+jwt"}"#;

/// The first byte chooses what the rest is: the whole answer, a receipt in a sound answer, or the claims (with `DIGEST` for the digest
/// that was asked about) or the header of a receipt that the approver has signed. Only claims that say all they must send the call
/// up.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    // Of its own for each input: a receipt is believed once.
    let gateway = Gateway::new();
    let (mut exchange, step) = gateway.ask("hr", "cohere-v2", CALL);
    let digest = digest_of(&step);
    let sound = claims(&digest);
    let answer =
        |receipt: &str| json!({"status": "approved", "id": "a-1", "receipt": receipt}).to_string().into_bytes();
    let (body, may_go) = match choice % 4 {
        0 => (rest.to_vec(), false),
        1 => (answer(&String::from_utf8_lossy(rest)), false),
        2 => {
            let claims = String::from_utf8_lossy(rest).replace("DIGEST", &digest);
            (answer(&gateway.sign(HEADER, claims.as_bytes())), approves(&claims, &sound))
        }
        _ => (answer(&gateway.sign(rest, sound.to_string().as_bytes())), true),
    };
    // The status is in the first byte as well.
    let status = if *choice >= 128 { 202 } else { 200 };
    let step = match exchange.answered(Some((status, &body)), NOW) {
        Step::Read => exchange.request_whole(CALL, NOW, &mesh()),
        step => step,
    };
    match step {
        Step::Release(_) => assert!(may_go && status == 200, "sent on by {}", String::from_utf8_lossy(&body)),
        Step::Reply(reply) => assert!((400..600).contains(&reply.status), "refused with {}", reply.status),
        other => panic!("neither sent nor refused: {other:?}"),
    }
}

fn claims(digest: &str) -> Value {
    let now = NOW.secs();
    json!({
        "iss": "https://approver.test", "aud": "fuzz", "sub": "search.test", "requester_iss": "mesh", "req": digest, "approval": "desk",
        "apv": [{"sub": "lea", "groups": ["grp-leads"], "at": now}], "iat": now, "exp": now + 120, "jti": "r-1",
    })
}

/// Whether signed claims are those of a receipt for the call, read by other means than the filter's.
fn approves(claims: &str, sound: &Value) -> bool {
    let Ok(claims) = serde_json::from_str::<Value>(claims) else { return false };
    let same = ["iss", "aud", "sub", "requester_iss", "req", "approval"].iter().all(|name| claims[name] == sound[name]);
    let people = claims["apv"].as_array().cloned().unwrap_or_default();
    let by_caller = people.iter().any(|person| person["sub"] == sound["sub"]);
    let now = NOW.secs() as f64;
    let recent = |person: &Value| person["at"].as_f64().is_some_and(|at| (now - 601.0..=now + 30.0).contains(&at));
    let lead = |person: &Value| {
        recent(person) && person["groups"].as_array().is_some_and(|all| all.contains(&json!("grp-leads")))
    };
    let (from, until) = (claims["iat"].as_f64(), claims["exp"].as_f64());
    let fresh = from.is_some_and(|from| from <= now + 30.0) && until.is_some_and(|until| until > now - 30.0);
    same && !by_caller && people.iter().any(lead) && fresh && claims["jti"].is_string()
}

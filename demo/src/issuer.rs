//! An OIDC issuer that gives a token to whoever asks: for demos and tests only.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::id;
use crate::keys::{self, Algorithm, Key};
use crate::server::{self, Answer, Asked};
use crate::signer::{Failure, now};

const LIMIT: usize = 1 << 16;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// Command line of the issuer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to serve; port 0 means a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The issuer's name, `iss` of its tokens; by default the URL it serves at
    #[arg(long)]
    issuer: Option<String>,
}

/// Serves until told to stop.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (listener, at) = server::bind(args.listen).await?;
    let issuer = Arc::new(Issuer {
        name: args.issuer.unwrap_or_else(|| format!("http://{at}")),
        keys: Mutex::new(Ring { live: make(&ALGORITHMS)?, kept: Vec::new() }),
        algorithms: &ALGORITHMS,
    });
    let serving = server::serve(listener, LIMIT, move |asked| answer(Arc::clone(&issuer), asked));
    server::say_ready(&json!({ "ready": at.to_string() }))?;
    Ok(server::until_stopped(serving).await?)
}

struct Issuer {
    name: String,
    keys: Mutex<Ring>,
    /// What a rotation makes anew.
    algorithms: &'static [Algorithm],
}

/// The keys that sign, and older ones still in the JWKS.
struct Ring {
    live: Vec<Key>,
    kept: Vec<Key>,
}

/// Body of `POST /token`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    sub: String,
    #[serde(default)]
    groups: Vec<String>,
    /// A string or an array of them.
    aud: Value,
    #[serde(default)]
    alg: Algorithm,
    /// Seconds until expiry; negative for a token that has expired.
    #[serde(default = "five_minutes")]
    ttl_s: i64,
    /// Set over the claims above; `null` takes a claim away.
    #[serde(default)]
    claims: Map<String, Value>,
    /// A key of the JWKS to sign with; of a name nobody has, the token is signed as usual and says this name.
    kid: Option<String>,
    #[serde(default = "jwt")]
    typ: String,
}

/// Body of `POST /rotate`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Whether the JWKS goes on showing the old keys.
    #[serde(default)]
    keep: bool,
}

fn five_minutes() -> i64 {
    300
}

fn jwt() -> String {
    "JWT".into()
}

async fn answer(issuer: Arc<Issuer>, asked: Asked) -> Answer {
    let answer = match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "/.well-known/openid-configuration") => Ok(issuer.discovery()),
        (&Method::GET, "/jwks.json") => issuer.jwks(),
        (&Method::POST, "/token") => match serde_json::from_slice(&asked.body) {
            Ok(wish) => issuer.token(wish, now()),
            Err(error) => return server::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::POST, "/rotate") => {
            let body: &[u8] = if asked.body.is_empty() { b"{}" } else { &asked.body };
            match serde_json::from_slice::<Rotation>(body) {
                Ok(rotation) => rotate(issuer, rotation).await,
                Err(error) => return server::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            }
        }
        (&Method::GET, "/healthz") => Ok(json!({ "status": "ok" })),
        _ => return server::refusal(StatusCode::NOT_FOUND, "not found"),
    };
    match answer {
        Ok(body) => server::json_answer(StatusCode::OK, &body),
        Err(failure) => server::refusal(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
    }
}

/// Makes new keys, away from the thread that serves: RSA takes its time.
async fn rotate(issuer: Arc<Issuer>, rotation: Rotation) -> Result<Value, keys::Failure> {
    let algorithms = issuer.algorithms;
    let made = tokio::task::spawn_blocking(move || make(algorithms)).await;
    let made = made.map_err(|error| keys::Failure::NotMade(error.to_string()))??;
    let kids: Vec<String> = made.iter().map(|key| key.kid().to_owned()).collect();
    let mut ring = issuer.keys.lock().unwrap_or_else(PoisonError::into_inner);
    let old = std::mem::replace(&mut ring.live, made);
    if rotation.keep {
        ring.kept.extend(old);
    } else {
        ring.kept.clear();
    }
    Ok(json!({ "kids": kids }))
}

impl Issuer {
    fn discovery(&self) -> Value {
        let base = self.name.trim_end_matches('/');
        json!({
            "issuer": self.name,
            "jwks_uri": format!("{base}/jwks.json"),
            "token_endpoint": format!("{base}/token"),
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        })
    }

    fn jwks(&self) -> Result<Value, keys::Failure> {
        let ring = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Result<Vec<Value>, _> = ring.live.iter().chain(&ring.kept).map(Key::jwk).collect();
        Ok(json!({ "keys": keys? }))
    }

    /// `now` is in seconds since the epoch.
    fn token(&self, wish: Wish, now: u64) -> Result<Value, keys::Failure> {
        let expires = now.saturating_add_signed(wish.ttl_s);
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(self.name));
        claims.insert("sub".into(), json!(wish.sub));
        claims.insert("aud".into(), wish.aud);
        claims.insert("groups".into(), json!(wish.groups));
        // A token that has expired was issued before that.
        claims.insert("iat".into(), json!(now.min(expires)));
        claims.insert("exp".into(), json!(expires));
        claims.insert("jti".into(), json!(id::fresh()));
        for (name, value) in wish.claims {
            match value {
                Value::Null => claims.remove(&name),
                value => claims.insert(name, value),
            };
        }
        let ring = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |key: &&Key| wish.kid.as_deref() == Some(key.kid());
        let mut usual = ring.live.iter().filter(|key| key.algorithm() == wish.alg);
        let key = ring.live.iter().chain(&ring.kept).find(named).or_else(|| usual.next());
        let key = key.ok_or_else(|| keys::Failure::NotSigned("there is no key of that algorithm".into()))?;
        let token = key.sign(&wish.typ, wish.kid.as_deref().unwrap_or(key.kid()), claims)?;
        Ok(json!({ "access_token": token, "token_type": "Bearer", "expires_in": wish.ttl_s }))
    }
}

fn make(algorithms: &[Algorithm]) -> Result<Vec<Key>, keys::Failure> {
    algorithms.iter().map(|&algorithm| Key::generate(algorithm)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::verify;
    use crate::server::client::{any_port, ask, ask_json};

    /// Without RSA, whose keys take long to make in a test.
    const QUICK: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

    fn issuer() -> Issuer {
        let keys = Mutex::new(Ring { live: make(&QUICK).unwrap(), kept: vec![] });
        Issuer { name: "https://idp.example".into(), keys, algorithms: &QUICK }
    }

    fn wish(value: Value) -> Wish {
        serde_json::from_value(value).unwrap()
    }

    /// The claims of a token, and the `typ` and `kid` it names, if a key of the JWKS signed it.
    fn open(jwks: &Value, token: &Value) -> Option<(String, String, Value)> {
        let alg_fits = |jwk: &&Value| {
            let token = token["access_token"].as_str().unwrap();
            let alg = jwt_simple::prelude::Token::decode_metadata(token).unwrap().algorithm().to_owned();
            jwk["alg"] == alg
        };
        let keys = jwks["keys"].as_array().unwrap();
        keys.iter().filter(alg_fits).find_map(|jwk| verify::open(jwk, token["access_token"].as_str().unwrap()))
    }

    #[test]
    fn a_token_says_what_was_wished_and_verifies_against_the_jwks() {
        let issuer = issuer();
        let wished = json!({
            "sub": "ann", "groups": ["grp-bi"], "aud": "rerank-guard", "alg": "ES256", "ttl_s": 60,
            "typ": "at+jwt", "claims": { "tenant": { "id": 7 } }
        });
        let token = issuer.token(wish(wished), 1_000_000).unwrap();
        assert_eq!(token["expires_in"], 60);
        let (typ, kid, claims) = open(&issuer.jwks().unwrap(), &token).unwrap();
        assert_eq!(typ, "at+jwt");
        assert_eq!(kid, issuer.jwks().unwrap()["keys"][0]["kid"]);
        let expected = json!({
            "iss": "https://idp.example", "sub": "ann", "aud": "rerank-guard", "groups": ["grp-bi"],
            "iat": 1_000_000, "exp": 1_000_060, "tenant": { "id": 7 }, "jti": claims["jti"]
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn wishes_for_bad_tokens_are_granted() {
        let issuer = issuer();
        let jwks = issuer.jwks().unwrap();
        let base = json!({ "sub": "ann", "aud": ["a"], "alg": "EdDSA" });
        let with = |name: &str, value: Value| {
            let mut wished = base.clone();
            wished[name] = value;
            issuer.token(wish(wished), 1_000_000).unwrap()
        };
        let (_, kid, _) = open(&jwks, &with("kid", json!("nobody"))).unwrap();
        assert_eq!(kid, "nobody");
        let (_, _, claims) =
            open(&jwks, &with("claims", json!({ "iss": "https://evil.example", "exp": null }))).unwrap();
        assert_eq!(claims["iss"], "https://evil.example");
        assert!(claims.get("exp").is_none());
        assert_eq!(claims["aud"], json!(["a"]));
        // Expired: read the claims without the library, which refuses it.
        let token = with("ttl_s", json!(-3600));
        assert!(open(&jwks, &token).is_none());
    }

    #[tokio::test]
    async fn rotation_removes_old_keys_or_keeps_them_for_verifying() {
        let issuer = Arc::new(issuer());
        let kids = |issuer: &Issuer| -> Vec<Value> {
            issuer.jwks().unwrap()["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
        };
        let first = kids(&issuer);
        let made = rotate(Arc::clone(&issuer), Rotation { keep: true }).await.unwrap();
        let second = made["kids"].as_array().unwrap().clone();
        assert_eq!(kids(&issuer), [second.clone(), first.clone()].concat());
        let old = wish(json!({ "sub": "ann", "aud": "a", "kid": first[1] }));
        let (_, kid, _) = open(&issuer.jwks().unwrap(), &issuer.token(old, 1_000_000).unwrap()).unwrap();
        assert_eq!(kid, first[1], "a kept key still signs when asked for");
        let made = rotate(Arc::clone(&issuer), Rotation { keep: false }).await.unwrap();
        assert_eq!(kids(&issuer), *made["kids"].as_array().unwrap());
    }

    #[tokio::test]
    async fn everything_is_served_over_http() {
        let issuer = Arc::new(issuer());
        let (listener, at) = server::bind(any_port()).await.unwrap();
        let task = tokio::spawn(server::serve(listener, LIMIT, move |asked| answer(Arc::clone(&issuer), asked)));
        let (status, found) = ask_json(at, "GET /.well-known/openid-configuration", &[], "").await;
        assert_eq!((status, &found["issuer"]), (200, &json!("https://idp.example")));
        assert_eq!(found["jwks_uri"], "https://idp.example/jwks.json");
        let (_, before) = ask_json(at, "GET /jwks.json", &[], "").await;
        let token = ask_json(at, "POST /token", &[], r#"{"sub":"ann","aud":"a","alg":"EdDSA"}"#).await;
        assert_eq!((token.0, &token.1["expires_in"]), (200, &json!(300)));
        assert_eq!(ask(at, "POST /token", &[], r#"{"aud":"a"}"#).await.0, 400);
        assert_eq!(ask(at, "POST /token", &[], r#"{"sub":"a","aud":"a","alg":"none"}"#).await.0, 400);
        assert_eq!(ask(at, "POST /rotate", &[], "").await.0, 200);
        assert_ne!(ask_json(at, "GET /jwks.json", &[], "").await.1, before);
        assert_eq!(ask(at, "GET /token", &[], "").await.0, 404);
        task.abort();
    }
}

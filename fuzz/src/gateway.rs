//! A gateway without a host: every dialect on a route of its own, one caller proved by certificate, one dataset behind an approval.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, Seed};
use rerank_guard::config::Config;
use rerank_guard::exchange::{Certificate, Exchange, Guard, Headers, StandIn, Step};
use rerank_guard::shared::LocalMemory;
use rerank_guard::time::Time;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) const NOW: Time = Time(1_800_000_000_000);
pub(crate) const SECRET: &str = "upstream-s3cret-0123456789";

/// The dialects there are, each at `/NAME/rerank`.
pub(crate) const DIALECTS: [&str; 5] = ["cohere-v1", "cohere-v2", "jina", "tei", "vllm"];

pub(crate) struct Gateway {
    guard: Rc<Guard>,
    approver: KeyPair,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        MEMORY.take();
        let approver = KeyPair::from_seed(Seed::new([7; 32]));
        let x = URL_SAFE_NO_PAD.encode(*approver.pk);
        let mut routes = Vec::new();
        for dialect in DIALECTS {
            for dataset in ["web", "hr"] {
                let mut route = json!({
                    "path": format!("/{dataset}/{dialect}/rerank"), "dialect": dialect, "dataset": {"fixed": dataset}, "clusters": ["up"], "credentials": ["up"],
                });
                if dialect == "tei" {
                    route["model"] = json!("m1");
                }
                routes.push(route);
            }
        }
        let config = json!({
            "gateway": "fuzz",
            "bundle": {"inline": {
                "schema": "rerank-guard/v1",
                "bundle": {"id": "fuzz", "serial": 1, "not_after": "2036-01-01"},
                "groups": {"all": ["grp-all"]},
                "datasets": {"web": {"match": ["web"]}, "hr": {"match": ["hr"]}},
                "credentials": {"up": {}},
                "masks": {"pii": {"detect": ["email"]}},
                "approvals": {"desk": {"groups": ["grp-leads"], "min": 1, "ttl": "10m"}},
                "rules": [
                    {"id": "hr", "guard": {"datasets": ["hr"]}, "require": {"approval": "desk"}},
                    {"id": "all", "allow": {"groups": ["all"], "models": ["*"], "datasets": ["web", "hr"], "operations": ["rerank"]}, "use": "up"},
                ],
            }},
            "callers": {"verified_routes": ["mesh"], "peers": [{"dns": {"issuer": "mesh", "names": {"search.test": ["grp-all"]}}}]},
            "origins": ["https://gw"],
            "routes": routes,
            "approver": {
                "cluster": "approver", "authority": "approver.test", "issuer": "https://approver.test",
                "key": {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "a1", "x": x},
            },
            "credentials": {"up": {"env": "UP", "prefix": "Bearer "}},
        });
        let config = Config::read(config.to_string().as_bytes(), None).expect("a configuration");
        let guard = Guard::new(config, &|_| Some(SECRET.to_owned()), 1).expect("a guard");
        Self { guard: Rc::new(guard), approver }
    }

    /// A call with `body`, up to the decision.
    pub(crate) fn ask(&self, dataset: &str, dialect: &str, body: &[u8]) -> (Exchange, Step) {
        let mut exchange = Exchange::new(self.guard.clone(), "d-1".to_owned(), NOW);
        let path = format!("/{dataset}/{dialect}/rerank");
        let headers =
            [(":method", "POST"), (":path", &path), (":authority", "gw"), ("content-type", "application/json")];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        assert_eq!(exchange.request_headers(Headers::new(headers.collect()), false, NOW, &mesh()), Step::Hold);
        match exchange.request_body(body.len(), true) {
            Step::Read => {
                let step = exchange.request_whole(body, NOW, &mesh());
                (exchange, step)
            }
            step => (exchange, step),
        }
    }

    /// A compact JWS by the approver's key over these very bytes.
    pub(crate) fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(*self.approver.sk.sign(text.as_bytes(), None)))
    }
}

/// The digest an approver is asked about.
pub(crate) fn digest_of(step: &Step) -> String {
    let Step::CallOut(call) = step else { panic!("no callout but {step:?}") };
    let asked: Value = serde_json::from_slice(&call.body).expect("the approver is asked in JSON");
    asked["request_digest"].as_str().expect("a digest").to_owned()
}

thread_local! {
    /// The process's memory, new with each gateway.
    static MEMORY: RefCell<Rc<LocalMemory>> = RefCell::default();
}

/// A host whose mesh has verified the one caller's certificate.
pub(crate) fn mesh() -> StandIn {
    let certificate = Certificate { sha256: [1; 32], uri: None, dns: Some("search.test".to_owned()) };
    StandIn {
        certificate: Some(certificate),
        route: Some("mesh"),
        cluster: Some("up"),
        memory: Some(MEMORY.with_borrow(Clone::clone)),
        ..StandIn::default()
    }
}

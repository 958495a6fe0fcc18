//! A reranker that really reranks: BM25 over each call's own documents, in the dialects of several vendors, behind a
//! credential. A control port of its own shows what it saw.

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::id;
use crate::server::{self, Answer, Asked};
use dialects::{Dialect, Reply};
use seen::{Seen, digest};

mod bm25;
mod dialects;
mod seen;

/// The largest call read, in bytes.
const LIMIT: usize = 16 << 20;

/// Command line of the upstream.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to serve; port 0 means a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to show what was seen (GET and DELETE /_seen); the ready line names it
    #[arg(long)]
    control: Option<SocketAddr>,
    /// An accepted credential, as `header: value`; any of several is accepted
    #[arg(long = "credential", value_name = "HEADER: VALUE")]
    credentials: Vec<Credential>,
    /// An accepted credential from the environment: `NAME` for `authorization: Bearer $NAME`, `header=NAME` for
    /// `header: $NAME`
    #[arg(long = "credential-env", value_name = "NAME")]
    credential_names: Vec<String>,
}

/// Why the upstream did not start.
#[derive(Debug)]
pub(crate) enum Failure {
    NoCredential,
    VariableNotSet(String),
    Server(server::Failure),
}

/// Serves until told to stop.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let upstream = Arc::new(Upstream { credentials: accepted(&args)?, seen: Mutex::default() });
    let (listener, at) = server::bind(args.listen).await?;
    let calls = {
        let upstream = Arc::clone(&upstream);
        server::serve(listener, LIMIT, move |asked| {
            let answer = upstream.answer(&asked);
            async { answer }
        })
    };
    match args.control {
        None => {
            server::say_ready(&json!({ "ready": at.to_string() }))?;
            Ok(server::until_stopped(calls).await?)
        }
        Some(address) => {
            let (listener, control_at) = server::bind(address).await?;
            let control = server::serve(listener, LIMIT, move |asked| {
                let answer = upstream.control(&asked);
                async { answer }
            });
            server::say_ready(&json!({ "ready": at.to_string(), "control": control_at.to_string() }))?;
            Ok(server::until_stopped(async { tokio::join!(calls, control).0 }).await?)
        }
    }
}

struct Upstream {
    credentials: Vec<Credential>,
    seen: Mutex<Seen>,
}

impl Upstream {
    fn answer(&self, asked: &Asked) -> Answer {
        let reply = self.reply(asked);
        let also = |name: &str| self.credentials.iter().any(|credential| credential.header == name);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).keep(asked, reply.status, also);
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match reply.body {
            Some(body) => server::json_answer(status, &body),
            None => server::empty(status),
        }
    }

    fn reply(&self, asked: &Asked) -> Reply {
        match Dialect::of(&asked.path, &asked.body) {
            None if asked.path == "/healthz" => Reply { status: 200, body: Some(json!({ "status": "ok" })) },
            None => Reply { status: 404, body: Some(json!({ "message": "not found" })) },
            Some(_) if asked.method != Method::POST => Reply { status: 405, body: None },
            Some(dialect) if !self.credentials.iter().any(|credential| credential.is_in(asked)) => {
                dialect.unauthorized(&id::fresh())
            }
            Some(dialect) => dialect.rerank(&asked.body, &id::fresh()),
        }
    }

    fn control(&self, asked: &Asked) -> Answer {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (asked.path.as_str(), &asked.method) {
            ("/_seen", &Method::GET) => server::json_answer(StatusCode::OK, &seen.list()),
            ("/_seen", &Method::DELETE) => {
                seen.empty();
                server::empty(StatusCode::NO_CONTENT)
            }
            _ => server::refusal(StatusCode::NOT_FOUND, "only GET and DELETE /_seen are here"),
        }
    }
}

/// A header and the digest of the value it must have. The value itself is not kept.
#[derive(Clone, Debug, PartialEq)]
struct Credential {
    header: String,
    digest: String,
}

impl Credential {
    fn new(header: &str, value: &str) -> Self {
        Self { header: header.to_ascii_lowercase(), digest: digest(value.as_bytes()) }
    }

    /// Exactly one header of that name, with that value: two of them are one too many.
    fn is_in(&self, asked: &Asked) -> bool {
        let mut values = asked.headers.get_all(&self.header).iter();
        let first = values.next();
        first.is_some_and(|value| digest(value.as_bytes()) == self.digest) && values.next().is_none()
    }
}

impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((header, value)) if !header.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self::new(header.trim(), value.trim()))
            }
            // The text is not repeated: it may be a secret.
            _ => Err("a credential is written `header: value`"),
        }
    }
}

/// All credentials the command line names. There must be one: an upstream that lets everybody in proves nothing.
fn accepted(args: &Args) -> Result<Vec<Credential>, Failure> {
    let mut accepted = args.credentials.clone();
    for name in &args.credential_names {
        let (header, variable, prefix) = match name.split_once('=') {
            Some((header, variable)) => (header, variable, ""),
            None => ("authorization", name.as_str(), "Bearer "),
        };
        match env::var(variable) {
            Ok(value) if !value.is_empty() => accepted.push(Credential::new(header, &format!("{prefix}{value}"))),
            _ => return Err(Failure::VariableNotSet(variable.to_owned())),
        }
    }
    if accepted.is_empty() { Err(Failure::NoCredential) } else { Ok(accepted) }
}

impl From<server::Failure> for Failure {
    fn from(failure: server::Failure) -> Self {
        Self::Server(failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredential => write!(f, "no credential: give --credential or --credential-env"),
            Self::VariableNotSet(name) => write!(f, "the environment variable `{name}` is not set"),
            Self::Server(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::client::{any_port, ask, ask_json};

    async fn start() -> (SocketAddr, SocketAddr, Vec<tokio::task::JoinHandle<()>>) {
        let credentials = vec!["authorization: Bearer up-1".parse().unwrap(), "Api-Key: up-2".parse().unwrap()];
        let upstream = Arc::new(Upstream { credentials, seen: Mutex::default() });
        let (listener, at) = server::bind(any_port()).await.unwrap();
        let (control, control_at) = server::bind(any_port()).await.unwrap();
        let other = Arc::clone(&upstream);
        let tasks = vec![
            tokio::spawn(server::serve(listener, LIMIT, move |asked| {
                let answer = upstream.answer(&asked);
                async { answer }
            })),
            tokio::spawn(server::serve(control, LIMIT, move |asked| {
                let answer = other.control(&asked);
                async { answer }
            })),
        ];
        (at, control_at, tasks)
    }

    const V2: &str = r#"{"model":"rerank-v3.5","query":"tea","documents":["coffee","tea"]}"#;

    #[tokio::test]
    async fn calls_need_one_of_the_credentials_and_get_the_vendors_401_without() {
        let (at, _, tasks) = start().await;
        for good in [("authorization", "Bearer up-1"), ("api-key", "up-2")] {
            let (status, body) = ask_json(at, "POST /v2/rerank", &[good], V2).await;
            assert_eq!((status, &body["results"][0]["index"]), (200, &json!(1)));
        }
        let bad: [&[(&str, &str)]; 4] = [
            &[],
            &[("authorization", "Bearer up-2")],
            &[("authorization", "up-1")],
            &[("authorization", "Bearer up-1"), ("authorization", "Bearer up-1")],
        ];
        for headers in bad {
            let (status, body) = ask_json(at, "POST /v2/rerank", headers, V2).await;
            assert_eq!((status, &body["message"]), (401, &json!("invalid api token")), "{headers:?}");
        }
        let tei = r#"{"query":"q","texts":["a"]}"#;
        assert_eq!(ask(at, "POST /rerank", &[], tei).await, (401, String::new()));
        let jina = r#"{"model":"jina-x","query":"q","documents":["a"]}"#;
        assert_eq!(ask(at, "POST /v1/rerank", &[], jina).await, (401, r#"{"detail":"Unauthorized"}"#.into()));
        let vllm = r#"{"model":"BAAI/x","query":"q","documents":["a"]}"#;
        assert_eq!(ask(at, "POST /v1/rerank", &[], vllm).await, (401, r#"{"error":"Unauthorized"}"#.into()));
        tasks.iter().for_each(|task| task.abort());
    }

    #[tokio::test]
    async fn health_needs_no_credential_and_nothing_else_is_served() {
        let (at, _, tasks) = start().await;
        assert_eq!(ask(at, "GET /healthz", &[], "").await.0, 200);
        assert_eq!(ask(at, "GET /v2/rerank", &[], "").await.0, 405);
        assert_eq!(ask(at, "GET /_seen", &[], "").await.0, 404);
        assert_eq!(ask(at, "POST /v3/rerank", &[], V2).await.0, 404);
        tasks.iter().for_each(|task| task.abort());
    }

    #[tokio::test]
    async fn the_control_port_shows_what_was_seen_and_forgets_it() {
        let (at, control, tasks) = start().await;
        ask(at, "POST /v2/rerank?x=1", &[("authorization", "Bearer up-1"), ("x-tenant", "acme")], V2).await;
        let (status, seen) = ask_json(control, "GET /_seen", &[], "").await;
        assert_eq!(status, 200);
        assert_eq!(seen.as_array().unwrap().len(), 1);
        assert_eq!((&seen[0]["method"], &seen[0]["path"]), (&json!("POST"), &json!("/v2/rerank?x=1")));
        assert_eq!((&seen[0]["body"], &seen[0]["status"]), (&json!(V2), &json!(200)));
        let headers = seen[0]["headers"].as_array().unwrap();
        assert!(headers.contains(&json!(["authorization", digest(b"Bearer up-1")])));
        assert!(headers.contains(&json!(["x-tenant", "acme"])));
        assert!(!seen.to_string().contains("up-1"));
        assert_eq!(ask(control, "DELETE /_seen", &[], "").await, (204, String::new()));
        assert_eq!(ask_json(control, "GET /_seen", &[], "").await.1, json!([]));
        tasks.iter().for_each(|task| task.abort());
    }

    #[test]
    fn an_upstream_without_a_credential_does_not_start() {
        let args = |names: &[&str]| Args {
            listen: any_port(),
            control: None,
            credentials: vec![],
            credential_names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        assert!(matches!(accepted(&args(&[])), Err(Failure::NoCredential)));
        assert!(matches!(accepted(&args(&["RG_NO_SUCH_VARIABLE"])), Err(Failure::VariableNotSet(_))));
        let path = env::var("PATH").unwrap();
        let found = accepted(&args(&["PATH", "Api-Key=PATH"])).unwrap();
        let expected = [Credential::new("authorization", &format!("Bearer {path}")), Credential::new("api-key", &path)];
        assert_eq!(found, expected);
    }
}

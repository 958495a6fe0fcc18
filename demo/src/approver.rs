//! An approver over HTTP: gateways ask, people decide, a signed receipt goes out once. In memory, and without a login:
//! who a person is, and in which groups, it believes. A real one stands behind the company's login.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{ACCEPT, CACHE_CONTROL, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::id;
use crate::keys::{self, Algorithm, Key};
use crate::server::{self, Answer, Asked};
use crate::signer::{Failure, now};
use desk::{Ask, Desk, Entry, Outcome, Refusal, Word};

mod desk;
mod page;

const LIMIT: usize = 1 << 18;
/// How long a receipt is good for, in seconds.
const RECEIPT_LIFE: u64 = 300;
/// The longest a request is held for a decision, in seconds.
const LONGEST_WAIT: u64 = 30;

/// Command line of the approver.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to serve; port 0 means a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The gateway it serves: `aud` of receipts
    #[arg(long)]
    gateway: String,
    /// Its own name: `iss` of receipts
    #[arg(long)]
    issuer: String,
    /// What the URLs it names begin with; by default the URL it serves at
    #[arg(long)]
    url_base: Option<String>,
    /// After how many seconds callers are told to come back
    #[arg(long, default_value_t = 5)]
    retry_after: u64,
    /// Keeps the signing key in this file, made if absent; by default the key lives as long as the program
    #[arg(long)]
    key_file: Option<PathBuf>,
}

/// Serves until told to stop.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let key = match &args.key_file {
        Some(file) => Key::kept_in(file)?,
        None => Key::generate(Algorithm::EdDsa)?,
    };
    let (listener, at) = server::bind(args.listen).await?;
    let approver = Arc::new(Approver {
        desk: Mutex::new(Desk::new(args.gateway.clone(), args.issuer.clone())),
        decided: Notify::new(),
        key,
        gateway: args.gateway,
        issuer: args.issuer,
        url_base: args.url_base.unwrap_or_else(|| format!("http://{at}")).trim_end_matches('/').to_owned(),
        retry_after: args.retry_after,
    });
    let serving = server::serve(listener, LIMIT, move |asked| answer(Arc::clone(&approver), asked));
    server::say_ready(&json!({ "ready": at.to_string() }))?;
    Ok(server::until_stopped(serving).await?)
}

struct Approver {
    desk: Mutex<Desk>,
    /// Wakes the requests that wait for a decision.
    decided: Notify,
    key: Key,
    gateway: String,
    issuer: String,
    url_base: String,
    retry_after: u64,
}

async fn answer(approver: Arc<Approver>, asked: Asked) -> Answer {
    let steps: Vec<&str> = asked.path.split('/').skip(1).collect();
    let mut answer = match (&asked.method, steps.as_slice()) {
        (&Method::POST, ["v1", "approvals"]) => match serde_json::from_slice(&asked.body) {
            Ok(ask) => approver.ask(ask).await,
            Err(error) => server::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::GET, ["v1", "approvals"]) => approver.list(),
        (&Method::GET, ["v1", "approvals", id]) => approver.show(id, wants_html(&asked)),
        (&Method::POST, ["v1", "approvals", id, "decide"]) => match serde_json::from_slice(&asked.body) {
            Ok(word) => approver.decide(id, word),
            Err(error) => server::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::GET, ["v1", "key"]) => match approver.key.jwk() {
            Ok(jwk) => server::json_answer(StatusCode::OK, &jwk),
            Err(failure) => server::refusal(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
        },
        (&Method::GET, ["healthz"]) => server::json_answer(StatusCode::OK, &json!({ "status": "ok" })),
        _ => server::refusal(StatusCode::NOT_FOUND, "not found"),
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

impl Approver {
    /// Answers a gateway, holding the request while nobody has decided and it is willing to wait.
    async fn ask(&self, ask: Ask) -> Answer {
        let until = Instant::now() + Duration::from_secs(ask.wait_s.min(LONGEST_WAIT));
        loop {
            // Listening comes before looking, so that no decision falls in between.
            let decided = self.decided.notified();
            tokio::pin!(decided);
            decided.as_mut().enable();
            let outcome = self.desk().ask(ask.clone(), id::fresh(), now());
            let waiting = matches!(outcome, Ok(Outcome::Pending { .. })) && Instant::now() < until;
            if !waiting {
                return self.tell(outcome);
            }
            // Decided or out of time: look again either way.
            let _ = timeout_at(until, decided).await;
        }
    }

    fn tell(&self, outcome: Result<Outcome, Refusal>) -> Answer {
        match outcome {
            Ok(Outcome::Approved(entry)) => match self.receipt(&entry, now()) {
                Ok(receipt) => {
                    let body = json!({ "status": "approved", "id": entry.id, "receipt": receipt });
                    server::json_answer(StatusCode::OK, &body)
                }
                Err(failure) => server::refusal(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
            },
            Ok(Outcome::Rejected { id, reason }) => {
                let body = json!({ "status": "rejected", "id": id, "reason": reason });
                server::json_answer(StatusCode::OK, &body)
            }
            Ok(Outcome::Pending { id }) => {
                let url = format!("{}/v1/approvals/{id}", self.url_base);
                let body = json!({ "status": "pending", "id": id, "url": url, "retry_after": self.retry_after });
                server::json_answer(StatusCode::ACCEPTED, &body)
            }
            Err(refusal) => refuse(&refusal),
        }
    }

    /// The proof that people agreed to this very request.
    fn receipt(&self, entry: &Entry, now: u64) -> Result<String, keys::Failure> {
        let claims = json!({
            "iss": self.issuer,
            "aud": self.gateway,
            "sub": entry.request.requester.sub,
            "requester_iss": entry.request.requester.iss,
            "req": entry.request.request_digest,
            "approval": entry.request.approval,
            "apv": entry.approvers,
            "iat": now,
            "exp": now.saturating_add(RECEIPT_LIFE),
            "jti": id::fresh(),
        });
        let claims: Map<String, Value> = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        self.key.sign("rerank-approval+jwt", self.key.kid(), claims)
    }

    fn decide(&self, id: &str, word: Word) -> Answer {
        let answer = match self.desk().decide(id, word, now()) {
            Ok(entry) => server::json_answer(StatusCode::OK, &shown(entry)),
            Err(refusal) => return refuse(&refusal),
        };
        self.decided.notify_waiters();
        answer
    }

    fn list(&self) -> Answer {
        let list: Vec<Value> = self.desk().list(now()).iter().map(shown).collect();
        server::json_answer(StatusCode::OK, &list.into())
    }

    fn show(&self, id: &str, html: bool) -> Answer {
        let mut desk = self.desk();
        match desk.list(now()).iter().find(|entry| entry.id == id) {
            Some(entry) if html => {
                let page = page::page(entry, &shown(entry));
                server::answer(StatusCode::OK, "text/html; charset=utf-8", page.into())
            }
            Some(entry) => server::json_answer(StatusCode::OK, &shown(entry)),
            None => refuse(&Refusal::Unknown),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(entry: &Entry) -> Value {
    serde_json::to_value(entry).unwrap_or_default()
}

fn wants_html(asked: &Asked) -> bool {
    asked.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn refuse(refusal: &Refusal) -> Answer {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::ReasonMissing => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::OtherGateway | Refusal::OwnRequest | Refusal::InNoNamedGroup => StatusCode::FORBIDDEN,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::AlreadyDecided => StatusCode::CONFLICT,
        Refusal::TooManyOpen => StatusCode::TOO_MANY_REQUESTS,
    };
    server::refusal(status, &refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::verify;
    use crate::server::client::{any_port, ask, ask_json};

    async fn start() -> (SocketAddr, Arc<Approver>, tokio::task::JoinHandle<()>) {
        let (listener, at) = server::bind(any_port()).await.unwrap();
        let approver = Arc::new(Approver {
            desk: Mutex::new(Desk::new("eu1/rerank".into(), "https://approver.example".into())),
            decided: Notify::new(),
            key: Key::generate(Algorithm::EdDsa).unwrap(),
            gateway: "eu1/rerank".into(),
            issuer: "https://approver.example".into(),
            url_base: "https://approve.example".into(),
            retry_after: 5,
        });
        let served = Arc::clone(&approver);
        let task = tokio::spawn(server::serve(listener, LIMIT, move |asked| answer(Arc::clone(&served), asked)));
        (at, approver, task)
    }

    fn call(min: usize, wait_s: u64) -> String {
        let mut ask = serde_json::to_value(desk::tests::ask('a', min)).unwrap();
        ask["wait_s"] = json!(wait_s);
        ask.to_string()
    }

    const LEA: &str = r#"{"approve":true,"sub":"lea","groups":["grp-hr","x"],"reason":"quarterly review"}"#;

    #[tokio::test]
    async fn a_ticket_then_a_decision_then_a_receipt_once() {
        let (at, approver, task) = start().await;
        let (status, ticket) = ask_json(at, "POST /v1/approvals", &[], &call(1, 0)).await;
        assert_eq!((status, &ticket["status"], &ticket["retry_after"]), (202, &json!("pending"), &json!(5)));
        let id = ticket["id"].as_str().unwrap();
        assert_eq!(ticket["url"], format!("https://approve.example/v1/approvals/{id}"));

        let decide = format!("POST /v1/approvals/{id}/decide");
        assert_eq!(ask_json(at, &decide, &[], LEA).await.1["status"], "approved");
        assert_eq!(ask(at, &decide, &[], LEA).await.0, 409);

        let (status, answer) = ask_json(at, "POST /v1/approvals", &[], &call(1, 0)).await;
        assert_eq!((status, &answer["status"], &answer["id"]), (200, &json!("approved"), &ticket["id"]));
        let (_, key) = ask_json(at, "GET /v1/key", &[], "").await;
        let claims = |seconds: u64| -> (String, String, Value) {
            let list = approver.desk().list(now()).clone();
            let receipt = approver.receipt(&list[0], seconds).unwrap();
            verify::open(&key, &receipt).unwrap()
        };
        // The receipt handed out is of today, which the fixed clock of `open` refuses; one made for its time shows all.
        assert_eq!(answer["receipt"].as_str().unwrap().split('.').count(), 3);
        let (typ, kid, found) = claims(1_000_000);
        assert_eq!((typ.as_str(), &json!(kid)), ("rerank-approval+jwt", &key["kid"]));
        let at_time = found["apv"][0]["at"].clone();
        let expected = json!({
            "iss": "https://approver.example", "aud": "eu1/rerank", "sub": "ann", "requester_iss": "https://idp.example",
            "req": format!("sha256:{}", "a".repeat(64)), "approval": "hr-desk", "iat": 1_000_000, "exp": 1_000_300,
            "jti": found["jti"],
            "apv": [{
                "sub": "lea", "iss": "https://approver.example", "groups": ["grp-hr"], "at": at_time,
                "reason": "quarterly review"
            }]
        });
        assert_eq!(found, expected);

        let (status, again) = ask_json(at, "POST /v1/approvals", &[], &call(1, 0)).await;
        assert_eq!((status, &again["status"]), (202, &json!("pending")));
        assert_ne!(again["id"], ticket["id"]);
        task.abort();
    }

    #[tokio::test]
    async fn a_waiting_request_hears_of_the_decision() {
        let (at, _, task) = start().await;
        let waiting = tokio::spawn(async move { ask_json(at, "POST /v1/approvals", &[], &call(2, 30)).await });
        let id = loop {
            let (_, list) = ask_json(at, "GET /v1/approvals", &[], "").await;
            if let Some(id) = list[0]["id"].as_str() {
                break id.to_owned();
            }
            tokio::task::yield_now().await;
        };
        let decide = format!("POST /v1/approvals/{id}/decide");
        assert_eq!(ask_json(at, &decide, &[], LEA).await.1["status"], "pending");
        assert_eq!(ask_json(at, &decide, &[], &LEA.replace("lea", "max")).await.1["status"], "approved");
        let (status, answer) = waiting.await.unwrap();
        assert_eq!((status, &answer["status"]), (200, &json!("approved")));
        task.abort();
    }

    #[tokio::test]
    async fn refusals_have_statuses_and_reasons() {
        let (at, _, task) = start().await;
        let (_, ticket) = ask_json(at, "POST /v1/approvals", &[], &call(1, 0)).await;
        let decide = format!("POST /v1/approvals/{}/decide", ticket["id"].as_str().unwrap());
        let table = [
            (decide.as_str(), LEA.replace("lea", "ann"), 403),
            (decide.as_str(), LEA.replace("grp-hr", "grp-none"), 403),
            (decide.as_str(), LEA.replace("quarterly review", ""), 422),
            (decide.as_str(), LEA.replace("approve", "agree"), 400),
            ("POST /v1/approvals/nobody/decide", LEA.into(), 404),
            ("POST /v1/approvals", "{}".into(), 400),
            ("POST /v1/approvals", call(0, 0), 400),
            ("POST /v1/approvals", call(1, 0).replace("eu1/rerank", "eu2/rerank"), 403),
            ("DELETE /v1/approvals", String::new(), 404),
            ("GET /v1/approvals/nobody", String::new(), 404),
        ];
        for (line, body, expected) in table {
            let (status, answer) = ask_json(at, line, &[], &body).await;
            assert_eq!(status, expected, "{line} {body}");
            assert!(answer["error"].is_string());
        }
        let reject = LEA.replace("true", "false");
        assert_eq!(ask_json(at, &decide, &[], &reject).await.1["status"], "rejected");
        let (status, answer) = ask_json(at, "POST /v1/approvals", &[], &call(1, 0)).await;
        let expected = json!({ "status": "rejected", "id": ticket["id"], "reason": "quarterly review" });
        assert_eq!((status, answer), (200, expected));
        task.abort();
    }

    #[tokio::test]
    async fn an_approval_is_shown_to_programs_and_to_people() {
        let (at, _, task) = start().await;
        let hostile = call(1, 0).replace("hr-reviews", "<b>hr</b>");
        let (_, ticket) = ask_json(at, "POST /v1/approvals", &[], &hostile).await;
        let line = format!("GET /v1/approvals/{}", ticket["id"].as_str().unwrap());
        let (_, shown) = ask_json(at, &line, &[], "").await;
        assert_eq!((&shown["status"], &shown["request"]["requester"]["sub"]), (&json!("pending"), &json!("ann")));
        let (_, page) = ask(at, &line, &[("accept", "text/html,*/*")], "").await;
        assert!(page.contains("ann asks to rerank on &lt;b&gt;hr&lt;/b&gt;"));
        assert!(!page.contains("<b>"));
        task.abort();
    }
}

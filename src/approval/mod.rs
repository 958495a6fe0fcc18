//! Has a human agreed? Builds the request to the approver, reads its answer, and believes only a receipt that binds this very
//! call.

mod page;
mod person;
mod receipt;
mod request;

pub use receipt::{Disbelief, Receipt, Terms};
pub use request::{Asking, Bound};

use crate::caller::{Caller, PinnedKey};
use crate::diagnostic::{Flaw, Place};
use crate::time::Span;
use person::Person;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// Who is asked for approvals, and whose receipts are believed.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The Envoy cluster of the approver.
    pub cluster: String,
    /// The `:authority` of requests to it.
    pub authority: String,
    /// Where approvals are asked for.
    #[serde(default = "path")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::PATH)))]
    pub path: String,
    /// How long one request to it may take, `wait` included.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long the approver may hold the request for a human who is quick.
    #[serde(default = "wait")]
    pub wait: Span,
    /// The `iss` of its receipts.
    pub issuer: String,
    /// The one key its receipts are signed with.
    pub key: PinnedKey,
    /// The origins of the pages where people decide, such as `https://approvals.example`: callers are sent nowhere else. By default
    /// those of `authority` and of `issuer`. `http://` only for loopback.
    #[serde(default)]
    pub pages: Vec<String>,
    /// The claim of callers' tokens that names the person, where `sub` does not, because it is another one for each client: `email`.
    /// Then every approver in a receipt needs a `person` too, and nobody is told apart by less.
    pub person_claim: Option<String>,
}

fn path() -> String {
    "/v1/approvals".to_owned()
}

const fn timeout() -> Span {
    Span::from_secs(5)
}

const fn wait() -> Span {
    Span::from_secs(2)
}

impl Settings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// What it is, as a flaw of the configuration.
    pub fn check(&self) -> Result<(), Flaw> {
        let flaw = |name: &str, what: String| Err(Flaw::new(Place::of(["approver", name]), what));
        if self.cluster.is_empty() || self.authority.is_empty() || self.issuer.is_empty() {
            return Err(Flaw::new(Place::of(["approver"]), "cluster, authority and issuer must not be empty"));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return flaw("path", format!("`{}` is no path: write one such as /v1/approvals", self.path));
        }
        if self.timeout <= self.wait || self.timeout > Span::from_secs(60) {
            return flaw("timeout", "write a span longer than approver.wait and at most 60s".to_owned());
        }
        if let Some((at, page)) = self.pages.iter().enumerate().find(|(_, page)| !page::is_origin(page)) {
            let page = page.escape_debug();
            let what = format!(
                "`{page}` is no origin: write one such as https://approvals.example, and http:// only for loopback"
            );
            return Err(Flaw::new(Place::of(["approver", "pages"]).item(at), what));
        }
        if self.pages.len() > MOST_PAGES {
            return flaw("pages", format!("write at most {MOST_PAGES} origins"));
        }
        if self.person_claim.as_ref().is_some_and(String::is_empty) {
            return flaw("person_claim", "write the name of a claim, such as email, or leave it out".to_owned());
        }
        Ok(())
    }

    /// Whether a caller may be sent there.
    fn is_page(&self, url: &str) -> bool {
        if self.pages.is_empty() {
            let own = format!("https://{}", self.authority);
            [own.as_str(), self.issuer.as_str()]
                .iter()
                .any(|page| page.starts_with("https://") && page::is_at(url, page))
        } else {
            self.pages.iter().any(|page| page::is_at(url, page))
        }
    }

    /// Who a caller is as a person, where a claim names people. A certificate has no claims: a workload is nobody but itself.
    ///
    /// # Errors
    /// Its name cannot be told from those of people who approve.
    pub fn person<'a>(&self, caller: &'a Caller) -> Result<Option<&'a str>, Nameless> {
        let is_known = |name: &&str| Person::read(name).is_some();
        Some(caller.subject()).filter(is_known).ok_or(Nameless)?;
        let Some(claim) = &self.person_claim else { return Ok(None) };
        if caller.expires().is_none() {
            return Ok(Some(caller.subject()));
        }
        let name = caller.claims().get(claim).and_then(Value::as_str).filter(is_known);
        name.map(Some).ok_or(Nameless)
    }
}

/// More origins of pages than this are not listed.
const MOST_PAGES: usize = 16;

/// A caller without a name that people who approve can be told from. Such a call is not asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nameless;

impl fmt::Display for Nameless {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the caller has no name that people who approve can be told from")
    }
}

impl std::error::Error for Nameless {}

/// What the approver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Somebody agreed; the receipt still has to be believed.
    Approved {
        /// The approval's id.
        id: String,
        /// A compact JWS.
        receipt: String,
    },
    /// Somebody refused.
    Rejected {
        /// The approval's id.
        id: String,
    },
    /// Nobody has decided yet.
    Pending {
        /// The approval's id.
        id: String,
        /// Where a human decides; None where it is none of the pages that callers are sent to.
        url: Option<String>,
        /// Seconds to wait before the call is repeated.
        retry_after: u64,
    },
}

/// The answer was none: down, late, or something else than the contract says. It denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the approver gave no answer")
    }
}

impl std::error::Error for NoAnswer {}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Told {
    Approved { id: String, receipt: String },
    Rejected { id: String },
    Pending { id: String, url: Option<String>, retry_after: Option<u64> },
}

/// Reads an answer. An Envoy-made 503 or 504 looks like the approver's own, so only the statuses and shapes of the contract
/// count.
///
/// # Errors
/// Anything else.
pub fn read(status: u16, body: &[u8], settings: &Settings) -> Result<Answer, NoAnswer> {
    if body.len() > MOST_OF_AN_ANSWER {
        return Err(NoAnswer);
    }
    let told: Told = crate::json::read(body).map_err(|_| NoAnswer)?;
    match (status, told) {
        (200, Told::Approved { id, receipt }) if is_id(&id) => Ok(Answer::Approved { id, receipt }),
        (200, Told::Rejected { id }) if is_id(&id) => Ok(Answer::Rejected { id }),
        (202, Told::Pending { id, url, retry_after }) if is_id(&id) => {
            let url = url.filter(|url| settings.is_page(url));
            Ok(Answer::Pending { id, url, retry_after: retry_after.unwrap_or(15).clamp(1, 3600) })
        }
        _ => Err(NoAnswer),
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// No answer is larger, in bytes: a receipt is a token.
const MOST_OF_AN_ANSWER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(change: &Value) -> Settings {
        // The key of RFC 8037, appendix A.2.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let mut settings = json!({"cluster": "approver", "authority": "approver.internal", "issuer": "https://approver.example",
            "key": {"kty": "OKP", "crv": "Ed25519", "x": x}});
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    fn read(status: u16, body: &[u8]) -> Result<Answer, NoAnswer> {
        super::read(status, body, &settings(&json!({})))
    }

    fn url(url: &str, change: &Value) -> Option<String> {
        let body = json!({"status": "pending", "id": "a", "url": url}).to_string();
        match super::read(202, body.as_bytes(), &settings(change)) {
            Ok(Answer::Pending { url, .. }) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_of_the_contract_are_read() {
        let approved = read(200, br#"{"status":"approved","id":"a-1","receipt":"x.y.z"}"#);
        assert_eq!(approved, Ok(Answer::Approved { id: "a-1".to_owned(), receipt: "x.y.z".to_owned() }));
        let rejected = read(200, br#"{"status":"rejected","id":"a-1","reason":"no"}"#);
        assert_eq!(rejected, Ok(Answer::Rejected { id: "a-1".to_owned() }));
        let pending =
            read(202, br#"{"status":"pending","id":"a-1","url":"https://approver.internal/1","retry_after":7}"#);
        let expected = Answer::Pending {
            id: "a-1".to_owned(),
            url: Some("https://approver.internal/1".to_owned()),
            retry_after: 7,
        };
        assert_eq!(pending, Ok(expected));
    }

    #[test]
    fn anything_else_is_no_answer() {
        for (status, body) in [
            (200, r#"{"status":"pending","id":"a"}"#),
            (202, r#"{"status":"approved","id":"a","receipt":"r"}"#),
            (201, r#"{"status":"approved","id":"a","receipt":"r"}"#),
            (503, r#"{"status":"approved","id":"a","receipt":"r"}"#),
            (200, r#"{"status":"approved","id":"a"}"#),
            (200, r#"{"status":"rejected","status":"approved","id":"a","receipt":"r"}"#),
            (200, r#"{"status":"yes","id":"a"}"#),
            (200, r#"{"status":"rejected","id":""}"#),
            (200, r#"{"status":"rejected","id":"a\nb"}"#),
            (200, "approved"),
            (200, ""),
            (504, "upstream request timeout"),
        ] {
            assert_eq!(read(status, body.as_bytes()), Err(NoAnswer), "{status} {body}");
        }
    }

    #[test]
    fn callers_are_sent_to_the_approvers_pages_and_nowhere_else() {
        let default = json!({});
        for good in [
            "https://approver.internal/a/1",
            "https://approver.example/a/1?x=1#y",
            "https://APPROVER.example:443/a",
            "https://approver.example",
        ] {
            assert_eq!(url(good, &default).as_deref(), Some(good));
        }
        let long = format!("https://approver.example/{}", "a".repeat(1100));
        for bad in [
            "http://approver.example/a/1",
            "http://evil.example/",
            "https://evil.example/",
            "https://approver.example@evil.example/",
            "https://ok@approver.example/",
            "https://approver.example:8443/",
            "https://approver.example.evil.example/",
            "https://approver.example\\@evil.example/",
            "https://approver.example%2eevil.example/",
            "https:approver.example/",
            "https:///approver.example/",
            "//approver.example/",
            "HTTPS://approver.example/",
            "https://approver.example/a b",
            "https://approver.example/a\r\nx: y",
            "https://approver.example/\u{202e}",
            "https://approver.example/\"><script>",
            "javascript:alert(1)//https://approver.example/",
            " https://approver.example/",
            "",
            &long,
        ] {
            assert_eq!(url(bad, &default), None, "{bad}");
        }
        let own = json!({"pages": ["https://people.example:8443", "http://127.0.0.1:8003"]});
        assert!(url("https://people.example:8443/1", &own).is_some() && url("http://127.0.0.1:8003/1", &own).is_some());
        for bad in
            ["https://approver.example/", "http://people.example:8443/", "https://127.0.0.1:8003/", "http://127.0.0.1/"]
        {
            assert_eq!(url(bad, &own), None, "{bad}");
        }
        // An issuer that is no web address is no page.
        assert_eq!(url("urn:approver", &json!({"issuer": "urn:approver"})), None);
        assert_eq!(url("http://approver.example/", &json!({"issuer": "http://approver.example"})), None);
    }

    #[test]
    fn pages_that_are_no_origins_are_refused() {
        for page in [
            "approver.example",
            "http://approver.example",
            "https://a.example/x",
            "https://u@a.example",
            "https://",
            "https://a b",
            "",
        ] {
            let flaw = settings(&json!({"pages": [page]})).check().unwrap_err();
            assert_eq!(flaw.place.to_string(), "approver.pages[0]", "{page}");
        }
        for page in [
            "https://a.example",
            "https://a.example:8443",
            "http://localhost:1",
            "http://[::1]:8003",
            "http://127.9.9.9",
        ] {
            assert_eq!(settings(&json!({"pages": [page]})).check(), Ok(()), "{page}");
        }
        assert!(settings(&json!({"person_claim": ""})).check().is_err());
    }
}

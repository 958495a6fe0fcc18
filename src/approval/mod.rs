//! Has a human agreed? Builds the request to the approver, reads its answer, and believes only a receipt that binds this very
//! call.

mod receipt;
mod request;

pub use receipt::{Disbelief, Receipt, Terms};
pub use request::{Asking, Bound};

use crate::caller::PinnedKey;
use crate::time::Span;
use serde::Deserialize;
use std::fmt;

/// The `approver` section of the plugin configuration.
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
    /// Refuses what cannot work, in one line that names the field.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), String> {
        if self.cluster.is_empty() || self.authority.is_empty() || self.issuer.is_empty() {
            return Err("approver: cluster, authority and issuer must not be empty".to_owned());
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("approver.path: `{}` is no path: write one such as /v1/approvals", self.path));
        }
        if self.timeout <= self.wait || self.timeout > Span::from_secs(60) {
            return Err("approver.timeout: write a span longer than approver.wait and at most 60s".to_owned());
        }
        Ok(())
    }
}

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
        /// Where a human decides; only `https://`, or `http://` for a demo on loopback.
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
pub fn read(status: u16, body: &[u8]) -> Result<Answer, NoAnswer> {
    let told: Told = crate::json::read(body).map_err(|_| NoAnswer)?;
    match (status, told) {
        (200, Told::Approved { id, receipt }) if is_id(&id) => Ok(Answer::Approved { id, receipt }),
        (200, Told::Rejected { id }) if is_id(&id) => Ok(Answer::Rejected { id }),
        (202, Told::Pending { id, url, retry_after }) if is_id(&id) => {
            let url = url.filter(|url| is_url(url));
            Ok(Answer::Pending { id, url, retry_after: retry_after.unwrap_or(15).clamp(1, 3600) })
        }
        _ => Err(NoAnswer),
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_url(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 1024
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_contract_are_read() {
        let approved = read(200, br#"{"status":"approved","id":"a-1","receipt":"x.y.z"}"#);
        assert_eq!(approved, Ok(Answer::Approved { id: "a-1".to_owned(), receipt: "x.y.z".to_owned() }));
        let rejected = read(200, br#"{"status":"rejected","id":"a-1","reason":"no"}"#);
        assert_eq!(rejected, Ok(Answer::Rejected { id: "a-1".to_owned() }));
        let pending = read(202, br#"{"status":"pending","id":"a-1","url":"https://a/1","retry_after":7}"#);
        let expected = Answer::Pending { id: "a-1".to_owned(), url: Some("https://a/1".to_owned()), retry_after: 7 };
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
    fn a_url_that_is_none_is_left_out() {
        for url in
            ["javascript:alert(1)", "https://a/\\u000ab", "https://a b", &format!("https://{}", "a".repeat(1100))]
        {
            let body = format!(r#"{{"status":"pending","id":"a","url":"{url}"}}"#);
            assert_eq!(
                read(202, body.as_bytes()),
                Ok(Answer::Pending { id: "a".to_owned(), url: None, retry_after: 15 }),
                "{url}"
            );
        }
    }
}

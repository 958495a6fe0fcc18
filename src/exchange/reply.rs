//! The answers callers get when a call does not go through: RFC 9457 problem documents that tell no policy and no secret.

use crate::caller::Challenge;
use crate::reason::Answer;
use crate::time::Span;
use serde::Serialize;

/// Why a call does not go through. Each has one status, one `type`, and one text; the fine-grained reason is for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No token, or one that proves nothing.
    Unauthenticated(Challenge),
    /// The policy says no.
    Forbidden,
    /// A stream that is no call: CONNECT, an upgrade.
    NotACall,
    /// A human has to agree first.
    ApprovalRequired(Ticket),
    /// A human said no.
    ApprovalRejected,
    /// The approver gave no answer to believe.
    ApprovalUnavailable,
    /// The request addresses somebody else.
    Misdirected,
    /// No route has this path.
    NoRoute,
    /// The route has another method.
    WrongMethod,
    /// The body is above the limit.
    TooLarge,
    /// A media type or encoding that cannot be inspected.
    Uninspectable,
    /// No call of this dialect; the text says where and quotes nothing.
    Malformed(String),
    /// The upstream's answer could not be masked, so it does not leave.
    Unmaskable,
    /// The upstream refused the gateway's credential.
    UpstreamRefused,
    /// No keys yet to verify tokens with, or no bundle yet to decide by.
    NotReady,
    /// Too much is held for calls that wait.
    Overloaded,
}

/// Where a call waits for a human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The approval's id.
    pub id: String,
    /// Where a human decides.
    pub url: Option<String>,
    /// When to repeat the call.
    pub retry_after: Span,
    /// Whether the caller sent `Prefer: respond-async` and so gets 202 instead of 403.
    pub respond_async: bool,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, `content-type` among them.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Problem {
    /// Which of the answers of the list of reasons it is.
    #[must_use]
    pub const fn kind(&self) -> Answer {
        match self {
            Self::Unauthenticated(_) => Answer::Unauthenticated,
            Self::Forbidden => Answer::Forbidden,
            Self::NotACall => Answer::NotACall,
            Self::ApprovalRequired(_) => Answer::ApprovalRequired,
            Self::ApprovalRejected => Answer::ApprovalRejected,
            Self::ApprovalUnavailable => Answer::ApprovalUnavailable,
            Self::Misdirected => Answer::Misdirected,
            Self::NoRoute => Answer::NoRoute,
            Self::WrongMethod => Answer::WrongMethod,
            Self::TooLarge => Answer::TooLarge,
            Self::Uninspectable => Answer::Uninspectable,
            Self::Malformed(_) => Answer::Malformed,
            Self::Unmaskable => Answer::Unmaskable,
            Self::UpstreamRefused => Answer::UpstreamRefused,
            Self::NotReady => Answer::NotReady,
            Self::Overloaded => Answer::Overloaded,
        }
    }

    /// The answer's status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::ApprovalRequired(ticket) if ticket.respond_async => 202,
            other => other.kind().status(),
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::NotACall => "Not a rerank call",
            Self::ApprovalRequired(_) => "Approval required",
            Self::ApprovalRejected => "Approval rejected",
            Self::ApprovalUnavailable => "Approval unavailable",
            Self::Misdirected => "Misdirected request",
            Self::NoRoute => "No such route",
            Self::WrongMethod => "Method not allowed",
            Self::TooLarge => "Too large",
            Self::Uninspectable => "Unsupported media type",
            Self::Malformed(_) => "Malformed call",
            Self::Unmaskable => "Response withheld",
            Self::UpstreamRefused => "Upstream refused",
            Self::NotReady => "Not ready",
            Self::Overloaded => "Overloaded",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Unauthenticated(challenge) if challenge.is_bare() => {
                "send a token as `Authorization: Bearer <token>`".to_owned()
            }
            Self::Unauthenticated(_) => "the token was not accepted".to_owned(),
            Self::Forbidden => "this call is not allowed".to_owned(),
            Self::NotACall => "only rerank calls pass here".to_owned(),
            Self::ApprovalRequired(ticket) => {
                format!("a human has to approve this call; repeat it in {} seconds", ticket.retry_after.secs_up())
            }
            Self::ApprovalRejected => "this call was not approved".to_owned(),
            Self::ApprovalUnavailable => {
                "this call needs an approval that cannot be had now; repeat it later".to_owned()
            }
            Self::Misdirected => "this gateway does not go by the name in `Host`".to_owned(),
            Self::NoRoute => "nothing is served at this path".to_owned(),
            Self::WrongMethod => "send rerank calls with POST".to_owned(),
            Self::TooLarge => "the body is larger than this gateway accepts".to_owned(),
            Self::Uninspectable => "send an uncompressed UTF-8 body under `content-type: application/json`, with no parameter but `charset=utf-8`".to_owned(),
            Self::Malformed(what) => what.clone(),
            Self::Unmaskable => "the upstream's answer could not be checked and was withheld".to_owned(),
            Self::UpstreamRefused => "the upstream did not accept this gateway's credential".to_owned(),
            Self::NotReady => "this gateway is not ready; repeat the call".to_owned(),
            Self::Overloaded => "too many large calls wait here at once; repeat the call later".to_owned(),
        }
    }

    fn retry_after(&self) -> Option<Span> {
        match self {
            Self::ApprovalRequired(ticket) => Some(ticket.retry_after),
            Self::ApprovalUnavailable => Some(Span::from_secs(15)),
            Self::NotReady | Self::Overloaded => Some(Span::from_secs(2)),
            _ => None,
        }
    }

    /// The answer. `message` repeats the detail because rerank SDKs print that member.
    #[must_use]
    pub fn reply(&self, decision_id: &str) -> Reply {
        let (code, title, detail) = (self.kind().code(), self.title(), self.detail());
        let ticket = match self {
            Self::ApprovalRequired(ticket) => Some(ticket),
            _ => None,
        };
        let document = Document {
            kind: &format!("urn:rerank-guard:problem:{code}"),
            title,
            status: self.status(),
            detail: &detail,
            decision_id,
            message: &format!("{title}: {detail} (decision {decision_id})"),
            approval_id: ticket.map(|ticket| ticket.id.as_str()),
            approval_url: ticket.map(|ticket| ticket.url.as_deref()),
        };
        let mut body = Vec::with_capacity(512);
        // Strings and a number only: this cannot fail. Were it to, the status still says no.
        let _ = serde_json::to_writer(&mut body, &document);
        let mut headers = vec![
            ("content-type", "application/problem+json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        match self {
            Self::Unauthenticated(challenge) => {
                headers.extend(challenge.values().map(|value| ("www-authenticate", value.to_owned())));
            }
            Self::WrongMethod => headers.push(("allow", "POST".to_owned())),
            Self::ApprovalRequired(ticket) => {
                if let (true, Some(url)) = (ticket.respond_async, &ticket.url) {
                    headers.push(("location", url.clone()));
                }
            }
            _ => {}
        }
        if let Some(span) = self.retry_after() {
            headers.push(("retry-after", span.secs_up().to_string()));
        }
        Reply { status: self.status(), headers, body }
    }
}

/// The body of an answer.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    decision_id: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_id: Option<&'a str>,
    /// A ticket without an address says so: null.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_url: Option<Option<&'a str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(respond_async: bool) -> Problem {
        let url = Some("https://approve.example/a-1".to_owned());
        Problem::ApprovalRequired(Ticket { id: "a-1".to_owned(), url, retry_after: Span(14_200), respond_async })
    }

    #[test]
    fn a_denial_is_a_problem_document_that_sdks_can_print() {
        let reply = Problem::Forbidden.reply("d-1");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, 403);
        assert_eq!(body["type"], "urn:rerank-guard:problem:forbidden");
        assert_eq!(body["status"], 403);
        assert_eq!(body["decision_id"], "d-1");
        assert!(body["message"].as_str().unwrap().contains("d-1"));
        assert!(reply.headers.contains(&("content-type", "application/problem+json".to_owned())));
    }

    #[test]
    fn a_ticket_is_a_403_unless_the_caller_prefers_a_202() {
        let reply = ticket(false).reply("d");
        assert_eq!(reply.status, 403);
        assert!(reply.headers.contains(&("retry-after", "15".to_owned())));
        assert!(!reply.headers.iter().any(|(name, _)| *name == "location"));
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (body["approval_id"].as_str(), body["approval_url"].as_str()),
            (Some("a-1"), Some("https://approve.example/a-1"))
        );
        let reply = ticket(true).reply("d");
        assert_eq!(reply.status, 202);
        assert!(reply.headers.contains(&("location", "https://approve.example/a-1".to_owned())));
    }
}

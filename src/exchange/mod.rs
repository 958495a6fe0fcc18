//! The story of one call, as a state machine: events in (headers, bodies, a callout's answer, the end), steps out (hold, read,
//! forward, reply, call out). It does no I/O, so the same story runs in the filter, in tests and in the operator's tool.
//!
//! ```text
//! request headers ─ route? caller? media type? ─► hold ─ whole body ─► call ─► decision ─┬─ deny ──────────────► reply
//!                                                                                        ├─ ask ─► approver ─┬─► reply (ticket)
//!                                                                                        │                   │ receipt
//!                                                                                        └─ allow ───────────┴─► permit ─► forward
//! response headers ─ media type? ─► hold ─ whole body ─► masked ─► release
//! ```

mod guard;
mod head;
mod permit;
mod reply;
#[cfg(test)]
mod tests;

pub use guard::{Guard, Unready};
pub use head::Headers;
pub use permit::Edits;
pub use reply::{Problem, Reply, Ticket};

use crate::approval::{self, Answer, Asking, Receipt, Terms};
use crate::audit::{Approved, Record};
use crate::call::{Call, NoCall};
use crate::caller::{Caller, NativeSignatures};
use crate::mask::{Found, mask_json, mask_text};
use crate::policy::{Decision, Effect, Question};
use crate::time::{Span, Time};
use head::{MediaType, RequestHead};
use permit::{Permit, edits_in_passing};
use std::rc::Rc;

/// What the host can be asked about the connection of a request. Each question costs a host call, so it is asked only where the
/// answer decides.
pub trait Host {
    /// The host's own signature check.
    fn signatures(&self) -> &dyn NativeSignatures;
    /// Where the request comes from, for the limit on bad signatures: the peer's IPv4 address, or the first 64 bits of its IPv6
    /// address.
    fn source(&self) -> Option<Vec<u8>>;
    /// The client certificate that the listener has verified.
    fn certificate(&self) -> Option<Certificate>;
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 over its DER.
    pub sha256: [u8; 32],
    /// The first URI among its subject alternative names.
    pub uri: Option<String>,
    /// The first DNS name among them.
    pub dns: Option<String>,
}

/// What the host has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Let this part go on.
    Continue,
    /// Let nothing go on; wait for the next event.
    Hold,
    /// Read the whole body and tell [`Exchange::request_whole`] or [`Exchange::response_whole`].
    Read,
    /// Edit the held message and let it go on. Trailers, which nobody looked into, are dropped.
    Release(Edits),
    /// Answer the caller; nothing goes on.
    Reply(Reply),
    /// Send this request and tell [`Exchange::answered`]; meanwhile let nothing go on.
    CallOut(CallOut),
}

/// A request to a service of the gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct CallOut {
    /// The Envoy cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the answer may take.
    pub timeout: Span,
}

/// One call, from its first header to its record.
#[derive(Debug)]
pub struct Exchange {
    guard: Rc<Guard>,
    id: String,
    started: Time,
    stage: Stage,
    story: Story,
}

/// How far the call is. Whatever is not expected in a stage is held or refused there.
#[derive(Debug)]
enum Stage {
    /// Nothing has come yet.
    New,
    /// The caller is known; the body is awaited.
    Body(Incoming),
    /// Humans are being asked.
    Asking(Box<Consultation>),
    /// The request has gone upstream.
    Upstream(Sent),
    /// The answer's headers are held; its body is awaited.
    Answer(Sent, Option<MediaType>, Vec<String>),
    /// A stream that is listed as no call.
    Passing,
    /// It is decided what the caller gets.
    Over,
}

#[derive(Debug)]
struct Incoming {
    head: RequestHead,
    route: usize,
    caller: Rc<Caller>,
}

#[derive(Debug)]
struct Consultation {
    incoming: Incoming,
    /// Name and request digest of each approval.
    wanted: Vec<(Rc<str>, String)>,
    receipts: Vec<(Rc<str>, Receipt)>,
    masked_query: String,
}

#[derive(Debug)]
struct Sent {
    permit: Permit,
    dialect: usize,
}

/// What the record will say.
#[derive(Debug, Default)]
struct Story {
    caller: Option<Rc<Caller>>,
    call: Option<Call>,
    decision: Option<Decision>,
    approval: Option<Approved>,
    credential: Option<Rc<str>>,
    method: String,
    route: Option<usize>,
    request_id: Option<String>,
    sent: Option<Time>,
    upstream_status: Option<u16>,
    upstream: Option<Span>,
    status: Option<u16>,
    problem: Option<&'static str>,
    reason: Option<&'static str>,
    found: Vec<Found>,
    headers_dropped: usize,
    request_digest: Option<String>,
    response_digest: Option<String>,
}

impl Exchange {
    /// A stream that has just begun. `id` names the decision in answers and records.
    #[must_use]
    pub fn new(guard: Rc<Guard>, id: String, started: Time) -> Self {
        Self { guard, id, started, stage: Stage::New, story: Story::default() }
    }

    /// The decision's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The request's headers. `end`: nothing follows them.
    pub fn request_headers(&mut self, headers: Headers, end: bool, now: Time, host: &dyn Host) -> Step {
        if !matches!(self.stage, Stage::New) {
            return Step::Hold;
        }
        match self.admit(headers, end, now, host) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn admit(&mut self, headers: Headers, end: bool, now: Time, host: &dyn Host) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let method = headers.one(":method").unwrap_or_default();
        self.story.method = method.chars().take(16).collect();
        self.story.request_id = headers.one("x-request-id").filter(|id| is_plain_id(id)).map(str::to_owned);
        if headers.is_empty() {
            return Err((Problem::TooLarge, "headers-unreadable"));
        }
        if method == "CONNECT" || headers.has("upgrade") || headers.has(":protocol") {
            return Err((Problem::NotACall, "upgrade"));
        }
        let path = headers.one(":path").unwrap_or_default();
        if guard.passes(method, path) {
            self.stage = Stage::Passing;
            self.story.problem = None;
            let edits = edits_in_passing(&headers, &guard);
            return Ok(Step::Release(edits));
        }
        let Some((route, segments)) = guard.route(path) else {
            return Err((Problem::NoRoute, "unknown-path"));
        };
        self.story.route = Some(route);
        if method != "POST" {
            return Err((Problem::WrongMethod, "wrong-method"));
        }
        let caller = guard.identify(&headers, now, host)?;
        self.story.caller = Some(caller.clone());
        if !headers.is_plain() {
            return Err((Problem::Uninspectable, "request-encoded"));
        }
        if headers.media_type() != Some(MediaType::Json) {
            return Err((Problem::Uninspectable, "request-media-type"));
        }
        if headers.states_more_than(guard.config.limits.request_bytes) {
            return Err((Problem::TooLarge, "request-too-large"));
        }
        if end {
            return Err((Problem::Malformed("the request has no body".to_owned()), "no-body"));
        }
        self.stage = Stage::Body(Incoming { head: RequestHead { headers, segments }, route, caller });
        Ok(Step::Hold)
    }

    /// More of the request's body: `size` bytes are buffered by now. `end`: that is all of it. Trailers count as an end.
    pub fn request_body(&mut self, size: usize, end: bool) -> Step {
        match self.stage {
            Stage::Passing => Step::Continue,
            Stage::Body(_) if size > self.guard.config.limits.request_bytes => {
                self.refuse(Problem::TooLarge, "request-too-large")
            }
            Stage::Body(_) if end => Step::Read,
            // While a human is asked, a body that goes on would take the held headers with it.
            Stage::New | Stage::Body(_) | Stage::Asking(_) | Stage::Upstream(_) | Stage::Answer(..) | Stage::Over => {
                Step::Hold
            }
        }
    }

    /// The whole body of the request.
    pub fn request_whole(&mut self, body: &[u8], now: Time) -> Step {
        let Stage::Body(incoming) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Step::Hold;
        };
        match self.decide(incoming, body, now) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn decide(&mut self, incoming: Incoming, body: &[u8], now: Time) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let undecidable = || (Problem::Forbidden, "undecidable");
        if body.len() > guard.config.limits.request_bytes {
            return Err((Problem::TooLarge, "request-too-large"));
        }
        let route = guard.config.routes.get(incoming.route).ok_or_else(undecidable)?;
        let dialect = guard.config.dialects.get(route.dialect).ok_or_else(undecidable)?;
        let call = Call::read(route, &dialect.dialect, &incoming.head, body).map_err(no_call)?;
        self.story.request_digest = guard.content_digest(body);
        let caller = &incoming.caller;
        let question = Question {
            now,
            subject: caller.subject(),
            issuer: caller.issuer(),
            groups: caller.groups(),
            claims: caller.claims(),
            model: &call.model,
            dataset: &call.dataset,
            tenant: call.tenant.as_deref(),
            operation: &call.operation,
            documents: call.documents,
            query_bytes: call.query.len() as u64,
            document_bytes: call.largest_document,
            top_n: call.top_n,
            return_documents: call.return_documents,
            parameters: &call.parameters,
        };
        let decision = guard.config.policy.decide(&question);
        let outcome = self.act_on(&decision, &call, incoming, body);
        self.story.call = Some(call);
        let reason = decision.reason.as_str();
        self.story.decision = Some(decision);
        match outcome {
            Ok(Some(step)) => Ok(step),
            Ok(None) => self.proceed(now),
            Err((problem, None)) => Err((problem, reason)),
            Err((problem, Some(reason))) => Err((problem, reason)),
        }
    }

    /// Denies, or sets the stage for asking. None: go on with [`Self::proceed`].
    fn act_on(
        &mut self,
        decision: &Decision,
        call: &Call,
        incoming: Incoming,
        body: &[u8],
    ) -> Result<Option<Step>, (Problem, Option<&'static str>)> {
        let guard = self.guard.clone();
        if decision.effect == Effect::Deny {
            return Err((Problem::Forbidden, None));
        }
        let route = guard.config.routes.get(incoming.route).ok_or((Problem::Forbidden, None))?;
        Permit::credential(decision, route, &guard.credentials)
            .map_err(|withheld| (Problem::Forbidden, Some(withheld.reason())))?;
        let path = incoming.head.headers.one(":path").unwrap_or_default();
        let digest = |approval: &Rc<str>| {
            let caller = &incoming.caller;
            (approval.clone(), approval::digest(&guard.config.gateway, caller, "POST", path, call, body, approval))
        };
        let wanted: Vec<_> = decision.approvals.iter().map(digest).collect();
        let masked_query = if wanted.is_empty() { String::new() } else { guard.preview(&call.query) };
        let consultation = Consultation { incoming, wanted, receipts: Vec::new(), masked_query };
        self.stage = Stage::Asking(Box::new(consultation));
        Ok(None)
    }

    /// Asks for the next approval, or forwards when there are receipts for all.
    fn proceed(&mut self, now: Time) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let undecidable = || (Problem::Forbidden, "undecidable");
        let Stage::Asking(consultation) = &self.stage else { return Err(undecidable()) };
        let (Some(decision), Some(call)) = (&self.story.decision, &self.story.call) else { return Err(undecidable()) };
        let incoming = &consultation.incoming;
        if let Some((name, digest)) = consultation.wanted.get(consultation.receipts.len()) {
            let settings = guard.config.approver.as_ref().ok_or_else(undecidable)?;
            let approval = guard.config.policy.approval(name).ok_or_else(undecidable)?;
            let asking = Asking {
                request_digest: digest,
                decision_id: &self.id,
                gateway: &guard.config.gateway,
                approval,
                caller: &incoming.caller,
                call,
                decision,
                masked_query: &consultation.masked_query,
                wait: settings.wait,
            };
            return Ok(Step::CallOut(CallOut {
                cluster: settings.cluster.clone(),
                authority: settings.authority.clone(),
                path: settings.path.clone(),
                headers: vec![("content-type", "application/json".to_owned()), ("idempotency-key", digest.clone())],
                body: asking.body(),
                timeout: settings.timeout,
            }));
        }
        let route = guard.config.routes.get(incoming.route).ok_or_else(undecidable)?;
        let permit = Permit::new(decision, &consultation.receipts, route, &guard.credentials)
            .map_err(|withheld| (Problem::Forbidden, withheld.reason()))?;
        let edits = permit.edits(&incoming.head.headers, route, &guard);
        self.story.credential = Some(permit.credential_name().clone());
        self.story.sent = Some(now);
        self.stage = Stage::Upstream(Sent { permit, dialect: route.dialect });
        Ok(Step::Release(edits))
    }

    /// The approver's answer; None: there is none (unknown cluster, time-out, reset).
    pub fn answered(&mut self, answer: Option<(u16, &[u8])>, now: Time) -> Step {
        let Stage::Asking(_) = &self.stage else { return Step::Hold };
        match self.weigh(answer, now) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn weigh(&mut self, answer: Option<(u16, &[u8])>, now: Time) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unavailable = |reason: &'static str| (Problem::ApprovalUnavailable, reason);
        let Stage::Asking(consultation) = &mut self.stage else { return Err(unavailable("undecidable")) };
        let (status, body) = answer.ok_or_else(|| unavailable("approver-silent"))?;
        let answer = approval::read(status, body).map_err(|_| unavailable("approver-unclear"))?;
        let (Some(settings), Some((name, digest))) =
            (&guard.config.approver, consultation.wanted.get(consultation.receipts.len()))
        else {
            return Err(unavailable("undecidable"));
        };
        let named = guard.config.policy.approval(name).ok_or_else(|| unavailable("undecidable"))?;
        let (id, receipt) = match answer {
            Answer::Approved { id, receipt } => (id, receipt),
            Answer::Rejected { id } => {
                self.story.approval = Some(Approved { id, ..Approved::default() });
                return Err((Problem::ApprovalRejected, "approval-rejected"));
            }
            Answer::Pending { id, url, retry_after } => {
                self.story.approval = Some(Approved { id: id.clone(), ..Approved::default() });
                let respond_async = consultation.incoming.head.headers.all("prefer").any(prefers_async);
                let ticket = Ticket { id, url, retry_after: Span::from_secs(retry_after), respond_async };
                return Err((Problem::ApprovalRequired(ticket), "approval-pending"));
            }
        };
        let terms = Terms {
            issuer: &settings.issuer,
            key: &settings.key,
            gateway: &guard.config.gateway,
            caller: &consultation.incoming.caller,
            digest,
            approval: named,
        };
        let believed = Receipt::check(&receipt, terms, now);
        let receipt = match believed {
            Ok(receipt) if guard.first_use(receipt.id(), now) => receipt,
            Ok(_) => return Err(unavailable("receipt-used-before")),
            Err(disbelief) => return Err(unavailable(disbelief.reason())),
        };
        self.story.approval =
            Some(Approved { id, receipt: Some(receipt.id().to_owned()), approvers: receipt.approvers().to_vec() });
        let name = name.clone();
        consultation.receipts.push((name, receipt));
        self.proceed(now)
    }

    /// The response's headers. `end`: it has no body.
    pub fn response_headers(&mut self, headers: &Headers, end: bool, now: Time) -> Step {
        let sent = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Upstream(sent) => sent,
            // What Envoy itself answers before anything went upstream (a limit, a time-out), and our own replies.
            other => {
                self.stage = other;
                if matches!(self.stage, Stage::Passing | Stage::New | Stage::Body(_) | Stage::Asking(_)) {
                    self.story.status = headers.one(":status").and_then(|status| status.parse().ok());
                }
                return Step::Continue;
            }
        };
        match self.inspect(sent, headers, end, now) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn inspect(&mut self, sent: Sent, headers: &Headers, end: bool, now: Time) -> Result<Step, Refused> {
        let unmaskable = |reason: &'static str| (Problem::Unmaskable, reason);
        self.story.upstream = self.story.sent.map(|sent| now.since(sent));
        let status: u16 = headers
            .one(":status")
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| unmaskable("response-headers-unreadable"))?;
        self.story.upstream_status = Some(status);
        let secret = sent.permit.secret().as_bytes();
        if headers.iter().any(|(_, value)| contains(value, secret)) {
            return Err(unmaskable("response-leaks-credential"));
        }
        // The caller's credential is not what the upstream saw, so its refusal is none of the caller's.
        if status == 401 || status == 407 {
            return Err((Problem::UpstreamRefused, "upstream-refused-credential"));
        }
        if !headers.is_plain() {
            return Err(unmaskable("response-encoded"));
        }
        if headers.states_more_than(self.guard.config.limits.response_bytes) {
            return Err(unmaskable("response-too-large"));
        }
        let success = (200..300).contains(&status);
        let media = match headers.media_type() {
            Some(MediaType::Json) => Some(MediaType::Json),
            // An error may be plain text (Envoy's own are); a result may not.
            Some(MediaType::Text) if !success => Some(MediaType::Text),
            _ if end && !success => None,
            _ => return Err(unmaskable("response-media-type")),
        };
        let mut dropped: Vec<String> = Vec::new();
        for (name, value) in headers.iter() {
            let kept = name.starts_with(':') || (self.guard.keeps(name) && value.is_ascii());
            if !kept && !dropped.iter().any(|other| other == name) {
                dropped.push(name.to_owned());
            }
        }
        self.story.headers_dropped = dropped.len();
        if end {
            if success {
                return Err(unmaskable("response-empty"));
            }
            self.story.status = Some(status);
            return Ok(Step::Release(Edits { remove: dropped, ..Edits::default() }));
        }
        self.stage = Stage::Answer(sent, media, dropped);
        Ok(Step::Hold)
    }

    /// More of the response's body: `size` bytes are buffered by now. `end`: that is all of it. Trailers count as an end.
    pub fn response_body(&mut self, size: usize, end: bool) -> Step {
        match self.stage {
            Stage::Answer(..) if size > self.guard.config.limits.response_bytes => {
                self.refuse(Problem::Unmaskable, "response-too-large")
            }
            Stage::Answer(..) if end => Step::Read,
            Stage::Answer(..) | Stage::Upstream(_) => Step::Hold,
            Stage::Passing | Stage::Over | Stage::New | Stage::Body(_) | Stage::Asking(_) => Step::Continue,
        }
    }

    /// The whole body of the response.
    pub fn response_whole(&mut self, body: &[u8]) -> Step {
        let Stage::Answer(sent, media, dropped) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Step::Hold;
        };
        match self.release(&sent, media, dropped, body) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn release(
        &mut self,
        sent: &Sent,
        media: Option<MediaType>,
        dropped: Vec<String>,
        body: &[u8],
    ) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unmaskable = |reason: &'static str| (Problem::Unmaskable, reason);
        if body.len() > guard.config.limits.response_bytes {
            return Err(unmaskable("response-too-large"));
        }
        let success = self.story.upstream_status.is_some_and(|status| (200..300).contains(&status));
        let empty_error = body.is_empty() && !success;
        let mut edits = Edits { remove: dropped, ..Edits::default() };
        if !empty_error {
            let decision = self.story.decision.as_ref().ok_or_else(|| unmaskable("undecidable"))?;
            let masks = guard.masks(&decision.masks).ok_or_else(|| unmaskable("unknown-mask"))?;
            let secrets = [sent.permit.secret().as_bytes()];
            let masked = match media {
                Some(MediaType::Json) => {
                    let dialect = guard.config.dialects.get(sent.dialect).ok_or_else(|| unmaskable("undecidable"))?;
                    mask_json(body, &masks, &dialect.kept, &secrets)
                }
                Some(MediaType::Text) => mask_text(body, &masks, &secrets),
                None => return Err(unmaskable("response-media-type")),
            };
            let masked = masked.map_err(|why| unmaskable(why.reason()))?;
            let (new, found) = masked.into_parts();
            self.story.found = found;
            if let Some(new) = new {
                edits.set.push(("content-length".to_owned(), new.len().to_string()));
                edits.body = Some(new);
            }
            self.story.response_digest = guard.content_digest(edits.body.as_deref().unwrap_or(body));
        }
        self.story.status = self.story.upstream_status;
        Ok(Step::Release(edits))
    }

    /// Whether the upstream may have seen the request.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.story.sent.is_some()
    }

    /// What happened so far, in the bounded words of metrics: the outcome, and the reason where it was refused.
    #[must_use]
    pub fn outcome(&self) -> (&'static str, &'static str) {
        match (self.story.problem, self.story.reason, self.story.status, &self.stage) {
            (Some(problem), Some(reason), _, _) => (problem, reason),
            (_, _, _, Stage::Passing) => ("passed", "listed"),
            (_, _, Some(_), Stage::Over) => ("served", "ok"),
            _ => ("aborted", "stream-ended"),
        }
    }

    /// The kinds and counts of what was masked.
    pub fn found(&self) -> &[Found] {
        &self.story.found
    }

    /// What is left in the log should the VM die while the upstream works: who was let go upstream, and as whom.
    #[must_use]
    pub fn draft(&self) -> String {
        let call = self.story.call.as_ref();
        serde_json::json!({
            "v": 1,
            "type": "sent",
            "time": self.started,
            "decision_id": self.id,
            "gateway": self.guard.config.gateway,
            "iss": self.story.caller.as_ref().map(|caller| caller.issuer()),
            "sub": self.story.caller.as_ref().map(|caller| caller.subject()),
            "model": call.map(|call| &call.model),
            "dataset": call.map(|call| &call.dataset),
            "credential": self.story.credential,
        })
        .to_string()
    }

    /// The members of the record, as the story stands now.
    #[must_use]
    pub fn record(&self, now: Time) -> String {
        let (outcome, reason) = self.outcome();
        let story = &self.story;
        let route =
            story.route.and_then(|route| self.guard.config.routes.get(route)).map(|route| route.template.to_string());
        Record {
            time: self.started,
            decision_id: &self.id,
            request_id: story.request_id.as_deref(),
            gateway: &self.guard.config.gateway,
            method: &story.method,
            route: route.as_deref(),
            caller: story.caller.as_deref(),
            call: story.call.as_ref(),
            decision: story.decision.as_ref(),
            policy: &self.guard.config.policy,
            approval: story.approval.as_ref(),
            credential: story.credential.as_deref(),
            outcome,
            reason,
            status: story.status,
            upstream_status: story.upstream_status,
            upstream: story.upstream,
            duration: now.since(self.started),
            found: &story.found,
            headers_dropped: story.headers_dropped,
            request_digest: story.request_digest.as_deref(),
            response_digest: story.response_digest.as_deref(),
        }
        .members()
    }

    /// The record as one sealed link of the VM's chain. Call it once, at the end.
    #[must_use]
    pub fn sealed_record(&self, now: Time) -> String {
        self.guard.seal(&self.record(now))
    }

    /// The one place where a call is refused.
    fn refuse(&mut self, problem: Problem, reason: &'static str) -> Step {
        let reply = problem.reply(&self.id);
        self.stage = Stage::Over;
        self.story.problem = Some(problem.code());
        self.story.reason = Some(reason);
        self.story.status = Some(reply.status);
        Step::Reply(reply)
    }
}

/// What the caller is told, and what the record says.
type Refused = (Problem, &'static str);

fn no_call(why: NoCall) -> Refused {
    match why {
        NoCall::ForeignDocument(_) | NoCall::UnclearDocuments(_) => (Problem::Forbidden, "foreign-document"),
        NoCall::Unreadable(_) | NoCall::BadModel | NoCall::BadName(_) => {
            (Problem::Malformed(why.to_string()), "malformed-call")
        }
    }
}

/// RFC 7240: `Prefer: respond-async`, alone or in a list.
fn prefers_async(value: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',' || *byte == b';')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(b"respond-async"))
}

fn is_plain_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether `part`, which is never empty, stands in `whole`.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len().max(1)).any(|window| window == part)
}

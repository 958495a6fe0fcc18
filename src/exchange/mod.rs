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

mod bundles;
mod downward;
mod ending;
mod events;
mod facts;
mod guard;
mod habits;
mod head;
mod held;
mod host;
mod permit;
pub mod reason;
mod reply;
mod request;
mod response;
mod streaming;
#[cfg(test)]
mod tests;
mod upward;
mod values;

pub use bundles::{Role, Supplied, Supply};
pub use guard::{Guard, Unready};
pub use head::Headers;
pub use host::{Certificate, Host, StandIn};
pub use permit::Edits;
pub use reply::{Problem, Reply, Ticket};

use crate::approval::Receipt;
use crate::audit::{Approved, Members, Names, Record};
use crate::call::Call;
use crate::caller::Caller;
use crate::mask::Found;
use crate::origin::Authority;
use crate::policy::Decision;
use crate::reason::Answer;
use crate::time::{Span, Time};
use bundles::InForce;
pub(crate) use bundles::SecondOpinion;
use ending::Ending;
use head::{MediaType, RequestHead};
use held::Held;
use permit::Permit;
use reason::{EndReason, Outcome, Reason, RequestReason, ResponseReason};
use std::rc::Rc;
use streaming::{Streamed, Streaming};

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
    /// Put this in the place of what came of a body whose headers have gone or are held, and let it go on, or hold the headers
    /// longer.
    Part {
        /// What goes on; may be nothing.
        body: Vec<u8>,
        /// Whether it does, and the headers with it.
        goes_on: bool,
    },
    /// Answer the caller; nothing goes on. Where the answer's headers have gone this ends the stream.
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
    /// What is held for it, once that is something.
    held: Option<Held>,
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
    Answer(Sent, Option<MediaType>, Head),
    /// The answer is a stream, which leaves record by record.
    Streaming(Box<Streaming>),
    /// The answer's headers have gone, and nothing more may follow.
    Broken,
    /// A stream that is listed as no call.
    Passing,
    /// It is decided what the caller gets.
    Over,
}

#[derive(Debug)]
struct Incoming {
    head: RequestHead,
    /// The head as it goes upstream, but for the credential and the length.
    outgoing: Head,
    route: usize,
    caller: Rc<Caller>,
    /// When the proof of possession ends that was shown with the token; None where none was.
    proof_ends: Option<Time>,
    authority: Authority,
}

#[derive(Debug)]
struct Consultation {
    incoming: Incoming,
    /// Name and request digest of each approval.
    wanted: Vec<(Rc<str>, String)>,
    receipts: Vec<(Rc<str>, Receipt)>,
    masked_query: String,
    /// SHA-256 over the body that people are asked about. The body itself stays with the host, and is read again.
    asked_for: String,
    /// The caller's calls in this minute, and their documents.
    rates: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Sent {
    permit: Permit,
    dialect: usize,
    /// Whether the route's answers may be streams.
    streams: bool,
}

/// What the record will say.
#[derive(Debug, Default)]
struct Story {
    caller: Option<Rc<Caller>>,
    /// The id of the caller's token, as the record may show it.
    token_id: Option<String>,
    call: Option<Call>,
    /// The names in it, as people may see them.
    names: Option<Names>,
    /// The bundle that the call is judged by.
    bundle: Option<Rc<InForce>>,
    decision: Option<Decision>,
    second_opinion: Option<SecondOpinion>,
    approval: Option<Approved>,
    credential: Option<Rc<str>>,
    /// Whom the request addresses, if that is one of the names this gateway goes by.
    authority: Option<String>,
    /// The Envoy cluster that the request goes to.
    cluster: Option<String>,
    method: &'static str,
    route: Option<usize>,
    request_id: Option<String>,
    /// When the request was let go upstream.
    sent: Option<Time>,
    /// The status of the answer that came, whoever made it.
    answer_status: Option<u16>,
    /// Who made that answer, or ended the stream.
    ending: Option<Ending>,
    /// Whether an upstream answered, whatever came of its answer.
    answered: bool,
    /// Whether an upstream may have seen the request, where none answered.
    reached: Option<bool>,
    /// How long it was until that answer came.
    waited: Option<Span>,
    status: Option<u16>,
    /// Whether the answer's headers have gone before its end.
    open: bool,
    problem: Option<Answer>,
    reason: Option<Reason>,
    found: Vec<Found>,
    request_found: Vec<Found>,
    headers_dropped: usize,
    request_digest: Option<String>,
    response_digest: Option<String>,
    /// What left of an answer that is a stream.
    streamed: Option<Streamed>,
}

impl Exchange {
    /// A stream that has just begun. `id` names the decision in answers and records.
    #[must_use]
    pub fn new(guard: Rc<Guard>, id: String, started: Time) -> Self {
        Self { guard, id, started, stage: Stage::New, story: Story::default(), held: None }
    }

    /// The decision's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the upstream may have seen the request.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.story.sent.is_some()
    }

    /// The Envoy cluster that the request was held to; None where there was none to hold.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.story.cluster.as_deref()
    }

    /// Where the request went that is answered now: Envoy chooses its route anew after the request was edited, and a module learns of
    /// that choice only here. The filter behind this one has held it to the cluster that was judged; where there is none and it led
    /// elsewhere, what was sent is lost: nothing of the answer leaves, the record says so, and the route is closed for a while.
    fn answered_by(&mut self, now: Time, host: &dyn Host) -> Option<Step> {
        let (Stage::Upstream(_), Some(at)) = (&self.stage, self.story.route) else { return None };
        let guard = self.guard.clone();
        let cluster = host.cluster()?;
        if self.story.cluster.as_deref() == Some(cluster.as_str()) {
            return None;
        }
        let is_allowed = guard.config.routes.get(at).is_some_and(|route| route.clusters.contains(&cluster));
        self.story.cluster = Some(cluster);
        if host.was_held_back() {
            (self.story.sent, self.story.credential) = (None, None);
            return Some(self.refuse(Problem::Forbidden, RequestReason::ClusterChanged));
        }
        if is_allowed {
            return None;
        }
        guard.close(at, now);
        Some(self.refuse(Problem::Unmaskable, ResponseReason::WrongCluster))
    }

    /// What happened so far, in the bounded words of metrics: the outcome, and the reason. `served` is only what an upstream
    /// answered; `failed` is what Envoy answered by itself.
    #[must_use]
    pub fn outcome(&self) -> (&'static str, &'static str) {
        let story = &self.story;
        if let (Some(problem), Some(reason)) = (story.problem, story.reason) {
            return (problem.code(), reason.as_str());
        }
        let is_passing = matches!(self.stage, Stage::Passing);
        let (outcome, reason) = match (story.ending, story.status) {
            (Some(Ending::Envoy(reason)), Some(_)) if is_passing => (Outcome::Passed, reason),
            // What has begun to leave is no answer of Envoy's, which ends it.
            (Some(Ending::Envoy(reason)), _) => (if story.open { Outcome::Aborted } else { Outcome::Failed }, reason),
            (Some(Ending::Upstream), Some(_)) if is_passing => (Outcome::Passed, EndReason::Listed),
            (Some(Ending::Upstream), Some(status)) if matches!(self.stage, Stage::Over) => {
                (Outcome::Served, ending::of_status(status))
            }
            (Some(Ending::BrokeOff), _) => (Outcome::Aborted, EndReason::UpstreamBrokeOff),
            (Some(Ending::Redirected), _) => (Outcome::Aborted, EndReason::InternalRedirect),
            (Some(Ending::Gone), _) => (Outcome::Aborted, EndReason::CallerGone),
            (Some(Ending::Upstream) | None, _) => (Outcome::Aborted, EndReason::StreamEnded),
        };
        (outcome.as_str(), reason.as_str())
    }

    /// Whether an upstream saw the request, in a word: `answered`, `unanswered` (it may have seen it), `unreached` (none did).
    /// None: it was never let go.
    fn upstream(&self) -> Option<&'static str> {
        let story = &self.story;
        if story.sent.is_none() && !matches!(self.stage, Stage::Passing) {
            None
        } else if self.is_answered() {
            Some("answered")
        } else if story.reached == Some(false) {
            Some("unreached")
        } else {
            Some("unanswered")
        }
    }

    fn is_answered(&self) -> bool {
        self.story.answered || self.story.ending.is_some_and(Ending::is_answered)
    }

    /// Learns from the host who made the answer whose headers came.
    fn learn_who_answers(&mut self, headers: &Headers, now: Time, host: &dyn Host) {
        let story = &mut self.story;
        story.answer_status = headers.one(":status").and_then(|status| status.parse().ok());
        story.waited = story.sent.map(|sent| now.since(sent));
        let ending = Ending::of(host.details().as_deref());
        story.ending = Some(ending);
        story.answered = ending.is_answered();
        if !story.answered && story.sent.is_some() {
            story.reached = Some(host.may_have_reached_upstream());
        }
    }

    /// Learns from the host how a stream ended whose answer is not over.
    fn learn_how_it_ended(&mut self, host: &dyn Host) {
        if self.story.problem.is_some() || matches!(self.stage, Stage::Over | Stage::Broken) {
            return;
        }
        let story = &mut self.story;
        let ending = Ending::of(host.details().as_deref());
        story.ending = Some(ending);
        match ending {
            // It came with an answer that Envoy kept from every filter.
            Ending::Redirected => (story.answered, story.answer_status) = (true, host.status()),
            // In the place of what was held: nothing of that left. Where an upstream's answer broke off, Envoy tells the caller as well.
            Ending::Envoy(_) | Ending::BrokeOff if !story.open => story.status = host.status().or(story.status),
            _ => {}
        }
        let was_let_go = story.sent.is_some() || matches!(self.stage, Stage::Passing);
        if was_let_go && !story.answered && !ending.is_answered() {
            story.reached = Some(host.may_have_reached_upstream());
        }
    }

    /// The kinds and counts of what was masked in the answer.
    pub fn found(&self) -> &[Found] {
        &self.story.found
    }

    /// The kinds and counts of what was masked in the request.
    pub fn request_found(&self) -> &[Found] {
        &self.story.request_found
    }

    /// What is left in the log should the VM die while the upstream works: who was let go upstream, and as whom.
    #[must_use]
    pub fn draft(&self) -> String {
        let story = &self.story;
        let mut draft = Members::with_room(512);
        draft.add("v", 1_u64);
        draft.add("type", "sent");
        draft.add("time", self.started);
        draft.add("decision_id", self.id.as_str());
        draft.add("gateway", self.guard.config.gateway.as_str());
        draft.add("iss", story.caller.as_ref().map(|caller| caller.issuer()));
        draft.add("sub", story.caller.as_ref().map(|caller| caller.subject()));
        draft.add("jti", story.token_id.as_deref());
        draft.add("authority", story.authority.as_deref());
        draft.add("model", story.names.as_ref().map(|names| names.model.as_str()));
        draft.add("dataset", story.names.as_ref().map(|names| names.dataset.as_str()));
        draft.add("credential", story.credential.as_deref());
        draft.add("cluster", story.cluster.as_deref());
        let draft = draft.close();
        #[cfg(test)]
        tests::is_told(&draft);
        draft
    }

    /// The record but for its closing brace, as the story stands now.
    fn record(&self, now: Time, peer: Option<&str>) -> String {
        let (outcome, reason) = self.outcome();
        let story = &self.story;
        let bundle = story.bundle.clone().or_else(|| self.guard.latest_bundle());
        let route = story.route.and_then(|route| self.guard.config.routes.get(route));
        Record {
            time: self.started,
            decision_id: &self.id,
            request_id: story.request_id.as_deref(),
            gateway: &self.guard.config.gateway,
            peer,
            method: story.method,
            route: route.map(|route| route.template.as_str()),
            authority: story.authority.as_deref(),
            cluster: story.cluster.as_deref(),
            caller: story.caller.as_deref(),
            token_id: story.token_id.as_deref(),
            call: story.call.as_ref(),
            names: story.names.as_ref(),
            decision: story.decision.as_ref(),
            policy: bundle.as_ref().map(|bundle| &bundle.policy),
            second_opinion: story.second_opinion.as_ref(),
            approval: story.approval.as_ref(),
            credential: story.credential.as_deref(),
            passes: matches!(self.stage, Stage::Passing),
            outcome,
            reason,
            status: story.status,
            upstream: self.upstream(),
            upstream_status: story.answer_status.filter(|_| self.is_answered()),
            waited: story.waited.filter(|_| self.is_answered()),
            duration: now.since(self.started),
            found: &story.found,
            request_found: &story.request_found,
            headers_dropped: story.headers_dropped,
            request_digest: story.request_digest.as_deref(),
            response_digest: story.response_digest.as_deref(),
            records: story.streamed.as_ref().map(|streamed| streamed.records),
        }
        .open()
    }

    /// The record as a sealed link of the VM's chain, after those of what happened to bundles since the call before, with commas
    /// between them. Call it once, at the end.
    #[must_use]
    pub fn sealed_record(&mut self, now: Time, host: &dyn Host) -> String {
        self.learn_how_it_ended(host);
        // Also of a stream that broke off: what left of it.
        if let Some(digest) = self.story.streamed.as_mut().and_then(|streamed| streamed.digest.take()) {
            self.story.response_digest = Some(digest.finish());
        }
        let records = self.guard.seal(self.record(now, host.peer().as_deref()));
        #[cfg(test)]
        tests::is_told(&records);
        records
    }

    /// The host did not do what it was asked to: nothing goes on, whatever was decided.
    pub fn withhold(&mut self) -> Reply {
        if matches!(self.stage, Stage::Upstream(_)) {
            // It was to be let go, and was not.
            (self.story.sent, self.story.credential) = (None, None);
        }
        let problem = Problem::NotReady;
        let reply = problem.reply(&self.id);
        self.refuse(problem, RequestReason::HostRefused);
        reply
    }

    /// The host answers the caller by itself, because it has no room for the body that was to go on: nothing of that does. `held`:
    /// the headers of the answer had not gone.
    pub fn overtaken(&mut self, held: bool) {
        let is_answer = self.story.answer_status.is_some();
        self.story.open &= !held;
        // What was noted of a body that did not leave.
        if is_answer && held {
            self.story.streamed = None;
            self.story.response_digest = None;
        } else if !is_answer {
            self.story.sent = None;
            self.story.credential = None;
        }
        let problem = if is_answer { Problem::Unmaskable } else { Problem::TooLarge };
        self.refuse(problem, RequestReason::BufferTooSmall);
        if is_answer && held {
            self.story.status = Some(500);
        }
    }

    /// `bytes` are held for this call from here on; 0 for nothing. Where there is no room for so many the call ends.
    fn hold(&mut self, bytes: usize) -> Result<(), Refused> {
        match &mut self.held {
            None if bytes == 0 => Ok(()),
            held => held.get_or_insert_with(|| self.guard.budget.share(self.story.caller.as_deref())).set(bytes),
        }
    }

    /// The one place where a call is refused.
    fn refuse(&mut self, problem: Problem, reason: impl Into<Reason>) -> Step {
        let reason = reason.into();
        debug_assert!(reason.is_answered_with(problem.kind()), "the list says nothing of {reason:?} as {problem:?}");
        self.held = None;
        let reply = problem.reply(&self.id);
        self.story.problem = Some(problem.kind());
        self.story.reason = Some(reason);
        if self.story.open {
            // The caller has the upstream's status already, and an answer that breaks off.
            self.stage = Stage::Broken;
        } else {
            self.stage = Stage::Over;
            self.story.status = Some(reply.status);
        }
        Step::Reply(reply)
    }
}

/// What the caller is told, and what the record says.
type Refused = (Problem, Reason);

fn refused(problem: Problem, reason: impl Into<Reason>) -> Refused {
    (problem, reason.into())
}

/// The head of a message that goes on: names and values, and no others beside them.
type Head = Vec<(String, String)>;

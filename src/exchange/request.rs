//! The way in: admitted by its headers, decided by its body, approved by people, sent with a permit.

use super::bundles::SecondOpinion;
use super::facts::Observed;
use super::habits;
use super::head::RequestHead;
use super::permit::{Edits, Permit};
use super::reason::{ApprovalReason, RequestReason};
use super::upward;
use super::{
    CallOut, Consultation, Exchange, Headers, Host, Incoming, Problem, Refused, Sent, Stage, Step, Ticket, refused,
};
use crate::approval::{self, Answer, Asking, Bound, Receipt, Terms};
use crate::audit::{Approved, Names, digest as sha256};
use crate::call::{Call, Dialect, NoCall, Role, set_member};
use crate::caller::Caller;
use crate::mask::{Unmaskable, mask_parts_within};
use crate::origin::Authority;
use crate::policy::{Decision, Effect, Force, Novelty, Question};
use crate::time::{Span, Time};
use std::rc::Rc;

impl Exchange {
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
        self.story.method = known_method(method);
        self.story.request_id = headers.one("x-request-id").filter(|id| is_plain_id(id)).map(|id| guard.shown(id));
        if headers.is_empty() {
            return Err(refused(Problem::TooLarge, RequestReason::HeadersUnreadable));
        }
        if method == "CONNECT" || headers.has("upgrade") || headers.has(":protocol") {
            return Err(refused(Problem::NotACall, RequestReason::Upgrade));
        }
        let path = headers.one(":path").unwrap_or_default();
        let authority = addressed(&headers).ok_or(refused(Problem::Misdirected, RequestReason::AuthorityMalformed))?;
        if guard.passes(method, path) {
            if !guard.is_reached_at(&authority) {
                return Err(refused(Problem::Misdirected, RequestReason::WrongAuthority));
            }
            self.story.authority = Some(authority.canonical());
            self.story.cluster = host.cluster();
            let headers = upward::in_passing(&headers, &guard)?;
            self.stage = Stage::Passing;
            return Ok(Step::Release(Edits { headers, body: None }));
        }
        let Some((route, segments)) = guard.route(path) else {
            return Err(refused(Problem::NoRoute, RequestReason::UnknownPath));
        };
        self.story.route = Some(route);
        match guard.is_addressed(route, &authority) {
            Some(true) => self.story.authority = Some(authority.canonical()),
            // The upstream is sent another one.
            None => {}
            Some(false) => return Err(refused(Problem::Misdirected, RequestReason::WrongAuthority)),
        }
        if method != "POST" {
            return Err(refused(Problem::WrongMethod, RequestReason::WrongMethod));
        }
        let (caller, proof_ends) = guard.identify(&headers, &authority, now, host)?;
        self.story.token_id = caller.token_id().map(|id| guard.shown(id));
        self.story.caller = Some(caller.clone());
        // Without a bundle there is no use in reading the body.
        guard.bundle(now, host)?;
        if !headers.is_plain() {
            return Err(refused(Problem::Uninspectable, RequestReason::RequestEncoded));
        }
        let place =
            guard.config.routes.get(route).and_then(|route| Some((route, guard.config.dialects.get(route.dialect)?)));
        let (named, dialect) = place
            .map(|(route, spoken)| (route, &spoken.dialect))
            .ok_or(refused(Problem::Forbidden, RequestReason::Undecidable))?;
        if !headers.is_json_call(dialect.media_type.as_ref().map(|(_, own)| own)) {
            return Err(refused(Problem::Uninspectable, RequestReason::RequestMediaType));
        }
        let outgoing = upward::of_call(&headers, named, dialect, &guard)?;
        if headers.states_more_than(guard.config.limits.request_bytes) {
            return Err(refused(Problem::TooLarge, RequestReason::TooLarge));
        }
        if end {
            return Err(refused(Problem::Malformed("the request has no body".to_owned()), RequestReason::NoBody));
        }
        let head = RequestHead { headers, segments };
        self.stage = Stage::Body(Incoming { head, outgoing, route, caller, proof_ends, authority });
        Ok(Step::Hold)
    }

    /// More of the request's body: `size` bytes are buffered by now. `end`: that is all of it. Trailers count as an end.
    pub fn request_body(&mut self, size: usize, end: bool) -> Step {
        match self.stage {
            Stage::Passing => Step::Continue,
            Stage::Body(_) if size > self.guard.config.limits.request_bytes => {
                self.refuse(Problem::TooLarge, RequestReason::TooLarge)
            }
            Stage::Body(_) if end => Step::Read,
            // It may take its time.
            Stage::Body(ref incoming) => {
                let bytes = size.saturating_add(incoming.held());
                match self.hold(bytes) {
                    Ok(()) => Step::Hold,
                    Err((problem, reason)) => self.refuse(problem, reason),
                }
            }
            // While a human is asked, a body that goes on would take the held headers with it.
            Stage::New
            | Stage::Asking(_)
            | Stage::Upstream(_)
            | Stage::Answer(..)
            | Stage::Streaming(_)
            | Stage::Broken
            | Stage::Over => Step::Hold,
        }
    }

    /// The whole body of the request, when it is there, and again when people have agreed to it.
    pub fn request_whole(&mut self, body: &[u8], now: Time, host: &dyn Host) -> Step {
        let step = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Body(incoming) => self.decide(incoming, body, now, host),
            Stage::Asking(consultation) => self.send_approved(consultation, body, now, host),
            other => {
                self.stage = other;
                return Step::Hold;
            }
        };
        match step {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn decide(&mut self, incoming: Incoming, body: &[u8], now: Time, host: &dyn Host) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let undecidable = || refused(Problem::Forbidden, RequestReason::Undecidable);
        guard.check_still_valid(&incoming.caller, incoming.proof_ends, now)?;
        if body.len() > guard.config.limits.request_bytes {
            return Err(refused(Problem::TooLarge, RequestReason::TooLarge));
        }
        let route = guard.config.routes.get(incoming.route).ok_or_else(undecidable)?;
        let dialect = guard.config.dialects.get(route.dialect).ok_or_else(undecidable)?;
        let call = Call::read(route, &dialect.dialect, &incoming.head, body).map_err(no_call)?;
        self.story.names = Some(Names {
            model: guard.shown(&call.model),
            dataset: guard.shown(&call.dataset),
            tenant: call.tenant.as_deref().map(|tenant| guard.shown(tenant)),
        });
        self.story.request_digest = guard.content_digest(body);
        let bundle = guard.bundle(now, host)?;
        let caller = incoming.caller.clone();
        let counted = guard.counts_calls(&bundle);
        let memory = guard.memory(host);
        let rates = if counted {
            habits::count(&memory, (caller.issuer(), caller.subject()), call.documents, now)
        } else {
            None
        };
        let dialect = &dialect.dialect;
        let shadow = guard.shadow(host, now);
        let texts = guard.texts(&bundle, shadow.as_deref());
        let facts = Observed { call: &call, caller: &caller, dialect, body, rates, memory: &memory, texts };
        let question = question(&caller, &call, &facts, now);
        let decision = bundle.policy.decide(&question);
        self.story.second_opinion = shadow.as_deref().map(|shadow| SecondOpinion::of(&shadow.policy, &question));
        self.story.bundle = Some(bundle);
        let is_denied = decision.effect == Effect::Deny;
        let led = if is_denied { Ok(()) } else { self.hold_to_cluster(incoming.route, now, host) };
        let judged = led.and_then(|()| self.judge(&decision, &call, dialect, incoming, body, rates));
        // Nobody asks for its text any more, and a record is only told its length.
        self.story.call = Some(Call { query: String::new(), ..call });
        self.story.decision = Some(decision);
        let (consultation, outgoing) = judged?;
        if consultation.wanted.is_empty() {
            return self.forward(&consultation, outgoing, now, host);
        }
        self.hold(body.len().saturating_add(consultation.incoming.held()))?;
        self.ask(consultation)
    }

    /// Where the call would go. Whatever changes it later is held to this by the filter behind.
    fn hold_to_cluster(&mut self, route: usize, now: Time, host: &dyn Host) -> Result<(), Refused> {
        let guard = self.guard.clone();
        if guard.is_closed(route, now) {
            return Err(refused(Problem::NotReady, RequestReason::RouteClosed));
        }
        let cluster = host.cluster().ok_or(refused(Problem::NotReady, RequestReason::NoCluster))?;
        let is_allowed = guard.config.routes.get(route).is_some_and(|route| route.clusters.contains(&cluster));
        self.story.cluster = Some(cluster);
        if is_allowed { Ok(()) } else { Err(refused(Problem::Forbidden, RequestReason::ClusterNotForRoute)) }
    }

    /// Denies, or says what people have to agree to, if they have to, and what goes upstream.
    fn judge(
        &mut self,
        decision: &Decision,
        call: &Call,
        dialect: &Dialect,
        incoming: Incoming,
        body: &[u8],
        rates: Option<(u64, u64)>,
    ) -> Result<(Box<Consultation>, Option<Vec<u8>>), Refused> {
        let guard = self.guard.clone();
        if decision.effect == Effect::Deny {
            return Err(refused(Problem::Forbidden, decision.reason));
        }
        let route =
            guard.config.routes.get(incoming.route).ok_or(refused(Problem::Forbidden, RequestReason::Undecidable))?;
        Permit::credential(decision, route, &guard.credentials)
            .map_err(|withheld| refused(Problem::Forbidden, withheld.reason()))?;
        let outgoing = self.outgoing(decision, call, dialect, body)?;
        // What people approve is the call as the caller sent it.
        let path = incoming.head.headers.one(":path").unwrap_or_default();
        let authority = incoming.authority.canonical();
        let cluster = self.story.cluster.as_deref().ok_or(refused(Problem::Forbidden, RequestReason::Undecidable))?;
        let person = guard.person(&incoming.caller, decision)?;
        let digest = |approval: &Rc<str>| {
            let bound = Bound {
                gateway: &guard.config.gateway,
                caller: &incoming.caller,
                person,
                method: "POST",
                authority: &authority,
                path,
                cluster,
                call,
                body,
                approval,
            };
            (approval.clone(), bound.digest())
        };
        let wanted: Vec<_> = decision.approvals.iter().map(digest).collect();
        let masked_query = if wanted.is_empty() { String::new() } else { guard.preview(&call.query) };
        let asked_for = if wanted.is_empty() { String::new() } else { sha256(&[body]) };
        let consultation = Consultation { incoming, wanted, receipts: Vec::new(), masked_query, asked_for, rates };
        Ok((Box::new(consultation), outgoing))
    }

    /// The body as it goes upstream; None: as the caller sent it. The one place where it is edited.
    fn outgoing(
        &mut self,
        decision: &Decision,
        call: &Call,
        dialect: &Dialect,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Refused> {
        let mut outgoing = self.masked(decision, dialect, body)?;
        force(decision.force, call, dialect, body, &mut outgoing)?;
        match &outgoing {
            Some(outgoing) if outgoing.len() > self.guard.config.limits.request_bytes => {
                Err(refused(Problem::TooLarge, RequestReason::TooLarge))
            }
            _ => Ok(outgoing),
        }
    }

    /// The body with its texts masked; None: there is nothing to mask in it.
    fn masked(&mut self, decision: &Decision, dialect: &Dialect, body: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        if decision.request_masks.is_empty() {
            return Ok(None);
        }
        let bundle = self.story.bundle.as_ref().ok_or(refused(Problem::Forbidden, RequestReason::Undecidable))?;
        let masks = self
            .guard
            .masks(bundle, &decision.request_masks)
            .ok_or(refused(Problem::Forbidden, RequestReason::UnknownMask))?;
        let texts = dialect.texts.each_ref().map(String::as_str);
        match mask_parts_within(body, &texts, &masks, self.guard.config.limits.request_bytes) {
            Ok(masked) => {
                let (masked, found) = masked.into_parts();
                self.story.request_found = found;
                Ok(masked)
            }
            Err(Unmaskable::Denied(found)) => {
                self.story.request_found = found;
                Err(refused(Problem::Forbidden, RequestReason::Denied))
            }
            // What stands in the place of a finding may be longer than it.
            Err(Unmaskable::Grows { .. }) => Err(refused(Problem::TooLarge, RequestReason::TooLarge)),
            Err(_) => {
                Err(refused(Problem::Malformed("its text cannot be masked".to_owned()), RequestReason::Unmaskable))
            }
        }
    }

    /// Asks for the next approval, or for the body again when there are receipts for all: meanwhile the host alone holds it.
    fn ask(&mut self, consultation: Box<Consultation>) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let undecidable = || refused(Problem::Forbidden, RequestReason::Undecidable);
        let (Some(decision), Some(call), Some(names), Some(bundle)) =
            (&self.story.decision, &self.story.call, &self.story.names, &self.story.bundle)
        else {
            return Err(undecidable());
        };
        let Some((name, digest)) = consultation.wanted.get(consultation.receipts.len()) else {
            self.stage = Stage::Asking(consultation);
            return Ok(Step::Read);
        };
        let settings = guard.config.approver.as_ref().ok_or_else(undecidable)?;
        let approval = bundle.policy.approval(name).ok_or_else(undecidable)?;
        let asking = Asking {
            request_digest: digest,
            decision_id: &self.id,
            gateway: &guard.config.gateway,
            approval,
            caller: &consultation.incoming.caller,
            person: guard.person(&consultation.incoming.caller, decision)?,
            call,
            names,
            decision,
            masked_query: &consultation.masked_query,
            wait: settings.wait,
        };
        let out = CallOut {
            cluster: settings.cluster.clone(),
            authority: settings.authority.clone(),
            path: settings.path.clone(),
            headers: vec![("content-type", "application/json".to_owned()), ("idempotency-key", digest.clone())],
            body: asking.body(),
            timeout: settings.timeout,
        };
        self.stage = Stage::Asking(consultation);
        Ok(Step::CallOut(out))
    }

    /// People have agreed to this body.
    fn send_approved(
        &mut self,
        consultation: Box<Consultation>,
        body: &[u8],
        now: Time,
        host: &dyn Host,
    ) -> Result<Step, Refused> {
        let undecidable = || refused(Problem::Forbidden, RequestReason::Undecidable);
        // The host kept it; were it another one by now, nobody would have agreed to it.
        if consultation.receipts.len() < consultation.wanted.len() || sha256(&[body]) != consultation.asked_for {
            return Err(undecidable());
        }
        let outgoing = self.judge_again(&consultation, body, now, host)?;
        self.forward(&consultation, outgoing, now, host)
    }

    /// People took their time, and what they agreed to may be forbidden by now: a deny of the bundle in force beats any receipt.
    /// What it allows goes on as it says now: gives the body as it goes upstream; None: as the caller sent it.
    fn judge_again(
        &mut self,
        consultation: &Consultation,
        body: &[u8],
        now: Time,
        host: &dyn Host,
    ) -> Result<Option<Vec<u8>>, Refused> {
        let guard = self.guard.clone();
        let undecidable = || refused(Problem::Forbidden, RequestReason::Undecidable);
        let Consultation { incoming, rates, .. } = consultation;
        guard.check_still_valid(&incoming.caller, incoming.proof_ends, now)?;
        let (Some(call), Some(before)) = (&self.story.call, self.story.bundle.take()) else {
            return Err(undecidable());
        };
        let bundle = guard.bundle(now, host)?;
        let (caller, route) = (&incoming.caller, guard.config.routes.get(incoming.route).ok_or_else(undecidable)?);
        let dialect = &guard.config.dialects.get(route.dialect).ok_or_else(undecidable)?.dialect;
        let memory = guard.memory(host);
        let texts = guard.texts(&bundle, None);
        let facts = Observed { call, caller, dialect, body, rates: *rates, memory: &memory, texts };
        let decision = bundle.policy.decide(&question(caller, call, &facts, now));
        let reason = decision.reason;
        let is_denied = decision.effect == Effect::Deny;
        let is_unchanged = |name: &Rc<str>| before.policy.approval(name) == bundle.policy.approval(name);
        let is_covered = decision.approvals.iter().all(is_unchanged);
        self.story.decision = Some(decision.clone());
        self.story.bundle = Some(bundle);
        if is_denied {
            return Err(refused(Problem::Forbidden, reason));
        }
        // Other people have to agree than those who were asked; which of the approvals is missing shows in the permit.
        if !is_covered {
            return Err(refused(Problem::ApprovalUnavailable, ApprovalReason::BundleChanged));
        }
        // What goes on is masked and forced as the bundle in force says.
        let call = call.clone();
        self.outgoing(&decision, &call, dialect, body)
    }

    /// Sends the call upstream with a permit, which there is only for what the decision allows and people approved. `outgoing`: the
    /// body as it goes upstream; None: as the caller sent it.
    fn forward(
        &mut self,
        consultation: &Consultation,
        outgoing: Option<Vec<u8>>,
        now: Time,
        host: &dyn Host,
    ) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let undecidable = || refused(Problem::Forbidden, RequestReason::Undecidable);
        let decision = self.story.decision.as_ref().ok_or_else(undecidable)?;
        let incoming = &consultation.incoming;
        let route = guard.config.routes.get(incoming.route).ok_or_else(undecidable)?;
        let (memory, cluster) = (guard.memory(host), self.story.cluster.as_deref());
        let permit = Permit::new(decision, &consultation.receipts, route, cluster, &guard.credentials, &memory, now)
            .map_err(|withheld| refused(withheld.problem(), withheld.reason()))?;
        if let Some(call) = &self.story.call
            && self.story.bundle.as_ref().is_some_and(|bundle| guard.remembers_uses(bundle))
        {
            // Only what was let through was used: an attempt that was refused is a first use again.
            let who = (incoming.caller.issuer(), incoming.caller.subject());
            habits::remember_use(&memory, who, Novelty::Model, &call.model);
            habits::remember_use(&memory, who, Novelty::Dataset, &call.dataset);
        }
        let length = outgoing.as_ref().map(Vec::len);
        let headers = upward::with_permit(incoming.outgoing.clone(), &incoming.head.headers, &permit, length);
        self.story.credential = Some(permit.credential_name().clone());
        self.story.sent = Some(now);
        let edits = Edits { headers, body: outgoing };
        self.stage = Stage::Upstream(Sent { permit, dialect: route.dialect, streams: route.streams });
        self.held = None;
        Ok(Step::Release(edits))
    }

    /// The approver's answer; None: there is none (unknown cluster, time-out, reset).
    pub fn answered(&mut self, answer: Option<(u16, &[u8])>, now: Time) -> Step {
        let consultation = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asking(consultation) => consultation,
            other => {
                self.stage = other;
                return Step::Hold;
            }
        };
        match self.weigh(consultation, answer, now) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn weigh(
        &mut self,
        mut consultation: Box<Consultation>,
        answer: Option<(u16, &[u8])>,
        now: Time,
    ) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unavailable = |reason: ApprovalReason| refused(Problem::ApprovalUnavailable, reason);
        let (status, body) = answer.ok_or_else(|| unavailable(ApprovalReason::Silent))?;
        let (Some(settings), Some((name, digest))) =
            (&guard.config.approver, consultation.wanted.get(consultation.receipts.len()))
        else {
            return Err(unavailable(ApprovalReason::Undecidable));
        };
        let answer = approval::read(status, body, settings).map_err(|_| unavailable(ApprovalReason::Unclear))?;
        let bundle = self.story.bundle.as_ref().ok_or_else(|| unavailable(ApprovalReason::Undecidable))?;
        let named = bundle.policy.approval(name).ok_or_else(|| unavailable(ApprovalReason::Undecidable))?;
        let (id, receipt) = match answer {
            Answer::Approved { id, receipt } => (id, receipt),
            Answer::Rejected { id } => {
                self.story.approval = Some(Approved { id, ..Approved::default() });
                return Err(refused(Problem::ApprovalRejected, ApprovalReason::Rejected));
            }
            Answer::Pending { id, url, retry_after } => {
                self.story.approval = Some(Approved { id: id.clone(), ..Approved::default() });
                let respond_async = consultation.incoming.head.headers.all("prefer").any(prefers_async);
                let ticket = Ticket { id, url, retry_after: Span::from_secs(retry_after), respond_async };
                return Err(refused(Problem::ApprovalRequired(ticket), ApprovalReason::Pending));
            }
        };
        let terms = Terms {
            issuer: &settings.issuer,
            key: &settings.key,
            gateway: &guard.config.gateway,
            caller: &consultation.incoming.caller,
            person: settings
                .person(&consultation.incoming.caller)
                .map_err(|_| unavailable(ApprovalReason::CallerUnnamed))?,
            digest,
            approval: named,
        };
        let receipt = Receipt::check(&receipt, terms, now)
            .map_err(|disbelief| refused(Problem::ApprovalUnavailable, disbelief))?;
        self.story.approval =
            Some(Approved { id, receipt: Some(receipt.id().to_owned()), approvers: receipt.approvers().to_vec() });
        let name = name.clone();
        consultation.receipts.push((name, receipt));
        self.ask(consultation)
    }
}

impl Incoming {
    /// How many bytes its headers have, those that came and those that are to go up.
    fn held(&self) -> usize {
        let outgoing = self.outgoing.iter();
        outgoing.fold(self.head.headers.size(), |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len())
        })
    }
}

fn question<'a>(caller: &'a Caller, call: &'a Call, facts: &'a Observed<'_>, now: Time) -> Question<'a> {
    Question {
        now,
        subject: caller.subject(),
        issuer: caller.issuer(),
        groups: caller.groups(),
        claims: caller,
        model: &call.model,
        dataset: &call.dataset,
        tenant: call.tenant.as_deref(),
        operation: &call.operation,
        documents: call.documents,
        query_bytes: call.query_bytes,
        document_bytes: call.largest_document,
        top_n: call.top_n,
        return_documents: call.return_documents,
        parameters: &call.parameters,
        facts,
    }
}

/// Writes forced parameters into the body as it goes upstream so far. What a dialect has no member for cannot be forced: then the
/// call goes nowhere.
fn force(
    force: Force,
    call: &Call,
    dialect: &Dialect,
    body: &[u8],
    outgoing: &mut Option<Vec<u8>>,
) -> Result<(), Refused> {
    let echo = (force.return_documents == Some(false) && call.return_documents).then(|| "false".to_owned());
    let most = force.top_n.filter(|most| call.top_n > *most).map(|most| most.to_string());
    for (role, value) in [(Role::ReturnDocuments, echo), (Role::TopN, most)] {
        if let Some(value) = value {
            let before = outgoing.as_deref().unwrap_or(body);
            let after = set_member(dialect, role, &value, before);
            *outgoing = Some(after.ok_or(refused(Problem::Forbidden, RequestReason::ForceImpossible))?);
        }
    }
    Ok(())
}

fn no_call(why: NoCall) -> Refused {
    match why {
        NoCall::ForeignDocument(_) | NoCall::UnclearDocuments(_) => {
            refused(Problem::Forbidden, RequestReason::ForeignDocument)
        }
        NoCall::Unreadable(_) | NoCall::BadModel | NoCall::BadName(_) => {
            refused(Problem::Malformed(why.to_string()), RequestReason::MalformedCall)
        }
    }
}

/// Whom a request addresses. None: nobody, or several, or it can be read in two ways.
fn addressed(headers: &Headers) -> Option<Authority> {
    // Envoy makes one of `Host` and `:authority`. Where it left both, an upstream could read the other.
    if headers.has("host") { None } else { Authority::read(headers.one(":authority")?) }
}

/// RFC 7240: `Prefer: respond-async`, alone or in a list.
fn prefers_async(value: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',' || *byte == b';')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(b"respond-async"))
}

/// The method for the record. Any token may stand there, also somebody's number: what is not known is told as `other`.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = ["POST", "GET", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

fn is_plain_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

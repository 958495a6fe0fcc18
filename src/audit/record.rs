//! The record of one call.

use super::chain::ROOM;
use crate::call::Call;
use crate::caller::Caller;
use crate::exchange::SecondOpinion;
use crate::mask::Found;
use crate::policy::{Decision, Force, Policy};
use crate::time::{Span, Time};
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use std::rc::Rc;

/// Everything that one record says. It holds no token, no secret and no content: the types it is made of have none to give, but
/// for the call's query, which only its length is taken of.
#[derive(Debug)]
pub struct Record<'a> {
    /// When the stream began.
    pub time: Time,
    /// Names the decision, also in the answer.
    pub decision_id: &'a str,
    /// Envoy's request id, if it has the form of one.
    pub request_id: Option<&'a str>,
    /// This gateway.
    pub gateway: &'a str,
    /// The request's method, cut to 16 characters.
    pub method: &'a str,
    /// The route's path template; a path that fits none may hold anything and is not recorded.
    pub route: Option<&'a str>,
    /// Who called, if that was proved.
    pub caller: Option<&'a Caller>,
    /// What they asked for, if it was readable.
    pub call: Option<&'a Call>,
    /// What the policy said, if it was asked.
    pub decision: Option<&'a Decision>,
    /// The bundle that the call was judged by, or the one in force where it was not; None before there is one.
    pub policy: Option<&'a Policy>,
    /// What the shadow bundle would have said.
    pub(crate) second_opinion: Option<&'a SecondOpinion>,
    /// The human side.
    pub approval: Option<&'a Approved>,
    /// The name of the credential that went upstream.
    pub credential: Option<&'a str>,
    /// `served`, `passed`, `aborted`, or the problem's code.
    pub outcome: &'static str,
    /// Why, in one word.
    pub reason: &'a str,
    /// The status the caller got; none if the stream ended before.
    pub status: Option<u16>,
    /// The status the upstream answered.
    pub upstream_status: Option<u16>,
    /// How long the upstream took to its headers.
    pub upstream: Option<Span>,
    /// How long it all took.
    pub duration: Span,
    /// What was masked: kinds, counts, pointers.
    pub found: &'a [Found],
    /// What was masked in the request on its way upstream.
    pub request_found: &'a [Found],
    /// How many response headers did not go on.
    pub headers_dropped: usize,
    /// Keyed digest of the request's body.
    pub request_digest: Option<&'a str>,
    /// Keyed digest of the answer's body as it left; of a stream, of all that left, also where it broke off.
    pub response_digest: Option<&'a str>,
    /// Of a stream, how many records left, each masked; None for other answers.
    pub records: Option<u32>,
}

/// The approval of a call, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// The approval's id at the approver.
    pub id: String,
    /// The believed receipt's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// Who approved.
    pub approvers: Vec<String>,
}

/// Bytes of a usual record, so that its buffer is made once.
const USUAL: usize = 1280 + ROOM;

impl Record<'_> {
    /// The JSON object but for its closing brace: [`super::Chain::close`] closes it. Written straight out, without a document in
    /// between and into one buffer: every call pays for this.
    #[must_use]
    pub fn open(&self) -> String {
        let line = Line {
            v: 1,
            kind: "call",
            time: self.time,
            decision_id: self.decision_id,
            request_id: self.request_id,
            gateway: self.gateway,
            actor: self.caller.map(|caller| Actor {
                iss: caller.issuer(),
                sub: caller.subject(),
                groups: caller.groups(),
                proof: caller.proof().name(),
                kid: caller.key_id(),
            }),
            call: Asked {
                method: self.method,
                route: self.route,
                body_digest: self.request_digest,
                call: self.call.map(|call| Named {
                    dialect: &call.dialect,
                    operation: &call.operation,
                    model: &call.model,
                    dataset: &call.dataset,
                    tenant: call.tenant.as_deref(),
                    documents: call.documents,
                    document_bytes: call.largest_document,
                    query_bytes: call.query.len(),
                    top_n: call.top_n,
                    return_documents: call.return_documents,
                    parameters: &call.parameters,
                }),
            },
            decision: self.decided(),
            policy: self.policy.map(Bundle::of),
            approval: self.approval,
            credential: self.credential,
            result: Outcome {
                outcome: self.outcome,
                reason: self.reason,
                status: self.status,
                upstream_status: self.upstream_status,
                upstream_ms: self.upstream.map(|span| span.0),
                duration_ms: self.duration.0,
                masks: self.found.iter().map(Mask::new).collect(),
                request_masks: self.request_found.iter().map(Mask::new).collect(),
                headers_dropped: self.headers_dropped,
                body_digest: self.response_digest,
                records: self.records,
            },
        };
        let mut text = Vec::with_capacity(USUAL);
        // Strings, numbers and booleans only: this cannot fail. Were it to, the record is a link without members, which shows.
        let written = serde_json::to_writer(&mut text, &line).ok().and_then(|()| String::from_utf8(text).ok());
        let mut text = written.unwrap_or_else(|| "{\"v\":1}".to_owned());
        text.pop();
        text
    }

    fn decided(&self) -> Decided<'_> {
        let Some(decision) = self.decision else {
            // Refused before there was a call to decide on, or let pass because it is listed.
            let effect = if self.outcome == "passed" { "pass" } else { "deny" };
            return Decided { effect, reason: self.reason, ..Decided::default() };
        };
        Decided {
            effect: decision.effect.as_str(),
            reason: decision.reason.as_str(),
            rules: &decision.rules,
            near_misses: decision
                .near_misses
                .iter()
                .map(|miss| Near { rule: &miss.rule, what: miss.what.as_str() })
                .collect(),
            risk: decision.risk,
            risk_reasons: decision.reasons.iter().map(|(rule, points)| Risk { rule, points: *points }).collect(),
            approvals: &decision.approvals,
            masks: &decision.masks,
            force: Some(decision.force).filter(|force| *force != Force::default()),
            request_masks: &decision.request_masks,
            shadow: decision
                .shadow
                .as_ref()
                .map(|shadow| Shadowed { effect: shadow.effect.as_str(), rules: &shadow.rules }),
            shadow_bundle: self.second_opinion.map(|opinion| Opinion {
                policy: Bundle { id: &opinion.bundle, serial: opinion.serial, sha256: &opinion.digest },
                effect: opinion.effect,
                reason: opinion.reason,
                rules: &opinion.rules,
            }),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'a str,
    time: Time,
    decision_id: &'a str,
    request_id: Option<&'a str>,
    gateway: &'a str,
    actor: Option<Actor<'a>>,
    call: Asked<'a>,
    decision: Decided<'a>,
    policy: Option<Bundle<'a>>,
    approval: Option<&'a Approved>,
    credential: Option<&'a str>,
    result: Outcome<'a>,
}

#[derive(Serialize)]
struct Actor<'a> {
    iss: &'a str,
    sub: &'a str,
    groups: &'a [String],
    proof: &'a str,
    kid: Option<&'a str>,
}

struct Asked<'a> {
    method: &'a str,
    route: Option<&'a str>,
    body_digest: Option<&'a str>,
    call: Option<Named<'a>>,
}

/// One object: what the call says stands beside what the request says, if there is a call. (Serde's own `flatten` takes a detour.)
impl Serialize for Asked<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut object = out.serialize_struct("Asked", 14)?;
        object.serialize_field("method", self.method)?;
        object.serialize_field("route", &self.route)?;
        object.serialize_field("body_digest", &self.body_digest)?;
        if let Some(call) = &self.call {
            object.serialize_field("dialect", call.dialect)?;
            object.serialize_field("operation", call.operation)?;
            object.serialize_field("model", call.model)?;
            object.serialize_field("dataset", call.dataset)?;
            object.serialize_field("tenant", &call.tenant)?;
            object.serialize_field("documents", &call.documents)?;
            object.serialize_field("document_bytes", &call.document_bytes)?;
            object.serialize_field("query_bytes", &call.query_bytes)?;
            object.serialize_field("top_n", &call.top_n)?;
            object.serialize_field("return_documents", &call.return_documents)?;
            object.serialize_field("parameters", call.parameters)?;
        }
        object.end()
    }
}

struct Named<'a> {
    dialect: &'a str,
    operation: &'a str,
    model: &'a str,
    dataset: &'a str,
    tenant: Option<&'a str>,
    documents: u64,
    document_bytes: u64,
    query_bytes: usize,
    top_n: u64,
    return_documents: bool,
    parameters: &'a [String],
}

#[derive(Serialize, Default)]
struct Decided<'a> {
    effect: &'a str,
    reason: &'a str,
    rules: &'a [Rc<str>],
    near_misses: Vec<Near<'a>>,
    risk: u32,
    risk_reasons: Vec<Risk<'a>>,
    approvals: &'a [Rc<str>],
    masks: &'a [Rc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    force: Option<Force>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    request_masks: &'a [Rc<str>],
    shadow: Option<Shadowed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_bundle: Option<Opinion<'a>>,
}

#[derive(Serialize)]
struct Opinion<'a> {
    policy: Bundle<'a>,
    effect: &'a str,
    reason: &'a str,
    rules: &'a [Rc<str>],
}

#[derive(Serialize)]
struct Near<'a> {
    rule: &'a str,
    what: &'a str,
}

#[derive(Serialize)]
struct Risk<'a> {
    rule: &'a str,
    points: u32,
}

#[derive(Serialize)]
struct Shadowed<'a> {
    effect: &'a str,
    rules: &'a [Rc<str>],
}

#[derive(Serialize)]
struct Bundle<'a> {
    id: &'a str,
    serial: u64,
    sha256: &'a str,
}

impl<'a> Bundle<'a> {
    fn of(policy: &'a Policy) -> Self {
        Self { id: policy.id(), serial: policy.serial(), sha256: policy.digest() }
    }
}

#[derive(Serialize)]
struct Outcome<'a> {
    outcome: &'a str,
    reason: &'a str,
    status: Option<u16>,
    upstream_status: Option<u16>,
    upstream_ms: Option<u64>,
    duration_ms: u64,
    masks: Vec<Mask<'a>>,
    /// Left out where the request is not masked, as most are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_masks: Vec<Mask<'a>>,
    headers_dropped: usize,
    body_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u32>,
}

#[derive(Serialize)]
struct Mask<'a> {
    kind: &'a str,
    count: u32,
    pointers: &'a [String],
}

impl<'a> Mask<'a> {
    fn new(found: &'a Found) -> Self {
        Self { kind: found.kind.name(), count: found.count, pointers: &found.pointers }
    }
}

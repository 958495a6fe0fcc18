//! The record of one call.

use super::chain::ROOM;
use super::written::Members;
use crate::call::Call;
use crate::caller::Caller;
use crate::exchange::SecondOpinion;
use crate::mask::Found;
use crate::policy::{Decision, Force, Policy};
use crate::time::{Span, Time};
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
    /// The address and port the request came from, as Envoy knows them.
    pub peer: Option<&'a str>,
    /// The request's method, or `other`.
    pub method: &'a str,
    /// The route's path template; a path that fits none may hold anything and is not recorded.
    pub route: Option<&'a str>,
    /// Whom the request addressed, if that is a name of this gateway; any other may hold anything and is not recorded.
    pub authority: Option<&'a str>,
    /// The Envoy cluster that the call was for; None where it was refused before that mattered.
    pub cluster: Option<&'a str>,
    /// Who called, if that was proved.
    pub caller: Option<&'a Caller>,
    /// The id of the token they showed, masked.
    pub token_id: Option<&'a str>,
    /// What they asked for, if it was readable.
    pub call: Option<&'a Call>,
    /// The names in it.
    pub names: Option<&'a Names>,
    /// What the policy said, if it was asked.
    pub decision: Option<&'a Decision>,
    /// The bundle that the call was judged by, or the one in force where it was not; None before there is one.
    pub policy: Option<&'a Policy>,
    /// What the shadow bundle would have said.
    pub(crate) second_opinion: Option<&'a SecondOpinion>,
    /// The human side.
    pub approval: Option<&'a Approved>,
    /// The name of the credential that the request was let go under.
    pub credential: Option<&'a str>,
    /// Whether it is no call, and was let pass because it is listed.
    pub passes: bool,
    /// `served` (an upstream answered), `failed` (Envoy answered by itself), `passed`, `aborted`, or the problem's code.
    pub outcome: &'static str,
    /// Why, in one word.
    pub reason: &'a str,
    /// The status the caller got; none if the stream ended before.
    pub status: Option<u16>,
    /// Whether an upstream saw the request: `answered`, `unanswered` (it may have), `unreached` (none did). None: it was never
    /// let go.
    pub upstream: Option<&'static str>,
    /// The status that an upstream answered.
    pub upstream_status: Option<u16>,
    /// How long the upstream took to its headers.
    pub waited: Option<Span>,
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

/// The names of a call that its caller chose, as records and approvers may see them: masked for every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The model.
    pub model: String,
    /// The dataset.
    pub dataset: String,
    /// The tenant.
    pub tenant: Option<String>,
}

/// The approval of a call, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approved {
    /// The approval's id at the approver.
    pub id: String,
    /// The believed receipt's id.
    pub receipt: Option<String>,
    /// Who approved.
    pub approvers: Vec<String>,
}

/// Bytes of a usual record, so that its buffer is made once.
const USUAL: usize = 1280 + ROOM;

impl Record<'_> {
    /// The JSON object but for its closing brace: [`super::Chain::close`] closes it.
    #[must_use]
    pub fn open(&self) -> String {
        let mut record = Members::with_room(USUAL);
        record.add("v", 1_u64);
        record.add("type", "call");
        record.add("time", self.time);
        record.add("decision_id", self.decision_id);
        record.add("request_id", self.request_id);
        record.add("gateway", self.gateway);
        record.add("peer", self.peer);
        record.some_object("actor", self.caller, |actor, caller| {
            actor.add("iss", caller.issuer());
            actor.add("sub", caller.subject());
            actor.add("groups", caller.groups());
            actor.add("proof", caller.proof().name());
            actor.add("kid", caller.key_id());
            actor.add("jti", self.token_id);
        });
        record.object("call", |call| self.asked(call));
        record.object("decision", |decision| self.decided(decision));
        record.some_object("policy", self.policy, |bundle, policy| {
            identity(bundle, policy.id(), policy.serial(), policy.digest());
        });
        record.some_object("approval", self.approval, |approval, approved| {
            approval.add("id", &approved.id);
            if let Some(receipt) = &approved.receipt {
                approval.add("receipt", receipt);
            }
            approval.add("approvers", approved.approvers.as_slice());
        });
        record.add("credential", self.credential);
        record.add("cluster", self.cluster);
        record.object("result", |result| self.result(result));
        record.open()
    }

    /// What the request says, and beside it what the call says, if there is one.
    fn asked(&self, asked: &mut Members) {
        asked.add("method", self.method);
        asked.add("route", self.route);
        asked.add("authority", self.authority);
        asked.add("body_digest", self.request_digest);
        let (Some(call), Some(names)) = (self.call, self.names) else { return };
        asked.add("dialect", &call.dialect);
        asked.add("operation", &call.operation);
        asked.add("model", &names.model);
        asked.add("dataset", &names.dataset);
        asked.add("tenant", names.tenant.as_deref());
        asked.add("documents", call.documents);
        asked.add("document_bytes", call.largest_document);
        asked.add("query_bytes", call.query_bytes);
        asked.add("top_n", call.top_n);
        asked.add("return_documents", call.return_documents);
        asked.add("parameters", call.parameters.as_slice());
    }

    fn decided(&self, decided: &mut Members) {
        // Refused before there was a call to decide on, or let pass because it is listed.
        let undecided = if self.passes { "pass" } else { "deny" };
        let decision = self.decision;
        let names = |of: fn(&Decision) -> &[Rc<str>]| decision.map_or(&[][..], of);
        decided.add("effect", decision.map_or(undecided, |decision| decision.effect.as_str()));
        decided.add("reason", decision.map_or(self.reason, |decision| decision.reason.as_str()));
        decided.add("rules", names(|decision| &decision.rules));
        let near_misses = decision.map_or(&[][..], |decision| &decision.near_misses);
        decided.objects("near_misses", near_misses, |near, miss| {
            near.add("rule", &miss.rule);
            near.add("what", miss.what.as_str());
        });
        decided.add("risk", decision.map_or(0, |decision| decision.risk));
        let reasons = decision.map_or(&[][..], |decision| &decision.reasons);
        decided.objects("risk_reasons", reasons, |risk, (rule, points)| {
            risk.add("rule", rule);
            risk.add("points", *points);
        });
        decided.add("approvals", names(|decision| &decision.approvals));
        decided.add("masks", names(|decision| &decision.masks));
        if let Some(force) = decision.map(|decision| decision.force).filter(|force| *force != Force::default()) {
            decided.object("force", |forced| {
                if let Some(return_documents) = force.return_documents {
                    forced.add("return_documents", return_documents);
                }
                if let Some(top_n) = force.top_n {
                    forced.add("top_n", top_n);
                }
            });
        }
        let request_masks = names(|decision| &decision.request_masks);
        if !request_masks.is_empty() {
            decided.add("request_masks", request_masks);
        }
        decided.some_object("shadow", decision.and_then(|decision| decision.shadow.as_ref()), |shadowed, shadow| {
            shadowed.add("effect", shadow.effect.as_str());
            shadowed.add("rules", shadow.rules.as_slice());
        });
        if let (Some(_), Some(opinion)) = (decision, self.second_opinion) {
            decided.object("shadow_bundle", |bundle| {
                bundle.object("policy", |policy| identity(policy, &opinion.bundle, opinion.serial, &opinion.digest));
                bundle.add("effect", opinion.effect);
                bundle.add("reason", opinion.reason.as_str());
                bundle.add("rules", opinion.rules.as_slice());
            });
        }
    }

    fn result(&self, result: &mut Members) {
        result.add("outcome", self.outcome);
        result.add("reason", self.reason);
        result.add("status", self.status);
        result.add("upstream", self.upstream);
        result.add("upstream_status", self.upstream_status);
        result.add("upstream_ms", self.waited.map(|span| span.0));
        result.add("duration_ms", self.duration.0);
        result.objects("masks", self.found, masked);
        // Left out where the request is not masked, as most are not.
        if !self.request_found.is_empty() {
            result.objects("request_masks", self.request_found, masked);
        }
        result.add("headers_dropped", self.headers_dropped);
        result.add("body_digest", self.response_digest);
        if let Some(records) = self.records {
            result.add("records", records);
        }
    }
}

fn identity(bundle: &mut Members, id: &str, serial: u64, digest: &str) {
    bundle.add("id", id);
    bundle.add("serial", serial);
    bundle.add("sha256", digest);
}

fn masked(mask: &mut Members, found: &Found) {
    mask.add("kind", found.kind.name());
    mask.add("count", found.count);
    mask.add("pointers", found.pointers.as_slice());
}

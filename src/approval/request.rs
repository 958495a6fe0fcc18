//! What the approver is asked, and the digest that binds its answer to the call.

use crate::audit::{Members, Names, digest as sha256};
use crate::call::Call;
use crate::caller::Caller;
use crate::policy::{Approval, Decision};
use crate::time::Span;

/// The digest of one call under one approval: the same call by the same caller has the same digest, with whatever token, so a
/// refreshed token keeps its ticket; any other call has another one.
///
/// Over a JSON object whose members stand in a fixed order, behind a domain prefix; `body` goes in as its own SHA-256.
#[must_use]
pub fn digest(
    gateway: &str,
    caller: &Caller,
    method: &str,
    path: &str,
    call: &Call,
    body: &[u8],
    approval: &str,
) -> String {
    // Written out byte by byte: nothing here can fail, and so no two calls can share the digest of nothing.
    let mut bound = Members::with_room(512);
    bound.add("v", 1_u64);
    bound.add("gateway", gateway);
    bound.add("iss", caller.issuer());
    bound.add("sub", caller.subject());
    bound.add("method", method);
    bound.add("path", path);
    bound.add("dialect", &call.dialect);
    bound.add("operation", &call.operation);
    bound.add("model", &call.model);
    bound.add("dataset", &call.dataset);
    bound.add("tenant", call.tenant.as_deref());
    bound.add("documents", call.documents);
    bound.add("top_n", call.top_n);
    bound.add("return_documents", call.return_documents);
    bound.add("body", sha256(&[body]));
    bound.add("approval", approval);
    sha256(&[b"rerank-guard/approval/v1\n", &bound.bytes()])
}

/// Everything the approver is told.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// From [`digest`].
    pub request_digest: &'a str,
    /// The decision that asks.
    pub decision_id: &'a str,
    /// This gateway.
    pub gateway: &'a str,
    /// What the bundle wants.
    pub approval: &'a Approval,
    /// Who asks.
    pub caller: &'a Caller,
    /// For what.
    pub call: &'a Call,
    /// The names that the caller chose, as people may see them.
    pub names: &'a Names,
    /// Why.
    pub decision: &'a Decision,
    /// The query, masked with every mask there is.
    pub masked_query: &'a str,
    /// How long the approver may hold the answer.
    pub wait: Span,
}

impl Asking<'_> {
    /// The JSON body of `POST {approver}/v1/approvals`.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let call = self.call;
        let body = serde_json::json!({
            "v": 1,
            "request_digest": self.request_digest,
            "decision_id": self.decision_id,
            "gateway": self.gateway,
            "approval": &*self.approval.name,
            "min": self.approval.min,
            "groups": self.approval.groups,
            "ttl_s": self.approval.ttl.secs_up(),
            "requester": {"iss": self.caller.issuer(), "sub": self.caller.subject(), "groups": self.caller.groups()},
            "resource": {
                "model": self.names.model, "dataset": self.names.dataset, "tenant": self.names.tenant,
                "operation": &*call.operation,
            },
            "params": {
                "dialect": &*call.dialect, "documents": call.documents, "top_n": call.top_n, "return_documents": call.return_documents,
                "query_bytes": call.query.len(), "parameters": call.parameters,
            },
            "why": {
                "rules": self.decision.rules.iter().map(|rule| &**rule).collect::<Vec<_>>(),
                "risk": self.decision.risk,
            },
            "preview": {"query": self.masked_query},
            "wait_s": self.wait.secs_up(),
        });
        body.to_string().into_bytes()
    }
}

//! What the approver is asked, and the digest that binds its answer to the call.

use crate::audit::digest as sha256;
use crate::call::Call;
use crate::caller::Caller;
use crate::policy::{Approval, Decision};
use crate::time::Span;
use serde::Serialize;

/// One call under one approval.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// This gateway.
    pub gateway: &'a str,
    /// Who calls.
    pub caller: &'a Caller,
    /// The request's method.
    pub method: &'a str,
    /// Whom the request addresses, in its canonical form.
    pub authority: &'a str,
    /// The request's path.
    pub path: &'a str,
    /// The Envoy cluster that it goes to.
    pub cluster: &'a str,
    /// What is asked for.
    pub call: &'a Call,
    /// The body as it came.
    pub body: &'a [u8],
    /// The approval.
    pub approval: &'a str,
}

impl Bound<'_> {
    /// The same call by the same caller has the same digest, with whatever token, so a refreshed token keeps its ticket; any other call
    /// has another one.
    ///
    /// Over a JSON object whose members stand in a fixed order, behind a domain prefix; `body` goes in as its own SHA-256.
    #[must_use]
    pub fn digest(&self) -> String {
        #[derive(Serialize)]
        struct Canonical<'a> {
            v: u8,
            gateway: &'a str,
            iss: &'a str,
            sub: &'a str,
            method: &'a str,
            authority: &'a str,
            path: &'a str,
            cluster: &'a str,
            dialect: &'a str,
            operation: &'a str,
            model: &'a str,
            dataset: &'a str,
            tenant: Option<&'a str>,
            documents: u64,
            top_n: u64,
            return_documents: bool,
            body: String,
            approval: &'a str,
        }
        let Self { gateway, caller, method, authority, path, cluster, call, body, approval } = *self;
        let canonical = Canonical {
            v: 1,
            gateway,
            iss: caller.issuer(),
            sub: caller.subject(),
            method,
            authority,
            path,
            cluster,
            dialect: &call.dialect,
            operation: &call.operation,
            model: &call.model,
            dataset: &call.dataset,
            tenant: call.tenant.as_deref(),
            documents: call.documents,
            top_n: call.top_n,
            return_documents: call.return_documents,
            body: sha256(&[body]),
            approval,
        };
        // Strings, numbers and booleans only: this cannot fail. Were it to, the empty text would bind nothing a receipt could name.
        let text = serde_json::to_vec(&canonical).unwrap_or_default();
        sha256(&[b"rerank-guard/approval/v1\n", &text])
    }
}

/// Everything the approver is told.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// From [`Bound::digest`].
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
                "model": call.model, "dataset": call.dataset, "tenant": call.tenant,
                "operation": &*call.operation,
            },
            "params": {
                "dialect": &*call.dialect, "documents": call.documents, "top_n": call.top_n, "return_documents": call.return_documents,
                "query_bytes": call.query_bytes, "parameters": call.parameters,
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

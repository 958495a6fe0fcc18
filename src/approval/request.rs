//! What the approver is asked, and the digest that binds its answer to the call.

use crate::audit::{Members, Names, digest as sha256};
use crate::call::Call;
use crate::caller::Caller;
use crate::policy::{Approval, Decision};
use crate::time::Span;

/// One call under one approval.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// This gateway.
    pub gateway: &'a str,
    /// Who calls.
    pub caller: &'a Caller,
    /// Who that is as a person, where a claim names people.
    pub person: Option<&'a str>,
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
        let Self { gateway, caller, person, method, authority, path, cluster, call, body, approval } = *self;
        // Written out byte by byte: nothing here can fail, and so no two calls can share the digest of nothing.
        let mut canonical = Members::with_room(640);
        canonical.add("v", 1_u64);
        canonical.add("gateway", gateway);
        canonical.add("iss", caller.issuer());
        canonical.add("sub", caller.subject());
        if person.is_some() {
            canonical.add("person", person);
        }
        canonical.add("method", method);
        canonical.add("authority", authority);
        canonical.add("path", path);
        canonical.add("cluster", cluster);
        canonical.add("dialect", &call.dialect);
        canonical.add("operation", &call.operation);
        canonical.add("model", &call.model);
        canonical.add("dataset", &call.dataset);
        canonical.add("tenant", call.tenant.as_deref());
        canonical.add("documents", call.documents);
        canonical.add("top_n", call.top_n);
        canonical.add("return_documents", call.return_documents);
        canonical.add("body", sha256(&[body]));
        canonical.add("approval", approval);
        sha256(&[b"rerank-guard/approval/v1\n", &canonical.bytes()])
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
    /// Who that is as a person, where a claim names people.
    pub person: Option<&'a str>,
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
        let mut requester = serde_json::json!({
            "iss": self.caller.issuer(), "sub": self.caller.subject(), "groups": self.caller.groups(),
        });
        if let (Some(person), Some(members)) = (self.person, requester.as_object_mut()) {
            members.insert("person".to_owned(), person.into());
        }
        let body = serde_json::json!({
            "v": 1,
            "request_digest": self.request_digest,
            "decision_id": self.decision_id,
            "gateway": self.gateway,
            "approval": &*self.approval.name,
            "min": self.approval.min,
            "groups": self.approval.groups,
            "ttl_s": self.approval.ttl.secs_up(),
            "requester": requester,
            "resource": {
                "model": self.names.model, "dataset": self.names.dataset, "tenant": self.names.tenant,
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

//! The permit: the only thing an upstream request can be made from.

use super::reason::{Reason, RequestReason};
use super::reply::Problem;
use crate::approval::{Disbelief, Receipt};
use crate::call::Route;
use crate::credential::{Credential, Credentials};
use crate::policy::{Decision, Effect};
use crate::shared::SharedMemory;
use crate::time::Time;
use std::rc::Rc;

/// Leave to send one call upstream under one credential. It comes only from a decision that allows, with a believed receipt for
/// every approval that decision asks for, and where Envoy's route leads to a cluster of ours.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    credential: Rc<Credential>,
}

/// Why an allowed call still gets no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The decision does not allow.
    NotAllowed,
    /// An approval is missing.
    NotApproved,
    /// The decision names no credential, or one that the configuration does not have.
    NoCredential,
    /// The credential is not for the upstream of this route.
    WrongUpstream,
    /// Envoy would send the call to a cluster that is not this route's.
    WrongCluster,
    /// A receipt cannot be taken: it lets one call through, and only while it is fresh.
    NotTaken(Disbelief),
}

impl Withheld {
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::NotAllowed => Reason::Request(RequestReason::NotAllowed),
            Self::NotApproved => Reason::Request(RequestReason::NotApproved),
            Self::NoCredential => Reason::Request(RequestReason::NoCredential),
            Self::WrongUpstream => Reason::Request(RequestReason::CredentialNotForRoute),
            Self::WrongCluster => Reason::Request(RequestReason::ClusterNotForRoute),
            Self::NotTaken(why) => Reason::Receipt(why),
        }
    }

    /// What the caller is told.
    pub(crate) const fn problem(self) -> Problem {
        match self {
            Self::NotAllowed | Self::NotApproved | Self::NoCredential | Self::WrongUpstream | Self::WrongCluster => {
                Problem::Forbidden
            }
            Self::NotTaken(_) => Problem::ApprovalUnavailable,
        }
    }
}

/// What to change in a message that is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// All headers that the message has from here on, the parts of its first line among them: no other stays.
    pub headers: Vec<(String, String)>,
    /// A new body; None leaves the body as it is.
    pub body: Option<Vec<u8>>,
}

impl Permit {
    /// The credential a decision leads to on a route, before any human is asked: asking for a call that cannot go on would
    /// waste their time.
    pub(crate) fn credential(
        decision: &Decision,
        route: &Route,
        all: &Credentials,
    ) -> Result<Rc<Credential>, Withheld> {
        let name = decision.credential.as_ref().ok_or(Withheld::NoCredential)?;
        if !route.credentials.iter().any(|one| **one == **name) {
            return Err(Withheld::WrongUpstream);
        }
        all.get(name).cloned().ok_or(Withheld::NoCredential)
    }

    /// Takes the receipts out of `memory`, which is that of all workers, last: only a call that goes up uses one, and a receipt that
    /// somebody else has used gives no permit.
    pub(crate) fn new(
        decision: &Decision,
        receipts: &[(Rc<str>, Receipt)],
        route: &Route,
        cluster: Option<&str>,
        all: &Credentials,
        memory: &dyn SharedMemory,
        now: Time,
    ) -> Result<Self, Withheld> {
        match decision.effect {
            Effect::Allow if decision.approvals.is_empty() => {}
            Effect::Allow | Effect::Ask => {
                let approved = |name: &Rc<str>| receipts.iter().any(|(approval, _)| approval == name);
                if decision.approvals.is_empty() || !decision.approvals.iter().all(approved) {
                    return Err(Withheld::NotApproved);
                }
            }
            Effect::Deny => return Err(Withheld::NotAllowed),
        }
        if !cluster.is_some_and(|cluster| route.clusters.iter().any(|allowed| allowed == cluster)) {
            return Err(Withheld::WrongCluster);
        }
        let credential = Self::credential(decision, route, all)?;
        for (_, receipt) in receipts {
            receipt.take(memory, now).map_err(Withheld::NotTaken)?;
        }
        Ok(Self { credential })
    }

    pub(crate) fn credential_name(&self) -> &Rc<str> {
        self.credential.name()
    }

    /// What must not come back in the answer.
    pub(crate) fn secret(&self) -> &str {
        self.credential.secret()
    }

    /// As whom to go upstream.
    pub(super) fn as_whom(&self) -> &Credential {
        &self.credential
    }
}

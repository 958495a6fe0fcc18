//! The permit: the only thing an upstream request can be made from.

use super::guard::Guard;
use super::head::Headers;
use crate::approval::Receipt;
use crate::call::{Route, Source};
use crate::credential::{Credential, Credentials, is_callers_own};
use crate::policy::{Decision, Effect};
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
}

impl Withheld {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::NotApproved => "not-approved",
            Self::NoCredential => "no-credential",
            Self::WrongUpstream => "credential-not-for-route",
            Self::WrongCluster => "cluster-not-for-route",
        }
    }
}

/// What to change in a message that is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Headers to take off, every value of them.
    pub remove: Vec<String>,
    /// Headers to set, in place of every value they have.
    pub set: Vec<(String, String)>,
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

    pub(crate) fn new(
        decision: &Decision,
        receipts: &[(Rc<str>, Receipt)],
        route: &Route,
        cluster: Option<&str>,
        all: &Credentials,
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
        Ok(Self { credential: Self::credential(decision, route, all)? })
    }

    pub(crate) fn credential_name(&self) -> &Rc<str> {
        self.credential.name()
    }

    /// What must not come back in the answer.
    pub(crate) fn secret(&self) -> &str {
        self.credential.secret()
    }

    /// The request's way out: the caller's credentials and the headers that named the dataset come off, the upstream's
    /// credential goes on, and compression is asked not to be used, because what is compressed cannot be masked. Where the
    /// body was edited, `length` is its new one, and the digests of the one before come off.
    pub(crate) fn edits(&self, headers: &Headers, route: &Route, guard: &Guard, length: Option<usize>) -> Edits {
        let named = |name: &str| {
            [Some(&route.dataset), route.tenant.as_ref()]
                .into_iter()
                .flatten()
                .any(|source| matches!(source, Source::Header(header) if header == name))
        };
        let mut edits = Edits {
            set: vec![(self.credential.header().to_owned(), self.credential.value().to_owned())],
            ..Edits::default()
        };
        if let Some(host) = &route.host {
            edits.set.push((":authority".to_owned(), host.clone()));
        }
        let digest = |name: &str| {
            length.is_some() && matches!(name, "content-digest" | "repr-digest" | "digest" | "content-md5")
        };
        for (name, _) in headers.iter() {
            if let ("content-length", Some(length)) = (name, length) {
                edits.set.push((name.to_owned(), length.to_string()));
            } else if name == "accept-encoding" {
                edits.set.push((name.to_owned(), "identity".to_owned()));
            } else if name != self.credential.header()
                && (is_callers_own(name) || guard.is_token_header(name) || named(name) || digest(name))
                && !edits.remove.iter().any(|other| other == name)
            {
                edits.remove.push(name.to_owned());
            }
        }
        edits
    }
}

/// The way out of a stream that is listed as no call: without the caller's credentials, and without any of ours.
pub(crate) fn edits_in_passing(headers: &Headers, guard: &Guard) -> Edits {
    let mut edits = Edits::default();
    for (name, _) in headers.iter() {
        if (is_callers_own(name) || guard.is_token_header(name)) && !edits.remove.iter().any(|other| other == name) {
            edits.remove.push(name.to_owned());
        }
    }
    edits
}

//! The rules of approving, without clock, network or keys: who may decide, what counts, what is handed out and when it
//! is gone. Times are seconds since the epoch.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How many approvals are remembered, decided ones included.
const REMEMBERED: usize = 1000;
/// How many undecided approvals one requester may have: a loop must not flood the people who decide.
const OPEN_PER_REQUESTER: usize = 50;
const LONGEST_TTL: u64 = 24 * 3600;

/// Body of `POST /v1/approvals`: what a gateway wants people to agree to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) v: u8,
    /// `sha256:` and 64 hexadecimal digits, over all of the call that matters.
    pub(crate) request_digest: String,
    pub(crate) decision_id: String,
    pub(crate) gateway: String,
    /// The name of the approval in the policy.
    pub(crate) approval: String,
    /// How many people must agree.
    pub(crate) min: usize,
    /// Each of them must be in one of these.
    pub(crate) groups: BTreeSet<String>,
    pub(crate) ttl_s: u64,
    pub(crate) requester: Requester,
    pub(crate) resource: Resource,
    pub(crate) params: Map<String, Value>,
    pub(crate) why: Map<String, Value>,
    pub(crate) preview: Option<Map<String, Value>>,
    /// How long the gateway waits for a decision.
    #[serde(default)]
    pub(crate) wait_s: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requester {
    pub(crate) iss: String,
    pub(crate) sub: String,
    /// Who that is as a person, where gateways have a claim that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) tenant: Option<String>,
    pub(crate) operation: String,
}

/// Body of `POST /v1/approvals/{id}/decide`: one person's word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    pub(crate) approve: bool,
    pub(crate) sub: String,
    /// Who vouches for the person; the approver itself if left out.
    pub(crate) iss: Option<String>,
    pub(crate) groups: BTreeSet<String>,
    #[serde(default)]
    pub(crate) reason: String,
}

/// Whether two names are one person's: providers take names in any case.
fn is_same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// A person who agreed, as it stands in a receipt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Approver {
    pub(crate) sub: String,
    pub(crate) iss: String,
    /// Those of the person's groups that the approval names.
    pub(crate) groups: BTreeSet<String>,
    pub(crate) at: u64,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Approved,
    /// Approved, and its receipt handed out.
    Consumed,
    Rejected,
    Expired,
    /// The same call was asked for again under other terms.
    Superseded,
}

/// One approval, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) opened: u64,
    pub(crate) expires: u64,
    pub(crate) approvers: Vec<Approver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejected: Option<Approver>,
    pub(crate) request: Ask,
}

/// What a gateway is told.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Handed out now, and by this answer only.
    Approved(Box<Entry>),
    Rejected {
        id: String,
        reason: String,
    },
    Pending {
        id: String,
    },
}

/// Why something was not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    Malformed(&'static str),
    OtherGateway,
    TooManyOpen,
    Unknown,
    AlreadyDecided,
    OwnRequest,
    InNoNamedGroup,
    ReasonMissing,
}

/// All approvals of one gateway, the oldest first.
pub(crate) struct Desk {
    gateway: String,
    /// Who vouches for people whose word names no other.
    issuer: String,
    entries: VecDeque<Entry>,
}

impl Desk {
    pub(crate) fn new(gateway: String, issuer: String) -> Self {
        Self { gateway, issuer, entries: VecDeque::new() }
    }

    /// Finds the approval of this very call or opens one, under `fresh_id`. An approved one is consumed here: whoever
    /// asks next opens a new one. A rejection stands until the approval would have expired.
    pub(crate) fn ask(&mut self, ask: Ask, fresh_id: String, now: u64) -> Result<Outcome, Refusal> {
        self.check(&ask)?;
        self.expire(now);
        let digest = ask.request_digest.clone();
        let same_call = |entry: &&mut Entry| {
            let stands = matches!(entry.status, Status::Pending | Status::Approved | Status::Rejected);
            stands && entry.request.request_digest == digest && now < entry.expires
        };
        // The newest first: an older one can only be a rejection under other terms.
        if let Some(entry) = self.entries.iter_mut().rev().find(same_call) {
            if entry.request.same_terms(&ask) {
                return Ok(entry.hand_out());
            }
            // Whoever agreed did not agree to these terms.
            if entry.status != Status::Rejected {
                entry.status = Status::Superseded;
            }
        }
        self.open(ask, fresh_id, now)
    }

    /// Counts one person's word: no rejection is outvoted, nobody decides their own request or counts twice.
    pub(crate) fn decide(&mut self, id: &str, word: Word, now: u64) -> Result<&Entry, Refusal> {
        self.expire(now);
        let entry = self.entries.iter_mut().find(|entry| entry.id == id).ok_or(Refusal::Unknown)?;
        if entry.status != Status::Pending {
            return Err(Refusal::AlreadyDecided);
        }
        // By subject alone: the same name at another issuer may be the same person.
        if word.sub.is_empty() || is_same(&word.sub, &entry.request.requester.sub) {
            return Err(Refusal::OwnRequest);
        }
        let groups: BTreeSet<String> = word.groups.intersection(&entry.request.groups).cloned().collect();
        if groups.is_empty() {
            return Err(Refusal::InNoNamedGroup);
        }
        if word.reason.trim().is_empty() {
            return Err(Refusal::ReasonMissing);
        }
        let person = Approver {
            sub: word.sub,
            iss: word.iss.unwrap_or_else(|| self.issuer.clone()),
            groups,
            at: now,
            reason: word.reason.trim().to_owned(),
        };
        if !word.approve {
            entry.rejected = Some(person);
            entry.status = Status::Rejected;
        } else if entry.approvers.iter().all(|approver| !is_same(&approver.sub, &person.sub)) {
            entry.approvers.push(person);
            if entry.approvers.len() >= entry.request.min {
                entry.status = Status::Approved;
            }
        }
        Ok(entry)
    }

    pub(crate) fn list(&mut self, now: u64) -> &VecDeque<Entry> {
        self.expire(now);
        &self.entries
    }

    fn check(&self, ask: &Ask) -> Result<(), Refusal> {
        let digest = ask.request_digest.strip_prefix("sha256:").unwrap_or_default();
        let hexadecimal = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if ask.v != 1 {
            return Err(Refusal::Malformed("`v` is not 1"));
        }
        if digest.len() != 64 || !hexadecimal {
            return Err(Refusal::Malformed("`request_digest` is not `sha256:` and 64 hexadecimal digits"));
        }
        if ask.gateway != self.gateway {
            return Err(Refusal::OtherGateway);
        }
        if ask.min == 0 || ask.groups.is_empty() {
            return Err(Refusal::Malformed("`min` and `groups` must name somebody"));
        }
        if ask.ttl_s == 0 || ask.ttl_s > LONGEST_TTL {
            return Err(Refusal::Malformed("`ttl_s` is not between a second and a day"));
        }
        if ask.requester.sub.is_empty() || ask.requester.iss.is_empty() {
            return Err(Refusal::Malformed("`requester` names nobody"));
        }
        Ok(())
    }

    fn open(&mut self, ask: Ask, id: String, now: u64) -> Result<Outcome, Refusal> {
        let live = |entry: &&Entry| matches!(entry.status, Status::Pending | Status::Approved);
        let theirs = |entry: &&Entry| entry.request.requester.sub == ask.requester.sub;
        if self.entries.iter().filter(live).filter(theirs).count() >= OPEN_PER_REQUESTER {
            return Err(Refusal::TooManyOpen);
        }
        if self.entries.len() >= REMEMBERED {
            // What has been decided can be forgotten; what is open cannot.
            match self.entries.iter().position(|entry| !live(&entry)) {
                Some(decided) => self.entries.remove(decided),
                None => return Err(Refusal::TooManyOpen),
            };
        }
        self.entries.push_back(Entry {
            id: id.clone(),
            status: Status::Pending,
            opened: now,
            expires: now.saturating_add(ask.ttl_s),
            approvers: Vec::new(),
            rejected: None,
            request: ask,
        });
        Ok(Outcome::Pending { id })
    }

    fn expire(&mut self, now: u64) {
        for entry in &mut self.entries {
            if matches!(entry.status, Status::Pending | Status::Approved) && now >= entry.expires {
                entry.status = Status::Expired;
            }
        }
    }
}

impl Entry {
    fn hand_out(&mut self) -> Outcome {
        match (&self.status, &self.rejected) {
            (Status::Approved, _) => {
                self.status = Status::Consumed;
                Outcome::Approved(Box::new(self.clone()))
            }
            (Status::Rejected, Some(person)) => {
                Outcome::Rejected { id: self.id.clone(), reason: person.reason.clone() }
            }
            _ => Outcome::Pending { id: self.id.clone() },
        }
    }
}

impl Ask {
    /// Whether people who agree to one agree to the other. What the digest covers may be relied on to be the same; who
    /// must agree is not in the digest.
    fn same_terms(&self, other: &Self) -> bool {
        let terms = |ask: &Self| (ask.approval.clone(), ask.min, ask.groups.clone(), ask.resource.clone());
        let who = |ask: &Self| (ask.requester.iss.clone(), ask.requester.sub.clone());
        terms(self) == terms(other) && who(self) == who(other)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(what) => what,
            Self::OtherGateway => "this approver serves another gateway",
            Self::TooManyOpen => "too many approvals are open",
            Self::Unknown => "there is no such approval",
            Self::AlreadyDecided => "this approval has been decided or has expired",
            Self::OwnRequest => "nobody decides their own request",
            Self::InNoNamedGroup => "you are in none of the groups that may decide this",
            Self::ReasonMissing => "a decision needs a `reason`",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn ask(digit: char, min: usize) -> Ask {
        serde_json::from_value(json!({
            "v": 1, "request_digest": format!("sha256:{}", String::from(digit).repeat(64)), "decision_id": "d-1",
            "gateway": "eu1/rerank", "approval": "hr-desk", "min": min, "groups": ["grp-hr", "grp-dpo"],
            "ttl_s": 600, "requester": { "iss": "https://idp.example", "sub": "ann", "groups": ["grp-bi"] },
            "resource": { "model": "rerank-v3.5", "dataset": "hr-reviews", "operation": "rerank" },
            "params": { "documents": 20 }, "why": { "rules": ["hr-is-regulated"], "risk": 60, "reasons": [] },
            "preview": { "query": "masked" }, "wait_s": 2
        }))
        .unwrap()
    }

    fn word(approve: bool, sub: &str, group: &str) -> Word {
        let groups = BTreeSet::from([group.to_owned(), "grp-all".to_owned()]);
        Word { approve, sub: sub.into(), iss: None, groups, reason: format!("{sub} says so") }
    }

    fn desk() -> Desk {
        Desk::new("eu1/rerank".into(), "https://approver.example".into())
    }

    /// The id of a pending outcome.
    #[track_caller]
    fn pending(outcome: Result<Outcome, Refusal>) -> String {
        match outcome {
            Ok(Outcome::Pending { id }) => id,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn status(desk: &mut Desk, id: &str, now: u64) -> Status {
        desk.list(now).iter().find(|entry| entry.id == id).unwrap().status
    }

    #[test]
    fn one_approval_is_open_per_digest() {
        let mut desk = desk();
        assert_eq!(pending(desk.ask(ask('a', 1), "1".into(), 0)), "1");
        assert_eq!(pending(desk.ask(ask('a', 1), "2".into(), 5)), "1");
        assert_eq!(pending(desk.ask(ask('b', 1), "3".into(), 5)), "3");
        let mut other_decision = ask('a', 1);
        other_decision.decision_id = "d-2".into();
        other_decision.requester.groups.clear();
        assert_eq!(pending(desk.ask(other_decision, "4".into(), 5)), "1", "a refreshed token keeps the ticket");
    }

    #[test]
    fn enough_people_approve_and_the_receipt_goes_out_once() {
        let mut desk = desk();
        pending(desk.ask(ask('a', 2), "1".into(), 0));
        assert_eq!(desk.decide("1", word(true, "lea", "grp-hr"), 1).unwrap().status, Status::Pending);
        pending(desk.ask(ask('a', 2), "x".into(), 2));
        assert_eq!(desk.decide("1", word(true, "max", "grp-dpo"), 3).unwrap().status, Status::Approved);
        let Ok(Outcome::Approved(entry)) = desk.ask(ask('a', 2), "x".into(), 4) else { panic!("not approved") };
        let group = |name: &str| BTreeSet::from([name.to_owned()]);
        let person = |sub: &str, name: &str, at| Approver {
            sub: sub.into(),
            iss: "https://approver.example".into(),
            groups: group(name),
            at,
            reason: format!("{sub} says so"),
        };
        assert_eq!(entry.approvers, [person("lea", "grp-hr", 1), person("max", "grp-dpo", 3)]);
        assert_eq!(status(&mut desk, "1", 4), Status::Consumed);
        assert_eq!(pending(desk.ask(ask('a', 2), "2".into(), 4)), "2", "asked again, it starts anew");
    }

    #[test]
    fn the_same_person_counts_once() {
        let mut desk = desk();
        pending(desk.ask(ask('a', 2), "1".into(), 0));
        for group in ["grp-hr", "grp-hr", "grp-dpo"] {
            let mut again = word(true, "lea", group);
            again.iss = Some(format!("https://{group}.example"));
            assert_eq!(desk.decide("1", again, 1).unwrap().status, Status::Pending);
        }
        assert_eq!(desk.list(1)[0].approvers.len(), 1);
    }

    #[test]
    fn words_that_do_not_count() {
        let mut nobody = word(true, "", "grp-dpo");
        nobody.reason = "x".into();
        let mut elsewhere = word(true, "ann", "grp-dpo");
        elsewhere.iss = Some("https://other.example".into());
        let mut silent = word(true, "lea", "grp-dpo");
        silent.reason = " \n".into();
        let table = [
            (word(true, "ann", "grp-hr"), Refusal::OwnRequest),
            (word(false, "ann", "grp-hr"), Refusal::OwnRequest),
            (elsewhere, Refusal::OwnRequest),
            (nobody, Refusal::OwnRequest),
            (word(true, "bob", "grp-bi"), Refusal::InNoNamedGroup),
            (word(false, "bob", "grp-bi"), Refusal::InNoNamedGroup),
            (silent, Refusal::ReasonMissing),
        ];
        let mut desk = desk();
        pending(desk.ask(ask('a', 1), "1".into(), 0));
        for (word, expected) in table {
            assert_eq!(desk.decide("1", word.clone(), 1).err(), Some(expected), "{word:?}");
            assert_eq!(status(&mut desk, "1", 1), Status::Pending);
        }
        assert_eq!(desk.decide("2", word(true, "lea", "grp-dpo"), 1).err(), Some(Refusal::Unknown));
    }

    #[test]
    fn one_rejection_decides_and_stands_until_the_approval_would_have_expired() {
        let mut desk = desk();
        pending(desk.ask(ask('a', 2), "1".into(), 0));
        desk.decide("1", word(true, "lea", "grp-dpo"), 1).unwrap();
        desk.decide("1", word(false, "max", "grp-dpo"), 1).unwrap();
        for now in [1, 599] {
            let outcome = desk.ask(ask('a', 2), "x".into(), now);
            assert!(matches!(outcome, Ok(Outcome::Rejected { ref reason, .. }) if reason == "max says so"));
        }
        let late = desk.decide("1", word(true, "kim", "grp-dpo"), 2);
        assert_eq!(late.err(), Some(Refusal::AlreadyDecided));
        assert_eq!(pending(desk.ask(ask('a', 2), "2".into(), 600)), "2");
    }

    #[test]
    fn nothing_outlives_its_time() {
        let mut desk = desk();
        pending(desk.ask(ask('a', 1), "1".into(), 0));
        assert_eq!(status(&mut desk, "1", 599), Status::Pending);
        assert_eq!(desk.decide("1", word(true, "lea", "grp-dpo"), 600).err(), Some(Refusal::AlreadyDecided));
        assert_eq!(status(&mut desk, "1", 600), Status::Expired);

        pending(desk.ask(ask('a', 1), "2".into(), 1000));
        assert_eq!(desk.decide("2", word(true, "lea", "grp-dpo"), 1001).unwrap().status, Status::Approved);
        assert_eq!(pending(desk.ask(ask('a', 1), "3".into(), 1600)), "3", "approved, but never fetched in time");
        assert_eq!(status(&mut desk, "2", 1600), Status::Expired);
    }

    #[test]
    fn other_terms_start_anew() {
        let change: [fn(&mut Ask); 4] = [
            |ask| ask.min = 2,
            |ask| ask.groups = BTreeSet::from(["grp-dpo".to_owned()]),
            |ask| ask.approval = "other".into(),
            |ask| ask.requester.iss = "https://other.example".into(),
        ];
        for change in change {
            let mut desk = desk();
            pending(desk.ask(ask('a', 1), "1".into(), 0));
            desk.decide("1", word(true, "lea", "grp-hr"), 1).unwrap();
            let mut changed = ask('a', 1);
            change(&mut changed);
            assert_eq!(pending(desk.ask(changed, "2".into(), 2)), "2");
            assert_eq!(status(&mut desk, "1", 2), Status::Superseded);
        }
    }

    #[test]
    fn malformed_requests_open_nothing() {
        let mut desk = desk();
        let change: [fn(&mut Ask); 9] = [
            |ask| ask.v = 2,
            |ask| ask.request_digest = "sha256:abc".into(),
            |ask| ask.request_digest = format!("sha256:{}", "A".repeat(64)),
            |ask| ask.request_digest = "a".repeat(64),
            |ask| ask.min = 0,
            |ask| ask.groups.clear(),
            |ask| ask.ttl_s = 0,
            |ask| ask.ttl_s = u64::MAX,
            |ask| ask.requester.sub.clear(),
        ];
        for (n, change) in change.into_iter().enumerate() {
            let mut bad = ask('a', 1);
            change(&mut bad);
            assert!(matches!(desk.ask(bad, "1".into(), 0), Err(Refusal::Malformed(_))), "change {n}");
        }
        let mut other = ask('a', 1);
        other.gateway = "eu2/rerank".into();
        assert!(matches!(desk.ask(other, "1".into(), 0), Err(Refusal::OtherGateway)));
        assert!(desk.list(0).is_empty());
    }

    #[test]
    fn a_loop_cannot_flood_the_people_who_decide() {
        let mut desk = desk();
        let numbered = |n: usize, sub: &str| {
            let mut ask = ask('a', 1);
            ask.request_digest = format!("sha256:{n:064x}");
            ask.requester.sub = sub.to_owned();
            ask
        };
        for n in 0..OPEN_PER_REQUESTER {
            pending(desk.ask(numbered(n, "ann"), n.to_string(), 0));
        }
        let over = desk.ask(numbered(OPEN_PER_REQUESTER, "ann"), "x".into(), 0);
        assert!(matches!(over, Err(Refusal::TooManyOpen)));
        pending(desk.ask(numbered(7000, "bea"), "y".into(), 0));
        pending(desk.ask(numbered(0, "ann"), "z".into(), 0));
    }

    #[test]
    fn decided_approvals_are_forgotten_before_open_ones() {
        let mut desk = desk();
        for n in 0..REMEMBERED {
            let mut ask = ask('a', 1);
            ask.request_digest = format!("sha256:{n:064x}");
            ask.requester.sub = format!("caller-{n}");
            pending(desk.ask(ask, n.to_string(), 0));
        }
        assert!(matches!(desk.ask(ask('f', 1), "x".into(), 0), Err(Refusal::TooManyOpen)));
        desk.decide("500", word(false, "lea", "grp-dpo"), 1).unwrap();
        assert_eq!(pending(desk.ask(ask('f', 1), "x".into(), 1)), "x");
        assert!(desk.list(1).iter().all(|entry| entry.id != "500"));
        assert_eq!(desk.list(1).len(), REMEMBERED);
    }
}

//! Where an issuer's keys come from, and when they are fetched: at the start, by age, when a token names an unknown key, and again
//! after failures, never more than one fetch at a time. Good keys stay through failed fetches until they are too old.

use super::algorithm::Algorithm;
use super::discovery::{self, DiscoveryProblem};
use super::keys::{KeySet, KeySetProblem, LeftOut};
use super::settings::{DiscoverySettings, JwksSettings};
use crate::fetch::Schedule;
use crate::time::{Span, Time};
use std::fmt;

/// Largest key set or discovery document read, in bytes.
pub(super) const SET_BYTES: usize = 512 * 1024;

/// Least time between a fetch and the next one for an unknown key: whoever invents `kid`s gets no more fetches than this.
const UNKNOWN_KEY_WAIT: Span = Span::from_secs(10);

/// The keys of one issuer as they stand.
#[derive(Debug)]
pub(super) struct Source {
    set: Option<KeySet>,
    /// Counts the changes of `set`, so that what older keys proved can be told apart.
    pub(super) generation: u64,
    remote: Option<Remote>,
}

#[derive(Debug)]
struct Remote {
    keys: Place,
    /// None where the path of the keys is configured.
    document: Option<Document>,
    schedule: Schedule,
    max_stale: Span,
    fetched: Option<Time>,
    wants_unknown_key: bool,
}

/// Something to fetch.
#[derive(Debug)]
struct Place {
    cluster: String,
    authority: String,
    path: String,
}

/// A discovery document.
#[derive(Debug)]
struct Document {
    issuer: String,
    place: Place,
    /// Whether it has been read in this round, so that the path of the keys is known.
    is_read: bool,
}

/// Why there are no keys to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeys {
    NotYet,
    Stale,
}

/// A request for keys, to be sent now: `GET` with these pseudo-headers over this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which source it is for; to be given back with the answer.
    pub source: usize,
    /// The proxy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// How long to wait.
    pub timeout: Span,
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// Nothing: not sent, timed out, reset.
    Failed,
    /// A whole HTTP response.
    Http {
        /// Its status.
        status: u16,
        /// Its body.
        body: &'a [u8],
    },
}

/// What an answer changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The keys are now others.
    Replaced {
        /// How many can be used.
        keys: usize,
        /// Those that cannot.
        left_out: Vec<LeftOut>,
    },
    /// The keys are the same, and fresh again.
    Unchanged,
    /// The discovery document has been read; the fetch of the keys is due now.
    Discovered,
    /// The fetch failed; keys already there stay.
    Kept(FetchProblem),
    /// Nobody asked.
    Unasked,
}

/// Why a fetch brought no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchProblem {
    /// There was no answer.
    NoAnswer,
    /// The status was not 200.
    Status(u16),
    /// The body is no key set that can be used.
    KeySet(KeySetProblem),
    /// The body is no discovery document that can be used.
    Discovery(DiscoveryProblem),
}

impl fmt::Display for FetchProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => out.write_str("there was no answer"),
            Self::Status(status) => write!(out, "the status was {status}"),
            Self::KeySet(problem) => problem.fmt(out),
            Self::Discovery(problem) => problem.fmt(out),
        }
    }
}

impl Source {
    pub(super) fn inline(set: KeySet) -> Self {
        Self { set: Some(set), generation: 0, remote: None }
    }

    pub(super) fn remote(settings: &JwksSettings) -> Self {
        let JwksSettings { cluster, authority, path, timeout, refresh, max_stale } = settings.clone();
        Self::fetching(Place { cluster, authority, path }, None, (timeout, refresh, max_stale))
    }

    pub(super) fn discovered(settings: &DiscoverySettings, issuer: &str) -> Self {
        let DiscoverySettings { cluster, authority, path, keys_at, timeout, refresh, max_stale } = settings.clone();
        let keys_at = keys_at.map(|host| (host.cluster, host.authority));
        let (keys_cluster, keys_authority) = keys_at.unwrap_or_else(|| (cluster.clone(), authority.clone()));
        let keys = Place { cluster: keys_cluster, authority: keys_authority, path: String::new() };
        let path = path.unwrap_or_else(|| discovery::default_path(issuer));
        let place = Place { cluster, authority, path };
        let document = Document { issuer: issuer.to_owned(), place, is_read: false };
        Self::fetching(keys, Some(document), (timeout, refresh, max_stale))
    }

    fn fetching(keys: Place, document: Option<Document>, (timeout, refresh, max_stale): (Span, Span, Span)) -> Self {
        let remote = Remote {
            keys,
            document,
            schedule: Schedule::new(timeout, refresh),
            max_stale,
            fetched: None,
            wants_unknown_key: false,
        };
        Self { set: None, generation: 0, remote: Some(remote) }
    }

    /// The keys to verify with now.
    pub(super) fn keys(&self, now: Time) -> Result<&KeySet, NoKeys> {
        let set = self.set.as_ref().ok_or(NoKeys::NotYet)?;
        match &self.remote {
            Some(remote) if remote.is_stale(now) => Err(NoKeys::Stale),
            _ => Ok(set),
        }
    }

    /// A token names a key that is not there. Says whether a fetch that may bring it is under way or due.
    pub(super) fn miss_key(&mut self, now: Time) -> bool {
        let Some(remote) = &mut self.remote else { return false };
        remote.wants_unknown_key = true;
        remote.schedule.is_under_way() || remote.wait(now) == Span(0)
    }

    /// How long until the next fetch is to be sent; none for keys that are not fetched.
    pub(super) fn wait(&self, now: Time) -> Option<Span> {
        Some(self.remote.as_ref()?.wait(now))
    }

    /// The fetch to send now, if one is due; it then counts as under way.
    pub(super) fn due(&mut self, source: usize, now: Time) -> Option<Fetch> {
        let remote = self.remote.as_mut()?;
        remote.heed(now);
        if remote.wait(now) > Span(0) {
            return None;
        }
        remote.schedule.begin(now);
        let Place { cluster, authority, path } = remote.next_place();
        Some(Fetch {
            source,
            cluster: cluster.clone(),
            authority: authority.clone(),
            path: path.clone(),
            timeout: remote.schedule.timeout(),
        })
    }

    /// Takes the answer to a fetch. `random` spreads the next one.
    pub(super) fn fetched(&mut self, answer: Answer<'_>, allowed: &[Algorithm], now: Time, random: u64) -> Outcome {
        let Some(remote) = &mut self.remote else { return Outcome::Unasked };
        if !remote.schedule.is_under_way() {
            return Outcome::Unasked;
        }
        if let Some(document) = remote.document.as_mut().filter(|document| !document.is_read) {
            return match body(answer).and_then(|body| document.read(body, &remote.keys.authority)) {
                Err(problem) => remote.fail(problem, now, random),
                Ok(path) => {
                    document.is_read = true;
                    remote.keys.path = path;
                    remote.schedule.go_on();
                    Outcome::Discovered
                }
            };
        }
        match body(answer).and_then(|body| KeySet::read(body, allowed).map_err(FetchProblem::KeySet)) {
            Err(problem) => remote.fail(problem, now, random),
            Ok((set, left_out)) => {
                remote.succeed(now, random);
                if self.set.as_ref() == Some(&set) {
                    return Outcome::Unchanged;
                }
                let keys = set.keys.len();
                self.set = Some(set);
                self.generation = self.generation.wrapping_add(1);
                Outcome::Replaced { keys, left_out }
            }
        }
    }
}

fn body(answer: Answer<'_>) -> Result<&[u8], FetchProblem> {
    match answer {
        Answer::Failed => Err(FetchProblem::NoAnswer),
        Answer::Http { status: 200, body } => Ok(body),
        Answer::Http { status, .. } => Err(FetchProblem::Status(status)),
    }
}

impl Document {
    fn read(&self, document: &[u8], authority: &str) -> Result<String, FetchProblem> {
        discovery::keys_path(document, &self.issuer, authority).map_err(FetchProblem::Discovery)
    }
}

impl Remote {
    fn is_stale(&self, now: Time) -> bool {
        self.fetched.is_none_or(|fetched| now.since(fetched) > self.max_stale)
    }

    /// What to fetch next: the document once in every round, then the keys.
    fn next_place(&self) -> &Place {
        match &self.document {
            Some(document) if !document.is_read => &document.place,
            _ => &self.keys,
        }
    }

    /// Zero: now.
    fn wait(&self, now: Time) -> Span {
        self.schedule.wait(now, self.wants_unknown_key.then_some(UNKNOWN_KEY_WAIT))
    }

    /// Keys fetched "in the future" are as old as can be known: fetched now.
    fn heed(&mut self, now: Time) {
        self.fetched = self.fetched.map(|fetched| fetched.min(now));
    }

    fn succeed(&mut self, now: Time, random: u64) {
        self.fetched = Some(now);
        self.schedule.succeed(now, random);
        self.end_round();
    }

    fn fail(&mut self, problem: FetchProblem, now: Time, random: u64) -> Outcome {
        self.schedule.fail(now, random);
        self.end_round();
        Outcome::Kept(problem)
    }

    fn end_round(&mut self) {
        self.wants_unknown_key = false;
        if let Some(document) = &mut self.document {
            document.is_read = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const START: Time = Time(1_800_000_000_000);
    const ALLOWED: [Algorithm; 1] = [Algorithm::EdDSA];

    fn source() -> Source {
        let settings = json!({"cluster": "idp", "authority": "idp.example", "path": "/jwks.json"});
        Source::remote(&serde_json::from_value(settings).unwrap())
    }

    /// The public key of RFC 8037, appendix A.2.
    fn set(id: &str) -> String {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id}]}).to_string()
    }

    fn at(seconds: u64) -> Time {
        START.plus(Span::from_secs(seconds))
    }

    fn answer(source: &mut Source, status: u16, body: &str, now: Time) -> Outcome {
        assert!(source.due(0, now).is_some(), "a fetch is due");
        source.fetched(Answer::Http { status, body: body.as_bytes() }, &ALLOWED, now, 0)
    }

    #[test]
    fn keys_are_fetched_at_the_start_one_fetch_at_a_time() {
        let mut source = source();
        assert_eq!(source.keys(START), Err(NoKeys::NotYet));
        assert_eq!(source.wait(START), Some(Span(0)));
        let fetch = source.due(3, START).unwrap();
        assert_eq!((fetch.source, fetch.timeout), (3, Span::from_secs(2)));
        assert_eq!((&*fetch.cluster, &*fetch.authority, &*fetch.path), ("idp", "idp.example", "/jwks.json"));
        assert_eq!(source.due(3, START), None);
        assert_eq!(source.due(3, at(6)), None);
        assert!(source.due(3, at(7)).is_some(), "an answer that never comes is given up");
    }

    #[test]
    fn keys_are_refreshed_by_age_a_little_before_it_by_chance() {
        // 300 s less up to a seventh of it.
        for (random, wait) in [(0, 300_000), (u64::MAX / 2, 278_572), (u64::MAX, 257_144)] {
            let mut source = source();
            source.due(0, START);
            let body = set("a");
            let outcome = source.fetched(Answer::Http { status: 200, body: body.as_bytes() }, &ALLOWED, START, random);
            assert_eq!(outcome, Outcome::Replaced { keys: 1, left_out: vec![] });
            assert!(source.wait(START).unwrap().0.abs_diff(wait) <= 1, "{:?}", source.wait(START));
        }
    }

    #[test]
    fn the_same_keys_again_change_nothing_and_other_keys_replace_them() {
        let mut source = source();
        answer(&mut source, 200, &set("a"), START);
        let before = source.generation;
        assert_eq!(answer(&mut source, 200, &set("a"), at(300)), Outcome::Unchanged);
        assert_eq!(source.generation, before);
        assert_eq!(answer(&mut source, 200, &set("b"), at(600)), Outcome::Replaced { keys: 1, left_out: vec![] });
        assert_ne!(source.generation, before);
        assert!(source.keys(at(600)).unwrap().with_id("a").is_none(), "a key taken back is gone");
    }

    #[test]
    fn good_keys_outlive_failed_fetches_until_they_are_stale_and_come_back() {
        let mut source = source();
        answer(&mut source, 200, &set("a"), START);
        let mut now = at(300);
        for (status, body) in
            [(503, set("b")), (200, "<html>".into()), (200, "{}".into()), (200, r#"{"keys":[]}"#.into())]
        {
            assert!(matches!(answer(&mut source, status, &body, now), Outcome::Kept(_)), "{body}");
            assert!(source.keys(now).unwrap().with_id("a").is_some());
            now = now.plus(Span::from_secs(60));
        }
        assert!(source.due(0, now).is_some());
        assert_eq!(source.fetched(Answer::Failed, &ALLOWED, now, 0), Outcome::Kept(FetchProblem::NoAnswer));
        assert!(source.keys(at(3600)).is_ok());
        assert_eq!(source.keys(at(3601)), Err(NoKeys::Stale));
        answer(&mut source, 200, &set("a"), at(3700));
        assert!(source.keys(at(3700)).is_ok());
    }

    #[test]
    fn failures_are_followed_by_ever_longer_waits_with_a_limit() {
        let mut source = source();
        let (mut now, mut waits) = (START, Vec::new());
        for _ in 0..9 {
            answer(&mut source, 500, "", now);
            let wait = source.wait(now).unwrap();
            waits.push(wait.secs_up());
            now = now.plus(wait);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn unknown_keys_ask_for_a_fetch_at_a_bounded_rate() {
        let mut source = source();
        answer(&mut source, 200, &set("a"), START);
        assert!(!source.miss_key(at(1)), "fetched a second ago");
        assert_eq!(source.wait(at(1)), Some(Span::from_secs(9)));
        assert!(source.miss_key(at(10)));
        assert!(source.due(0, at(10)).is_some());
        assert!(source.miss_key(at(11)), "under way");
        assert_eq!(source.due(0, at(11)), None);
        let body = set("a");
        source.fetched(Answer::Http { status: 200, body: body.as_bytes() }, &ALLOWED, at(12), 0);
        for second in 12..22 {
            assert!(!source.miss_key(at(second)));
            assert_eq!(source.due(0, at(second)), None);
        }
        assert!(source.miss_key(at(22)));
    }

    #[test]
    fn a_clock_set_back_makes_a_fetch_due_and_keys_no_younger() {
        let mut source = source();
        answer(&mut source, 200, &set("a"), at(1_000_000));
        assert!(source.due(0, START).is_some());
        source.fetched(Answer::Failed, &ALLOWED, START, 0);
        assert_eq!(source.keys(at(3601)), Err(NoKeys::Stale));
    }

    #[test]
    fn answers_nobody_asked_for_change_nothing() {
        let mut source = source();
        let body = set("a");
        let uninvited = Answer::Http { status: 200, body: body.as_bytes() };
        assert_eq!(source.fetched(uninvited, &ALLOWED, START, 0), Outcome::Unasked);
        assert_eq!(source.keys(START), Err(NoKeys::NotYet));
    }

    fn discovering(keys_at: serde_json::Value) -> Source {
        let settings = json!({"cluster": "idp", "authority": "idp.example", "keys_at": keys_at});
        Source::discovered(&serde_json::from_value(settings).unwrap(), "https://idp.example/realm")
    }

    fn document(jwks_uri: &str) -> String {
        json!({"issuer": "https://idp.example/realm", "jwks_uri": jwks_uri}).to_string()
    }

    #[test]
    fn discovery_leads_to_the_keys_in_two_steps_in_every_round() {
        let mut source = discovering(json!(null));
        for (round, path) in [(0, "/keys"), (300, "/moved")] {
            let fetch = source.due(0, at(round)).unwrap();
            assert_eq!(fetch.path, "/realm/.well-known/openid-configuration");
            let body = document(&format!("https://idp.example{path}"));
            let outcome = source.fetched(Answer::Http { status: 200, body: body.as_bytes() }, &ALLOWED, at(round), 0);
            assert_eq!(outcome, Outcome::Discovered);
            assert_eq!(source.wait(at(round)), Some(Span(0)));
            let fetch = source.due(0, at(round)).unwrap();
            assert_eq!((&*fetch.cluster, &*fetch.authority, &*fetch.path), ("idp", "idp.example", path));
            let body = set("a");
            source.fetched(Answer::Http { status: 200, body: body.as_bytes() }, &ALLOWED, at(round), 0);
            assert!(source.keys(at(round)).is_ok());
            assert_eq!(source.wait(at(round)), Some(Span::from_secs(300)));
        }
    }

    #[test]
    fn a_failure_in_either_step_keeps_the_keys_and_starts_over() {
        let mut source = discovering(json!(null));
        let discovery = "/realm/.well-known/openid-configuration";
        let good = document("https://idp.example/keys");
        answer(&mut source, 200, &good, START);
        answer(&mut source, 200, &set("a"), START);
        let mut now = at(300);
        for bad in [document("https://eve.example/keys"), good.replace("realm\"", "other\""), "x".into()] {
            assert!(matches!(answer(&mut source, 200, &bad, now), Outcome::Kept(FetchProblem::Discovery(_))));
            now = now.plus(source.wait(now).unwrap());
        }
        answer(&mut source, 200, &good, now);
        assert_eq!(answer(&mut source, 404, "", now), Outcome::Kept(FetchProblem::Status(404)));
        assert!(source.keys(now).unwrap().with_id("a").is_some());
        now = now.plus(source.wait(now).unwrap());
        assert_eq!(source.due(0, now).unwrap().path, discovery);
    }

    #[test]
    fn keys_can_be_at_another_configured_host() {
        let mut source = discovering(json!({"cluster": "keys", "authority": "keys.example"}));
        answer(&mut source, 200, &document("https://keys.example/k"), START);
        let fetch = source.due(0, START).unwrap();
        assert_eq!((&*fetch.cluster, &*fetch.authority, &*fetch.path), ("keys", "keys.example", "/k"));
        let mut source = discovering(json!({"cluster": "keys", "authority": "keys.example"}));
        let elsewhere = answer(&mut source, 200, &document("https://idp.example/k"), START);
        assert_eq!(elsewhere, Outcome::Kept(FetchProblem::Discovery(DiscoveryProblem::KeysElsewhere)));
    }
}

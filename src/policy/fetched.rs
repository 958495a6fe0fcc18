//! A bundle behind a cluster: asked for again and again, believed only with a signature, never older than what there is.
//!
//! Who serves it is not trusted: a server, or whoever sits before it, can hold a newer bundle back, but only until the one in
//! force is past its `not_after`; it can take nothing away and put nothing in.

use super::Policy;
use super::signed::{self, Refused, Terms, TrustedKey};
use crate::fetch::Schedule;
use crate::time::{Span, Time};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;

/// `bundle.fetched` in the plugin configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The proxy's cluster to ask.
    pub cluster: String,
    /// `:authority` of requests.
    pub authority: String,
    /// `:path` of requests.
    pub path: String,
    /// The only bundle that is taken, by its id: the keys may sign others for other gateways. It may be left out where there is
    /// a bundle to start with.
    pub id: Option<String>,
    /// The keys it may be signed with; two while one replaces the other.
    pub keys: Vec<BundleKey>,
    /// The lowest serial that is taken: what a restart cannot forget.
    #[serde(default)]
    pub min_serial: u64,
    /// How often it is asked for (less up to a seventh by chance); 30s by default, 1s to 24h.
    #[serde(default = "default_refresh")]
    pub refresh: Span,
    /// How long an answer may take; 5s by default, 30s at most.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The largest envelope that is looked at, in bytes; 4 MiB by default.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: usize,
    /// How long the bundle in force may go unconfirmed by the server, before calls are answered 503. Without it, until its
    /// `not_after`.
    pub max_stale: Option<Span>,
}

const fn default_refresh() -> Span {
    Span::from_secs(30)
}

const fn default_timeout() -> Span {
    Span::from_secs(5)
}

const fn default_max_bytes() -> usize {
    4 << 20
}

/// A public key in the configuration: an Ed25519 JWK (RFC 8037) whose `kid` is its name in log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleKey {
    name: String,
    key: TrustedKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    d: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for BundleKey {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let jwk = Jwk::deserialize(reader)?;
        if jwk.d.is_some() {
            return Err(D::Error::custom("a private key: write its public half, without `d`"));
        }
        let signs = jwk.alg.is_none_or(|alg| matches!(alg.as_str(), "EdDSA" | "Ed25519"))
            && jwk.usage.is_none_or(|usage| usage == "sig");
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" || !signs {
            return Err(D::Error::custom("no Ed25519 key: write a JWK with `kty` OKP and `crv` Ed25519"));
        }
        if jwk.kid.is_empty() || jwk.kid.len() > 64 || !jwk.kid.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(D::Error::custom("a key without a name: write 1 to 64 letters or digits as `kid`"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(&jwk.x).ok();
        let key = bytes.and_then(|bytes| TrustedKey::from_bytes(&bytes));
        let key =
            key.ok_or_else(|| D::Error::custom("no Ed25519 public key in `x`: write its 32 bytes in base64url"))?;
        Ok(Self { name: jwk.kid, key })
    }
}

impl Settings {
    /// What cannot work, a line each that begins with the field.
    #[must_use]
    pub fn flaws(&self) -> Vec<String> {
        let mut flaws = Vec::new();
        if self.cluster.is_empty() || self.authority.is_empty() {
            flaws.push("cluster: write the cluster and the authority of the bundle's server".to_owned());
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            flaws.push("path: write one that begins with `/`, such as /bundles/search.json".to_owned());
        }
        let is_sound = match self.keys.as_slice() {
            [_] => true,
            [one, other] => one.name != other.name && one.key != other.key,
            _ => false,
        };
        if !is_sound {
            flaws.push("keys: write one key, or two different ones while one replaces the other".to_owned());
        }
        if !(Span::from_secs(1)..=Span::from_secs(86_400)).contains(&self.refresh) {
            flaws.push("refresh: write 1s to 24h".to_owned());
        }
        if !(Span(1)..=Span::from_secs(30)).contains(&self.timeout) {
            flaws.push("timeout: write at most 30s".to_owned());
        }
        if !(1..=signed::ENVELOPE_BYTES).contains(&self.max_bytes) {
            flaws.push(format!("max_bytes: write 1 to {}", signed::ENVELOPE_BYTES));
        }
        if self.max_stale.is_some_and(|most| most < self.refresh) {
            flaws.push("max_stale: write a span that is not shorter than `refresh`".to_owned());
        }
        flaws
    }
}

/// A bundle that is fetched, as far as it has come.
#[derive(Debug)]
pub(crate) struct Source {
    settings: Settings,
    keys: Vec<TrustedKey>,
    id: String,
    schedule: Schedule,
    /// The tag of the answer that brought the bundle in force.
    tag: Option<String>,
    /// Whether the bundle in force came from here; one to start with is only a floor.
    is_in_force: bool,
    /// When the server was last heard to have the bundle in force; at the beginning, when it was first asked.
    confirmed: Option<Time>,
    /// The digest of the answer refused last: the same one again is not looked at again.
    refused: Option<(String, &'static str)>,
}

/// A request for a bundle, to be sent now: `GET` with these pseudo-headers over this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The proxy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// `if-none-match`, if the bundle in force came with a tag.
    pub tag: Option<String>,
    /// How long to wait.
    pub timeout: Span,
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// Nothing: not sent, timed out, reset.
    Failed,
    /// The body has more than `max_bytes`.
    TooLarge,
    /// A whole HTTP response.
    Http {
        /// Its status.
        status: u16,
        /// Its `etag`.
        tag: Option<&'a str>,
        /// Its body.
        body: &'a [u8],
    },
}

/// What an answer brought.
#[derive(Debug)]
pub(crate) enum News {
    /// Another bundle, to be put in force.
    Loaded(Box<Policy>),
    /// The bundle in force, once more.
    Unchanged,
    /// A bundle that is not taken; the one in force stays.
    Refused(Refused),
    /// The same one as before, which was not taken.
    RefusedAgain(&'static str),
    /// No bundle; the one in force stays.
    Failed(Failure),
    /// Nobody asked.
    Unasked,
}

/// Why a fetch brought no bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There was no answer.
    NoAnswer,
    /// The status was neither 200 nor a 304 to a tag.
    Status(u16),
}

impl Failure {
    /// A name for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::Status(_) => "status",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => out.write_str("there was no answer"),
            Self::Status(status) => write!(out, "the status was {status}"),
        }
    }
}

/// Tags are sent back, so they are short and plain (RFC 9110, section 8.8.3).
const MOST_OF_A_TAG: usize = 256;

impl Source {
    /// `id`: of the bundle to start with, if there is one.
    pub(crate) fn new(settings: &Settings, id: Option<&str>) -> Self {
        Self {
            keys: settings.keys.iter().map(|key| key.key.clone()).collect(),
            id: settings.id.as_deref().or(id).unwrap_or_default().to_owned(),
            schedule: Schedule::new(settings.timeout, settings.refresh),
            settings: settings.clone(),
            tag: None,
            is_in_force: false,
            confirmed: None,
            refused: None,
        }
    }

    pub(crate) const fn max_bytes(&self) -> usize {
        self.settings.max_bytes
    }

    /// Whether the bundle in force has gone unconfirmed for too long.
    pub(crate) fn is_stale(&self, now: Time) -> bool {
        let Some(most) = self.settings.max_stale else { return false };
        self.confirmed.is_none_or(|confirmed| now.since(confirmed) > most)
    }

    /// The fetch to send now, if one is due; it then counts as under way.
    pub(crate) fn due(&mut self, now: Time) -> Option<Fetch> {
        // What was confirmed "in the future" was confirmed now.
        self.confirmed = Some(self.confirmed.map_or(now, |confirmed| confirmed.min(now)));
        if self.schedule.wait(now, None) > Span(0) {
            return None;
        }
        self.schedule.begin(now);
        let Settings { cluster, authority, path, .. } = self.settings.clone();
        Some(Fetch { cluster, authority, path, tag: self.tag.clone(), timeout: self.schedule.timeout() })
    }

    /// Takes the answer to a fetch. `current` is the bundle in force; `unfit` says what a bundle asks for that cannot be done here;
    /// `random` spreads the next fetch.
    pub(crate) fn answered(
        &mut self,
        answer: Answer<'_>,
        current: Option<&Policy>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        now: Time,
        random: u64,
    ) -> News {
        if !self.schedule.is_under_way() {
            return News::Unasked;
        }
        let (tag, body) = match answer {
            Answer::Http { status: 200, tag, body } if body.len() <= self.settings.max_bytes => (tag, body),
            Answer::Http { status: 304, .. } if self.tag.is_some() => {
                self.confirm(now, random);
                return News::Unchanged;
            }
            Answer::Failed => return self.fail(Failure::NoAnswer, now, random),
            Answer::TooLarge | Answer::Http { status: 200, .. } => {
                // Not read, so not told apart from the one before.
                return self.refuse(Refused::TooLarge(self.settings.max_bytes), String::new(), now, random);
            }
            Answer::Http { status, .. } => return self.fail(Failure::Status(status), now, random),
        };
        let digest = super::digest(body);
        if let Some((_, reason)) = self.refused.as_ref().filter(|(refused, _)| *refused == digest) {
            let reason = *reason;
            self.schedule.fail(now, random);
            return News::RefusedAgain(reason);
        }
        match self.open(body, current, unfit, now) {
            Ok(policy) => {
                self.confirm(now, random);
                self.is_in_force = true;
                self.tag = tag.filter(|tag| is_tag(tag)).map(str::to_owned);
                policy.map_or(News::Unchanged, |policy| News::Loaded(Box::new(policy)))
            }
            Err(refused) => self.refuse(refused, digest, now, random),
        }
    }

    /// None: it is the bundle in force.
    fn open(
        &self,
        envelope: &[u8],
        current: Option<&Policy>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        now: Time,
    ) -> Result<Option<Policy>, Refused> {
        let bundle = signed::verify(envelope, &self.keys)?;
        if current.is_some_and(|current| current.digest() == super::digest(&bundle)) {
            return Ok(None);
        }
        let floor = current.filter(|_| !self.is_in_force).map_or(0, Policy::serial);
        let terms = Terms {
            keys: &self.keys,
            id: &self.id,
            min_serial: self.settings.min_serial.max(floor),
            current: current.filter(|_| self.is_in_force),
            now,
        };
        let policy = signed::admit(&bundle, &terms)?;
        let unfit = unfit(&policy);
        if unfit.is_empty() { Ok(Some(policy)) } else { Err(Refused::Unfit(unfit)) }
    }

    fn confirm(&mut self, now: Time, random: u64) {
        self.confirmed = Some(now);
        self.refused = None;
        self.schedule.succeed(now, random);
    }

    fn fail(&mut self, failure: Failure, now: Time, random: u64) -> News {
        self.schedule.fail(now, random);
        News::Failed(failure)
    }

    /// `digest` is empty where the answer was not read.
    fn refuse(&mut self, refused: Refused, digest: String, now: Time, random: u64) -> News {
        self.schedule.fail(now, random);
        let reason = refused.as_str();
        if self.refused.as_ref().is_some_and(|(before, _)| *before == digest) {
            return News::RefusedAgain(reason);
        }
        self.refused = Some((digest, reason));
        News::Refused(refused)
    }
}

fn is_tag(tag: &str) -> bool {
    let opaque = tag.strip_prefix("W/").unwrap_or(tag);
    tag.len() <= MOST_OF_A_TAG
        && opaque.len() >= 2
        && opaque.starts_with('"')
        && opaque.ends_with('"')
        && opaque.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::signed::{Envelope, SignedBy, key_id, signed_bytes};
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use ed25519_compact::{KeyPair, Seed};
    use serde_json::{Value, json};

    const START: Time = Time(1_800_000_000_000);

    fn at(seconds: u64) -> Time {
        START.plus(Span::from_secs(seconds))
    }

    fn pair(seed: u8) -> KeyPair {
        KeyPair::from_seed(Seed::new([seed; 32]))
    }

    fn jwk(seed: u8) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("key-{seed}"), "x": URL_SAFE_NO_PAD.encode(*pair(seed).pk)})
    }

    fn settings(change: Value) -> Value {
        let mut settings = json!({"cluster": "bundles", "authority": "bundles.example", "path": "/b.json", "id": "search",
            "keys": [jwk(1)], "max_bytes": 5000});
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        settings
    }

    fn source(change: Value) -> Source {
        let settings: Settings = serde_json::from_value(settings(change)).unwrap();
        assert_eq!(settings.flaws(), [""; 0]);
        Source::new(&settings, None)
    }

    /// A bundle that says which one it is by the name of a group.
    fn bundle(serial: u64, word: &str) -> Vec<u8> {
        json!({"schema": "rerank-guard/v1", "bundle": {"id": "search", "serial": serial, "not_after": "2027-06-01"},
               "groups": {word: ["g"]}, "rules": []})
        .to_string()
        .into_bytes()
    }

    fn signed(bundle: &[u8], seed: u8) -> Vec<u8> {
        let sig = STANDARD.encode(*pair(seed).sk.sign(signed_bytes(bundle), None));
        let signatures = vec![SignedBy { key: key_id(&*pair(seed).pk), sig }];
        serde_json::to_vec(&Envelope { payload: STANDARD.encode(bundle), signatures }).unwrap()
    }

    fn fits(_: &Policy) -> Vec<String> {
        Vec::new()
    }

    struct World {
        source: Source,
        current: Option<Policy>,
    }

    impl World {
        fn new(change: Value) -> Self {
            Self { source: source(change), current: None }
        }

        fn hears(&mut self, status: u16, tag: Option<&str>, body: &[u8], now: Time) -> String {
            assert!(self.source.due(now).is_some(), "a fetch is due");
            let news = self.source.answered(Answer::Http { status, tag, body }, self.current.as_ref(), &fits, now, 0);
            match news {
                News::Loaded(policy) => {
                    self.current = Some(*policy);
                    "loaded".to_owned()
                }
                News::Unchanged => "unchanged".to_owned(),
                News::Refused(refused) => refused.as_str().to_owned(),
                News::RefusedAgain(reason) => format!("{reason} again"),
                News::Failed(failure) => failure.as_str().to_owned(),
                News::Unasked => "unasked".to_owned(),
            }
        }

        fn serial(&self) -> Option<u64> {
            self.current.as_ref().map(Policy::serial)
        }
    }

    #[test]
    fn newer_bundles_replace_older_ones_and_never_the_other_way_round() {
        let mut world = World::new(json!({}));
        let mut now = START;
        for (bundle, says, serial) in [
            (bundle(5, "a"), "loaded", 5),
            (bundle(5, "a"), "unchanged", 5),
            (bundle(5, "b"), "conflicting", 5),
            (bundle(5, "b"), "conflicting again", 5),
            (bundle(4, "a"), "older", 5),
            (bundle(7, "a"), "loaded", 7),
            (bundle(5, "a"), "older", 7),
            (bundle(7, "a"), "unchanged", 7),
        ] {
            assert_eq!(world.hears(200, None, &signed(&bundle, 1), now), says);
            assert_eq!(world.serial(), Some(serial));
            now = now.plus(Span::from_secs(60));
        }
    }

    #[test]
    fn whatever_else_comes_keeps_what_is_in_force() {
        let good = signed(&bundle(6, "a"), 1);
        let mut mixed: Value = serde_json::from_slice(&good).unwrap();
        mixed["payload"] = json!(STANDARD.encode(bundle(7, "a")));
        for (status, body, says) in [
            (200, signed(&bundle(6, "a"), 2), "unsigned"),
            (200, mixed.to_string().into_bytes(), "forged"),
            (200, good.get(..good.len() / 2).unwrap().to_vec(), "no-envelope"),
            (200, Vec::new(), "no-envelope"),
            (200, bundle(6, "a"), "no-envelope"),
            (200, vec![b' '; 5001], "too-large"),
            (500, good.clone(), "status"),
            (304, Vec::new(), "status"),
            (206, good.clone(), "status"),
        ] {
            let mut world = World::new(json!({}));
            assert_eq!(world.hears(status, None, &body, START), says);
            assert_eq!(world.serial(), None, "{says}");
            world.hears(200, None, &signed(&bundle(5, "a"), 1), at(60));
            assert_eq!(world.hears(status, None, &body, at(120)), says);
            assert_eq!(world.serial(), Some(5), "{says}");
            assert_eq!(world.hears(200, None, &good, at(300)), "loaded");
        }
    }

    #[test]
    fn a_tag_is_sent_back_and_304_confirms() {
        let mut world = World::new(json!({"max_stale": "60s"}));
        let good = signed(&bundle(5, "a"), 1);
        assert_eq!(world.source.due(START).unwrap().tag, None);
        let answer = Answer::Http { status: 200, tag: Some("\"v5\""), body: &good };
        let News::Loaded(policy) = world.source.answered(answer, None, &fits, START, 0) else { panic!() };
        world.current = Some(*policy);
        assert_eq!(world.source.due(at(30)).unwrap().tag.as_deref(), Some("\"v5\""));
        let answer = Answer::Http { status: 304, tag: None, body: b"" };
        assert!(matches!(world.source.answered(answer, world.current.as_ref(), &fits, at(50), 0), News::Unchanged));
        assert!(!world.source.is_stale(at(110)) && world.source.is_stale(at(111)));
        // A bundle that is refused has no tag to come back to.
        let bad = signed(&bundle(4, "a"), 1);
        assert_eq!(world.hears(200, Some("\"v4\""), &bad, at(90)), "older");
        assert_eq!(world.source.due(at(200)).unwrap().tag.as_deref(), Some("\"v5\""));
    }

    #[test]
    fn tags_that_are_none_are_not_sent_back() {
        for tag in ["v5", "\"", "\"a b\"", "\"a\r\nx: y\"", &format!("\"{}\"", "a".repeat(300))] {
            assert!(!is_tag(tag), "{tag}");
        }
        assert!(is_tag("\"v5\"") && is_tag("W/\"v5\""));
    }

    #[test]
    fn the_bundle_to_start_with_is_a_floor_that_a_signed_one_of_its_serial_may_replace() {
        for (serial, says) in [(4, "below-floor"), (5, "loaded"), (6, "loaded")] {
            let mut world = World::new(json!({}));
            world.current = Some(Policy::load(&bundle(5, "built-in")).unwrap());
            assert_eq!(world.hears(200, None, &signed(&bundle(serial, "a"), 1), START), says);
            assert_eq!(world.serial(), Some(serial.max(5)));
        }
        let mut world = World::new(json!({"min_serial": 9}));
        assert_eq!(world.hears(200, None, &signed(&bundle(8, "a"), 1), START), "below-floor");
    }

    #[test]
    fn a_key_replaces_another_while_both_are_trusted() {
        let mut world = World::new(json!({"keys": [jwk(1), jwk(2)]}));
        assert_eq!(world.hears(200, None, &signed(&bundle(5, "a"), 1), START), "loaded");
        assert_eq!(world.hears(200, None, &signed(&bundle(6, "a"), 2), at(60)), "loaded");
        assert_eq!(world.hears(200, None, &signed(&bundle(7, "a"), 3), at(120)), "unsigned");
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        let mut source = source(json!({}));
        source.due(START);
        let body = signed(&bundle(5, "a"), 1);
        let unfit = |_: &Policy| vec!["credentials: none".to_owned()];
        let answer = Answer::Http { status: 200, tag: None, body: &body };
        let News::Refused(refused) = source.answered(answer, None, &unfit, START, 0) else { panic!() };
        assert_eq!(refused.as_str(), "unfit");
    }

    #[test]
    fn answers_nobody_asked_for_change_nothing() {
        let mut source = source(json!({}));
        let body = signed(&bundle(5, "a"), 1);
        let answer = Answer::Http { status: 200, tag: None, body: &body };
        assert!(matches!(source.answered(answer, None, &fits, START, 0), News::Unasked));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for (change, field) in [
            (json!({"cluster": ""}), "cluster:"),
            (json!({"path": "b.json"}), "path:"),
            (json!({"keys": []}), "keys:"),
            (json!({"keys": [jwk(1), jwk(1)]}), "keys:"),
            (json!({"keys": [jwk(1), jwk(2), jwk(3)]}), "keys:"),
            (json!({"refresh": "10ms"}), "refresh:"),
            (json!({"timeout": "1m"}), "timeout:"),
            (json!({"max_bytes": 0}), "max_bytes:"),
            (json!({"max_stale": "10s"}), "max_stale:"),
        ] {
            let settings: Settings = serde_json::from_value(settings(change.clone())).unwrap();
            let flaws = settings.flaws();
            assert!(flaws.len() == 1 && flaws[0].starts_with(field), "{change}: {flaws:?}");
        }
        let mut private = jwk(1);
        private["d"] = json!("AAAA");
        let mut unnamed = jwk(1);
        unnamed["kid"] = json!("");
        for (key, says) in [
            (private, "private"),
            (unnamed, "without a name"),
            (json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AAAA"}), "no Ed25519 public key"),
            (json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": "AAAA"}), "no Ed25519 key"),
        ] {
            let said = serde_json::from_value::<BundleKey>(key).unwrap_err().to_string();
            assert!(said.contains(says) && !said.contains("AAAA"), "{said}");
        }
    }
}

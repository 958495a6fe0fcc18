//! A bundle behind a cluster: asked for again and again, believed only with a signature, never older than what there is.
//!
//! Who serves it is not trusted: a server, or whoever sits before it, can hold a newer bundle back, but only until the one in
//! force is past its `not_after`; it can take nothing away and put nothing in. Nor can it tell workers apart: what one of them has
//! taken, all of the process take, from the memory they share, and none of them goes back behind it.

#[cfg(test)]
mod tests;

use super::FetchReason;
use super::Policy;
use super::floor::{Floor, Mark, Standing};
use super::signed::{self, Refused, Terms, TrustedKey};
use crate::diagnostic::{Flaw, Place};
use crate::fetch::Schedule;
use crate::shared::{SharedMemory, Unavailable};
use crate::time::{Span, Time};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;

/// Where a signed bundle is fetched from, and whose signature it needs.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The proxy's cluster to ask.
    pub cluster: String,
    /// `:authority` of requests.
    pub authority: String,
    /// `:path` of requests.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::PATH)))]
    pub path: String,
    /// The only bundle that is taken, by its id: the keys may sign others for other gateways. It may be left out where there is
    /// a bundle to start with.
    pub id: Option<String>,
    /// The keys it may be signed with; two while one replaces the other.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
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

impl BundleKey {
    /// Whether everybody can sign with it.
    pub(crate) fn is_published(&self) -> bool {
        self.key.is_published()
    }
}

impl Settings {
    /// What cannot work, a line each that begins with the field.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut add = |name: &str, what: &str| flaws.push(Flaw::new(Place::root().name(name), what));
        if self.cluster.is_empty() || self.authority.is_empty() {
            add("cluster", "write the cluster and the authority of the bundle's server");
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            add("path", "write one that begins with `/`, such as /bundles/search.json");
        }
        let is_sound = match self.keys.as_slice() {
            [_] => true,
            [one, other] => one.name != other.name && one.key != other.key,
            _ => false,
        };
        if !is_sound {
            add("keys", "write one key, or two different ones while one replaces the other");
        }
        if !(Span::from_secs(1)..=Span::from_secs(86_400)).contains(&self.refresh) {
            add("refresh", "write 1s to 24h");
        }
        if !(Span(1)..=Span::from_secs(30)).contains(&self.timeout) {
            add("timeout", "write at most 30s");
        }
        if !(1..=signed::ENVELOPE_BYTES).contains(&self.max_bytes) {
            add("max_bytes", &format!("write 1 to {}", signed::ENVELOPE_BYTES));
        }
        if self.max_stale.is_some_and(|most| most < self.refresh) {
            add("max_stale", "write a span that is not shorter than `refresh`");
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
    /// What all workers of the process remember of it.
    floor: Floor,
    /// The newest bundle as it was when it could not be had.
    missed: Option<Mark>,
    /// The tag of the answer that brought the bundle in force.
    tag: Option<String>,
    /// Whether the fetch under way asked for a bundle that is no longer the one in force.
    is_overtaken: bool,
    /// Whether the bundle in force came from here; one to start with is only a floor.
    is_in_force: bool,
    /// When the server was last heard to have the bundle in force; at the beginning, when any worker of the process heard it, or
    /// first asked it.
    confirmed: Option<Time>,
    /// The digest of the answer refused last: the same one again is not looked at again.
    refused: Option<(String, FetchReason)>,
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
    RefusedAgain(FetchReason),
    /// No bundle; the one in force stays.
    Failed(Failure),
    /// Nobody asked.
    Unasked,
}

/// Why what is in force here must not decide.
#[derive(Debug)]
pub(crate) enum Behind {
    /// Nobody knows what other workers have taken.
    Unknown,
    /// Others have a newer one, of this serial, and it cannot be had here.
    Missed(u64, Refused),
    /// The same as before.
    Known,
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
    /// Its word in metrics and records.
    #[must_use]
    pub const fn reason(self) -> FetchReason {
        match self {
            Self::NoAnswer => FetchReason::NoAnswer,
            Self::Status(_) => FetchReason::Status,
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
    /// `id`: of the bundle to start with, if there is one. `role`: what bundles from here are for.
    pub(crate) fn new(settings: &Settings, id: Option<&str>, role: &str) -> Self {
        let id = settings.id.as_deref().or(id).unwrap_or_default().to_owned();
        Self {
            keys: settings.keys.iter().map(|key| key.key.clone()).collect(),
            floor: Floor::new(role, &id),
            id,
            missed: None,
            is_overtaken: false,
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
    pub(crate) fn due(&mut self, memory: &dyn SharedMemory, now: Time) -> Option<Fetch> {
        // What was confirmed "in the future" was confirmed now. A push or a trap makes nothing fresh.
        let confirmed = self.confirmed.map_or_else(|| self.floor.heard(now, memory), |confirmed| confirmed.min(now));
        self.confirmed = Some(confirmed);
        if self.schedule.wait(now, None) > Span(0) {
            return None;
        }
        self.schedule.begin(now);
        self.is_overtaken = false;
        let Settings { cluster, authority, path, .. } = self.settings.clone();
        Some(Fetch { cluster, authority, path, tag: self.tag.clone(), timeout: self.schedule.timeout() })
    }

    /// Follows the other workers of the process: gives the bundle that one of them took and that is newer than `current`, the one in
    /// force here. None: there is no newer one.
    ///
    /// # Errors
    /// There is one and it cannot be had, or nobody knows. What is in force here must not decide then.
    pub(crate) fn catch_up(
        &mut self,
        current: Option<&Policy>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
    ) -> Result<Option<Policy>, Behind> {
        let newest = self.floor.newest(&self.keys, memory).map_err(|Unavailable| Behind::Unknown)?;
        let here = current.map(Policy::serial);
        // Below `min_serial` there is nothing to have.
        let Some(newest) =
            newest.filter(|newest| newest.serial >= self.settings.min_serial && here < Some(newest.serial))
        else {
            return Ok(None);
        };
        if self.missed.as_ref() == Some(&newest) {
            return Err(Behind::Known);
        }
        let envelope = self.floor.kept(memory);
        match envelope.ok_or(Refused::NoEnvelope).and_then(|kept| self.admit(&kept, current, Some(&newest), unfit, now))
        {
            Ok((Some(policy), _)) => {
                self.is_in_force = true;
                // The tag is another bundle's.
                self.tag = None;
                self.is_overtaken = true;
                self.missed = None;
                Ok(Some(policy))
            }
            Ok((None, _)) => Err(Behind::Known),
            Err(why) => {
                let serial = newest.serial;
                self.missed = Some(newest);
                if !self.schedule.is_under_way() {
                    self.schedule.go_on();
                }
                Err(Behind::Missed(serial, why))
            }
        }
    }

    /// Takes the answer to a fetch. `current` is the bundle in force; `unfit` says what a bundle asks for that cannot be done here;
    /// `random` spreads the next fetch.
    pub(crate) fn answered(
        &mut self,
        answer: Answer<'_>,
        current: Option<&Policy>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
        random: u64,
    ) -> News {
        if !self.schedule.is_under_way() {
            return News::Unasked;
        }
        let (tag, body) = match answer {
            Answer::Http { status: 200, tag, body } if body.len() <= self.settings.max_bytes => (tag, body),
            Answer::Http { status: 304, .. } if self.tag.is_some() => {
                self.confirm(memory, now, random);
                return News::Unchanged;
            }
            Answer::Http { status: 304, .. } if self.is_overtaken => {
                self.schedule.go_on();
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
        match self.open(body, current, unfit, memory, now) {
            Ok(policy) => {
                self.confirm(memory, now, random);
                self.is_in_force = true;
                self.tag = tag.filter(|tag| is_tag(tag)).map(str::to_owned);
                policy.map_or(News::Unchanged, |policy| News::Loaded(Box::new(policy)))
            }
            Err(refused) => self.refuse(refused, digest, now, random),
        }
    }

    /// Opens an answer and makes it the newest bundle of the process. None: it is the bundle in force.
    fn open(
        &self,
        envelope: &[u8],
        current: Option<&Policy>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        memory: &dyn SharedMemory,
        now: Time,
    ) -> Result<Option<Policy>, Refused> {
        let newest = self.floor.newest(&self.keys, memory).map_err(|Unavailable| Refused::NoMemory)?;
        let (policy, mark) = self.admit(envelope, current, newest.as_ref(), unfit, now)?;
        match self.floor.raise(&mark, envelope, &self.keys, memory).map_err(|Unavailable| Refused::NoMemory)? {
            Standing::Newest => Ok(policy),
            Standing::Older => Err(Refused::Older(mark.serial)),
            Standing::Conflicting => Err(Refused::Conflicting(mark.serial)),
        }
    }

    /// Opens an envelope and holds it against the bundle in force and the newest one of the process. No policy: it is the bundle in
    /// force.
    fn admit(
        &self,
        envelope: &[u8],
        current: Option<&Policy>,
        newest: Option<&Mark>,
        unfit: &dyn Fn(&Policy) -> Vec<String>,
        now: Time,
    ) -> Result<(Option<Policy>, Mark), Refused> {
        let (bundle, by) = signed::verify_by(envelope, &self.keys)?;
        let digest = super::digest(&bundle);
        let mark = |serial| Mark::new(serial, &digest, &by).ok_or(Refused::NoMemory);
        let is_older = |serial| match newest {
            Some(newest) if serial < newest.serial => Err(Refused::Older(serial)),
            Some(newest) if serial == newest.serial && !newest.is_of(&digest) => Err(Refused::Conflicting(serial)),
            _ => Ok(()),
        };
        if let Some(current) = current.filter(|current| current.digest() == digest) {
            is_older(current.serial())?;
            return Ok((None, mark(current.serial())?));
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
        is_older(policy.serial())?;
        let unfit = unfit(&policy);
        if !unfit.is_empty() {
            return Err(Refused::Unfit(unfit));
        }
        let mark = mark(policy.serial())?;
        Ok((Some(policy), mark))
    }

    fn confirm(&mut self, memory: &dyn SharedMemory, now: Time, random: u64) {
        self.confirmed = Some(now);
        self.floor.hear(now, memory);
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
        let reason = refused.reason();
        if refused == Refused::NoMemory {
            // Not the answer's fault: it is looked at again.
            self.refused = None;
            return News::Refused(refused);
        }
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

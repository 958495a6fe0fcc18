//! Who is calling: a token is read strictly, held against its issuer's rules, and proved by its issuer's keys.
//!
//! The order is: bounds, header, issuer, key, signature, and only then all that the token says; the issuer before the key, so that no
//! issuer's key can prove another issuer's token. What is judged before the signature is only ever a reason to refuse, and costs
//! no more than its bytes.
//!
//! ```
//! use rerank_guard::caller::{Callers, NoNativeSignatures, Refusal};
//! use rerank_guard::time::Time;
//!
//! let settings = serde_json::json!({"issuers": [{
//!     "issuer": "https://idp.example", "audiences": ["rerank-guard"], "algorithms": ["EdDSA"],
//!     "keys": {"inline": {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1",
//!         "x": "OS92VSKaAaCnvXDyWcVEv4YuSTtGKE5Nwhc7p-IGV4s"}]}},
//! }]});
//! let mut callers = Callers::new(&serde_json::from_value(settings).unwrap()).unwrap();
//! let refused = callers.identify(b"an API key", Time::from_secs(1_800_000_000), &NoNativeSignatures);
//! assert_eq!(refused.unwrap_err(), Refusal::NotThreeParts, "what is no token proves nobody");
//! ```

mod algorithm;
mod binding;
mod cache;
mod challenge;
mod check;
mod claims;
mod discovery;
mod dpop;
mod groups;
mod host;
mod identify;
mod identity;
mod issuer;
mod keys;
mod limit;
mod object;
mod peer;
mod pinned;
mod place;
mod presented;
mod published;
mod reason;
mod refusal;
mod refused;
mod replay;
mod roca;
mod settings;
mod signature;
mod source;
mod token;
#[cfg(feature = "test-vectors")]
pub mod vectors;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod testing;

pub use algorithm::{Algorithm, Hash};
pub use challenge::Challenge;
pub(crate) use claims::numeric_date;
pub use discovery::DiscoveryProblem;
pub use dpop::{Dpop, Shown, Target};
pub use identity::{Caller, Proof};
pub use keys::{KeyProblem, KeySetProblem, LeftOut};
pub use peer::Peer;
pub use pinned::{PINNED_LIFETIME, Pinned, PinnedKey, verify_pinned};
pub use place::Found;
pub use presented::{Connection, Presented, Unknown};
pub(crate) use published::{is_published_ed25519, jwk_is_published};
pub use reason::{KeyEvent, Reason};
pub use refusal::Refusal;
pub use settings::{
    BadSignatureSettings, CacheSettings, DiscoverySettings, DnsSettings, DpopSettings, GroupsSettings, HostSettings,
    InlineKeys, IssuerSettings, JwksSettings, KeysSettings, PathGroups, PeerSettings, PlaceSettings, Profile, Settings,
    SpiffeSettings,
};
pub use signature::{NativeSignatures, NoNativeSignatures};
pub use source::{Answer, Fetch, FetchProblem, Outcome};
pub use token::{HEADER_BYTES, TOKEN_BYTES};

use crate::diagnostic::Flaw;
use crate::time::{Span, Time};
use cache::Cache;
use dpop::Proofs;
use host::Host;
use issuer::Issuer;
use limit::BadSignatures;
use peer::PeerIssuer;
use place::Place;
use refused::Refused;
use std::rc::Rc;
use token::KnownHeaders;

/// All issuers of one plugin instance in one virtual machine: their rules, their keys as they stand, and the tokens already
/// verified.
#[derive(Debug)]
pub struct Callers {
    issuers: Vec<Issuer>,
    peers: Vec<PeerIssuer>,
    verified_routes: Vec<String>,
    places: Vec<Place>,
    verified: Cache,
    refused: Refused,
    bad_signatures: BadSignatures,
    /// None: no proof is accepted, so no token that is bound to a key.
    proofs: Option<Proofs>,
    host: Host,
    headers: KnownHeaders,
    latest: Time,
}

/// What an answer to a fetch did, for a log line and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The issuer whose keys were asked for; none for an answer to a fetch of no source.
    pub issuer: Option<Rc<str>>,
    /// What changed.
    pub outcome: Outcome,
}

impl Callers {
    /// Reads the settings: a pure function of the configuration.
    ///
    /// # Errors
    /// Everything in them that cannot be used. Inline keys must all be usable.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Flaw>> {
        let mut flaws = check::check(settings);
        let mut issuers = Vec::new();
        for (position, issuer) in settings.issuers.iter().enumerate() {
            match Issuer::new(position, issuer) {
                Ok(issuer) => issuers.push(issuer),
                // What says which claims groups stand in was looked at already.
                Err(flaw) if flaws.iter().any(|known| known.place == flaw.place) => {}
                Err(flaw) => flaws.push(flaw),
            }
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        Ok(Self {
            issuers,
            peers: settings.peers.iter().map(PeerIssuer::new).collect(),
            verified_routes: settings.verified_routes.clone(),
            places: settings.places.iter().map(Place::new).collect(),
            verified: Cache::new(&settings.cache),
            refused: Refused::default(),
            bad_signatures: BadSignatures::new(&settings.bad_signatures),
            proofs: settings.dpop.as_ref().map(Proofs::new),
            host: Host::default(),
            headers: KnownHeaders::default(),
            latest: Time::default(),
        })
    }

    /// The one token of a request. `values` gives all values of the header of a (lower-case) name.
    ///
    /// # Errors
    /// No token, or more than one.
    pub fn find<'a, V: Iterator<Item = &'a [u8]>>(&self, values: impl Fn(&str) -> V) -> Result<Found<'a>, Refusal> {
        place::find(&self.places, values)
    }

    /// The headers a token may stand in, in lower case: none of them may go on to the upstream.
    pub fn credential_headers(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.header.as_str())
    }

    /// Whether client certificates are accepted in place of a token.
    #[must_use]
    pub const fn accepts_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// What a caller that was refused is told, if it is told to prove itself. `is_dpop`: its token stood behind `DPoP `.
    #[must_use]
    pub fn challenge(&self, refusal: Refusal, is_dpop: bool) -> Challenge {
        let algorithms = self.proofs.as_ref().map(Proofs::algorithms);
        Challenge::new(refusal, is_dpop, algorithms.as_deref())
    }

    /// The fetches of keys to send now: at the start, by age, for an unknown key, after a failure. They then count as under way.
    pub fn due(&mut self, now: Time) -> Vec<Fetch> {
        let sources = self.issuers.iter_mut().enumerate();
        sources.filter_map(|(position, issuer)| issuer.source.due(position, now)).collect()
    }

    /// Takes the answer to a fetch. Failed fetches and odd answers leave the keys as they are. `random` spreads the next fetch, so
    /// that many workers do not fetch all at once.
    pub fn fetched(&mut self, source: usize, answer: Answer<'_>, now: Time, random: u64) -> Fetched {
        match self.issuers.get_mut(source) {
            None => Fetched { issuer: None, outcome: Outcome::Unasked },
            Some(issuer) => Fetched {
                issuer: Some(issuer.name.clone()),
                outcome: issuer.source.fetched(answer, &issuer.algorithms, now, random),
            },
        }
    }

    /// How long until [`Self::due`] can have something to send; none if no keys are ever fetched.
    #[must_use]
    pub fn next_due(&self, now: Time) -> Option<Span> {
        self.issuers.iter().filter_map(|issuer| issuer.source.wait(now)).min()
    }

    /// Whether the host's signature check is used: it is tested with signatures known to be good and bad when a token first comes,
    /// and is the same from then on. None before.
    #[must_use]
    pub const fn uses_host(&self) -> Option<bool> {
        self.host.is_good()
    }
}

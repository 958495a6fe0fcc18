//! One issuer's rules, and what a token must say to keep them.

use super::algorithm::Algorithm;
use super::binding::Binding;
use super::cache::ProvedBy;
use super::check::flaw;
use super::claims::{self, Moment, Window};
use super::groups::Groups;
use super::keys::{Key, KeySet, LeftOut};
use super::refusal::Refusal;
use super::settings::{IssuerSettings, KeysSettings, Profile};
use super::source::Source;
use super::token::{self, Header, Token};
use crate::diagnostic::{Flaw, Place};
use crate::time::Time;
use std::rc::Rc;

/// One issuer of tokens: its rules, and its keys as they stand.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) name: Rc<str>,
    pub(super) audiences: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) types: Vec<String>,
    pub(super) profile: Option<Profile>,
    pub(super) window: Window,
    pub(super) groups: Groups,
    pub(super) source: Source,
}

/// What a token says of its caller, acceptable as far as it goes.
pub(super) struct Promise {
    pub(super) subject: String,
    pub(super) groups: Vec<String>,
    pub(super) token_id: Option<String>,
    pub(super) expires: Time,
    pub(super) binding: Binding,
}

impl Issuer {
    pub(super) fn new(position: usize, settings: &IssuerSettings) -> Result<Self, Flaw> {
        let field = Place::of(["callers", "issuers"]).item(position);
        let keys = |field: Place, problem: &str| {
            let what = format!("`{field}`: {problem}");
            Flaw::new(field, what)
        };
        let no_groups = || flaw(field.name("groups").name("claim"), "is empty");
        let groups = Groups::new(&settings.groups).ok_or_else(no_groups)?;
        let source = match &settings.keys {
            KeysSettings::Jwks(jwks) => Source::remote(jwks),
            KeysSettings::Discovery(discovery) => Source::discovered(discovery, &settings.issuer),
            KeysSettings::Inline(inline) => {
                let field = field.name("keys").name("inline");
                let (set, left_out) = KeySet::from_keys(&inline.keys, &settings.algorithms)
                    .map_err(|problem| keys(field.clone(), &problem.to_string()))?;
                if let Some(LeftOut { position, problem }) = left_out.first() {
                    let field = field.name("keys").item(*position);
                    return Err(keys(field, &problem.to_string()));
                }
                Source::inline(set)
            }
        };
        Ok(Self {
            name: settings.issuer.as_str().into(),
            audiences: settings.audiences.clone(),
            algorithms: settings.algorithms.clone(),
            types: match settings.profile {
                Some(Profile::Rfc9068) => vec!["at+jwt".to_owned()],
                None => settings.types.iter().map(|kind| token::plain_type(kind)).collect(),
            },
            profile: settings.profile,
            window: Window { skew: settings.clock_skew, max_lifetime: settings.max_lifetime },
            groups,
            source,
        })
    }

    /// Whether what these keys proved is still proved.
    pub(super) fn stands(&self, proof: ProvedBy, now: Time) -> bool {
        proof.generation == self.source.generation && self.source.keys(now).is_ok()
    }

    /// What makes a token worth a look at its signature, and costs next to nothing: the algorithm to prove it by, its type, its time.
    pub(super) fn admit(&self, token: &Token<'_>, moment: Moment) -> Result<Algorithm, Refusal> {
        let algorithm = Algorithm::named(&token.header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Refusal::AlgorithmNotAllowed)?;
        if !token.header.is_one_of(&self.types) {
            return Err(Refusal::WrongType);
        }
        self.window.check(&token.glance, moment)?;
        Ok(algorithm)
    }

    /// Everything else about a token of this issuer, whose signature is proved.
    pub(super) fn check(&self, token: &Token<'_>, moment: Moment) -> Result<Promise, Refusal> {
        let claims = &token.claims()?;
        claims::check_audience(claims, &self.audiences)?;
        let expires = self.window.check(claims, moment)?;
        match self.profile {
            Some(Profile::Rfc9068) => claims::check_rfc9068(claims)?,
            None => {}
        }
        // Not ours to judge, but other readers of the token demand text here.
        claims::text(claims, "nonce")?;
        Ok(Promise {
            subject: claims::subject(claims)?.to_owned(),
            groups: self.groups.read(claims)?,
            token_id: claims::text(claims, "jti")?.map(str::to_owned),
            expires,
            binding: Binding::read(claims)?,
        })
    }
}

/// The key a token asks for: by exact `kid`; without one only if no other key fits.
pub(super) fn choose<'a>(keys: &'a KeySet, header: &Header, algorithm: Algorithm) -> Result<&'a Key, Refusal> {
    let Some(id) = &header.key_id else { return keys.only_for(algorithm).ok_or(Refusal::KeyIdMissing) };
    let key = keys.with_id(id).ok_or(Refusal::UnknownKey { source: None })?;
    if key.algorithm == algorithm { Ok(key) } else { Err(Refusal::KeyMismatch) }
}

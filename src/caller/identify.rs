//! The verdict on one credential: what is cached, what is checked of the token, and what is asked of its sender.

use super::Callers;
use super::binding::Binding;
use super::cache::ProvedBy;
use super::claims::{self, CLOCK_CORRECTION, Kept, Moment};
use super::dpop::Shown;
use super::identity::{Caller, Proof};
use super::issuer::choose;
use super::peer::{Named, Peer};
use super::presented::Presented;
use super::refusal::Refusal;
use super::replay::Holder;
use super::signature::{self, NativeSignatures, Proved};
use super::source::NoKeys;
use super::token;
use crate::shared::{LocalMemory, SharedMemory};
use crate::time::Time;
use std::rc::Rc;

impl Callers {
    /// The caller that `token` proves: the credential's bytes as they stood behind `Bearer `. Tokens bound to a key are refused.
    ///
    /// # Errors
    /// Everything that is not proved. A token signed with an unknown key makes a fetch of keys due, at a bounded rate.
    pub fn identify(&mut self, token: &[u8], now: Time, native: &dyn NativeSignatures) -> Result<Rc<Caller>, Refusal> {
        // Only a token behind `DPoP ` needs the memory.
        self.identify_sender(&Presented { token, ..Presented::default() }, now, native, &LocalMemory::default())
    }

    /// The caller that a token and its sender prove together. `memory` is that of all workers: it holds the proofs already shown.
    ///
    /// # Errors
    /// As [`Self::identify`]; and a token that is bound to something this sender has not shown.
    pub fn identify_sender(
        &mut self,
        presented: &Presented<'_>,
        now: Time,
        native: &dyn NativeSignatures,
        memory: &dyn SharedMemory,
    ) -> Result<Rc<Caller>, Refusal> {
        self.identify_for_now(presented, now, native, memory).map(|(caller, _)| caller)
    }

    /// As [`Self::identify_sender`], with the time at which the proof of possession ends, if there was one.
    ///
    /// # Errors
    /// As [`Self::identify_sender`].
    pub fn identify_for_now(
        &mut self,
        presented: &Presented<'_>,
        now: Time,
        native: &dyn NativeSignatures,
        memory: &dyn SharedMemory,
    ) -> Result<(Rc<Caller>, Option<Time>), Refusal> {
        let moment = self.heed(now);
        let native = self.host.tested(native);
        let caller = match self.proved_before(presented.token, moment) {
            Some(caller) => caller,
            None => self.prove(presented, moment, native)?,
        };
        // A cached token is proved, its sender is not: that is another one each time.
        let proof_ends = self.check_sender(&caller, presented, moment, native, memory)?;
        Ok((caller, proof_ends))
    }

    /// Whether what proved a caller still does, some time later: the token has not expired, nor its sender's proof.
    ///
    /// # Errors
    /// What has ended.
    pub fn check_still_valid(&mut self, caller: &Caller, proof_ends: Option<Time>, now: Time) -> Result<(), Refusal> {
        let latest = self.heed(now).latest;
        if caller.valid_until.is_some_and(|until| latest >= until) {
            return Err(Refusal::Expired);
        }
        if proof_ends.is_some_and(|ends| latest >= ends) { Err(Refusal::ProofRefused("iat")) } else { Ok(()) }
    }

    /// The caller that a verified client certificate names, for a call without any credential. A call with a token is the token's.
    ///
    /// # Errors
    /// A certificate that nothing says was verified, or that names nobody in the configuration.
    pub fn identify_peer(&self, peer: &Peer<'_>) -> Result<Rc<Caller>, Refusal> {
        if !peer.route.is_some_and(|route| self.verified_routes.iter().any(|verified| verified == route)) {
            return Err(Refusal::UnprovedPeer);
        }
        let named = self.peers.iter().find_map(|issuer| issuer.name(peer)).ok_or(Refusal::UnknownPeer)?;
        let Named { issuer, subject, groups } = named?;
        Ok(Rc::new(Caller {
            issuer,
            subject,
            groups,
            claims: Kept::default(),
            proof: Proof::Certificate,
            algorithm: None,
            key_id: Some(token::encode(&peer.certificate).into()),
            token_id: None,
            expires: None,
            valid_until: None,
            binding: Binding::Certificate(peer.certificate),
        }))
    }

    /// The caller that the cache has for `token`, if its issuer's keys still stand.
    fn proved_before(&mut self, token: &[u8], moment: Moment) -> Option<Rc<Caller>> {
        let issuers = &self.issuers;
        let stands = |proof: ProvedBy| issuers.get(proof.issuer).is_some_and(|issuer| issuer.stands(proof, moment.now));
        self.verified.get(token, moment, stands)
    }

    /// Holds the clock against the latest time it has shown.
    fn heed(&mut self, now: Time) -> Moment {
        if self.latest.since(now) > CLOCK_CORRECTION {
            self.latest = now;
            self.verified.clear();
        }
        self.latest = self.latest.max(now);
        Moment { now, latest: self.latest }
    }

    fn check_sender(
        &mut self,
        caller: &Caller,
        presented: &Presented<'_>,
        moment: Moment,
        native: &dyn NativeSignatures,
        memory: &dyn SharedMemory,
    ) -> Result<Option<Time>, Refusal> {
        match (caller.binding, presented.is_dpop) {
            (Binding::None, false) => Ok(None),
            (Binding::Key(_), _) if self.proofs.is_none() => Err(Refusal::Bound),
            (Binding::Certificate(demanded), false) => match presented.connection.certificate() {
                Some(shown) if shown == demanded => Ok(None),
                Some(_) => Err(Refusal::WrongHolder),
                None => Err(Refusal::CertificateMissing),
            },
            (Binding::Key(demanded), true) => {
                let shown = match &presented.dpop {
                    Shown::One(shown) => shown,
                    Shown::Nothing => return Err(Refusal::ProofMissing),
                    Shown::Several => return Err(Refusal::SeveralProofs),
                };
                let holder = Holder { thumbprint: &demanded, issuer: &caller.issuer, subject: &caller.subject };
                let proofs = self.proofs.as_ref().ok_or(Refusal::Bound)?;
                let proof = proofs.read(shown, presented.token, holder, moment)?;
                let cost = self.host.cost(&proof.key);
                let admitted = self.bad_signatures.admit(cost, &demanded, presented.connection, moment.now)?;
                let verdict = proof.prove(native);
                if verdict == Err(Refusal::ProofRefused("signature")) {
                    self.bad_signatures.count(admitted, presented.connection, moment.now);
                }
                verdict?;
                proofs.first_use(&proof, holder, moment, memory)?;
                Ok(Some(proof.ends))
            }
            (Binding::Key(_), false) => Err(Refusal::SentAsBearer),
            (Binding::None | Binding::Certificate(_), true) => Err(Refusal::NotBound),
        }
    }

    /// The caller of a token that is not among the verified ones.
    fn prove(
        &mut self,
        presented: &Presented<'_>,
        moment: Moment,
        native: &dyn NativeSignatures,
    ) -> Result<Rc<Caller>, Refusal> {
        if presented.token.len() > token::TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let issuers = &self.issuers;
        let stands = |proof: ProvedBy| issuers.get(proof.issuer).is_some_and(|issuer| issuer.stands(proof, moment.now));
        if let Some(refusal) = self.refused.get(presented.token, stands) {
            return Err(refusal);
        }
        let (verdict, proof) = self.verify(presented, moment, native)?;
        match verdict {
            Ok(caller) => {
                let caller = Rc::new(caller);
                self.verified.put(presented.token, &caller, proof, moment);
                Ok(caller)
            }
            Err(refusal) => {
                self.refused.put(presented.token, refusal, proof);
                Err(refusal)
            }
        }
    }

    /// From the cheap to the dear: bounds, header, the key, the signature, and only then what else the token says. What is judged
    /// before the signature is a reason to refuse and nothing else. The verdict that comes with the keys is final while they stand.
    fn verify(
        &mut self,
        presented: &Presented<'_>,
        moment: Moment,
        native: &dyn NativeSignatures,
    ) -> Result<(Result<Caller, Refusal>, ProvedBy), Refusal> {
        let token = self.headers.read(presented.token)?;
        let name = claims::text(&token.glance, "iss")?.ok_or(Refusal::IssuerMissing)?;
        let issuers = self.issuers.iter_mut().enumerate();
        let (position, issuer) = { issuers }.find(|(_, issuer)| *issuer.name == *name).ok_or(Refusal::UnknownIssuer)?;

        let algorithm = issuer.admit(&token, moment)?;
        let keys = issuer.source.keys(moment.now).map_err(|none| match none {
            NoKeys::NotYet => Refusal::NoKeysYet { source: position },
            NoKeys::Stale => Refusal::KeysStale { source: position },
        })?;
        let key = match choose(keys, &token.header, algorithm) {
            Ok(key) => key,
            Err(Refusal::UnknownKey { .. }) => {
                let source = issuer.source.miss_key(moment.now).then_some(position);
                return Err(Refusal::UnknownKey { source });
            }
            Err(other) => return Err(other),
        };
        let proved_by = ProvedBy { issuer: position, generation: issuer.source.generation };
        let cost = self.host.cost(key);
        let admitted = self.bad_signatures.admit(cost, &key.spki, presented.connection, moment.now)?;
        let proved = signature::proves(key, &token, moment.now, native);
        if proved == Proved::No {
            self.bad_signatures.count(admitted, presented.connection, moment.now);
            return Ok((Err(Refusal::BadSignature), proved_by));
        }
        let key_id = key.id.clone();
        let promise = match issuer.check(&token, moment) {
            // The library stumbled over something else than the signature, and we over nothing: then nothing is proved.
            Ok(_) if proved == Proved::Unclear => return Ok((Err(Refusal::BadSignature), proved_by)),
            Ok(promise) => promise,
            Err(refusal) => return Ok((Err(refusal), proved_by)),
        };
        self.headers.keep(&token);

        let caller = Caller {
            issuer: issuer.name.clone(),
            subject: promise.subject,
            groups: promise.groups,
            proof: match promise.binding {
                Binding::None => Proof::Bearer,
                Binding::Certificate(_) => Proof::BoundToCertificate,
                Binding::Key(_) => Proof::BoundToKey,
            },
            algorithm: Some(algorithm),
            key_id,
            token_id: promise.token_id,
            expires: Some(promise.expires),
            valid_until: Some(promise.expires.plus(issuer.window.skew)),
            binding: promise.binding,
            claims: Kept::new(token.payload),
        };
        Ok((Ok(caller), proved_by))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, *};
    use super::super::{Answer, Fetched, Hash, NoNativeSignatures, Outcome};
    use super::*;
    use crate::time::{Span, Time};
    use serde_json::{Value, json};
    use std::cell::Cell;

    /// Counts how often a signature is verified.
    #[derive(Default)]
    struct Counting(Cell<u32>);

    impl NativeSignatures for Counting {
        fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
            let answer = testing::Host.verify(hash, spki, signature, text);
            // The host is tested once, with shorter texts.
            if text.len() > 100 {
                self.0.set(self.0.get() + 1);
            }
            answer
        }
    }

    fn after(seconds: u64) -> Time {
        NOW.plus(Span::from_secs(seconds))
    }

    #[test]
    fn a_verified_token_is_verified_once_and_only_the_same_bytes_are_the_same_token() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&good());
        let first = callers.identify(token.as_bytes(), NOW, &native).unwrap();
        let again = callers.identify(token.as_bytes(), after(1), &native).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        assert_eq!(native.0.get(), 1);
        let (shorter, _) = token.split_at(token.len() - 1);
        for other in [&*token.replacen('.', "..", 1), &format!("{token}B"), shorter] {
            assert!(callers.identify(other.as_bytes(), after(1), &native).is_err());
        }
        let before = native.0.get();
        callers.identify(rs256(&with("jti", "t-2".into())).as_bytes(), after(1), &native).unwrap();
        assert_eq!(native.0.get(), before + 1);
    }

    #[test]
    fn a_cached_token_ends_with_its_exp_and_a_clock_set_back_does_not_revive_it() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&with("exp", json!(NOW_SECS + 100)));
        let mut at = |seconds: u64| callers.identify(token.as_bytes(), after(seconds), &native).map(|_| ());
        assert_eq!(at(0), Ok(()));
        assert_eq!(at(130), Err(Refusal::Expired), "exp and 30 s");
        assert_eq!(at(100), Err(Refusal::Expired), "the clock was at 130 before");
        assert_eq!(at(0), Err(Refusal::Expired));
        assert_eq!(native.0.get(), 1);
    }

    #[test]
    fn what_proved_a_caller_ends_while_a_body_comes_or_people_are_asked() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&with("exp", json!(NOW_SECS + 100)));
        let caller = callers.identify(token.as_bytes(), NOW, &native).unwrap();
        for (seconds, proof_ends, verdict) in [
            (129, None, Ok(())),
            (50, Some(after(51)), Ok(())),
            (51, Some(after(51)), Err(Refusal::ProofRefused("iat"))),
            (130, None, Err(Refusal::Expired)),
            (0, None, Err(Refusal::Expired)),
        ] {
            let mut callers = testing::callers(&inline(&[rsa_jwk("rsa")]));
            if seconds == 0 {
                // A clock that is set back a little revives nothing.
                assert_eq!(callers.check_still_valid(&caller, None, after(131)), Err(Refusal::Expired));
            }
            assert_eq!(callers.check_still_valid(&caller, proof_ends, after(seconds)), verdict, "{seconds}");
        }
        assert_eq!(native.0.get(), 1, "no signature is looked at again");
    }

    #[test]
    fn a_cached_token_is_no_token_before_it_was_seen() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&with("nbf", json!(NOW_SECS + 100)));
        assert!(callers.identify(token.as_bytes(), after(100), &native).is_ok());
        assert_eq!(callers.identify(token.as_bytes(), NOW, &native), Err(Refusal::NotYetValid));
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_forgotten_with_what_was_verified_then() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&good());
        callers.identify(token.as_bytes(), NOW, &native).unwrap();
        assert_eq!(callers.identify(b"x", after(100_000), &native), Err(Refusal::NotThreeParts));
        assert!(callers.identify(token.as_bytes(), NOW, &native).is_ok());
        assert_eq!(native.0.get(), 2);
    }

    #[test]
    fn a_cached_token_is_verified_again_after_its_time_to_live() {
        let mut settings = inline(&[rsa_jwk("rsa")]);
        settings["cache"] = json!({"ttl": "60s"});
        let (mut callers, native) = (callers(&settings), Counting::default());
        let token = rs256(&good());
        for (seconds, verified) in [(0, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
            callers.identify(token.as_bytes(), after(seconds), &native).unwrap();
            assert_eq!(native.0.get(), verified, "{seconds}");
        }
    }

    /// A token that says so, with a signature that is none.
    fn forged(token: &str, number: u8) -> String {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let length = super::super::token::decode(signature).unwrap().len();
        format!("{signed}.{}", encode(&vec![number; length]))
    }

    #[test]
    fn forged_tokens_never_enter_the_cache_and_the_same_one_is_checked_once() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&good());
        for _ in 0..50 {
            assert_eq!(callers.identify(forged(&token, 1).as_bytes(), NOW, &native), Err(Refusal::BadSignature));
            assert_eq!((native.0.get(), callers.verified.len()), (1, 0));
        }
        assert_eq!(callers.identify(forged(&token, 2).as_bytes(), NOW, &native), Err(Refusal::BadSignature));
        assert!(callers.identify(token.as_bytes(), NOW, &native).is_ok());
        assert_eq!(native.0.get(), 3);
    }

    #[test]
    fn a_good_token_refused_for_what_it_says_is_checked_once_and_one_that_is_early_again() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let nobodys = rs256(&with("aud", "another".into()));
        for _ in 0..5 {
            assert_eq!(callers.identify(nobodys.as_bytes(), NOW, &native), Err(Refusal::WrongAudience));
            assert_eq!(native.0.get(), 1);
        }
        let early = rs256(&with("nbf", json!(NOW_SECS + 100)));
        assert_eq!(callers.identify(early.as_bytes(), NOW, &native), Err(Refusal::NotYetValid));
        assert!(callers.identify(early.as_bytes(), after(100), &native).is_ok());
    }

    #[test]
    fn a_token_that_was_signed_with_a_key_to_come_is_checked_again_when_the_keys_have_changed() {
        let (old, new) = (Signer::new(), Signer::new());
        let mut callers = callers(&fetched());
        let token = new.token(&good());
        answer(&mut callers, &[old.jwk("ed")], NOW);
        for _ in 0..3 {
            assert_eq!(callers.identify(token.as_bytes(), NOW, &NoNativeSignatures), Err(Refusal::BadSignature));
        }
        assert_eq!(callers.bad_signatures.admitted, 1);
        answer(&mut callers, &[new.jwk("ed")], after(300));
        assert!(callers.identify(token.as_bytes(), after(300), &NoNativeSignatures).is_ok());
    }

    /// Everybody can write such a token. What it says is read by nobody before its signature is found good, so that whatever is in it
    /// is told as a bad signature.
    #[test]
    fn of_an_unproved_token_nothing_is_read_but_what_leads_to_the_key() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let many: Vec<String> = (0..1900).map(|number| format!("{number:x}")).collect();
        for (name, value) in [
            ("groups", json!(many)),
            ("groups", json!(7)),
            ("aud", json!(many)),
            ("aud", json!({})),
            ("scope", json!(" ".repeat(9000))),
            ("sub", json!([])),
            ("cnf", json!("x")),
            ("jti", json!(1)),
            ("_claim_names", json!({"groups": "x"})),
        ] {
            let token = rs256(&with(name, value));
            assert_eq!(
                callers.identify(forged(&token, 1).as_bytes(), NOW, &native),
                Err(Refusal::BadSignature),
                "{name}"
            );
        }
        for (name, value, refusal) in [
            ("iss", json!("https://eve.example"), Refusal::UnknownIssuer),
            ("exp", json!(NOW_SECS - 100), Refusal::Expired),
            ("exp", json!("x"), Refusal::ClaimMalformed("exp")),
        ] {
            let before = native.0.get();
            let token = rs256(&with(name, value));
            assert_eq!(callers.identify(forged(&token, 1).as_bytes(), NOW, &native), Err(refusal), "{name}");
            assert_eq!(native.0.get(), before, "not worth a signature: {name}");
        }
    }

    #[test]
    fn headers_of_forged_tokens_are_not_remembered() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&good());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", encode(&[1; 256]));
        assert_eq!(callers.identify(forged.as_bytes(), NOW, &native), Err(Refusal::BadSignature));
        assert_eq!(callers.headers.len(), 0);
        callers.identify(token.as_bytes(), NOW, &native).unwrap();
        assert_eq!(callers.headers.len(), 1);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        for bounds in [json!({"tokens": 8}), json!({"bytes": 40_000})] {
            let signer = Signer::new();
            let mut settings = inline(&[signer.jwk("ed")]);
            settings["cache"] = bounds;
            let mut callers = callers(&settings);
            let used = signer.token(&with("jti", "used".into()));
            let first = callers.identify(used.as_bytes(), NOW, &NoNativeSignatures).unwrap();
            for number in 0..40 {
                let token = signer.token(&with("jti", number.to_string().into()));
                callers.identify(token.as_bytes(), NOW, &NoNativeSignatures).unwrap();
                let again = callers.identify(used.as_bytes(), NOW, &NoNativeSignatures).unwrap();
                assert!(Rc::ptr_eq(&first, &again), "{number}");
                assert!(callers.verified.len() <= 24, "{number}: {}", callers.verified.len());
            }
        }
    }

    #[test]
    fn a_token_bound_to_a_certificate_is_accepted_only_from_its_holder_also_from_the_cache() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let token = rs256(&with("cnf", json!({"x5t#S256": encode(&[7; 32])})));
        let mut by = |certificate: Option<[u8; 32]>| {
            let connection = Known { certificate, source: None };
            let presented = Presented { token: token.as_bytes(), connection: &connection, ..Presented::default() };
            callers.identify_sender(&presented, NOW, &native, &LocalMemory::default()).map(|caller| caller.proof())
        };
        assert_eq!(by(None), Err(Refusal::CertificateMissing));
        for _ in 0..2 {
            assert_eq!(by(Some([7; 32])), Ok(Proof::BoundToCertificate));
            assert_eq!(by(Some([8; 32])), Err(Refusal::WrongHolder));
            assert_eq!(by(None), Err(Refusal::CertificateMissing));
        }
        assert_eq!(native.0.get(), 1, "the token itself was verified once");
    }

    #[test]
    fn bindings_that_cannot_be_checked_are_refused_whatever_the_sender_shows() {
        let (signer, hash) = (Signer::new(), encode(&[7; 32]));
        let mut callers = callers(&inline(&[signer.jwk("ed")]));
        for (cnf, refusal) in [
            (json!({"x5t#S256": hash, "jkt": hash}), Refusal::Bound),
            (json!({"jwk": {}}), Refusal::Bound),
            (json!({"kid": hash}), Refusal::Bound),
            (json!({"x5t#S256": [hash]}), Refusal::Bound),
            (json!({}), Refusal::Bound),
            (json!({"jkt": hash}), Refusal::SentAsBearer),
            (json!({"jkt": "x"}), Refusal::ClaimMalformed("cnf")),
            (json!({"x5t#S256": ""}), Refusal::ClaimMalformed("cnf")),
            (json!({"x5t#S256": format!("{hash}=")}), Refusal::ClaimMalformed("cnf")),
            (json!({"x5t#S256": encode(&[7; 31])}), Refusal::ClaimMalformed("cnf")),
        ] {
            let token = signer.token(&with("cnf", cnf.clone()));
            let connection = Known { certificate: Some([7; 32]), source: None };
            let presented = Presented { token: token.as_bytes(), connection: &connection, ..Presented::default() };
            let verdict = callers.identify_sender(&presented, NOW, &NoNativeSignatures, &LocalMemory::default());
            assert_eq!(verdict, Err(refusal), "{cnf}");
        }
    }

    /// The verdict on a token from a source.
    fn from(
        callers: &mut Callers,
        native: &dyn NativeSignatures,
        source: &[u8],
        token: &str,
        now: Time,
    ) -> Result<(), Refusal> {
        let connection = Known { certificate: None, source: Some(source) };
        let presented = Presented { token: token.as_bytes(), connection: &connection, ..Presented::default() };
        callers.identify_sender(&presented, now, native, &LocalMemory::default()).map(|_| ())
    }

    #[test]
    fn a_flood_of_signatures_that_the_host_proves_wrong_stops_nobody() {
        let mut settings = inline(&[rsa_jwk("rsa")]);
        settings["bad_signatures"] = json!({"burst": 1, "forgive": "1h"});
        let (mut callers, native) = (callers(&settings), Counting::default());
        let fresh = rs256(&with("jti", "t-2".into()));
        for number in 0..200 {
            let verdict = from(&mut callers, &native, b"10.0.0.1", &forged(&fresh, number), NOW);
            assert_eq!(verdict, Err(Refusal::BadSignature));
        }
        assert_eq!(from(&mut callers, &native, b"10.0.0.1", &fresh, NOW), Ok(()));
    }

    #[test]
    fn a_flood_of_signatures_that_the_module_checks_is_checked_at_a_bounded_rate_and_good_ones_among_them_pass() {
        let signer = Signer::new();
        let mut settings = inline(&[signer.jwk("ed")]);
        settings["bad_signatures"] = json!({"burst": 3, "forgive": "1s"});
        let mut callers = callers(&settings);
        let (known, fresh) = (signer.token(&good()), signer.token(&with("jti", "t-2".into())));
        let mut at = |source: &[u8], token: &str, seconds: u64| {
            let verdict = from(&mut callers, &NoNativeSignatures, source, token, after(seconds));
            (verdict, callers.bad_signatures.admitted)
        };
        assert_eq!(at(b"10.0.0.1", &known, 0), (Ok(()), 1));
        for number in 0..3 {
            assert_eq!(at(b"10.0.0.1", &forged(&fresh, number), 0).0, Err(Refusal::BadSignature));
        }
        for number in 3..100 {
            let verdict = at(b"10.0.0.1", &forged(&fresh, number), 0);
            assert_eq!(verdict, (Err(Refusal::TooManyBadSignatures), 4), "no more signatures are looked at");
        }
        assert_eq!(at(b"10.0.0.1", &forged(&fresh, 0), 0), (Err(Refusal::BadSignature), 4), "known to be bad");
        assert_eq!(at(b"10.0.0.1", &known, 0).0, Ok(()), "a verified token is not concerned");
        assert_eq!(at(b"10.0.0.1", &fresh, 0).0, Err(Refusal::TooManyBadSignatures));
        assert!(Refusal::TooManyBadSignatures.is_temporary());
        assert_eq!(at(b"10.0.0.1", &fresh, 1).0, Ok(()), "one is forgiven, and a good one owes nothing");
        assert_eq!(at(b"10.0.0.1", &forged(&fresh, 101), 1).0, Err(Refusal::BadSignature));
        assert_eq!(at(b"10.0.0.2", &forged(&fresh, 102), 1).0, Err(Refusal::BadSignature), "another source");
    }

    /// Fifty forged tokens and two a second from one address: what is usual behind one ingress must not lock it out.
    #[test]
    fn with_the_default_budget_a_slow_flood_is_not_even_noticed() {
        let signer = Signer::new();
        let mut callers = callers(&inline(&[signer.jwk("ed")]));
        let fresh = |number: u64| signer.token(&with("jti", number.to_string().into()));
        let bad = |number: u64| forged(&fresh(number), 1);
        for number in 0..50 {
            let _ = from(&mut callers, &NoNativeSignatures, b"10.0.0.1", &bad(number), NOW);
        }
        for second in 0..20 {
            for number in 0..2 {
                let token = bad(1000 + 2 * second + number);
                let _ = from(&mut callers, &NoNativeSignatures, b"10.0.0.1", &token, after(second));
            }
            let verdict = from(&mut callers, &NoNativeSignatures, b"10.0.0.1", &fresh(second), after(second));
            assert_eq!(verdict, Ok(()), "{second}");
        }
    }

    fn answer(callers: &mut Callers, keys: &[Value], now: Time) -> Outcome {
        assert_eq!(callers.due(now).len(), 1);
        let body = json!({ "keys": keys }).to_string();
        callers.fetched(0, Answer::Http { status: 200, body: body.as_bytes() }, now, 0).outcome
    }

    #[test]
    fn no_token_is_accepted_before_keys_are_there_and_the_fault_is_temporary() {
        let (signer, mut callers) = (Signer::new(), callers(&fetched()));
        let token = signer.token(&good());
        let none = callers.identify(token.as_bytes(), NOW, &NoNativeSignatures).unwrap_err();
        assert_eq!(none, Refusal::NoKeysYet { source: 0 });
        assert!(none.is_temporary());
        assert_eq!(callers.next_due(NOW), Some(Span(0)));
        answer(&mut callers, &[signer.jwk("ed")], NOW);
        assert!(callers.identify(token.as_bytes(), NOW, &NoNativeSignatures).is_ok());
        assert_eq!(callers.next_due(NOW), Some(Span::from_secs(300)));
    }

    #[test]
    fn a_change_of_keys_ends_what_the_old_keys_proved() {
        let (old, new) = (Signer::new(), Signer::new());
        let mut settings = fetched();
        settings["cache"] = json!({"ttl": "1d"});
        let mut callers = callers(&settings);
        let token = old.token(&good());
        answer(&mut callers, &[old.jwk("ed")], NOW);
        assert!(callers.identify(token.as_bytes(), NOW, &NoNativeSignatures).is_ok());
        answer(&mut callers, &[new.jwk("ed")], after(300));
        assert_eq!(callers.identify(token.as_bytes(), after(300), &NoNativeSignatures), Err(Refusal::BadSignature));
        assert!(callers.identify(new.token(&good()).as_bytes(), after(300), &NoNativeSignatures).is_ok());
    }

    #[test]
    fn rotation_with_both_keys_published_refuses_no_good_token() {
        let (old, new) = (Signer::new(), Signer::new());
        let by_new = new.raw(br#"{"alg":"EdDSA","kid":"new"}"#, good().to_string().as_bytes());
        let mut callers = callers(&fetched());
        answer(&mut callers, &[old.jwk("ed")], NOW);
        let unknown = callers.identify(by_new.as_bytes(), after(10), &NoNativeSignatures).unwrap_err();
        assert_eq!(unknown, Refusal::UnknownKey { source: Some(0) }, "a fetch is on its way");
        assert_eq!(unknown.awaits(), Some(0));
        answer(&mut callers, &[old.jwk("ed"), new.jwk("new")], after(10));
        assert!(callers.identify(by_new.as_bytes(), after(10), &NoNativeSignatures).is_ok());
        assert!(callers.identify(old.token(&good()).as_bytes(), after(10), &NoNativeSignatures).is_ok());
    }

    #[test]
    fn stale_keys_prove_nothing_not_even_from_the_cache() {
        let mut settings = fetched();
        settings["cache"] = json!({"ttl": "1d"});
        let (signer, mut callers) = (Signer::new(), callers(&settings));
        let token = signer.token(&with("exp", json!(NOW_SECS + 80_000)));
        answer(&mut callers, &[signer.jwk("ed")], NOW);
        assert!(callers.identify(token.as_bytes(), after(3600), &NoNativeSignatures).is_ok());
        let stale = callers.identify(token.as_bytes(), after(3601), &NoNativeSignatures).unwrap_err();
        assert_eq!(stale, Refusal::KeysStale { source: 0 });
        assert!(stale.is_temporary());
    }

    #[test]
    fn answers_for_sources_that_do_not_exist_change_nothing() {
        let fetched = callers(&fetched()).fetched(7, Answer::Failed, NOW, 0);
        assert_eq!(fetched, Fetched { issuer: None, outcome: Outcome::Unasked });
    }
}

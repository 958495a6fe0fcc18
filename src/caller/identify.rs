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
use super::signature::{self, NativeSignatures};
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
            None => {
                let (caller, proof) = self.verify(presented, moment, native)?;
                let caller = Rc::new(caller);
                self.verified.put(presented.token, &caller, proof, moment);
                caller
            }
        };
        // A cached token is proved, its sender is not: that is another one each time.
        let proof_ends = self.check_sender(caller.binding, presented, moment, native, memory)?;
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
        binding: Binding,
        presented: &Presented<'_>,
        moment: Moment,
        native: &dyn NativeSignatures,
        memory: &dyn SharedMemory,
    ) -> Result<Option<Time>, Refusal> {
        match (binding, presented.is_dpop) {
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
                let source = self.bad_signatures.admit(presented.connection, moment.now)?;
                let proofs = self.proofs.as_ref().ok_or(Refusal::Bound)?;
                let verdict = proofs.check(shown, presented.token, &demanded, moment, native, memory);
                if verdict == Err(Refusal::ProofRefused("signature")) {
                    self.bad_signatures.count(source, presented.connection, moment.now);
                }
                verdict.map(Some)
            }
            (Binding::Key(_), false) => Err(Refusal::SentAsBearer),
            (Binding::None | Binding::Certificate(_), true) => Err(Refusal::NotBound),
        }
    }

    fn verify(
        &mut self,
        presented: &Presented<'_>,
        moment: Moment,
        native: &dyn NativeSignatures,
    ) -> Result<(Caller, ProvedBy), Refusal> {
        let token = self.headers.read(presented.token)?;
        let name = claims::text(&token.claims, "iss")?.ok_or(Refusal::IssuerMissing)?;
        let issuers = self.issuers.iter_mut().enumerate();
        let (position, issuer) = { issuers }.find(|(_, issuer)| *issuer.name == *name).ok_or(Refusal::UnknownIssuer)?;

        let promise = issuer.check(&token, moment)?;
        let keys = issuer.source.keys(moment.now).map_err(|none| match none {
            NoKeys::NotYet => Refusal::NoKeysYet { source: position },
            NoKeys::Stale => Refusal::KeysStale { source: position },
        })?;
        let key = match choose(keys, &token.header, promise.algorithm) {
            Ok(key) => key,
            Err(Refusal::UnknownKey { .. }) => {
                let source = issuer.source.miss_key(moment.now).then_some(position);
                return Err(Refusal::UnknownKey { source });
            }
            Err(other) => return Err(other),
        };
        let source = self.bad_signatures.admit(presented.connection, moment.now)?;
        if !signature::proves(key, &token, moment.now, native) {
            self.bad_signatures.count(source, presented.connection, moment.now);
            return Err(Refusal::BadSignature);
        }
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
            algorithm: Some(promise.algorithm),
            key_id: key.id.clone(),
            token_id: promise.token_id,
            expires: Some(promise.expires),
            valid_until: Some(promise.expires.plus(issuer.window.skew)),
            binding: promise.binding,
            claims: Kept::new(token.payload),
        };
        Ok((caller, ProvedBy { issuer: position, generation: issuer.source.generation }))
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

    #[test]
    fn forged_tokens_never_enter_the_cache() {
        let (mut callers, native) = (callers(&inline(&[rsa_jwk("rsa")])), Counting::default());
        let (token, other) = (rs256(&good()), rs256(&with("sub", "eve".into())));
        let (signed, _) = other.rsplit_once('.').unwrap();
        let (_, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{signature}");
        for tries in 1..4 {
            assert_eq!(callers.identify(forged.as_bytes(), NOW, &native), Err(Refusal::BadSignature));
            assert_eq!(native.0.get(), tries);
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

    #[test]
    fn a_flood_of_bad_signatures_stops_its_source_and_nobody_else() {
        let mut settings = inline(&[rsa_jwk("rsa")]);
        settings["bad_signatures"] = json!({"burst": 3, "forgive": "1s"});
        let (mut callers, native) = (callers(&settings), Counting::default());
        let (known, fresh) = (rs256(&good()), rs256(&with("jti", "t-2".into())));
        let (signed, _) = fresh.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", encode(&[1; 256]));
        let mut from = |source: &[u8], token: &str, seconds: u64| {
            let connection = Known { certificate: None, source: Some(source) };
            let presented = Presented { token: token.as_bytes(), connection: &connection, ..Presented::default() };
            callers.identify_sender(&presented, after(seconds), &native, &LocalMemory::default()).map(|_| ())
        };
        assert_eq!(from(b"10.0.0.1", &known, 0), Ok(()));
        for _ in 0..3 {
            assert_eq!(from(b"10.0.0.1", &forged, 0), Err(Refusal::BadSignature));
        }
        for _ in 0..100 {
            assert_eq!(from(b"10.0.0.1", &forged, 0), Err(Refusal::TooManyBadSignatures));
        }
        assert_eq!(native.0.get(), 4, "no more signatures were looked at");
        assert_eq!(from(b"10.0.0.1", &known, 0), Ok(()), "a verified token is not concerned");
        assert_eq!(from(b"10.0.0.1", &fresh, 0), Err(Refusal::TooManyBadSignatures));
        assert!(Refusal::TooManyBadSignatures.is_temporary());
        assert_eq!(from(b"10.0.0.1", &fresh, 1), Ok(()), "one is forgiven");
        let others = (0..20_u8).filter(|other| from(&[*other], &forged, 1) == Err(Refusal::BadSignature)).count();
        assert!(others >= 18, "{others}");
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

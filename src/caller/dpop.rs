//! Proof of possession (RFC 9449): a token bound to a key is worth something only beside a proof, signed with that key for this
//! very request, that nobody has shown before.

use super::algorithm::Algorithm;
use super::claims::{self, Claims, Moment};
use super::keys::Key;
use super::refusal::Refusal;
use super::replay::{Holder, Replays};
use super::settings::DpopSettings;
use super::signature::{self, NativeSignatures};
use super::token::{Token, decode};
use crate::origin::{Authority, Origin};
use crate::shared::SharedMemory;
use crate::time::{Span, Time};
use sha2::{Digest, Sha256};

/// The only `DPoP` header of a request, and the request it came with.
#[derive(Debug, Clone, Copy)]
pub struct Dpop<'a> {
    /// The header's value.
    pub proof: &'a [u8],
    /// The request's method.
    pub method: &'a str,
    /// Where the request went.
    pub target: Target<'a>,
}

/// Where a request went: never what its sender alone says. Its authority has to be one of this gateway's own origins, and the scheme is
/// that origin's, not one that a header tells.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// What this gateway is reached at.
    pub origins: &'a [Origin],
    /// Whom the request addresses.
    pub authority: &'a Authority,
    /// The request's path. A query does not matter.
    pub path: &'a str,
}

impl Target<'_> {
    /// Whether `uri` is where the request went (RFC 9449, section 4.3, check 9).
    fn is(&self, uri: &str) -> bool {
        self.origins.iter().any(|origin| origin.has(uri, self.authority, self.path))
    }
}

/// The `DPoP` headers of a request.
#[derive(Debug, Clone, Copy, Default)]
pub enum Shown<'a> {
    /// None.
    #[default]
    Nothing,
    /// One, as it must be.
    One(Dpop<'a>),
    /// More than one (section 4.3, check 1).
    Several,
}

/// Judges proofs, and has them remembered.
#[derive(Debug)]
pub(super) struct Proofs {
    algorithms: Vec<Algorithm>,
    max_age: Span,
    skew: Span,
    replays: Replays,
}

impl Proofs {
    pub(super) fn new(settings: &DpopSettings) -> Self {
        let DpopSettings { max_age, clock_skew, .. } = *settings;
        // From `iat` a skew ahead of us to `iat` a skew and an age behind us.
        let lifetime = Span(max_age.0.saturating_add(clock_skew.0.saturating_mul(2)));
        Self {
            algorithms: settings.algorithms.clone(),
            max_age,
            skew: clock_skew,
            replays: Replays::new(settings.proofs, lifetime),
        }
    }

    /// Reads a proof for `token` by the key with this thumbprint: the checks of section 4.3 in their order, but for the signature and
    /// the memory, which come last because they cost most.
    pub(super) fn read<'p>(
        &self,
        shown: &Dpop<'p>,
        token: &[u8],
        holder: Holder<'_>,
        moment: Moment,
    ) -> Result<Unproved<'p>, Refusal> {
        let (proof, jwk) = Token::read_with_key(shown.proof).map_err(|_| Refusal::ProofRefused("form"))?;
        let claims = &proof.claims().map_err(|_| Refusal::ProofRefused("form"))?;
        let id = text(claims, "jti")?.filter(|id| !id.is_empty()).ok_or(Refusal::ProofRefused("jti"))?;
        if proof.header.kind.is_none() || !proof.header.is_one_of(&["dpop+jwt".to_owned()]) {
            return Err(Refusal::ProofRefused("typ"));
        }
        let algorithm = Algorithm::named(&proof.header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Refusal::ProofRefused("alg"))?;
        let key = Key::read(&jwk, &[algorithm]).map_err(|_| Refusal::ProofRefused("jwk"))?;
        if text(claims, "htm")? != Some(shown.method) {
            return Err(Refusal::ProofRefused("htm"));
        }
        if !text(claims, "htu")?.is_some_and(|address| shown.target.is(address)) {
            return Err(Refusal::ProofRefused("htu"));
        }
        let expires = self.check_age(claims, moment)?;
        if hash(claims, "ath")? != *Sha256::digest(token) {
            return Err(Refusal::ProofRefused("ath"));
        }
        if key.verifier.thumbprint() != Some(*holder.thumbprint) {
            return Err(Refusal::WrongHolder);
        }
        Ok(Unproved { id: id.to_owned(), ends: expires, key, proof })
    }

    /// Accepts a proof that is proved, once.
    pub(super) fn first_use(
        &self,
        proof: &Unproved<'_>,
        holder: Holder<'_>,
        moment: Moment,
        memory: &dyn SharedMemory,
    ) -> Result<(), Refusal> {
        self.replays.first_use(holder, &proof.id, moment.latest, memory)
    }

    /// The algorithms that proofs may use, as a challenge lists them (RFC 9449, section 7.1).
    pub(super) fn algorithms(&self) -> String {
        let names: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        names.join(" ")
    }

    fn check_age(&self, claims: &Claims, moment: Moment) -> Result<Time, Refusal> {
        let refused = Refusal::ProofRefused("iat");
        let issued = claims::date(claims, "iat").ok().flatten().ok_or(refused)?;
        let expires = issued.plus(self.max_age).plus(self.skew);
        if issued > moment.now.plus(self.skew) || moment.latest >= expires { Err(refused) } else { Ok(expires) }
    }
}

/// A proof that says what it must, and whose signature is still to be checked.
pub(super) struct Unproved<'p> {
    id: String,
    /// When it ends.
    pub(super) ends: Time,
    pub(super) key: Key,
    proof: Token<'p>,
}

impl Unproved<'_> {
    pub(super) fn prove(&self, native: &dyn NativeSignatures) -> Result<(), Refusal> {
        match signature::proves_text(&self.key, self.proof.signed.as_bytes(), &self.proof.signature, native) {
            Some(true) => Ok(()),
            Some(false) => Err(Refusal::ProofRefused("signature")),
            None => Err(Refusal::Bound),
        }
    }
}

fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    claims::text(claims, name).map_err(|_| Refusal::ProofRefused(name))
}

fn hash(claims: &Claims, name: &'static str) -> Result<[u8; 32], Refusal> {
    let digest = text(claims, name)?.and_then(|text| decode(text).ok()).and_then(|digest| digest.try_into().ok());
    digest.ok_or(Refusal::ProofRefused(name))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Callers, NoNativeSignatures, Presented, Proof};
    use super::*;
    use crate::shared::LocalMemory;
    use serde_json::{Value, json};

    const URI: &str = "https://search.example/v2/rerank";

    /// A request to `https://search.example`, which is one of two origins.
    struct Sent(Vec<Origin>, Authority);

    impl Sent {
        fn to(authority: &str) -> Self {
            let origins = ["https://search.example", "http://rerank.example:8080"];
            Self(origins.map(|origin| Origin::read(origin).unwrap()).into(), Authority::read(authority).unwrap())
        }

        fn with<'a>(&'a self, proof: &'a str) -> Dpop<'a> {
            let target = Target { origins: &self.0, authority: &self.1, path: "/v2/rerank?x=1" };
            Dpop { proof: proof.as_bytes(), method: "POST", target }
        }
    }

    struct Sender {
        key: Signer,
        token: String,
        callers: Callers,
        memory: LocalMemory,
    }

    impl Sender {
        fn new() -> Self {
            let (issuer, key) = (Signer::new(), Signer::new());
            let token = issuer.token(&with("cnf", json!({"jkt": key.thumbprint()})));
            let mut settings = inline(&[issuer.jwk("ed")]);
            settings["dpop"] = json!({"proofs": 20_000});
            Self { key, token, callers: callers(&settings), memory: LocalMemory::default() }
        }

        fn header(&self) -> Value {
            let mut jwk = self.key.jwk("x");
            jwk.as_object_mut().unwrap().remove("kid");
            json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk})
        }

        fn claims(&self, id: &str) -> Value {
            let ath = encode(&Sha256::digest(self.token.as_bytes()));
            json!({"jti": id, "htm": "POST", "htu": URI, "iat": NOW_SECS, "ath": ath})
        }

        fn proof(&self, header: &Value, claims: &Value) -> String {
            self.key.raw(header.to_string().as_bytes(), claims.to_string().as_bytes())
        }

        fn good(&self, id: &str) -> String {
            self.proof(&self.header(), &self.claims(id))
        }

        fn show(&mut self, proof: &str, now: Time, native: &dyn NativeSignatures) -> Result<Proof, Refusal> {
            self.show_at("search.example", proof, now, native)
        }

        fn show_at(
            &mut self,
            authority: &str,
            proof: &str,
            now: Time,
            native: &dyn NativeSignatures,
        ) -> Result<Proof, Refusal> {
            let sent = Sent::to(authority);
            let dpop = sent.with(proof);
            let token = self.token.clone();
            let presented =
                Presented { token: token.as_bytes(), is_dpop: true, dpop: Shown::One(dpop), ..Presented::default() };
            self.callers.identify_sender(&presented, now, native, &self.memory).map(|caller| caller.proof())
        }
    }

    fn after(seconds: u64) -> Time {
        NOW.plus(Span::from_secs(seconds))
    }

    #[test]
    fn a_bound_token_is_accepted_with_a_fresh_proof_by_its_key() {
        let mut holder = Sender::new();
        for (id, now) in [("a", 0), ("b", 30), ("c", 69)] {
            assert_eq!(holder.show(&holder.good(id), after(now), &NoNativeSignatures), Ok(Proof::BoundToKey), "{id}");
        }
    }

    #[test]
    fn a_stolen_token_without_the_key_is_worth_nothing() {
        let mut holder = Sender::new();
        let (token, proof) = (holder.token.clone(), holder.good("a"));
        let sent = Sent::to("search.example");
        let dpop = sent.with(&proof);
        let bearer = Presented { token: token.as_bytes(), dpop: Shown::One(dpop), ..Presented::default() };
        let without = Presented { dpop: Shown::Nothing, is_dpop: true, ..bearer };
        let several = Presented { dpop: Shown::Several, is_dpop: true, ..bearer };
        for (presented, refusal) in
            [(bearer, Refusal::SentAsBearer), (without, Refusal::ProofMissing), (several, Refusal::SeveralProofs)]
        {
            let verdict = holder.callers.identify_sender(&presented, NOW, &NoNativeSignatures, &holder.memory);
            assert_eq!(verdict, Err(refusal));
        }

        let thief = Sender { key: Signer::new(), ..holder };
        let theirs = thief.good("b");
        // The holder's key in the header, the thief's signature.
        let (mut holder, header) = (Sender::new(), thief.header());
        let forged = thief.proof(&holder.header(), &holder.claims("c"));
        assert_eq!(holder.show(&forged, NOW, &NoNativeSignatures), Err(Refusal::ProofRefused("signature")));
        let claims = holder.claims("d");
        assert_eq!(holder.show(&thief.proof(&header, &claims), NOW, &NoNativeSignatures), Err(Refusal::WrongHolder));
        let mut thief = thief;
        assert_eq!(thief.show(&theirs, NOW, &NoNativeSignatures), Err(Refusal::WrongHolder));
    }

    #[test]
    fn a_proof_is_accepted_once() {
        let mut holder = Sender::new();
        let proof = holder.good("a");
        assert!(holder.show(&proof, NOW, &NoNativeSignatures).is_ok());
        for now in [0, 30, 69] {
            assert_eq!(holder.show(&proof, after(now), &NoNativeSignatures), Err(Refusal::ProofReplayed), "{now}");
        }
        assert_eq!(holder.show(&proof, after(70), &NoNativeSignatures), Err(Refusal::ProofRefused("iat")));
        assert_eq!(holder.show(&proof, NOW, &NoNativeSignatures), Err(Refusal::ProofRefused("iat")), "clock set back");
        let again = holder.proof(&holder.header(), &{
            let mut claims = holder.claims("a");
            claims["iat"] = json!(NOW_SECS + 70);
            claims
        });
        assert_eq!(holder.show(&again, after(71), &NoNativeSignatures), Err(Refusal::ProofReplayed), "the same jti");
    }

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_is_valid_whatever_is_forgotten_meanwhile() {
        let mut holder = Sender::new();
        let mut show = |id: &str, issued: u64, now: u64| {
            let mut claims = holder.claims(id);
            claims["iat"] = json!(NOW_SECS + issued);
            let proof = holder.proof(&holder.header(), &claims);
            holder.show(&proof, after(now), &NoNativeSignatures)
        };
        // Valid for 80 s, which is when the older half is forgotten.
        assert!(show("a", 0, 0).is_ok());
        assert!(show("b", 89, 79).is_ok());
        assert!(show("c", 80, 80).is_ok());
        for now in [80, 120, 158] {
            assert_eq!(show("b", 89, now), Err(Refusal::ProofReplayed), "{now}");
        }
        assert_eq!(show("b", 89, 159), Err(Refusal::ProofRefused("iat")));
    }

    #[test]
    fn proofs_for_another_request_token_time_or_purpose_are_refused() {
        let mut holder = Sender::new();
        for (name, values) in [
            ("jti", vec![json!(null), json!(7), json!("")]),
            ("htm", vec![json!(null), json!("GET"), json!("post"), json!(["POST"])]),
            (
                "htu",
                vec![
                    json!(null),
                    json!("https://search.example/v2/rerank/"),
                    json!("https://search.example/v1/rerank"),
                    json!("https://eve.example/v2/rerank"),
                    json!("http://search.example/v2/rerank"),
                    json!("https://search.example:8443/v2/rerank"),
                    json!("https://eve@search.example/v2/rerank"),
                    json!("/v2/rerank"),
                    json!(""),
                ],
            ),
            ("iat", vec![json!(null), json!(NOW_SECS - 70), json!(NOW_SECS + 11), json!("x"), json!(-1), json!(1e300)]),
            ("ath", vec![json!(null), json!(""), json!(encode(&[0; 32])), json!(encode(&Sha256::digest(b"other")))]),
        ] {
            for value in values {
                let mut claims = holder.claims("a");
                claims[name] = value.clone();
                let proof = holder.proof(&holder.header(), &claims);
                let refusal = holder.show(&proof, NOW, &NoNativeSignatures);
                assert_eq!(refusal, Err(Refusal::ProofRefused(name)), "{name}: {value}");
            }
        }
        for (name, value, what) in [
            ("typ", json!("JWT"), "typ"),
            ("typ", json!("at+jwt"), "typ"),
            ("alg", json!("none"), "alg"),
            ("alg", json!("HS256"), "alg"),
            ("alg", json!("RS256"), "alg"),
            ("alg", json!("ES256"), "jwk"),
            ("jwk", json!("x"), "jwk"),
            ("jwk", json!({"kty": "oct", "k": "AAAA"}), "jwk"),
            ("jku", json!("https://eve.example"), "form"),
            ("crit", json!(["x"]), "form"),
        ] {
            let mut header = holder.header();
            header[name] = value.clone();
            let proof = holder.proof(&header, &holder.claims("a"));
            assert_eq!(
                holder.show(&proof, NOW, &NoNativeSignatures),
                Err(Refusal::ProofRefused(what)),
                "{name}: {value}"
            );
        }
        for name in ["typ", "jwk", "alg"] {
            let mut header = holder.header();
            header.as_object_mut().unwrap().remove(name);
            let proof = holder.proof(&header, &holder.claims("a"));
            assert!(matches!(holder.show(&proof, NOW, &NoNativeSignatures), Err(Refusal::ProofRefused(_))), "{name}");
        }
        let mut private = holder.header();
        private["jwk"]["d"] = "AAAA".into();
        let proof = holder.proof(&private, &holder.claims("a"));
        assert_eq!(holder.show(&proof, NOW, &NoNativeSignatures), Err(Refusal::ProofRefused("jwk")), "a private key");
        for proof in ["", "x", "a.b.c", &format!("{},{}", holder.good("a"), holder.good("b"))] {
            assert_eq!(holder.show(proof, NOW, &NoNativeSignatures), Err(Refusal::ProofRefused("form")), "{proof}");
        }
        assert!(holder.show(&holder.good("a"), NOW, &NoNativeSignatures).is_ok(), "and nothing of this was remembered");
    }

    #[test]
    fn a_token_that_is_not_bound_is_no_dpop_token() {
        let signer = Signer::new();
        let (mut callers, token) = (callers(&inline(&[signer.jwk("ed")])), signer.token(&good()));
        let presented = Presented { token: token.as_bytes(), is_dpop: true, ..Presented::default() };
        let verdict = callers.identify_sender(&presented, NOW, &NoNativeSignatures, &LocalMemory::default());
        assert_eq!(verdict, Err(Refusal::NotBound));
    }

    #[test]
    fn curve_proofs_are_the_hosts_to_judge_and_refused_where_there_is_none() {
        /// Honest about the signatures a host is tested with.
        struct Says(Option<bool>);
        impl NativeSignatures for Says {
            fn verify(&self, hash: super::super::Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
                self.0.and_then(
                    |says| if text.len() > 100 { Some(says) } else { Host.verify(hash, spki, signature, text) },
                )
            }
        }
        // The key of RFC 9449, section 4.1, whose thumbprint stands in section 6.1.
        let jwk = json!({
            "kty": "EC", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256",
        });
        let mut holder = Sender::new();
        let issuer = Signer::new();
        holder.token = issuer.token(&with("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})));
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
        let proof = holder.proof(&header, &holder.claims("a"));
        for (says, verdict) in [
            (None, Err(Refusal::Bound)),
            (Some(false), Err(Refusal::ProofRefused("signature"))),
            (Some(true), Ok(Proof::BoundToKey)),
        ] {
            holder.callers = callers(&inline(&[issuer.jwk("ed")]));
            holder.memory = LocalMemory::default();
            assert_eq!(holder.show(&proof, NOW, &Says(says)), verdict);
        }
    }

    #[test]
    fn a_proof_is_for_the_origin_that_the_request_addresses_and_no_sender_chooses_one() {
        let mut holder = Sender::new();
        let mut show = |id: &str, authority: &str, address: &str| {
            let mut claims = holder.claims(id);
            claims["htu"] = json!(address);
            let proof = holder.proof(&holder.header(), &claims);
            holder.show_at(authority, &proof, NOW, &NoNativeSignatures)
        };
        for (id, authority, address) in [
            ("a", "search.example", URI),
            ("b", "SEARCH.example:443", "HTTPS://Search.Example:443/v2/rerank?y=2#z"),
            ("c", "rerank.example:8080", "http://rerank.example:8080/v2/rerank"),
        ] {
            assert_eq!(show(id, authority, address), Ok(Proof::BoundToKey), "{authority} {address}");
        }
        for (authority, address) in [
            // Relayed by somebody to whom the proof was shown, who writes what it says.
            ("evil.example", "http://evil.example/v2/rerank"),
            ("evil.example", "https://evil.example/v2/rerank"),
            ("evil.example", URI),
            // Both are ours, and it is the one while it was made for the other.
            ("search.example", "http://rerank.example:8080/v2/rerank"),
            ("rerank.example:8080", URI),
            // A scheme or port that is not the origin's.
            ("search.example", "http://search.example/v2/rerank"),
            ("search.example:80", "http://search.example/v2/rerank"),
            ("rerank.example:8080", "https://rerank.example:8080/v2/rerank"),
            ("rerank.example", "http://rerank.example/v2/rerank"),
        ] {
            assert_eq!(show("x", authority, address), Err(Refusal::ProofRefused("htu")), "{authority} {address}");
        }
    }

    #[test]
    fn where_no_proof_is_accepted_no_bound_token_is() {
        let (issuer, key) = (Signer::new(), Signer::new());
        let token = issuer.token(&with("cnf", json!({"jkt": key.thumbprint()})));
        let mut settings = inline(&[issuer.jwk("ed")]);
        settings["dpop"] = Value::Null;
        let mut callers = callers(&settings);
        for is_dpop in [true, false] {
            let presented = Presented { token: token.as_bytes(), is_dpop, ..Presented::default() };
            let verdict = callers.identify_sender(&presented, NOW, &NoNativeSignatures, &LocalMemory::default());
            assert_eq!(verdict, Err(Refusal::Bound));
            let challenge = callers.challenge(Refusal::Bound, is_dpop);
            assert!(challenge.values().all(|value| value.starts_with("Bearer ")));
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_proofs_never_panic_and_never_count(proof in "\\PC{0,80}") {
            let mut holder = Sender::new();
            proptest::prop_assert!(holder.show(&proof, NOW, &NoNativeSignatures).is_err());
        }
    }
}

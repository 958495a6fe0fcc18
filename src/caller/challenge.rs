//! How a caller that proved nothing is told to come again: the challenges of a 401 (RFC 6750, section 3; RFC 9449, section 7.1).

use super::refusal::Refusal;

/// The values of `WWW-Authenticate`, one for each scheme that would do. They name no claim and no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    values: Vec<String>,
    is_bare: bool,
}

impl Challenge {
    /// The challenge after `refusal`. `is_dpop`: the token stood behind `DPoP `. `algorithms`: those of proofs, with blanks between;
    /// none where no proof is accepted.
    pub(super) fn new(refusal: Refusal, is_dpop: bool, algorithms: Option<&str>) -> Self {
        let error = refusal.error();
        let attribute = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
        let bearer = || format!("Bearer realm=\"{REALM}\"{attribute}");
        let Some(algorithms) = algorithms else { return Self { values: vec![bearer()], is_bare: error.is_none() } };
        let dpop = || format!("DPoP realm=\"{REALM}\"{attribute}, algs=\"{algorithms}\"");
        let values = match (error, refusal) {
            // Nothing was shown, so nothing is wrong with it: either scheme will do, and no error is told (RFC 6750, section 3.1).
            (None, _) => vec![bearer(), dpop()],
            // Right token, wrong scheme.
            (Some(_), Refusal::SentAsBearer) => vec![dpop()],
            (Some(_), Refusal::NotBound) => vec![bearer()],
            (Some(_), _) if is_dpop => vec![dpop()],
            (Some(_), _) => vec![bearer()],
        };
        Self { values, is_bare: error.is_none() }
    }

    /// The values of the `WWW-Authenticate` fields.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    /// Whether no token was shown at all.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.is_bare
    }
}

const REALM: &str = "rerank-guard";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_those_of_rfc_6750_and_rfc_9449() {
        let bearer = "Bearer realm=\"rerank-guard\"";
        let dpop = "DPoP realm=\"rerank-guard\"";
        let algs = ", algs=\"ES256 EdDSA\"";
        let with = |scheme: &str, error: &str| format!("{scheme}, error=\"{error}\"");
        for (refusal, is_dpop, values) in [
            (Refusal::NoToken, false, vec![bearer.to_owned(), format!("{dpop}{algs}")]),
            (Refusal::NotAToken, false, vec![bearer.to_owned(), format!("{dpop}{algs}")]),
            (Refusal::UnknownPeer, false, vec![bearer.to_owned(), format!("{dpop}{algs}")]),
            (Refusal::SeveralTokens, false, vec![with(bearer, "invalid_request")]),
            (Refusal::Expired, false, vec![with(bearer, "invalid_token")]),
            (Refusal::BadSignature, false, vec![with(bearer, "invalid_token")]),
            (Refusal::CertificateMissing, false, vec![with(bearer, "invalid_token")]),
            (Refusal::SentAsBearer, false, vec![with(dpop, "invalid_token") + algs]),
            (Refusal::NotBound, true, vec![with(bearer, "invalid_token")]),
            (Refusal::Expired, true, vec![with(dpop, "invalid_token") + algs]),
            (Refusal::WrongHolder, true, vec![with(dpop, "invalid_token") + algs]),
            (Refusal::ProofMissing, true, vec![with(dpop, "invalid_dpop_proof") + algs]),
            (Refusal::SeveralProofs, true, vec![with(dpop, "invalid_dpop_proof") + algs]),
            (Refusal::ProofRefused("htm"), true, vec![with(dpop, "invalid_dpop_proof") + algs]),
            (Refusal::ProofReplayed, true, vec![with(dpop, "invalid_dpop_proof") + algs]),
        ] {
            let challenge = Challenge::new(refusal, is_dpop, Some("ES256 EdDSA"));
            assert_eq!(challenge.values().collect::<Vec<_>>(), values, "{refusal:?}");
            assert_eq!(challenge.is_bare(), values.len() == 2, "{refusal:?}");
            let without = Challenge::new(refusal, is_dpop, None);
            assert!(without.values().all(|value| value.starts_with("Bearer ")), "no proof is accepted: {refusal:?}");
            assert_eq!(without.is_bare(), challenge.is_bare());
        }
    }
}

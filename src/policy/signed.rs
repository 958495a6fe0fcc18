//! Bundles from elsewhere: signed, and never older than what there is.
//!
//! The envelope is `{"payload": base64(bundle), "signatures": [{"key": id, "sig": base64}]}`. Each signature is Ed25519 (RFC
//! 8032) over `rerank-policy/v1`, a line feed and the bundle's bytes as they are, so that nothing has to be brought into a
//! canonical form before it is trusted. Two keys can sign while one is replaced by the other: one signature by a trusted key is
//! enough, signatures by unknown keys say nothing, and a wrong one under a trusted key's name refuses the whole.

use super::FetchReason;
use super::{Flaw, Policy};
use crate::caller::is_published_ed25519;
use crate::json;
use crate::time::Time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{PublicKey, Signature};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The largest envelope that is looked at, in bytes.
pub const ENVELOPE_BYTES: usize = 24 << 20;

/// A key that bundles may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    id: String,
    key: PublicKey,
}

impl TrustedKey {
    /// Reads a public key: its 32 bytes in base64. None for anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::from_bytes(&STANDARD.decode(text).ok()?)
    }

    /// Takes the 32 bytes of a public key. None for others, and for points that sign anything (of small order).
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = PublicKey::from_slice(bytes).ok()?;
        key.validate().ok()?;
        Some(Self { id: key_id(bytes), key })
    }

    /// The key's name in envelopes: the first 8 bytes of its SHA-256, in hexadecimal. A key cannot be called by another's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether everybody can sign with it.
    pub(crate) fn is_published(&self) -> bool {
        is_published_ed25519(&*self.key)
    }
}

/// The name of the public key with these bytes; see [`TrustedKey::id`].
#[must_use]
pub fn key_id(bytes: &[u8]) -> String {
    super::digest(bytes).chars().take(16).collect()
}

/// What is signed for a bundle.
#[must_use]
pub fn signed_bytes(bundle: &[u8]) -> Vec<u8> {
    [b"rerank-policy/v1\n", bundle].concat()
}

/// A bundle with its signatures, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The bundle's bytes, in base64.
    pub payload: String,
    /// Who signed it: each key once, and at most [`MOST_SIGNATURES`].
    #[serde(deserialize_with = "few")]
    pub signatures: Vec<SignedBy>,
}

/// More signatures than this are not looked at: whoever serves an envelope writes it.
pub const MOST_SIGNATURES: usize = 8;

/// Reads one signature more than there may be; the others are passed over.
fn few<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<SignedBy>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<SignedBy>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an array of signatures")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut few = Vec::new();
            while few.len() <= MOST_SIGNATURES {
                let Some(one) = items.next_element()? else { return Ok(few) };
                few.push(one);
            }
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(few)
        }
    }

    reader.deserialize_seq(Few)
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBy {
    /// The [`TrustedKey::id`].
    pub key: String,
    /// The 64 bytes of the signature, in base64.
    pub sig: String,
}

/// What a bundle from elsewhere must be.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'t> {
    /// The keys trusted now.
    pub keys: &'t [TrustedKey],
    /// The only bundle id that is taken.
    pub id: &'t str,
    /// The lowest serial that is taken.
    pub min_serial: u64,
    /// The bundle in force, if there is one from the same source.
    pub current: Option<&'t Policy>,
    /// Now.
    pub now: Time,
}

/// Why a bundle from elsewhere is not taken; what is in force stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The envelope has more bytes than this.
    TooLarge(usize),
    /// It is no envelope.
    NoEnvelope,
    /// It has more signatures than are looked at, or two under one key's name.
    Crowded,
    /// No trusted key signed it.
    Unsigned,
    /// A signature under this trusted key's name is wrong.
    Forged(String),
    /// What was signed is no valid bundle.
    Flawed(Vec<Flaw>),
    /// It is another bundle.
    Foreign(String),
    /// Its serial is below the lowest one that is taken.
    BelowFloor(u64),
    /// Its serial is below that of the bundle in force, or of one that was in force in another worker.
    Older(u64),
    /// It has the serial of the bundle in force, and is another one.
    Conflicting(u64),
    /// It has no `not_after`: whoever holds it back could keep it in force for ever.
    Endless,
    /// It is past its `not_after`.
    Expired,
    /// It asks for what cannot be done under this configuration.
    Unfit(Vec<String>),
    /// Nobody knows whether the process has taken a newer one.
    NoMemory,
}

impl Refused {
    /// Its word in metrics and records.
    #[must_use]
    pub const fn reason(&self) -> FetchReason {
        match self {
            Self::TooLarge(_) => FetchReason::TooLarge,
            Self::NoEnvelope => FetchReason::NoEnvelope,
            Self::Crowded => FetchReason::Crowded,
            Self::Unsigned => FetchReason::Unsigned,
            Self::Forged(_) => FetchReason::Forged,
            Self::Flawed(_) => FetchReason::Flawed,
            Self::Foreign(_) => FetchReason::Foreign,
            Self::BelowFloor(_) => FetchReason::BelowFloor,
            Self::Older(_) => FetchReason::Older,
            Self::Conflicting(_) => FetchReason::Conflicting,
            Self::Endless => FetchReason::Endless,
            Self::Expired => FetchReason::Expired,
            Self::Unfit(_) => FetchReason::Unfit,
            Self::NoMemory => FetchReason::NoMemory,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(most) => write!(out, "the envelope has more than {most} bytes"),
            Self::NoEnvelope => out.write_str("no envelope of a signed bundle"),
            Self::Crowded => {
                write!(out, "the envelope has more than {MOST_SIGNATURES} signatures, or two under one key's name")
            }
            Self::Unsigned => out.write_str("no trusted key signed the bundle"),
            Self::Forged(key) => write!(out, "the signature of key `{key}` is wrong"),
            Self::Flawed(flaws) => {
                write!(out, "the bundle has {} flaws", flaws.len())?;
                flaws.first().map_or(Ok(()), |flaw| write!(out, ", the first: {flaw}"))
            }
            Self::Foreign(id) => write!(out, "the bundle is `{id}`, another one"),
            Self::BelowFloor(serial) => write!(out, "serial {serial} is below the lowest one taken"),
            Self::Older(serial) => write!(out, "serial {serial} is older than one that was in force in this process"),
            Self::Conflicting(serial) => write!(out, "serial {serial} is in force already, with another bundle"),
            Self::Endless => out.write_str("the bundle has no `not_after`"),
            Self::Expired => out.write_str("the bundle is past its `not_after`"),
            Self::NoMemory => {
                out.write_str("nobody knows what was in force in this process: its shared memory is not available")
            }
            Self::Unfit(why) => write!(out, "the bundle cannot be carried out here: {}", why.join("; ")),
        }
    }
}

impl std::error::Error for Refused {}

/// Opens an envelope: signatures first, and only then what they sign. The same bundle as the one in force is taken again.
///
/// # Errors
/// See [`Refused`].
pub fn open(envelope: &[u8], terms: &Terms<'_>) -> Result<Policy, Refused> {
    admit(&verify(envelope, terms.keys)?, terms)
}

/// Reads a bundle whose signature was verified, and holds it against what there is.
///
/// # Errors
/// See [`Refused`].
pub fn admit(bundle: &[u8], terms: &Terms<'_>) -> Result<Policy, Refused> {
    let policy = Policy::load(bundle).map_err(Refused::Flawed)?;
    let serial = policy.serial();
    if policy.id() != terms.id {
        return Err(Refused::Foreign(policy.id().to_owned()));
    }
    if serial < terms.min_serial {
        return Err(Refused::BelowFloor(serial));
    }
    if let Some(current) = terms.current {
        if serial < current.serial() {
            return Err(Refused::Older(serial));
        }
        if serial == current.serial() && policy.digest() != current.digest() {
            return Err(Refused::Conflicting(serial));
        }
    }
    match policy.not_after() {
        None => Err(Refused::Endless),
        Some(end) if terms.now >= end => Err(Refused::Expired),
        Some(_) => Ok(policy),
    }
}

/// The bundle's bytes, if a trusted key signed them.
///
/// # Errors
/// [`Refused::TooLarge`], [`Refused::NoEnvelope`], [`Refused::Crowded`], [`Refused::Unsigned`] and [`Refused::Forged`].
pub fn verify(envelope: &[u8], keys: &[TrustedKey]) -> Result<Vec<u8>, Refused> {
    verify_by(envelope, keys).map(|(bundle, _)| bundle)
}

/// As [`verify`], with the keys that signed it.
pub(crate) fn verify_by<'k>(
    envelope: &[u8],
    keys: &'k [TrustedKey],
) -> Result<(Vec<u8>, Vec<&'k TrustedKey>), Refused> {
    if envelope.len() > ENVELOPE_BYTES {
        return Err(Refused::TooLarge(ENVELOPE_BYTES));
    }
    let envelope: Envelope = json::read(envelope).map_err(|_| Refused::NoEnvelope)?;
    // Before any cryptography: a signature costs as much as the bundle is long, and repeating one is free.
    let mut names: Vec<_> = envelope.signatures.iter().map(|signature| signature.key.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if envelope.signatures.len() > MOST_SIGNATURES || names.len() < envelope.signatures.len() {
        return Err(Refused::Crowded);
    }
    let bundle = STANDARD.decode(&envelope.payload).map_err(|_| Refused::NoEnvelope)?;
    let signed = signed_bytes(&bundle);
    let mut by = Vec::new();
    for signature in &envelope.signatures {
        let Some(trusted) = keys.iter().find(|key| key.id == signature.key) else { continue };
        let bytes = STANDARD.decode(&signature.sig).ok();
        let right = bytes
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| trusted.key.verify(&signed, &signature).is_ok());
        if !right {
            return Err(Refused::Forged(trusted.id.clone()));
        }
        by.push(trusted);
    }
    if by.is_empty() { Err(Refused::Unsigned) } else { Ok((bundle, by)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_compact::{KeyPair, Seed};
    use serde_json::json;

    fn pair(seed: u8) -> KeyPair {
        KeyPair::from_seed(Seed::new([seed; 32]))
    }

    fn trusted(seed: u8) -> TrustedKey {
        TrustedKey::from_bytes(&*pair(seed).pk).unwrap()
    }

    fn bundle(id: &str, serial: u64, not_after: Option<&str>) -> Vec<u8> {
        let mut bundle = json!({"schema": "rerank-guard/v1", "bundle": {"id": id, "serial": serial}, "rules": []});
        if let Some(end) = not_after {
            bundle["bundle"]["not_after"] = json!(end);
        }
        bundle.to_string().into_bytes()
    }

    fn sealed(bundle: &[u8], seeds: &[u8]) -> Envelope {
        let signature = |seed: &u8| SignedBy {
            key: trusted(*seed).id,
            sig: STANDARD.encode(*pair(*seed).sk.sign(signed_bytes(bundle), None)),
        };
        Envelope { payload: STANDARD.encode(bundle), signatures: seeds.iter().map(signature).collect() }
    }

    fn opened(envelope: &Envelope, current: Option<&Policy>) -> Result<u64, Refused> {
        let (keys, text) = ([trusted(1), trusted(2)], serde_json::to_vec(envelope).unwrap());
        let now = Time::parse("2026-11-23").unwrap();
        let terms = Terms { keys: &keys, id: "search", min_serial: 10, current, now };
        open(&text, &terms).map(|policy| policy.serial())
    }

    const LATER: Option<&str> = Some("2027-01-01");

    #[test]
    fn one_trusted_signature_is_enough_and_unknown_ones_say_nothing() {
        let bundle = bundle("search", 12, LATER);
        for (seeds, outcome) in [
            (&[1][..], Ok(12)),
            (&[2], Ok(12)),
            (&[1, 2], Ok(12)),
            (&[3, 1], Ok(12)),
            (&[3], Err(Refused::Unsigned)),
            (&[], Err(Refused::Unsigned)),
        ] {
            assert_eq!(opened(&sealed(&bundle, seeds), None), outcome, "{seeds:?}");
        }
    }

    #[test]
    fn each_key_signs_once_and_few_do_before_any_signature_is_looked_at() {
        let bundle = bundle("search", 12, LATER);
        let good = sealed(&bundle, &[1]);
        let others: Vec<u8> = (3..10).collect();
        for (seeds, outcome) in [
            ([&[1][..], &others].concat(), Ok(12)),
            ([&[1][..], &others, &[10]].concat(), Err(Refused::Crowded)),
            (vec![1, 1], Err(Refused::Crowded)),
            (vec![1, 2, 1], Err(Refused::Crowded)),
            (vec![1, 3, 3], Err(Refused::Crowded)),
        ] {
            assert_eq!(opened(&sealed(&bundle, &seeds), None), outcome, "{seeds:?}");
        }
        let mut many = good.clone();
        many.signatures = vec![good.signatures[0].clone(); 30_000];
        let text = serde_json::to_vec(&many).unwrap();
        assert_eq!(verify(&text, &[trusted(1)]), Err(Refused::Crowded));
        // What is wrong behind the ninth is not even read as a signature, but must be JSON.
        let mut text = String::from_utf8(text).unwrap();
        text.truncate(text.len() - 2);
        assert_eq!(verify(format!("{text},7]}}").as_bytes(), &[trusted(1)]), Err(Refused::Crowded));
        assert_eq!(verify(format!("{text},]}}").as_bytes(), &[trusted(1)]), Err(Refused::NoEnvelope));
    }

    #[test]
    fn a_wrong_signature_under_a_trusted_name_refuses_the_whole() {
        let bundle = bundle("search", 12, LATER);
        let forged = Err(Refused::Forged(trusted(1).id));
        let good = sealed(&bundle, &[1, 2]);
        for wrong in ["", "AAAA", &STANDARD.encode([0; 64]), &sealed(&bundle, &[3]).signatures[0].sig, "-"] {
            let mut envelope = good.clone();
            envelope.signatures[0].sig = wrong.to_owned();
            assert_eq!(opened(&envelope, None), forged, "{wrong}");
        }
        let mut changed = good.clone();
        changed.payload = STANDARD.encode([&bundle[..], b" "].concat());
        assert_eq!(opened(&changed, None), forged);
        // Signed without the prefix, as if it were some other message of the same key.
        let mut bare = good;
        bare.signatures[0].sig = STANDARD.encode(*pair(1).sk.sign(&bundle, None));
        assert_eq!(opened(&bare, None), forged);
    }

    #[test]
    fn old_foreign_ending_and_flawed_bundles_are_refused_though_signed() {
        let current = Policy::load(&bundle("search", 12, LATER)).unwrap();
        for (bundle, outcome) in [
            (bundle("search", 13, LATER), Ok(13)),
            (bundle("search", 12, LATER), Ok(12)),
            (bundle("search", 12, Some("2027-01-02")), Err(Refused::Conflicting(12))),
            (bundle("search", 11, LATER), Err(Refused::Older(11))),
            (bundle("search", 9, LATER), Err(Refused::BelowFloor(9))),
            (bundle("other", 13, LATER), Err(Refused::Foreign("other".to_owned()))),
            (bundle("search", 13, None), Err(Refused::Endless)),
            (bundle("search", 13, Some("2026-11-23")), Err(Refused::Expired)),
        ] {
            assert_eq!(opened(&sealed(&bundle, &[1]), Some(&current)), outcome);
        }
        assert!(matches!(opened(&sealed(b"{}", &[1]), None), Err(Refused::Flawed(_))));
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let good = serde_json::to_string(&sealed(&bundle("search", 12, LATER), &[1])).unwrap();
        let keys = [trusted(1)];
        assert!(verify(good.as_bytes(), &keys).is_ok());
        let cut = good.get(..good.len() - 5).unwrap();
        for text in
            ["", "{}", cut, &good.replacen('{', "{\"more\":1,", 1), &good.replacen('{', "{\"payload\":\"\",", 1)]
        {
            assert_eq!(verify(text.as_bytes(), &keys), Err(Refused::NoEnvelope), "{text}");
        }
        assert_eq!(verify(&vec![b' '; ENVELOPE_BYTES + 1], &keys), Err(Refused::TooLarge(ENVELOPE_BYTES)));
    }

    #[test]
    fn keys_that_sign_anything_are_no_keys() {
        assert!(TrustedKey::from_bytes(&[0; 32]).is_none() && TrustedKey::from_bytes(&[1; 31]).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(TrustedKey::from_bytes(&one).is_none());
        assert!(TrustedKey::read(&STANDARD.encode(*pair(1).pk)).is_some() && TrustedKey::read("?").is_none());
    }
}

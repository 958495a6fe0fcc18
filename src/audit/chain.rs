//! The hash chain: each record of one VM names the hash of the one before, so that an edit, a gap or another order shows.

use crate::hexadecimal::hexadecimal;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What stands before a record when it is hashed, so that no other text can have the same hash.
const DOMAIN: &[u8] = b"rerank-guard/record/v1\n";

/// Bytes for what the chain adds to a record, with a name of usual length.
pub(super) const ROOM: usize = 320;

/// One VM's chain. Its first record has `prev: null`.
#[derive(Debug, Clone)]
pub struct Chain {
    /// As a JSON string.
    name: String,
    sequence: u64,
    previous: Option<String>,
}

impl Chain {
    /// A chain whose name no other VM has: `gateway` and 8 random bytes.
    #[must_use]
    pub fn new(gateway: &str, random: u64) -> Self {
        let name = serde_json::Value::from(format!("{gateway}/{random:016x}")).to_string();
        Self { name, sequence: 0, previous: None }
    }

    /// Seals a record: `members` is the inside of a JSON object, without braces.
    #[must_use]
    pub fn seal(&mut self, members: &str) -> String {
        let mut record = String::with_capacity(members.len().saturating_add(ROOM));
        record.push('{');
        record.push_str(members);
        self.close(record)
    }

    /// Seals a record that is written but for its closing brace. The hash is over the object without its last member, `hash`, exactly
    /// as written, so that a verifier needs no canonical form: it cuts off `,"hash":"…"}` and hashes the rest with `}`.
    #[must_use]
    pub fn close(&mut self, mut record: String) -> String {
        record.reserve(ROOM);
        let _ = write!(record, ",\"chain\":{},\"seq\":{},\"prev\":", self.name, self.sequence);
        match &self.previous {
            Some(hash) => {
                record.push('"');
                record.push_str(hash);
                record.push('"');
            }
            None => record.push_str("null"),
        }
        let hash = digest(&[DOMAIN, record.as_bytes(), b"}"]);
        record.push_str(",\"hash\":\"");
        record.push_str(&hash);
        record.push_str("\"}");
        self.sequence = self.sequence.saturating_add(1);
        self.previous = Some(hash);
        record
    }
}

/// What is wrong with a chain of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The line is no sealed record.
    Unreadable,
    /// The record does not have the hash it names: it was edited.
    Edited,
    /// Another record stood before it: one is missing, doubled or moved.
    Unlinked,
}

/// Checks that `record` is what was sealed, and that it follows `previous` (the hash of the record before; None for the first).
/// Gives its own hash.
///
/// # Errors
/// What is wrong.
pub fn verify(record: &str, previous: Option<&str>) -> Result<String, Broken> {
    let at = record.rfind(",\"hash\":\"").ok_or(Broken::Unreadable)?;
    let (body, tail) = (record.get(..at).ok_or(Broken::Unreadable)?, record.get(at..).ok_or(Broken::Unreadable)?);
    let stated =
        tail.strip_prefix(",\"hash\":\"").and_then(|tail| tail.strip_suffix("\"}")).ok_or(Broken::Unreadable)?;
    if digest(&[DOMAIN, body.as_bytes(), b"}"]) != stated {
        return Err(Broken::Edited);
    }
    let names: Names = serde_json::from_str(record).map_err(|_| Broken::Unreadable)?;
    if names.prev.as_deref() != previous || (names.seq == 0) != previous.is_none() {
        return Err(Broken::Unlinked);
    }
    Ok(stated.to_owned())
}

#[derive(serde::Deserialize)]
struct Names {
    seq: u64,
    prev: Option<String>,
}

/// `sha256:` and 64 hexadecimal digits, over `parts` one after the other.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hexadecimal("sha256:", &hash.finalize())
}

/// `hmac-sha256:` and 64 hexadecimal digits (RFC 2104). None is never given: HMAC takes a key of any length.
#[must_use]
pub fn keyed_digest(key: &[u8], content: &[u8]) -> Option<String> {
    let mut digest = KeyedDigest::new(key)?;
    digest.update(content);
    Some(digest.finish())
}

/// A [`keyed_digest`] of content that comes in parts.
pub struct KeyedDigest(Hmac<Sha256>);

impl KeyedDigest {
    /// Of nothing yet. None is never given: HMAC takes a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// More of the content.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The digest of all parts, one after the other.
    #[must_use]
    pub fn finish(self) -> String {
        hexadecimal("hmac-sha256:", &self.0.finalize().into_bytes())
    }
}

impl std::fmt::Debug for KeyedDigest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The state tells of the key.
        out.write_str("KeyedDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'abc' | sha256sum`
    #[test]
    fn digests_are_those_of_sha256sum() {
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&[b"a", b"bc"]), expected);
    }

    /// RFC 4231, test case 2.
    #[test]
    fn keyed_digests_are_those_of_rfc_4231() {
        let expected = "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(keyed_digest(b"Jefe", b"what do ya want for nothing?").unwrap(), expected);
        let mut digest = KeyedDigest::new(b"Jefe").unwrap();
        ["what do ", "", "ya want", " for nothing?"].iter().for_each(|part| digest.update(part.as_bytes()));
        assert_eq!(digest.finish(), expected);
    }

    #[test]
    fn a_chain_verifies_and_every_change_of_it_shows() {
        let mut chain = Chain::new("eu1/\"rerank\"", 7);
        let records: Vec<_> = (0..4).map(|n| chain.seal(&format!("\"v\":1,\"n\":{n}"))).collect();
        let walk = |records: &[String]| {
            let mut previous: Option<String> = None;
            for record in records {
                previous = Some(verify(record, previous.as_deref())?);
            }
            Ok::<_, Broken>(previous)
        };
        assert!(walk(&records).is_ok());
        for record in &records {
            assert!(serde_json::from_str::<serde_json::Value>(record).is_ok(), "{record}");
        }
        let mut edited = records.clone();
        edited[1] = edited[1].replace("\"n\":1", "\"n\":9");
        assert_eq!(walk(&edited), Err(Broken::Edited));
        let gap = [records[0].clone(), records[2].clone()];
        assert_eq!(walk(&gap), Err(Broken::Unlinked));
        assert_eq!(walk(&records[1..]), Err(Broken::Unlinked));
        let swapped = [records[0].clone(), records[2].clone(), records[1].clone()];
        assert_eq!(walk(&swapped), Err(Broken::Unlinked));
        assert_eq!(walk(&["{}".to_owned()]), Err(Broken::Unreadable));
    }
}

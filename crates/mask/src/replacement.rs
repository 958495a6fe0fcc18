//! What stands in the place of a finding.

use super::kind::{Kind, What};
use super::view::Form;
use std::rc::Rc;

/// A compiled `replace` of a mask, for one kind.
#[derive(Debug, Clone)]
pub(super) struct Replacement {
    pub(super) what: What,
    /// Takes the whole member or value along.
    pub(super) drops: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text { plain: String, json: String },
    SameLength,
    Last(usize),
    Domain,
    Pseudonym { id: String, key: Rc<[u8]> },
}

/// Why a `replace` cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Placeholder,
    Key,
}

impl Replacement {
    /// Reads `template` for findings of `kind`; `keys` are those of pseudonyms, by name.
    pub(super) fn compile(template: &str, what: impl Into<What>, keys: &[(&str, &[u8])]) -> Result<Self, Unusable> {
        let what = what.into();
        if template == "{drop}" {
            // Where there is no member or value to drop, in a name or a text body, a label must do.
            let pieces = vec![text(&format!("[{}]", what.name()))];
            return Ok(Self { what, drops: true, pieces });
        }
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or(Unusable::Placeholder)?;
            add(&mut pieces, text(before));
            add(&mut pieces, placeholder(name, &what, keys)?);
            rest = behind;
        }
        add(&mut pieces, text(rest));
        let stray = pieces.iter().any(|piece| matches!(piece, Piece::Text { plain, .. } if plain.contains(['{', '}'])));
        if stray { Err(Unusable::Placeholder) } else { Ok(Self { what, drops: false, pieces }) }
    }

    /// How much it gives away: what gives away less comes first.
    pub(super) fn reveals(&self) -> u8 {
        let of = |piece: &Piece| match piece {
            Piece::Text { .. } => 1,
            Piece::Pseudonym { .. } => 2,
            Piece::SameLength => 3,
            Piece::Last(_) | Piece::Domain => 4,
        };
        if self.drops { 0 } else { self.pieces.iter().map(of).max().unwrap_or(1) }
    }

    /// Appends what stands in the place of `value`, which is as the detectors see it.
    pub(super) fn write(&self, value: &[u8], form: Form, out: &mut String) {
        self.write_pieces(value, form, true, out);
    }

    /// As [`write`](Self::write), for a value that is no text, or more than the finding: nothing of it is kept.
    pub(super) fn write_instead(&self, value: &[u8], form: Form, out: &mut String) {
        self.write_pieces(value, form, false, out);
    }

    fn write_pieces(&self, value: &[u8], form: Form, keeps: bool, out: &mut String) {
        for piece in &self.pieces {
            if !keeps && matches!(piece, Piece::SameLength | Piece::Last(_) | Piece::Domain) {
                continue;
            }
            match (piece, form) {
                (Piece::Text { plain, .. }, Form::Plain) => out.push_str(plain),
                (Piece::Text { json, .. }, Form::Json | Form::Bare) => out.push_str(json),
                (Piece::SameLength, _) => {
                    let characters = value.iter().filter(|byte| !(0x80..0xc0).contains(*byte)).count();
                    out.extend(std::iter::repeat_n('*', characters));
                }
                (Piece::Last(count), _) => {
                    let known = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
                    // Never more than half.
                    let skipped = known - (*count).min(known / 2);
                    let last = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).skip(skipped);
                    out.extend(last.map(|byte| char::from(*byte)));
                }
                (Piece::Domain, _) => {
                    let at = value.iter().rposition(|byte| *byte == b'@').map_or(value.len(), |at| at + 1);
                    let rest = value.get(at..).unwrap_or_default();
                    // Only of an address: what was masked along with it may be anything.
                    let is_domain =
                        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || *byte >= 0x80;
                    let length = rest.iter().position(|byte| !is_domain(byte)).unwrap_or(rest.len());
                    out.push_str(std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or_default());
                }
                (Piece::Pseudonym { id, key }, _) => {
                    out.push_str(id);
                    out.push(':');
                    pseudonym(&self.what, value, key, out);
                }
            }
        }
    }
}

/// Adds a piece. Texts that follow each other become one, which is written at once: most replacements are nothing else.
fn add(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Text { plain, json }), Piece::Text { plain: more, json: more_json }) => {
            plain.push_str(&more);
            json.push_str(&more_json);
        }
        (_, piece) => pieces.push(piece),
    }
}

fn text(plain: &str) -> Piece {
    Piece::Text { plain: plain.to_owned(), json: plain.replace('\\', r"\\").replace('"', r#"\""#) }
}

fn placeholder(name: &str, what: &What, keys: &[(&str, &[u8])]) -> Result<Piece, Unusable> {
    Ok(match name.split_once(':').unwrap_or((name, "")) {
        ("kind", "") => text(what.name()),
        ("same_length", "") => Piece::SameLength,
        // More than four characters of a value can still be a finding, and are too much of most.
        ("last", count @ ("1" | "2" | "3" | "4")) if *what != Kind::PrivateKey && *what != Kind::UrlCredentials => {
            Piece::Last(count.parse().map_err(|_| Unusable::Placeholder)?)
        }
        ("domain", "") if *what == Kind::Email => Piece::Domain,
        ("pseudonym", id) if is_id(id) => {
            let (_, key) = keys.iter().find(|(known, _)| *known == id).ok_or(Unusable::Key)?;
            // A short key could be searched for, and with it every value.
            let key = Some(*key).filter(|key| key.len() >= 32).ok_or(Unusable::Key)?;
            Piece::Pseudonym { id: id.to_owned(), key: key.into() }
        }
        _ => return Err(Unusable::Placeholder),
    })
}

/// Names of keys stand in bodies: short, and nothing a detector could take for a number.
fn is_id(id: &str) -> bool {
    let letters = id.trim_end_matches(|digit: char| digit.is_ascii_digit());
    (1..=8).contains(&id.len())
        && id.len() - letters.len() <= 3
        && !letters.is_empty()
        && letters.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Twenty letters for 80 bits of an HMAC-SHA-256 over kind and value: the same for the same value and key, so that records can be
/// joined, and of no use without the key. Letters alone, so that no detector takes them for a number.
fn pseudonym(what: &What, value: &[u8], key: &[u8], out: &mut String) {
    const LETTERS: &[u8; 16] = b"bcdfghjklmnpqrst";
    let mut mac = hmac_sha256::HMAC::new(key);
    mac.update(what.name().as_bytes());
    mac.update([0]);
    mac.update(canonical(what, value));
    let mac = mac.finalize();
    for byte in mac.iter().take(10) {
        for half in [byte >> 4, byte & 15] {
            out.extend(LETTERS.get(usize::from(half)).map(|letter| char::from(*letter)));
        }
    }
}

/// The value however it was written: in lower case and, where separators mean nothing, without them.
fn canonical(what: &What, value: &[u8]) -> Vec<u8> {
    let What::Kind(kind) = what else { return value.trim_ascii().to_ascii_lowercase() };
    let separated = matches!(
        kind,
        Kind::Email
            | Kind::IpAddress
            | Kind::Jwt
            | Kind::ApiKey
            | Kind::BearerToken
            | Kind::UrlCredentials
            | Kind::DateOfBirth
    );
    let cased = matches!(
        kind,
        Kind::Jwt | Kind::ApiKey | Kind::BearerToken | Kind::UrlCredentials | Kind::CryptoAddress | Kind::PrivateKey
    );
    let kept = value.iter().filter(|byte| separated || byte.is_ascii_alphanumeric() || **byte >= 0x80);
    kept.map(|byte| if cased { *byte } else { byte.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"a key of at least thirty-two bytes";

    fn replaced(template: &str, kind: Kind, value: &str) -> String {
        let mut out = String::new();
        Replacement::compile(template, kind, &[("k1", KEY)]).unwrap().write(value.as_bytes(), Form::Plain, &mut out);
        out
    }

    #[test]
    fn placeholders_say_what_is_kept_of_a_value() {
        for (template, kind, value, wanted) in [
            ("[{kind}]", Kind::Email, "a@b.de", "[email]"),
            ("", Kind::Email, "a@b.de", ""),
            ("{same_length}", Kind::Phone, "+49 30 1", "********"),
            ("{same_length}", Kind::Email, "é@b.de", "******"),
            ("****{last:4}", Kind::CreditCard, "4111 1111 1111 1234", "****1234"),
            ("{last:4}", Kind::Phone, "12-345", "45"),
            ("***@{domain}", Kind::Email, "ann@Example.org", "***@Example.org"),
            ("{kind}/{same_length}/{last:1}", Kind::Iban, "DE1", "iban/***/1"),
            ("{drop}", Kind::Iban, "DE1", "[iban]"),
        ] {
            assert_eq!(replaced(template, kind, value), wanted);
        }
    }

    #[test]
    fn pseudonyms_are_the_same_however_a_value_is_written_and_differ_by_kind_value_and_key() {
        let of = |kind, value| replaced("[{kind}:{pseudonym:k1}]", kind, value);
        assert_eq!(of(Kind::CreditCard, "4111 1111 1111 1111"), of(Kind::CreditCard, "4111-1111-1111-1111"));
        assert_eq!(of(Kind::Email, "Ann@Example.org"), of(Kind::Email, "ann@example.org"));
        assert_ne!(of(Kind::Email, "ann@example.org"), of(Kind::Email, "an.n@example.org"));
        assert_ne!(of(Kind::Phone, "123456789"), of(Kind::UsSsn, "123456789").replace("us_ssn", "phone"));
        let other = Replacement::compile("{pseudonym:k1}", Kind::Email, &[("k1", &[7; 32])]).unwrap();
        let mut out = String::new();
        other.write(b"ann@example.org", Form::Plain, &mut out);
        assert_ne!(format!("[email:{out}]"), of(Kind::Email, "ann@example.org"));
        // By another implementation of RFC 2104:
        // hmac.new(KEY, b"email\0ann@example.org", "sha256").digest()[:10], each half byte as a letter.
        assert_eq!(of(Kind::Email, "ann@example.org"), "[email:k1:nqcbqchjmngbrkpckpsr]");
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        for (template, kind) in [
            ("{nid}", Kind::Email),
            ("{", Kind::Email),
            ("}", Kind::Email),
            ("{kind", Kind::Email),
            ("{last:5}", Kind::Phone),
            ("{last:0}", Kind::Phone),
            ("{last}", Kind::Phone),
            ("{last:4}", Kind::PrivateKey),
            ("{domain}", Kind::Phone),
            ("x{drop}", Kind::Phone),
            ("{kind:x}", Kind::Phone),
            ("{pseudonym}", Kind::Phone),
            ("{pseudonym:K1}", Kind::Phone),
            ("{pseudonym:12}", Kind::Phone),
        ] {
            assert_eq!(
                Replacement::compile(template, kind, &[("12", KEY)]).unwrap_err(),
                Unusable::Placeholder,
                "{template}"
            );
        }
        for keys in [&[][..], &[("k2", KEY)], &[("k1", b"short")]] {
            assert_eq!(Replacement::compile("{pseudonym:k1}", Kind::Email, keys).unwrap_err(), Unusable::Key);
        }
    }
}

//! Escapes, as texts have them: what is written otherwise than it is read. Every room that reads some reads them here.
//!
//! [`json`] is RFC 8259's own, one `\` deep. [`said`] is what stands in the *value* of a text: a log line that quotes a body, a body
//! that was packed into a string twice. It has the backslashes of any depth before one letter. [`resolved`] reads all that is
//! written at once, per cent and references of HTML too, for those who ask whether something stands there at all.

/// What an escape is read as, and how many bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escape {
    /// What it is read as.
    pub seen: char,
    /// How many bytes it has.
    pub length: usize,
}

/// Why something is no escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEscape {
    /// Nobody has it.
    Unknown,
    /// Half of a surrogate pair, of so many bytes.
    Half(usize),
}

/// More backslashes than this before a letter are none of an escape's: sixteen are a body that was packed into a string four times.
const MOST_SLASHES: usize = 17;

/// The escape of RFC 8259 that `rest` begins with: one `\`.
pub fn json(rest: &[u8]) -> Result<Escape, NoEscape> {
    let simple = |seen| Ok(Escape { seen, length: 2 });
    match rest.get(1) {
        Some(b'"') => simple('"'),
        Some(b'\\') => simple('\\'),
        Some(b'/') => simple('/'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => unicode(rest, 1, |rest| usize::from(rest.starts_with(b"\\"))),
        _ => Err(NoEscape::Unknown),
    }
}

/// The escape that the value of a text begins with, at any depth. `packed`: the text stands between the quotes of a JSON string, and
/// every backslash of its value is written as two, or as `\u005c`.
pub fn said(rest: &[u8], packed: bool) -> Result<Escape, NoEscape> {
    let slashes = slashes(rest, packed);
    if slashes == 0 {
        return Err(NoEscape::Unknown);
    }
    let seen = match rest.get(slashes) {
        Some(b'b' | b'f' | b'n' | b'r' | b'v') => '\n',
        Some(b't') => '\t',
        Some(b'u') => match unicode(rest, slashes, |rest| self::slashes(rest, packed)) {
            // In a text that only says so, half of a pair is nothing that anybody reads.
            Err(NoEscape::Unknown) => return backslash(rest),
            read => return read,
        },
        // Python writes `\xa0` where JSON writes `\u00a0`.
        Some(b'x') => match hexadecimal(rest, slashes + 1, 2).and_then(char::from_u32) {
            Some(seen) => return Ok(Escape { seen, length: slashes + 3 }),
            None => return backslash(rest),
        },
        _ => return backslash(rest),
    };
    Ok(Escape { seen, length: slashes + 1 })
}

/// How many bytes the backslashes have that `rest` begins with.
fn slashes(rest: &[u8], packed: bool) -> usize {
    let (mut slashes, mut count) = (0, 0);
    while count < MOST_SLASHES {
        let length = match rest.get(slashes..).unwrap_or_default() {
            [b'\\', b'u', b'0', b'0', b'5', b'c' | b'C', ..] => 6,
            [b'\\', b'\\', ..] if packed => 2,
            [b'\\', ..] if !packed => 1,
            _ => break,
        };
        slashes += length;
        count += length.min(2);
    }
    slashes
}

/// A backslash that is written as one of JSON's escapes, and begins none itself.
fn backslash(rest: &[u8]) -> Result<Escape, NoEscape> {
    match rest {
        [b'\\', b'u', b'0', b'0', b'5', b'c' | b'C', ..] => Ok(Escape { seen: '\\', length: 6 }),
        _ => Err(NoEscape::Unknown),
    }
}

/// The character of a `u` with four digits behind `slashes` bytes, and of two of these where it takes a pair. `next` tells how many
/// backslashes stand before the second.
fn unicode(rest: &[u8], slashes: usize, next: impl Fn(&[u8]) -> usize) -> Result<Escape, NoEscape> {
    let unit = |at: usize| hexadecimal(rest, at + 1, 4).ok_or(NoEscape::Unknown);
    let (high, end) = (unit(slashes)?, slashes + 5);
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high).map(|seen| Escape { seen, length: end }).ok_or(NoEscape::Half(end));
    }
    let behind = rest.get(end..).unwrap_or_default();
    let again = next(behind);
    if again == 0 || behind.get(again) != Some(&b'u') {
        return Err(NoEscape::Half(end));
    }
    match unit(end + again) {
        Ok(low @ 0xdc00..0xe000) => {
            let seen = char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            seen.map(|seen| Escape { seen, length: end + again + 5 }).ok_or(NoEscape::Half(end))
        }
        Ok(_) => Err(NoEscape::Half(end)),
        // What JSON does not have is told as that.
        Err(why) if slashes == 1 => Err(why),
        Err(_) => Err(NoEscape::Half(end)),
    }
}

fn hexadecimal(text: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = text.get(at..at + count)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// The bytes with their percent-escapes resolved, once.
pub fn percent(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, more)) = rest.split_first() {
        rest = match hexadecimal(more, 0, 2).and_then(|byte| u8::try_from(byte).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                plain.push(byte);
                more.get(2..).unwrap_or_default()
            }
            None => {
                plain.push(*first);
                more
            }
        };
    }
    plain
}

/// How often [`resolved`] is asked for more before nobody can be said to read on.
pub const MOST_TIMES: usize = 4;

/// The text as it is read once all its escapes are: [`said`] ones, per cent, HTML's references by number and those of its own signs.
/// Any number of `\` counts as one. None where there is none of them in it. One that makes another is read when it is read again.
pub fn resolved(text: &str) -> Option<String> {
    let odd = |letter: char| matches!(letter, '\\' | '%' | '&');
    text.contains(odd).then_some(())?;
    let (mut out, mut rest, mut has_changed) = (Vec::with_capacity(text.len()), text.as_bytes(), false);
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'%' | b'&')) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let (read, length) = match escape {
            [b'\\', ..] => match said(escape, false) {
                Ok(Escape { seen, length }) => (Some(seen), length),
                Err(NoEscape::Half(length)) => (None, length),
                Err(NoEscape::Unknown) => {
                    out.push(b'\\');
                    // More than an escape has, or none of its letters behind them. No more are counted than are gone over: a text of
                    // backslashes alone would be counted again from each sixteenth.
                    let slashes = escape.iter().take(MOST_SLASHES - 1).take_while(|byte| **byte == b'\\').count();
                    rest = escape.get(slashes..).unwrap_or_default();
                    continue;
                }
            },
            [b'%', digits @ ..] if let Some(byte) = hexadecimal(digits, 0, 2) => {
                // A letter beyond ASCII has several of them.
                out.extend(u8::try_from(byte));
                (None, 3)
            }
            _ => match reference(escape) {
                Some(Escape { seen, length }) => (Some(seen), length),
                None => {
                    out.extend(escape.first());
                    rest = escape.get(1..).unwrap_or_default();
                    continue;
                }
            },
        };
        has_changed = true;
        out.extend(read.iter().flat_map(|seen| seen.encode_utf8(&mut [0; 4]).as_bytes().to_vec()));
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    has_changed.then(|| String::from_utf8_lossy(&out).into_owned())
}

/// A reference of HTML's: `&#115;`, `&#x73;`, and the five that every markup has. Browsers read numbers without the `;` too.
fn reference(text: &[u8]) -> Option<Escape> {
    const NAMES: [(&[u8], char); 5] =
        [(b"&quot;", '"'), (b"&apos;", '\''), (b"&amp;", '&'), (b"&lt;", '<'), (b"&gt;", '>')];
    if let Some((name, seen)) = NAMES.iter().find(|(name, _)| text.starts_with(name)) {
        return Some(Escape { seen: *seen, length: name.len() });
    }
    let (radix, start) = match text {
        [b'&', b'#', b'x' | b'X', ..] => (16, 3),
        [b'&', b'#', ..] => (10, 2),
        _ => return None,
    };
    let digits = text.get(start..).unwrap_or_default();
    let count = digits.iter().take(8).take_while(|digit| char::from(**digit).is_digit(radix)).count();
    let value = std::str::from_utf8(digits.get(..count)?).ok()?;
    let seen = char::from_u32(u32::from_str_radix(value, radix).ok()?)?;
    Some(Escape { seen, length: start + count + usize::from(digits.get(count) == Some(&b';')) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_read_however_deep_they_stand() {
        for (escaped, read) in [
            (r"mer\u0067er", Some("merger")),
            (r"mer\\\u0067er", Some("merger")),
            (r"\uD835\uDC26erger", Some("𝐦erger")),
            (r"\\ud835\\udc26erger", Some("𝐦erger")),
            (r#"{\"a\":\"\\u006D\u0045rger\"}"#, Some(r#"{\"a\":\"mErger\"}"#)),
            (r"\ud835 \udc26\ud835", Some(" ")),
            (r"s\x73n %73%C3%A9 &#115;&#x73;&#115&quot;", Some("ssn sé sss\"")),
            (r"a\nb\\tc", Some("a\nb\tc")),
            (r"C:\users\u00", None),
            (r"\u00e\u00g1\", None),
            ("100% & more &# &x; %zz", None),
            ("merger", None),
            ("\\u00é0", None),
        ] {
            assert_eq!(resolved(escaped).as_deref(), read, "{escaped}");
        }
        // One that makes another one is read at once, or when it is read again.
        for nested in [r"mer\u005cu0067er", r"mer%5cu0067er", "mer&#92;u0067er", "mer%2567er"] {
            let mut text = nested.to_owned();
            while let Some(read) = resolved(&text) {
                text = read;
            }
            assert_eq!(text, "merger", "{nested}");
        }
        assert_eq!(resolved(&format!("{}x", "\\".repeat(1000))), None);
    }

    #[test]
    fn a_backslash_that_is_escaped_itself_begins_an_escape() {
        for (text, packed, seen, length) in [
            (r"\u005cn", false, '\n', 7),
            (r"\u005cn", true, '\n', 7),
            (r"\\u0041", true, 'A', 7),
            (r"\u005C\u005cu0041", true, 'A', 17),
            (r"\u005cq", false, '\\', 6),
        ] {
            assert_eq!(said(text.as_bytes(), packed), Ok(Escape { seen, length }), "{text}");
        }
        for (text, packed) in [(r"\n", true), (r"\\\n", true), (r"\q", false), ("n", false)] {
            assert_eq!(said(text.as_bytes(), packed), Err(NoEscape::Unknown), "{text}");
        }
    }

    #[test]
    fn per_cent_is_read_once() {
        assert_eq!(percent(b"a%2e%252E%%2%e9%"), b"a.%2E%%2\xe9%");
    }

    proptest! {
        #[test]
        fn json_is_read_as_serde_reads_it(text in "[a-z𝐦é]{1,10}") {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(resolved(&escaped).unwrap(), text.as_str());
            let (mut at, mut read) = (0, String::new());
            while at < escaped.len() {
                let Escape { seen, length } = json(escaped.as_bytes().get(at..).unwrap()).unwrap();
                read.push(seen);
                at += length;
            }
            prop_assert_eq!(read, text);
        }

        #[test]
        fn whatever_comes_is_read_without_a_panic(text in "[\\\\%&#;xu0-9a-fDd]{0,40}") {
            let _ = (resolved(&text), percent(text.as_bytes()));
            let (one, other, third) = (json(text.as_bytes()), said(text.as_bytes(), true), said(text.as_bytes(), false));
            for read in [one, other, third].into_iter().flatten() {
                prop_assert!(read.length <= text.len());
            }
        }
    }
}

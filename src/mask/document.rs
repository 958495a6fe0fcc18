//! Masks a JSON body in one pass over its tokens, without a tree.
//!
//! The grammar is RFC 8259 and nothing else, so a body that passes was read whole. Every string is looked at, member names too;
//! numbers where the dialect does not keep them. What is not replaced is copied byte for byte, and a body in which nothing is
//! replaced is not copied at all.

use super::detect::{self, Context};
use super::found::{Masked, Tally};
use super::kept::{Kept, Place};
use super::kind::Kind;
use super::masks::Masks;
use super::secret;
use super::text::Masker;
use super::unmaskable::Unmaskable;
use super::view::Form;
use std::borrow::Cow;
use std::ops::Range;

/// Masks a JSON body: what is found in any string, member names included, and in any number outside `kept` is replaced.
///
/// A number with a finding becomes a string, the finding's label. Positions in errors are byte offsets.
///
/// # Errors
/// A body that is not one whole JSON value in UTF-8 (RFC 8259), nested more than 128 deep, has half of a surrogate pair in a
/// string, or one of `secrets` in its bytes or in a decoded string. Repeated member names are let through: each is looked at.
pub fn mask_json(body: &[u8], masks: &Masks, kept: &Kept, secrets: &[&[u8]]) -> Result<Masked, Unmaskable> {
    let text = std::str::from_utf8(body).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    if secret::stands_in(secrets, body) {
        return Err(Unmaskable::Secret);
    }
    let mut pass = Pass {
        text,
        at: 0,
        kept,
        masker: Masker::new(masks, secrets),
        open: Vec::new(),
        output: Output { text, written: Vec::new(), copied: 0 },
        tally: Tally::default(),
    };
    pass.value_and_end()?;
    Ok(Masked::new(pass.output.finish(), pass.tally))
}

/// How deep arrays and objects may be nested.
const DEEPEST: usize = 128;

struct Pass<'a> {
    text: &'a str,
    at: usize,
    kept: &'a Kept,
    masker: Masker<'a>,
    open: Vec<Open>,
    output: Output<'a>,
    tally: Tally,
}

/// An array or object that is being read.
struct Open {
    /// What the names up to here say.
    inherited: Path,
    /// Where it stands, by the patterns of kept places.
    place: Place,
    inside: Inside,
}

enum Inside {
    Array {
        index: u32,
    },
    Object {
        name: Range<usize>,
        masked: Option<String>,
        path: Path,
        place: Place,
        member: Member,
        /// Whether the member that is being read is to be taken out.
        dropped: bool,
        /// Whether no member before it stays.
        first: bool,
    },
}

/// Where a member begins, and what was written before it.
#[derive(Clone, Copy, Default)]
struct Member {
    /// At the comma before it, if there is one.
    start: usize,
    /// At its name.
    name: usize,
    written: usize,
    copied: usize,
}

/// What the two nearest names on the way to a value say.
#[derive(Clone, Copy, Default)]
struct Path {
    name: Context,
    parent: Context,
}

impl Pass<'_> {
    fn value_and_end(&mut self) -> Result<(), Unmaskable> {
        loop {
            let opened = self.value()?;
            if opened {
                continue;
            }
            // Behind a value: close what ends here, until something goes on.
            loop {
                let byte = self.skip_space();
                let Some(open) = self.open.last_mut() else {
                    return if byte.is_none() { Ok(()) } else { Err(self.malformed()) };
                };
                match (byte, &mut open.inside) {
                    (Some(b','), Inside::Array { index }) => {
                        *index = index.saturating_add(1);
                        self.at += 1;
                        break;
                    }
                    (Some(b','), Inside::Object { .. }) => {
                        self.end_member();
                        let comma = self.at;
                        self.at += 1;
                        self.skip_space();
                        self.name(comma)?;
                        break;
                    }
                    (Some(b']'), Inside::Array { .. }) => {
                        self.at += 1;
                        self.open.pop();
                    }
                    (Some(b'}'), Inside::Object { .. }) => {
                        self.end_member();
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(self.malformed()),
                }
            }
        }
    }

    /// Reads a value, or the beginning of one; whether an array or object was opened that is not empty.
    fn value(&mut self) -> Result<bool, Unmaskable> {
        match self.skip_space() {
            Some(b'{') => return self.open(b'}'),
            Some(b'[') => return self.open(b']'),
            Some(b'"') => {
                let context = self.context();
                self.string(context)?;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.malformed()),
        }
        Ok(false)
    }

    fn open(&mut self, closing: u8) -> Result<bool, Unmaskable> {
        if self.open.len() >= DEEPEST {
            return Err(Unmaskable::TooDeep { at: self.at });
        }
        let (inherited, place) = (self.path(), self.place());
        self.at += 1;
        let empty = self.skip_space() == Some(closing);
        if empty {
            self.at += 1;
            return Ok(false);
        }
        let object = closing == b'}';
        let inside = if object {
            Inside::Object {
                name: 0..0,
                masked: None,
                path: inherited,
                place: Place::default(),
                member: Member::default(),
                dropped: false,
                first: true,
            }
        } else {
            Inside::Array { index: 0 }
        };
        self.open.push(Open { inherited, place, inside });
        if object {
            self.name(self.at)?;
        }
        Ok(true)
    }

    /// Reads a member's name and the colon behind it. The member begins at `start`, with its comma if it has one.
    fn name(&mut self, start: usize) -> Result<(), Unmaskable> {
        let Some(open) = self.open.last() else { return Err(self.malformed()) };
        let (inherited, object) = (open.inherited, open.place);
        let member = Member { start, name: self.at, written: self.output.written.len(), copied: self.output.copied };
        if self.byte() != Some(b'"') {
            return Err(self.malformed());
        }
        // Until it is read, findings in the name are told to be in the object.
        let raw = self.string_end()?;
        let masked = self.mask(raw.clone(), inherited.name | inherited.parent, true)?;
        if self.skip_space() != Some(b':') {
            return Err(self.malformed());
        }
        self.at += 1;
        // The name as it leaves, so that what leaves has no finding either.
        let name = masked.as_deref().or(self.text.get(raw.clone())).unwrap_or_default();
        let path = Path { name: Context::of(unescaped(name).as_bytes()), parent: inherited.name };
        let place = self.kept.step(object, |step| *unescaped(name) == *step);
        if let Some(inside) = self.open.last_mut().map(|open| &mut open.inside) {
            let first = matches!(inside, Inside::Object { first: true, .. });
            *inside = Inside::Object { name: raw, masked, path, place, member, dropped: false, first };
        }
        Ok(())
    }

    fn string(&mut self, context: Context) -> Result<(), Unmaskable> {
        let raw = self.string_end()?;
        self.mask(raw, context, false)?;
        Ok(())
    }

    /// Masks the string `raw`, which stands between quotes. Returns its masked form, if it has one.
    fn mask(&mut self, raw: Range<usize>, context: Context, is_name: bool) -> Result<Option<String>, Unmaskable> {
        let string = self.text.get(raw.clone()).unwrap_or_default();
        let masked = self.masker.mask(string, Form::Json, context).map_err(|why| why.at(raw.start))?;
        if let Some(masked) = &masked {
            if self.masker.drops() && !is_name {
                self.drop_value(raw.start - 1);
            } else {
                self.output.replace(raw, masked);
            }
            let (open, text) = (&self.open, self.text);
            self.tally.add(self.masker.found(), || Some(pointer(open, text, is_name.then_some(masked.as_str()))));
        }
        Ok(masked)
    }

    /// Takes the value from `start` to here out: with its member, or, where order counts, leaving `null`.
    fn drop_value(&mut self, start: usize) {
        match self.open.last_mut().map(|open| &mut open.inside) {
            Some(Inside::Object { member, dropped, .. }) => {
                *dropped = true;
                self.output.undo(member);
            }
            _ => self.output.replace(start..self.at, "null"),
        }
    }

    /// Ends a member, at the comma or brace that is here: takes it out, with one comma, if it is to be dropped.
    fn end_member(&mut self) {
        let comma = self.byte() == Some(b',');
        let Some(Inside::Object { member, dropped, first, .. }) = self.open.last_mut().map(|open| &mut open.inside)
        else {
            return;
        };
        if !*dropped {
            *first = false;
            return;
        }
        // The comma before it, or, where all before it are gone as well, the one behind it.
        let end = if *first && comma { self.at + 1 } else { self.at };
        let start = if *first { member.name } else { member.start };
        self.output.replace(start..end, "");
    }

    fn number(&mut self) -> Result<(), Unmaskable> {
        let start = self.at;
        self.number_end()?;
        let raw = self.text.get(start..self.at).unwrap_or_default();
        // The shortest number that can be found has six digits.
        if raw.len() < 6 || self.place().is_kept() {
            return Ok(());
        }
        let digits = integer(raw);
        let spans = detect::find(digits.as_bytes(), self.context(), self.masker.masks.kinds());
        let Some(first) = spans.first() else { return Ok(()) };
        let Some(replacement) = self.masker.masks.replacement(first.kind) else {
            return Err(Unmaskable::Unsettled { at: start });
        };
        if replacement.drops {
            self.drop_value(start);
        } else {
            let mut label = String::from("\"");
            let value = digits.as_bytes().get(first.start..first.end).unwrap_or_default();
            replacement.write(value, Form::Json, &mut label);
            label.push('"');
            self.output.replace(start..self.at, &label);
        }
        let kinds: Vec<Kind> = spans.iter().map(|span| span.kind).collect();
        let (open, text) = (&self.open, self.text);
        self.tally.add(&kinds, || Some(pointer(open, text, None)));
        Ok(())
    }

    /// What the names on the way to the value that comes now say.
    fn context(&self) -> Context {
        let path = self.path();
        path.name | path.parent
    }

    fn path(&self) -> Path {
        match self.open.last() {
            None => Path::default(),
            Some(Open { inside: Inside::Object { path, .. }, .. }) => *path,
            Some(Open { inherited, .. }) => *inherited,
        }
    }

    fn place(&self) -> Place {
        match self.open.last() {
            None => self.kept.root(),
            Some(Open { inside: Inside::Object { place, .. }, .. }) => *place,
            Some(Open { inside: Inside::Array { index }, place, .. }) => {
                self.kept.step(*place, |step| step.parse() == Ok(*index))
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn malformed(&self) -> Unmaskable {
        Unmaskable::Malformed { at: self.at }
    }

    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn literal(&mut self, name: &[u8]) -> Result<(), Unmaskable> {
        if !self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(name)) {
            return Err(self.malformed());
        }
        self.at += name.len();
        Ok(())
    }

    /// Goes behind the string that begins here. Returns where it stands, without the quotes. That its escapes are ones JSON
    /// has is seen where they are decoded.
    fn string_end(&mut self) -> Result<Range<usize>, Unmaskable> {
        const BLOCK: usize = 16;
        let start = self.at + 1;
        self.at = start;
        let is_end = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let mut skipped = 0;
            for block in rest.chunks_exact(BLOCK) {
                // Without an early exit this becomes SIMD.
                if block.iter().fold(false, |any, byte| any | is_end(*byte)) {
                    break;
                }
                skipped += BLOCK;
            }
            let offset = rest.get(skipped..).and_then(|rest| rest.iter().position(|byte| is_end(*byte)));
            self.at += skipped + offset.unwrap_or(0);
            match (offset, self.byte()) {
                (Some(_), Some(b'"')) => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                (Some(_), Some(b'\\')) => self.at += 2,
                _ => return Err(self.malformed()),
            }
        }
    }

    fn number_end(&mut self) -> Result<(), Unmaskable> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Unmaskable> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if count == 0 {
            self.at = self.text.len().min(self.at);
            return Err(self.malformed());
        }
        self.at += count;
        Ok(())
    }
}

/// The digits before the decimal point of a number, written out: `4.1e3` has `4100`.
fn integer(raw: &str) -> Cow<'_, str> {
    /// More digits than any finding has; a larger number is none.
    const MOST: i32 = 40;
    let raw = raw.strip_prefix('-').unwrap_or(raw);
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    match exponent.parse() {
        Ok(0) => Cow::Borrowed(whole),
        Ok(shift @ 1..=MOST) => {
            let places = usize::try_from(shift).unwrap_or(0);
            let shifted: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
            let digits = format!("{whole}{shifted}");
            Cow::Owned(digits.trim_start_matches('0').to_owned())
        }
        // `41111e-1` and beyond what can be found.
        Ok(shift) if shift < 0 => {
            let drop = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
            Cow::Borrowed(whole.get(..whole.len().saturating_sub(drop)).unwrap_or_default())
        }
        _ => Cow::Borrowed(""),
    }
}

/// The JSON pointer (RFC 6901) of the value that is being read, or of the member name `name` of the innermost object. Names with
/// findings stand in their masked form.
fn pointer(open: &[Open], text: &str, name: Option<&str>) -> String {
    /// Names can be as long as texts; what is recorded must not.
    const LONGEST: usize = 256;
    let mut pointer = String::new();
    for (depth, inner) in open.iter().enumerate() {
        let step = match (&inner.inside, name) {
            (_, Some(name)) if depth + 1 == open.len() => unescaped(name),
            (Inside::Array { index }, _) => Cow::Owned(index.to_string()),
            (Inside::Object { masked: Some(masked), .. }, _) => unescaped(masked),
            (Inside::Object { name, .. }, _) => unescaped(text.get(name.clone()).unwrap_or_default()),
        };
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    if let Some((cut, _)) = pointer.char_indices().nth(LONGEST) {
        pointer.truncate(cut);
        pointer.push('…');
    }
    pointer
}

/// The value of a JSON string that is known to be one, given without its quotes.
fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    serde_json::from_str(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// The masked body: what was replaced so far, and how far the original is copied.
struct Output<'a> {
    text: &'a str,
    written: Vec<u8>,
    copied: usize,
}

impl Output<'_> {
    /// Puts `replacement` in the place of `range`, which lies behind all replaced before.
    fn replace(&mut self, range: Range<usize>, replacement: &str) {
        if self.written.is_empty() {
            self.written.reserve(self.text.len());
        }
        self.written.extend_from_slice(self.text.as_bytes().get(self.copied..range.start).unwrap_or_default());
        self.written.extend_from_slice(replacement.as_bytes());
        self.copied = range.end;
    }

    /// Forgets what was replaced from `member` on.
    fn undo(&mut self, member: &Member) {
        self.written.truncate(member.written);
        self.copied = member.copied;
    }

    /// The whole body, if anything was replaced.
    fn finish(mut self) -> Option<Vec<u8>> {
        if self.copied == 0 {
            return None;
        }
        self.written.extend_from_slice(self.text.as_bytes().get(self.copied..).unwrap_or_default());
        Some(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{Found, Rule};
    use proptest::prelude::*;
    use serde_json::Value;

    fn everything() -> Masks {
        let rule = Rule { detect: Kind::ALL.to_vec(), replace: "[{kind}]".to_owned() };
        Masks::compile(&[("all", &rule)]).unwrap()
    }

    fn rerank() -> Kept {
        Kept::compile(&["/results/*/index", "/results/*/relevance_score", "/usage/**"]).unwrap()
    }

    fn mask(body: &str) -> Result<(Option<String>, Vec<Found>), Unmaskable> {
        let (body, found) = mask_json(body.as_bytes(), &everything(), &rerank(), &[])?.into_parts();
        Ok((body.map(|body| String::from_utf8(body).unwrap()), found))
    }

    /// Each row: a body and what becomes of it.
    fn check(rows: &[(&str, &str)]) {
        for (body, wanted) in rows {
            let (masked, _) = mask(body).unwrap();
            assert_eq!(masked.as_deref().unwrap_or(body), *wanted, "{body}");
            assert_eq!(masked.is_none(), body == wanted, "{body}");
        }
    }

    #[test]
    fn strings_are_masked_wherever_they_stand_and_all_else_is_copied() {
        check(&[
            (r#""ann@example.org""#, r#""[email]""#),
            (r#" { "a" : [ "x" , "mail ann@example.org" ] } "#, r#" { "a" : [ "x" , "mail [email]" ] } "#),
            (r#"{"ann@example.org":{"b":1.50e+2}}"#, r#"{"[email]":{"b":1.50e+2}}"#),
            (r#"{"usage":{"note":"ann@example.org"}}"#, r#"{"usage":{"note":"[email]"}}"#),
            (r#"{"results":[{"index":"ann@example.org"}]}"#, r#"{"results":[{"index":"[email]"}]}"#),
            ("[[],{},\"\",null,true,false,0,-0.0,1E5]", "[[],{},\"\",null,true,false,0,-0.0,1E5]"),
        ]);
    }

    #[test]
    fn escapes_are_decoded_before_looking_and_never_cut() {
        check(&[
            (r#""ann\u0040example.org""#, r#""[email]""#),
            (r#""\n\u0061nn@example\u002eorg\n""#, r#""\n[email]\n""#),
            (r#""http:\/\/192.168.0.1\/x""#, r#""http:\/\/[ip_address]\/x""#),
            (r#""\ud83d\ude00 \uff14111111111111111\ud83d\ude00""#, r#""\ud83d\ude00 [credit_card]\ud83d\ude00""#),
            (r#""41111111\u200b11111111""#, r#""[credit_card]""#),
            (r#"{"a\u0040b.de":"\"c@d.de\""}"#, r#"{"[email]":"\"[email]\""}"#),
        ]);
    }

    #[test]
    fn numbers_that_are_findings_become_strings_except_where_they_are_kept() {
        check(&[
            (r#"{"card":4111111111111111}"#, r#"{"card":"[credit_card]"}"#),
            (
                r#"[-4111111111111111,4.111111111111111E15,4111111111111111.0]"#,
                r#"["[credit_card]","[credit_card]","[credit_card]"]"#,
            ),
            (r#"{"phone":4155550132}"#, r#"{"phone":"[phone]"}"#),
            (r#"{"ssn":219456789,"n":219456789}"#, r#"{"ssn":"[us_ssn]","n":219456789}"#),
            (r#"{"results":[{"index":4111111111111111}]}"#, r#"{"results":[{"index":4111111111111111}]}"#),
            (r#"{"usage":{"a":{"b":4111111111111111}}}"#, r#"{"usage":{"a":{"b":4111111111111111}}}"#),
            (
                r#"{"results":[{"relevance_score":0.4111111111111111}]}"#,
                r#"{"results":[{"relevance_score":0.4111111111111111}]}"#,
            ),
            (
                r#"[1e999,4111111111111111e99999999999,0.4111111111111111]"#,
                r#"[1e999,4111111111111111e99999999999,0.4111111111111111]"#,
            ),
        ]);
    }

    #[test]
    fn dropped_findings_take_their_member_along_and_leave_null_in_arrays() {
        let rule = Rule { detect: vec![Kind::Email, Kind::CreditCard], replace: "{drop}".to_owned() };
        let masks = Masks::compile(&[("m", &rule)]).unwrap();
        for (body, wanted) in [
            (r#"{"a":"x@y.de"}"#, r#"{}"#),
            (r#"{ "a" : "x@y.de" , "b":1}"#, r#"{ "b":1}"#),
            (r#"{"b":1, "a":"x@y.de"}"#, r#"{"b":1}"#),
            (r#"{"b":1,"a":"x@y.de","c":2}"#, r#"{"b":1,"c":2}"#),
            (r#"{"a":"x@y.de","b":4111111111111111,"c":2}"#, r#"{"c":2}"#),
            (r#"{"a":"x@y.de","b":4111111111111111}"#, r#"{}"#),
            (r#"{"z":0,"a":"x@y.de","b":4111111111111111}"#, r#"{"z":0}"#),
            (r#"["x@y.de",4111111111111111,"z"]"#, r#"[null,null,"z"]"#),
            (r#""x@y.de""#, "null"),
            (r#"{"x@y.de":1}"#, r#"{"[email]":1}"#),
            (r#"{"x@y.de":"u@v.de","b":{"c":"x@y.de","d":["x@y.de"]}}"#, r#"{"b":{"d":[null]}}"#),
        ] {
            let masked = mask_json(body.as_bytes(), &masks, &rerank(), &[]).unwrap();
            let masked = std::str::from_utf8(masked.body().unwrap()).unwrap();
            assert_eq!(
                masked.split_whitespace().collect::<String>(),
                wanted.split_whitespace().collect::<String>(),
                "{body}"
            );
            assert!(serde_json::from_str::<Value>(masked).is_ok(), "{masked}");
        }
    }

    #[test]
    fn the_two_nearest_names_give_context() {
        check(&[
            (r#"{"phone":{"home":"12345678"}}"#, r#"{"phone":{"home":"[phone]"}}"#),
            (r#"{"phones":["12345678",["12345679"]]}"#, r#"{"phones":["[phone]",["[phone]"]]}"#),
            (r#"{"phones":[{"value":12345678}]}"#, r#"{"phones":[{"value":"[phone]"}]}"#),
            (r#"{"phones":{"a":{"b":"12345678"}}}"#, r#"{"phones":{"a":{"b":"12345678"}}}"#),
            (r#"{"phone":"x","other":"12345678"}"#, r#"{"phone":"x","other":"12345678"}"#),
            (r#"{"home\u0050hone":"12345678"}"#, r#"{"home\u0050hone":"[phone]"}"#),
            (r#"{"phones":{"12345678":1}}"#, r#"{"phones":{"[phone]":1}}"#),
        ]);
    }

    #[test]
    fn places_are_told_with_masked_names_and_at_most_sixteen_of_a_kind() {
        let (_, found) = mask(r#"{"a/~":[0,"a@b.de c@d.de"],"a@b.de":{"x":"1.2.3.4"},"n":4111111111111111}"#).unwrap();
        let told: Vec<_> =
            found.iter().map(|found| (found.kind, found.count, found.pointers.join(" "), found.truncated)).collect();
        assert_eq!(
            told,
            [
                (Kind::CreditCard, 1, "/n".to_owned(), false),
                (Kind::Email, 3, "/a~1~0/1 /[email]".to_owned(), false),
                (Kind::IpAddress, 1, "/[email]/x".to_owned(), false),
            ]
        );
        let (_, found) = mask(&format!("[{}\"a@b.de\"]", "\"a@b.de\",".repeat(16))).unwrap();
        assert_eq!((found[0].count, found[0].pointers.len(), found[0].truncated), (17, 16, true));
        let (_, found) = mask(&format!("{{\"{}\":\"a@b.de\"}}", "x".repeat(5000))).unwrap();
        assert_eq!(found[0].pointers[0].chars().count(), 257);
    }

    #[test]
    fn what_is_not_one_whole_json_value_does_not_leave() {
        for body in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "\"\\",
            "\"\\u00",
            "{}{}",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "01",
            "1.",
            ".1",
            "-",
            "+1",
            "1e",
            "nul",
            "truex",
            "[1 2]",
            "[1]]",
            "{]",
            "[}",
            "\u{feff}{}",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "'a'",
            "[1}",
            "{\"a\":1]",
            "0x10",
            "NaN",
        ] {
            assert!(matches!(mask(body), Err(Unmaskable::Malformed { .. })), "{body}: {:?}", mask(body));
        }
        assert_eq!(mask(r#""a\ud800b""#), Err(Unmaskable::LoneSurrogate { at: 1 }));
        assert_eq!(mask_json(b"\"\xa1\"", &everything(), &rerank(), &[]), Err(Unmaskable::NotUtf8 { at: 1 }));
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(mask(&deep(129)), Err(Unmaskable::TooDeep { at: 128 }));
        assert!(mask(&deep(128)).is_ok());
    }

    #[test]
    fn a_body_that_repeats_a_credential_does_not_leave() {
        let secrets: &[&[u8]] = &[b"", b"sk/123"];
        for body in [
            r#"{"error":"bad key sk/123"}"#,
            r#"{"sk/123":1}"#,
            r#""sk\/123""#,
            r#""\u0073k/123""#,
            r#"{"s\u200bk/123":1}"#,
        ] {
            assert_eq!(
                mask_json(body.as_bytes(), &Masks::default(), &rerank(), secrets),
                Err(Unmaskable::Secret),
                "{body}"
            );
        }
        assert!(mask_json(br#""sk/12""#, &Masks::default(), &rerank(), secrets).is_ok());
    }

    /// The same thing done simply: a tree, every string and number on its own, the same detectors.
    fn naive(value: Value, context: (&str, &str), path: &[&str], masks: &Masks) -> Value {
        let words = Context::of(context.0.as_bytes()) | Context::of(context.1.as_bytes());
        let text = |text: &str, words: Context| {
            let mut text = text.to_owned();
            loop {
                let spans = detect::find(text.as_bytes(), words, masks.kinds());
                for span in spans.iter().rev() {
                    text.replace_range(span.start..span.end, &format!("[{}]", span.kind.name()));
                }
                if spans.is_empty() {
                    return text;
                }
            }
        };
        let inner =
            |name: &str| path.iter().map(|step| (*step).to_owned()).chain([name.to_owned()]).collect::<Vec<_>>();
        match value {
            Value::String(string) => Value::String(text(&string, words)),
            Value::Number(number) => {
                let kept = matches!(path, ["results", _, "index" | "relevance_score"] | ["usage", _, ..]);
                let digits = number.to_string();
                let spans = detect::find(digits.trim_start_matches('-').as_bytes(), words, masks.kinds());
                match spans.first() {
                    Some(span) if !kept => Value::String(format!("[{}]", span.kind.name())),
                    _ => Value::Number(number),
                }
            }
            Value::Array(items) => Value::Array(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let inner = inner(&index.to_string());
                        naive(item, context, &inner.iter().map(String::as_str).collect::<Vec<_>>(), masks)
                    })
                    .collect(),
            ),
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, member)| {
                        let name = text(&name, words);
                        let inner = inner(&name);
                        let path: Vec<&str> = inner.iter().map(String::as_str).collect();
                        let member = naive(member, (&name, context.0), &path, masks);
                        (name, member)
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    /// Whether `part` is `whole` without some members, with null for some values, and with labels in names.
    fn is_part_of(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Array(part), Value::Array(whole)) => {
                part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part_of(part, whole))
            }
            (Value::Object(part), Value::Object(whole)) => part.iter().all(|(name, part)| match whole.get(name) {
                Some(whole) => is_part_of(part, whole),
                None => name.contains('[') && whole.values().any(|whole| is_part_of(part, whole)),
            }),
            (Value::Null, Value::String(_) | Value::Number(_)) => true,
            (part, whole) => part == whole,
        }
    }

    fn words() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                "[a-z ]{1,5}",
                Just("a@b.de".to_owned()),
                Just("4111111111111111".to_owned()),
                Just("\u{ff14}111 1111\u{a0}1111 1111".to_owned()),
                Just("219-45-6789".to_owned()),
                Just("+49 30 901820".to_owned()),
                Just("12345678".to_owned()),
                Just("phone ".to_owned()),
                Just("::1 ".to_owned()),
                Just("\"\\/\n\u{1}é日😀".to_owned()),
                "[0-9]{1,9}[-. ]",
            ],
            0..5,
        )
        .prop_map(|words| words.concat())
    }

    fn values() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            Just("results".to_owned()),
            Just("index".to_owned()),
            Just("usage".to_owned()),
            Just("phone".to_owned()),
            words()
        ];
        let leaf = prop_oneof![
            words().prop_map(Value::String),
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| number.into()),
            Just(4_111_111_111_111_111_u64.into()),
            Just(4_155_550_132_u64.into()),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::vec((name.clone(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes every character of every string as an escape.
    fn escaped(value: &Value) -> String {
        let string = |text: &str| {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            format!("\"{units}\"")
        };
        match value {
            Value::String(text) => string(text),
            Value::Array(items) => format!("[{}]", items.iter().map(escaped).collect::<Vec<_>>().join(" , ")),
            Value::Object(members) => {
                let members: Vec<_> =
                    members.iter().map(|(name, member)| format!("{}:{}", string(name), escaped(member))).collect();
                format!("{{{}}}", members.join(",\n"))
            }
            other => other.to_string(),
        }
    }

    /// As the detectors see text: what is compared must not differ in folding.
    fn folded(value: &Value) -> Value {
        let raw = value.to_string().replace('\u{ff14}', "4").replace('\u{a0}', " ");
        serde_json::from_str(&raw).unwrap()
    }

    proptest! {
        #[test]
        fn a_tree_masked_simply_is_the_same(value in values(), escape in any::<bool>()) {
            let masks = everything();
            let body = if escape { escaped(&value) } else { value.to_string() };
            let (masked, found) = mask(&body).unwrap();
            let after: Value = serde_json::from_str(masked.as_deref().unwrap_or(&body)).unwrap();
            prop_assert_eq!(folded(&after), naive(folded(&value), ("", ""), &[], &masks));
            prop_assert_eq!(found.is_empty(), masked.is_none());
            if let Some(masked) = masked {
                let (twice, found) = mask(&masked).unwrap();
                prop_assert_eq!(twice, None);
                prop_assert!(found.is_empty());
            }
        }

        #[test]
        fn what_is_dropped_is_gone_and_the_rest_is_the_same(value in values(), escape in any::<bool>()) {
            let rule = Rule { detect: Kind::ALL.to_vec(), replace: "{drop}".to_owned() };
            let masks = Masks::compile(&[("all", &rule)]).unwrap();
            let body = if escape { escaped(&value) } else { value.to_string() };
            let masked = mask_json(body.as_bytes(), &masks, &rerank(), &[]).unwrap();
            let body = masked.body().unwrap_or(body.as_bytes());
            let after: Value = serde_json::from_slice(body).unwrap();
            prop_assert!(is_part_of(&after, &value), "{} of {}", after, value);
            let twice = mask_json(body, &masks, &rerank(), &[]).unwrap();
            prop_assert_eq!(twice.body(), None);
        }

        #[test]
        fn a_body_cut_anywhere_does_not_leave(value in values(), cut in any::<prop::sample::Index>()) {
            let body = Value::Array(vec![value]).to_string();
            let cut = cut.index(body.len());
            prop_assert!(mask_json(&body.as_bytes()[..cut], &everything(), &rerank(), &[]).is_err());
        }

        #[test]
        fn exactly_what_is_json_is_masked(body in r#"([\[\]{}:, "0-9eE.+\-]|true|null|"a"|\\u[d0][8c]00|\\n|\\x){0,12}"#) {
            let ours = mask_json(body.as_bytes(), &Masks::default(), &Kept::default(), &[]).is_ok();
            // Theirs refuses numbers it cannot hold, or, where it does not look, accepts lone surrogates.
            let held = serde_json::from_str::<Value>(&body).is_ok();
            let skipped = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
            prop_assert!(ours || !held, "{}", body);
            prop_assert!(!ours || skipped, "{}", body);
        }

        #[test]
        fn nothing_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = mask_json(&body, &everything(), &rerank(), &[b"x"]);
        }
    }
}

//! Field rules in texts: in the JSON that stands in one, and in its lines of names and values.

use super::{Kept, NESTED, Pass, Unmaskable, Way};
use crate::mask::fields::{Fields, State};
use crate::mask::finding::Finding;
use crate::mask::found::Tally;
use crate::mask::kind::What;
use crate::mask::masks::Masks;
use crate::mask::view::Form;
use serde::de::IgnoredAny;
use std::ops::Range;

/// The JSON objects and arrays that stand in a text, in order. What only looks like one is none.
struct Fragments<'a> {
    text: &'a str,
    /// How many bytes may still be read in vain: every bracket can begin something.
    left: usize,
}

impl<'a> Fragments<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, left: text.len().saturating_mul(4).saturating_add(1 << 12) }
    }

    /// Where the one that begins at `at`, with its bracket, ends; if one does.
    ///
    /// # Errors
    /// There were more brackets that begin nothing than can be looked at.
    fn end(&mut self, at: usize) -> Result<Option<usize>, Unmaskable> {
        let rest = self.text.get(at..).unwrap_or_default();
        let mut inside = rest.bytes().skip(1).skip_while(u8::is_ascii_whitespace);
        let begins = match (rest.as_bytes().first(), inside.next()) {
            (Some(b'{'), Some(next)) => next == b'"',
            (Some(b'['), Some(next)) => next.is_ascii_digit() || b"\"[{-tfn".contains(&next),
            _ => false,
        };
        if !begins {
            return Ok(None);
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => Ok(Some(at + values.byte_offset())),
            Some(Err(why)) => {
                let lines = rest.split_inclusive('\n').take(why.line().saturating_sub(1));
                let read = lines.map(str::len).sum::<usize>().saturating_add(why.column());
                self.left = self.left.checked_sub(read).ok_or(Unmaskable::Unreadable { at })?;
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

/// What field rules made of a text.
#[derive(Default)]
pub(in crate::mask) struct Read {
    pub(in crate::mask) text: Option<String>,
    pub(in crate::mask) tally: Tally,
    pub(in crate::mask) told: Vec<Finding>,
}

/// Masks what field rules say in a text body. There, of a rule the last name alone counts, wherever it stands: in JSON, before a
/// `:` or `=`. The value goes to the end of the line, unless it stands in quotes or is JSON.
///
/// # Errors
/// A name that a rule has stands where its value cannot be told, or JSON cannot be masked.
pub(in crate::mask) fn mask_fields_in(
    text: &str,
    fields: &Fields,
    masks: &Masks,
    secrets: &[&[u8]],
    tells: bool,
    most: usize,
) -> Result<Read, Unmaskable> {
    let mut reader = Reader {
        text,
        fields,
        masks,
        secrets,
        most,
        fragments: Fragments::of(text),
        written: String::new(),
        copied: 0,
        read: Read { text: None, tally: Tally::default(), told: Vec::new() },
        tells,
    };
    reader.read_all()?;
    let Reader { written, copied, mut read, .. } = reader;
    if copied > 0 {
        read.text = Some(written + text.get(copied..).unwrap_or_default());
    }
    Ok(read)
}

struct Reader<'a> {
    text: &'a str,
    fields: &'a Fields,
    masks: &'a Masks,
    secrets: &'a [&'a [u8]],
    /// The most bytes that may be written.
    most: usize,
    fragments: Fragments<'a>,
    written: String,
    copied: usize,
    read: Read,
    tells: bool,
}

impl Reader<'_> {
    fn read_all(&mut self) -> Result<(), Unmaskable> {
        let bytes = self.text.as_bytes();
        // What comes before is read; what of it can still be a name begins here.
        let (mut at, mut begin) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            let until = match byte {
                b'{' | b'[' => self.fragments.end(at)?.map(|end| (at, end, None)),
                b':' | b'=' => self.named(begin, at)?,
                _ => None,
            };
            let Some((start, end, hit)) = until else {
                at += 1;
                continue;
            };
            // Before a value stands its name, which may stand; before JSON, a text.
            let before = if hit.is_some() { at } else { start };
            self.no_name_in(begin, if hit.is_some() { self.name_start(begin, before) } else { before })?;
            match hit {
                Some(hit) => self.replace_value(start..end, hit)?,
                None => self.mask_fragment(start..end)?,
            }
            at = end.max(at + 1);
            begin = at;
        }
        self.no_name_in(begin, self.text.len())
    }

    /// The value of the name that ends at the sign `at`, if a rule has that name.
    fn named(&mut self, begin: usize, at: usize) -> Result<Option<(usize, usize, Option<usize>)>, Unmaskable> {
        let Some(hit) = self.hit_before(begin, at) else { return Ok(None) };
        let bytes = self.text.as_bytes();
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'=' | b'>' | b':');
        let start = at + 1 + bytes.get(at + 1..).unwrap_or_default().iter().take_while(|byte| space(byte)).count();
        let rest = self.text.get(start..).unwrap_or_default();
        if rest.starts_with(['{', '['])
            && let Some(end) = self.fragments.end(start)?
        {
            return Ok(Some((start, end, Some(hit))));
        }
        let quote = rest.trim_start_matches('\\');
        let quote = rest.len() - quote.len() + usize::from(quote.starts_with(['"', '\'', '`']));
        let mark = rest.get(..quote).unwrap_or_default();
        if mark.ends_with(['"', '\'', '`'])
            && let Some(length) = rest.get(quote..).and_then(|inside| unescaped_end(inside, mark))
        {
            return Ok(Some((start + quote, start + quote + length, Some(hit))));
        }
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        if rest.get(..line).is_some_and(|line| !line.trim().is_empty()) {
            return Ok(Some((start, start + line, Some(hit))));
        }
        Ok(Some((start, self.block_end(at, start + line), Some(hit))))
    }

    /// Where the lines end that belong to a name at `at`, whose own line ends at `line` with nothing behind it: the next that has
    /// something, and those that are as far in.
    fn block_end(&self, at: usize, line: usize) -> usize {
        let depth = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let begin = self.text.get(..at).and_then(|before| before.rfind(['\n', '\r'])).map_or(0, |end| end + 1);
        let own = depth(self.text.get(begin..at).unwrap_or_default());
        let (mut end, mut first, mut next_at) = (line, true, line);
        for next in self.text.get(line..).unwrap_or_default().split_inclusive(['\n', '\r']) {
            let says = next.trim_end_matches(['\n', '\r']);
            let empty = says.trim().is_empty();
            let item = says.trim_start().starts_with('-') && depth(says) >= own;
            if !empty && !first && depth(says) <= own && !item {
                break;
            }
            first &= empty;
            if !empty {
                end = next_at + says.len();
            }
            next_at += next.len();
        }
        end
    }

    /// What rules say of the name that ends before `at`.
    fn hit_before(&self, begin: usize, at: usize) -> Option<usize> {
        let before = self.text.get(begin..at)?;
        let words = Words::before(before);
        words.names().find_map(|name| self.hit(&name))
    }

    /// Where the longest name that ends before `at` and that a rule has begins.
    fn name_start(&self, begin: usize, at: usize) -> usize {
        let before = self.text.get(begin..at).unwrap_or_default();
        let words = Words::before(before);
        let hits = words.names().enumerate().filter(|(_, name)| self.hit(name).is_some());
        hits.filter_map(|(count, _)| words.starts.get(count)).last().map_or(at, |start| begin + start)
    }

    fn hit(&self, name: &str) -> Option<usize> {
        self.fields.member(State::START, self.fields.class(name)).hit()
    }

    /// A name that a rule has may not stand where nothing says what its value is.
    fn no_name_in(&self, start: usize, end: usize) -> Result<(), Unmaskable> {
        let text = self.text.get(start..end).unwrap_or_default();
        let mut at = 0;
        let mut last: Vec<(usize, usize)> = Vec::new();
        while let Some(begin) = text.get(at..).and_then(|rest| rest.find(char::is_alphanumeric)).map(|next| at + next) {
            let rest = text.get(begin..).unwrap_or_default();
            let length = rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
            if last.last().is_some_and(|(_, end)| {
                text.get(*end..begin).is_none_or(|gap| !gap.trim_matches([' ', '_', '-']).is_empty())
            }) {
                last.clear();
            }
            last.push((begin, begin + length));
            if last.len() > Words::MOST {
                last.remove(0);
            }
            if last.iter().any(|(from, _)| text.get(*from..begin + length).is_some_and(|name| self.hit(name).is_some()))
            {
                return Err(Unmaskable::Unreadable { at: start + begin });
            }
            at = begin + length;
        }
        Ok(())
    }

    fn replace_value(&mut self, range: Range<usize>, hit: usize) -> Result<(), Unmaskable> {
        let value = self.text.get(range.clone()).unwrap_or_default();
        let replacement = self.masks.field_replacement(hit).ok_or(Unmaskable::Unsettled { at: range.start })?;
        let mut instead = String::new();
        replacement.write(value.as_bytes(), Form::Plain, &mut instead);
        let masked = !instead.trim().is_empty() && value.trim_start().starts_with(instead.trim());
        if value.trim().is_empty() || masked {
            return Ok(());
        }
        if self.tells {
            let count = |until: usize| self.text.get(..until).unwrap_or_default().chars().count();
            let place = count(range.start)..count(range.end);
            self.read.told.push(Finding::of(&What::Field, "rule", None, Some(place)));
        }
        self.read.tally.add(&[What::Field], || None);
        self.write(range, &instead)
    }

    fn mask_fragment(&mut self, range: Range<usize>) -> Result<(), Unmaskable> {
        let fragment = self.text.get(range.clone()).unwrap_or_default();
        let kept = Kept::default();
        let mut pass = Pass::new(fragment, Way::default(), self.masks, &kept, self.secrets, self.most);
        pass.fields = Some(self.fields);
        pass.keeps_shape = true;
        if self.tells {
            pass.start_telling();
        }
        pass.value_and_end()?;
        let mut kinds = Vec::new();
        pass.tally.kinds_into(&mut kinds);
        self.read.tally.add(&kinds, || None);
        for mut finding in pass.told.unwrap_or_default() {
            finding.inside.insert(0, finding.pointer.take().unwrap_or_default());
            self.read.told.push(finding);
        }
        if let Some(masked) = pass.output.finish()?.and_then(|masked| String::from_utf8(masked).ok()) {
            self.write(range, &masked)?;
        }
        Ok(())
    }

    fn write(&mut self, range: Range<usize>, instead: &str) -> Result<(), Unmaskable> {
        self.written.push_str(self.text.get(self.copied..range.start).unwrap_or_default());
        self.written.push_str(instead);
        self.copied = range.end;
        if self.written.len() > self.most { Err(Unmaskable::Grows { most: self.most }) } else { Ok(()) }
    }
}

/// The words right before a sign, the last first, with where they begin: `"home address" :` has `home address`.
struct Words<'a> {
    text: &'a str,
    end: usize,
    starts: Vec<usize>,
}

impl<'a> Words<'a> {
    /// The most words of a name.
    const MOST: usize = 4;

    fn before(text: &'a str) -> Self {
        let quotes =
            |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`' | '\\' | ')' | ']' | '*' | '>');
        let trimmed = text.trim_end_matches(quotes);
        let mut words = Self { text: trimmed, end: trimmed.len(), starts: Vec::new() };
        let mut rest = trimmed;
        while words.starts.len() < Self::MOST {
            let word = rest.trim_end_matches(is_of_word);
            if word.len() == rest.len() {
                break;
            }
            words.starts.push(word.len());
            rest = word.trim_end_matches(' ');
        }
        words
    }

    /// The names that these words can be, the shortest first.
    fn names(&self) -> impl Iterator<Item = String> {
        self.starts.iter().filter_map(|start| self.text.get(*start..self.end)).map(str::to_owned)
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-')
}

/// Where a value in quotes ends: before the first `mark` of its line that no backslash of its own stands before. What is behind that
/// is not looked at: a line may have many values.
fn unescaped_end(text: &str, mark: &str) -> Option<usize> {
    let escapes = mark.len() - mark.trim_start_matches('\\').len();
    let mut looked_at = 0;
    for (at, _) in text.match_indices(mark) {
        let before = text.get(..at).unwrap_or_default();
        if before.get(looked_at..).is_none_or(|more| more.contains(['\n', '\r'])) {
            return None;
        }
        looked_at = at;
        let count = before.len() - before.trim_end_matches('\\').len();
        if escapes > 0 && count == 0 || escapes == 0 && count % 2 == 0 {
            return Some(at);
        }
    }
    None
}

impl Pass<'_> {
    /// Masks the JSON that stands in a text, a string of the body that is no JSON itself, as rules and masks say: what the text
    /// becomes, if there was something. A text whose JSON cannot be read to its end goes whole.
    pub(super) fn mask_fragments(
        &mut self,
        text: &str,
        way: Way,
        fields: Option<&Fields>,
        tells: bool,
        found: &mut Vec<What>,
    ) -> Result<Option<String>, Unmaskable> {
        match self.try_fragments(text, way, fields, tells, found) {
            Ok(masked) => Ok(masked),
            Err(Unmaskable::Secret) => Err(Unmaskable::Secret),
            Err(_) => {
                let replacement = self.masker.masks.field_replacement(0).ok_or(Unmaskable::Unreadable { at: 0 })?;
                let mut instead = String::new();
                replacement.write_instead(text.as_bytes(), Form::Plain, &mut instead);
                found.push(What::Field);
                Ok(Some(instead))
            }
        }
    }

    fn try_fragments(
        &mut self,
        text: &str,
        way: Way,
        fields: Option<&Fields>,
        tells: bool,
        found: &mut Vec<What>,
    ) -> Result<Option<String>, Unmaskable> {
        let mut fragments = Fragments::of(text);
        let (mut written, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(begin) = text.get(at..).and_then(|rest| rest.find(['{', '['])).map(|next| at + next) {
            let Some(end) = fragments.end(begin)? else {
                at = begin + 1;
                continue;
            };
            at = end;
            let kept = Kept::default();
            let fragment = text.get(begin..end).unwrap_or_default();
            let mut pass = Pass::new(fragment, way, self.masker.masks, &kept, self.masker.secrets, self.most);
            pass.nested = self.nested + 1;
            if pass.nested > NESTED {
                return Err(Unmaskable::TooDeep { at: begin });
            }
            pass.keeps_shape = true;
            pass.fields = fields;
            if tells {
                pass.start_telling();
            }
            pass.value_and_end()?;
            let Some(masked) = pass.output.finish()?.and_then(|masked| String::from_utf8(masked).ok()) else {
                continue;
            };
            written.push_str(text.get(copied..begin).unwrap_or_default());
            written.push_str(&masked);
            if written.len() > self.most {
                return Err(Unmaskable::Grows { most: self.most });
            }
            copied = end;
            pass.tally.kinds_into(found);
            self.tell_inside(pass.told);
        }
        Ok((copied > 0).then(|| written + text.get(copied..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use crate::mask::{Kept, Kind, Masks, Rule, Unmaskable, mask_json, mask_text, mask_text_and_tell};

    fn masks(fields: &[&str]) -> Masks {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Masks::compile(&[("m", &Rule { fields, ..Rule::detecting(&[Kind::Email], "[{kind}]") })]).unwrap()
    }

    #[test]
    fn values_in_quotes_end_where_their_own_quote_stands() {
        let masks = masks(&["ssn"]);
        for (text, wanted) in [
            (r#"ssn: "Ann", age: "7""#, r#"ssn: "[field]", age: "7""#),
            (r#"ssn: "A\"nn" x"#, r#"ssn: "[field]" x"#),
            ("ssn: \"Ann\nage: \"7\"", "ssn: [field]\nage: \"7\""),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap().into_parts().0.unwrap();
            assert_eq!(String::from_utf8(masked).unwrap(), wanted);
        }
    }

    #[test]
    fn rules_reach_json_and_named_values_in_texts() {
        let masks = masks(&["name", "ssn", "home_address", "/documents/*/owner", "customer.phone"]);
        for (text, wanted) in [
            (
                r#"{"name": "Ann Lee", "ssn": "536-22-8726", "x": 1}"#,
                r#"{"name": "[field]", "ssn": "[field]", "x": 1}"#,
            ),
            (
                r#"error: {"name": "Ann", "at": ["a@b.de"]}, next"#,
                r#"error: {"name": "[field]", "at": ["[email]"]}, next"#,
            ),
            ("{\"name\":\"Ann\"}\n{\"name\":\"Bob\"}\n", "{\"name\":\"[field]\"}\n{\"name\":\"[field]\"}\n"),
            ("data: {\"ssn\": 536228726}\n\n", "data: {\"ssn\": \"[field]\"}\n\n"),
            ("name: Ann Lee\nstatus: 3", "name: [field]\nstatus: 3"),
            ("SSN=536-22-8726&x=1", "SSN=[field]"),
            ("Home Address :  1 High St, Ulm\r\nok", "Home Address :  [field]\r\nok"),
            (r#"bad {'name': 'Ann Lee', 'x': 1}"#, r#"bad {'name': '[field]', 'x': 1}"#),
            (r#"got "{\"name\": \"Ann Lee\", \"x\": 1}""#, r#"got "{\"name\": \"[field]\", \"x\": 1}""#),
            (r#"name => "Ann \"Q\" Lee", x"#, r#"name => "[field]", x"#),
            ("name:\n  - Ann\n  - Bob\nx: 1", "name:[field]\nx: 1"),
            ("owner: Ann", "owner: [field]"),
            ("customer.phone: 12", "customer.phone: [field]"),
            (r#"name: {"first": "Ann", "last": "Lee"} x"#, r#"name: [field] x"#),
            (r#"{"detail": "{\"ssn\": \"1\"}"}"#, r#"{"detail": "{\"ssn\": \"[field]\"}"}"#),
            (r#"{"detail": "bad: {\"ssn\": \"1\"}"}"#, r#"{"detail": "bad: {\"ssn\": \"[field]\"}"}"#),
            ("no healthy upstream", "no healthy upstream"),
            ("[x] {y} [1, {", "[x] {y} [1, {"),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap();
            let once = String::from_utf8(masked.body().unwrap_or(text.as_bytes()).to_vec()).unwrap();
            let shown = once.replace(": \"[field]", ":\"[field]");
            assert_eq!(shown, wanted.replace(": \"[field]", ":\"[field]"), "{text}");
            assert_eq!(mask_text(once.as_bytes(), &masks, &[]).unwrap().body(), None, "{once}");
            let (told, findings) = mask_text_and_tell(text.as_bytes(), &masks, &[]).unwrap();
            assert_eq!(told.found().iter().map(|one| one.count).sum::<u32>() as usize, findings.len(), "{text}");
        }
    }

    #[test]
    fn a_text_that_names_a_field_without_a_value_that_can_be_told_is_withheld() {
        let masks = masks(&["name", "home_address"]);
        for text in [
            "the name is Ann",
            "name\tAnn",
            "<name>Ann</name>",
            "home address Ulm",
            "HomeAddress Ulm",
            "NAME Ann",
            "\u{540d} name\u{ff1a} Ann",
            &"{\"a\":".repeat(3000),
            r#"{"x": {"name": "Ann"#,
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]);
            // What has its name and a sign is masked to the end of its line.
            let safe = masked
                .as_ref()
                .is_ok_and(|masked| masked.body().is_some_and(|body| !body.windows(3).any(|part| part == b"Ann")));
            assert!(safe || matches!(masked, Err(Unmaskable::Unreadable { .. })), "{text}: {masked:?}");
        }
        assert_eq!(mask_text(b"names and addresses", &masks, &[]).unwrap().body(), None);
    }

    #[test]
    fn strings_of_json_with_brackets_that_begin_nothing_are_masked_whole_and_let_nothing_be_withheld() {
        let masks = masks(&["name"]);
        let text = "{\"a\":".repeat(3000);
        let body = serde_json::json!({"results": [text, "x {\"name\": \"Ann\"} y", "a [1, 2] b"]}).to_string();
        let masked = mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap();
        let wanted = r#"{"results":["[field]","x {\"name\": \"[field]\"} y","a [1, 2] b"]}"#;
        assert_eq!(std::str::from_utf8(masked.body().unwrap()).unwrap(), wanted);
    }
}

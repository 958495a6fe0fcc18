//! Field rules in texts: in the JSON that stands in one, and in its lines of names and values.

use super::{Kept, NESTED, Pass, Unmaskable, Way};
use crate::bytes::{self, Block};
use crate::fields::{Fields, State};
use crate::finding::Finding;
use crate::found::Tally;
use crate::kind::What;
use crate::masks::Masks;
use crate::view::Form;
use rerank_guard_text::escapes;
use rerank_guard_text::fold::is_hidden;
use rerank_guard_text::visible::is_unseen;
use serde::de::IgnoredAny;
use std::borrow::Cow;
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
pub(crate) struct Read {
    pub(crate) text: Option<String>,
    pub(crate) tally: Tally,
    pub(crate) told: Vec<Finding>,
}

/// Masks what field rules say in a text body. There, of a rule the last name alone counts, wherever it stands: in JSON, before a
/// `:` or `=`. The value goes to the end of the line, unless it stands in quotes or is JSON.
///
/// # Errors
/// A name that a rule has stands where its value cannot be told: without a sign, in escapes, with a value that goes on over the end
/// of its line. Or JSON cannot be masked.
pub(crate) fn mask_fields_in(
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
    reader.no_name_in_escapes()?;
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
            let next = match byte {
                b'{' | b'[' => self.fragments.end(at)?.map(|end| Next::Fragment(at..end)),
                b':' | b'=' => self.named(begin, at)?,
                _ => None,
            };
            // Before a value stands its name, which may stand; before JSON, a text.
            at = match next {
                None => {
                    at += 1;
                    continue;
                }
                Some(Next::Fragment(range)) => {
                    self.no_name_in(begin, range.start)?;
                    self.mask_fragment(range.clone())?;
                    range.end.max(at + 1)
                }
                Some(Next::Value { name, value, hit }) => {
                    self.no_name_in(begin, name)?;
                    self.replace_value(value.clone(), hit)?;
                    value.end.max(at + 1)
                }
            };
            begin = at;
        }
        self.no_name_in(begin, self.text.len())
    }

    /// The value of the name that ends at the sign `at`, if a rule has that name.
    fn named(&mut self, begin: usize, at: usize) -> Result<Option<Next>, Unmaskable> {
        let before = self.text.get(begin..at).unwrap_or_default();
        let words = Words::before(before);
        let mut hits = words.names().filter_map(|(start, name)| Some((start, self.hit(name)?)));
        // The shortest name tells the rule, the longest where it begins.
        let Some((first, hit)) = hits.next() else { return Ok(None) };
        let name = begin + hits.last().map_or(first, |(start, _)| start);
        let unreadable = Unmaskable::Unreadable { at };
        let is_sign = |byte: &u8| matches!(byte, b' ' | b'\t' | b'=' | b'>' | b':');
        let behind = self.text.as_bytes().get(at + 1..).unwrap_or_default();
        let start = at + 1 + behind.iter().take_while(|byte| is_sign(byte)).count();
        let rest = self.text.get(start..).unwrap_or_default();
        let value = |value: Range<usize>| Ok(Some(Next::Value { name, value, hit }));
        if rest.starts_with(['{', '['])
            && let Some(end) = self.fragments.end(start)?
        {
            return value(start..end);
        }
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let own = rest.get(..line).unwrap_or_default();
        let quote = rest.trim_start_matches('\\');
        let quote = rest.len() - quote.len() + usize::from(quote.starts_with(QUOTES));
        let mark = rest.get(..quote).unwrap_or_default();
        if mark.ends_with(QUOTES) {
            let inside = rest.get(quote..).unwrap_or_default();
            let length = unescaped_end(inside, mark).ok_or(unreadable.clone())?;
            let behind = inside.get(length + mark.len()..).unwrap_or_default();
            return if goes_on(behind, mark, length == 0) {
                Err(unreadable)
            } else {
                value(start + quote..start + quote + length)
            };
        }
        // `>` is a sign and, behind `:`, the beginning of a block of lines.
        let signs = self.text.get(at..start).unwrap_or_default().trim_end();
        let is_block = signs.len() > 1 && signs.ends_with('>') && !signs.ends_with("=>");
        let end = if own.trim().is_empty() && !is_block {
            let end = self.block_end(at, start + line);
            // What stands as far out as the name, and is no member itself, may still be its value.
            let next = self.text.get(end..).unwrap_or_default().lines().find(|line| !line.trim().is_empty());
            if next.is_some_and(|next| !next.contains([':', '=']) && !next.trim().starts_with(['}', ']', ')'])) {
                return Err(unreadable);
            }
            end
        } else {
            start + line
        };
        let said = self.text.get(start..end).unwrap_or_default();
        let is_open = is_block || is_open(said) || !own.trim().is_empty() && self.is_continued(at, start + line);
        if is_open { Err(unreadable) } else { value(start..end) }
    }

    /// Whether the line of the name at `at` goes on behind its end, which is at `line`: the next one stands further in.
    fn is_continued(&self, at: usize, line: usize) -> bool {
        let next = self.text.get(line..).unwrap_or_default().split(['\n', '\r']).find(|line| !line.trim().is_empty());
        next.is_some_and(|next| depth(next) > self.depth_of(at))
    }

    /// How far in the line stands that `at` is in.
    fn depth_of(&self, at: usize) -> usize {
        let begin = self.text.get(..at).and_then(|before| before.rfind(['\n', '\r'])).map_or(0, |end| end + 1);
        depth(self.text.get(begin..at).unwrap_or_default())
    }

    /// Where the lines end that belong to a name at `at`, whose own line ends at `line` with nothing behind it: the next that has
    /// something, and those that are further in.
    fn block_end(&self, at: usize, line: usize) -> usize {
        let own = self.depth_of(at);
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

    /// Whoever reads the escapes of a text may see names in it that do not stand there, and values where none can be told.
    fn no_name_in_escapes(&self) -> Result<(), Unmaskable> {
        let Some(mut read) = escapes::resolved(self.text) else { return Ok(()) };
        // What may be a part of an escape is not sure to be read as it stands.
        let stays = |at: &usize| {
            let (before, rest) = self.text.split_at_checked(*at).unwrap_or_default();
            let word = rest.trim_start_matches(is_of_word);
            !(before.ends_with(['\\', '%']) || before.ends_with('&') && word.starts_with(';'))
        };
        let standing = self.names_in(self.text).filter(stays).count();
        for _ in 0..escapes::MOST_TIMES {
            if self.names_in(&read).count() > standing {
                return Err(Unmaskable::Unreadable { at: 0 });
            }
            match escapes::resolved(&read) {
                Some(next) => read = next,
                None => return Ok(()),
            }
        }
        Err(Unmaskable::Unreadable { at: 0 })
    }

    fn hit(&self, name: &str) -> Option<usize> {
        self.fields.member(State::START, self.fields.class(name)).hit()
    }

    /// A name that a rule has may not stand where nothing says what its value is.
    fn no_name_in(&self, start: usize, end: usize) -> Result<(), Unmaskable> {
        let text = self.text.get(start..end).unwrap_or_default();
        self.names_in(text).next().map_or(Ok(()), |at| Err(Unmaskable::Unreadable { at: start + at }))
    }

    /// Where the words stand in `text` with which names end that a rule has.
    fn names_in(&self, text: &str) -> impl Iterator<Item = usize> {
        let (mut at, mut last) = (0, Vec::new());
        std::iter::from_fn(move || {
            loop {
                let begin = at + text.get(at..)?.find(is_of_word)?;
                let rest = text.get(begin..).unwrap_or_default();
                let length = rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
                let gap = text.get(at..begin).unwrap_or_default();
                if !gap.trim_matches(' ').is_empty() {
                    last.clear();
                }
                if last.len() >= Words::MOST {
                    last.remove(0);
                }
                last.push(begin);
                at = begin + length;
                if last.iter().any(|from| text.get(*from..at).is_some_and(|name| self.hit(name).is_some())) {
                    return Some(begin);
                }
            }
        })
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

/// What comes next in a text.
enum Next {
    Fragment(Range<usize>),
    /// The value of a name that begins at `name`.
    Value {
        name: usize,
        value: Range<usize>,
        hit: usize,
    },
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

/// The words right before a sign, the last first, with where they begin: `"home address" :` has `home address`.
struct Words<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Words<'a> {
    /// The most words of a name.
    const MOST: usize = 4;

    fn before(text: &'a str) -> Self {
        let trimmed = text.trim_end_matches(closes);
        let mut words = Self { text: trimmed, starts: Vec::new() };
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

    /// The names that these words can be, the shortest first, each with where it begins.
    fn names(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let text = self.text;
        self.starts.iter().filter_map(move |start| Some((*start, text.get(*start..)?)))
    }
}

/// Letters of names, and what cannot be seen between them.
fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-') || !letter.is_ascii_graphic() && is_hidden(letter)
}

/// What may stand between a name and its sign.
fn closes(letter: char) -> bool {
    letter.is_whitespace()
        || is_unseen(letter)
        || is_quote(letter)
        || matches!(letter, '\\' | ')' | ']' | '*' | '>' | '?')
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Whether a value that is not in quotes cannot be told to end where its line does: it opens something that it does not close, or says
/// that more comes.
fn is_open(value: &str) -> bool {
    let mut depth = [0_isize; 3];
    let mut rest = value;
    while let Some(at) = rest.find(['"', '`', '\'', '{', '}', '[', ']', '(', ')']) {
        let (mark, behind) =
            rest.split_at_checked(at).and_then(|(_, mark)| mark.split_at_checked(1)).unwrap_or_default();
        rest = behind;
        let [braces, brackets, others] = &mut depth;
        match mark {
            "{" => *braces += 1,
            "}" => *braces -= 1,
            "[" => *brackets += 1,
            "]" => *brackets -= 1,
            "(" => *others += 1,
            ")" => *others -= 1,
            // What stands in quotes opens nothing.
            _ => match behind.split_once(mark) {
                Some((_, behind)) => rest = behind,
                // An apostrophe is none.
                None if mark == "'" => {}
                None => return true,
            },
        }
    }
    // A block of YAML, with how it is indented and what becomes of its end, and perhaps a comment.
    let said = value.split(" #").next().unwrap_or_default().trim_end();
    let block = said.trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '+' | '-'));
    depth.iter().any(|depth| *depth > 0)
        || value.trim_end().ends_with('\\')
        || block.ends_with(['|', '>']) && said.len() - block.len() <= 2
        || ["\"\"\"", "'''", "```", "<<"].iter().any(|mark| value.contains(mark))
}

/// Whether a value in quotes goes on behind the quote that ends it, as strings do that stand next to each other. Where there is nothing
/// in the quotes, nothing may stand behind them but the end of the member.
fn goes_on(behind: &str, mark: &str, is_empty: bool) -> bool {
    const ENDS: [char; 6] = [',', '}', ']', ')', ';', '&'];
    let next = behind.trim_start();
    let is_packed = mark.len() > 1;
    let is_at_end = |rest: &str| rest.is_empty() || rest.starts_with(ENDS) || rest.starts_with(['\n', '\r']);
    next.starts_with(mark)
        || !is_packed && (next.starts_with(['+', '\\']) || next.starts_with(QUOTES))
        || behind.starts_with(char::is_alphanumeric)
        || is_empty && !is_at_end(behind.trim_start_matches([' ', '\t', '\\', '"']))
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

/// Whether a string can have something in it that is read as an object with members: JSON, or what only looks like it.
pub(super) fn may_name_fields(string: &str) -> bool {
    const MARKS: [char; 9] = ['"', '\'', '`', '\\', '}', '%', '&', '\u{201c}', '\u{201d}'];
    let text = string.as_bytes();
    let has = |one: u8, other: u8| bytes::find(text, 0, |block| block.either(one, other)).is_some();
    // Most strings have none of them.
    let signs = |block: Block| {
        block.either(b'{', b'[').or(block.is(b'}')).or(block.either(b':', b'=')).or(block.either(b'%', b'&'))
    };
    if bytes::find(text, 0, |block| signs(block).or(block.is(b'\\'))).is_none() {
        return false;
    }
    has(b'{', b'[')
        || has(b'}', b'}')
        || has(b':', b'=') && string.contains(MARKS)
        // A sign that is written as an escape.
        || has(b'%', b'&') && ["%3", "%25", "&#", "&amp;"].iter().any(|sign| string.contains(sign))
        || has(b'\\', b'\\') && string.contains("u003")
}

/// Whether a text that is no JSON names a member that a rule can still hit, as JSON, its dialects and programs write members: in
/// quotes, or behind a brace, and before a sign. What is only said in passing, as in `ssn: 7` in a sentence, is a text's own.
pub(super) fn names_a_field(text: &str, has_braces: bool, fields: &Fields, state: State) -> bool {
    let mut read = Cow::Borrowed(text);
    for _ in 0..=escapes::MOST_TIMES {
        if names_a_field_as_it_stands(&read, has_braces, fields, state) {
            return true;
        }
        match escapes::resolved(&read) {
            Some(next) => read = Cow::Owned(next),
            None => return false,
        }
    }
    true
}

fn names_a_field_as_it_stands(text: &str, has_braces: bool, fields: &Fields, state: State) -> bool {
    let is_sign = |letter| matches!(letter, ':' | '=' | '/' | '#' | '\u{ff1a}' | '\u{ff1d}');
    // A comment may stand between a name and its sign.
    let is_comment = |at: usize| text.get(at + 1..).is_some_and(|rest| rest.starts_with(['*', '/']));
    let has_braces = has_braces || text.contains(BRACES);
    let (mut begin, mut was_quote) = (0, false);
    // Where the last quotes and blanks end that were gone over: each would go over all that follow it again.
    let mut open = 0;
    for (at, sign) in text.match_indices(|letter| is_sign(letter) || is_quote(letter)) {
        if sign == "/" && !is_comment(at) {
            continue;
        }
        let before = text.get(begin..at).unwrap_or_default();
        begin = at + sign.len();
        let is_quote = sign.starts_with(is_quote);
        let was_quote = std::mem::replace(&mut was_quote, is_quote);
        let asks = if is_quote {
            if open < begin {
                open = text.len() - text.get(begin..).unwrap_or_default().trim_start_matches(closes).len();
            }
            let rest = text.get(open..).unwrap_or_default();
            // An apostrophe closes nothing.
            let closes = sign != "'" || was_quote;
            closes && (has_braces || rest.starts_with(is_sign))
        } else {
            has_braces
        };
        if !asks {
            continue;
        }
        // Whatever stands behind a name that is no word: what is almost JSON may have a sign too many.
        let words = Words::before(before.trim_end_matches(|letter| !is_of_word(letter) || is_unseen(letter)));
        let marks = before.get(words.text.len()..).unwrap_or_default();
        // What stands in the place of a finding names nothing.
        let is_label = |start| marks.starts_with(']') && before.get(..start).is_some_and(|text| text.ends_with('['));
        let mut names = words.names().filter(|(start, _)| !is_label(*start));
        if names.any(|(_, name)| fields.hits_ahead(state, name)) {
            return true;
        }
    }
    false
}

/// Where the sign behind `list` ends, if that stands where programs write a name, as in `{["ssn"]: 7}` and `a["ssn"] = 7`.
fn end_of_computed_name(text: &str, list: Range<usize>) -> Option<usize> {
    let inside = text.get(list.clone())?.strip_prefix('[')?;
    let behind = text.get(list.end..)?.trim_start_matches(closes);
    let is_name = inside.trim_start().starts_with('"') && behind.starts_with([':', '=']);
    is_name.then(|| text.len() - behind.len() + 1)
}

const BRACES: [char; 2] = ['{', '}'];

fn is_quote(letter: char) -> bool {
    QUOTES.contains(&letter) || matches!(letter, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')
}

impl Pass<'_> {
    /// Masks the JSON that stands in a text, a string of the body that is no JSON itself, as rules and masks say: what the text
    /// becomes, if there was something. A text whose JSON cannot be read to its end goes whole, and so does one that names a field
    /// outside of its JSON.
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
                if tells {
                    self.tell_field(None);
                }
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
        let mut read = 0;
        let has_braces = text.contains(BRACES);
        let no_field_in = |range: Range<usize>| {
            let between = text.get(range.clone()).unwrap_or_default();
            match fields {
                Some(fields) if names_a_field(between, has_braces, fields, way.field) => {
                    Err(Unmaskable::Unreadable { at: range.start })
                }
                _ => Ok(()),
            }
        };
        while let Some(begin) = text.get(at..).and_then(|rest| rest.find(['{', '['])).map(|next| at + next) {
            let Some(end) = fragments.end(begin)? else {
                at = begin + 1;
                continue;
            };
            let end_of_name = end_of_computed_name(text, begin..end);
            no_field_in(read..end_of_name.unwrap_or(begin))?;
            (at, read) = (end, end_of_name.unwrap_or(end));
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
        no_field_in(read..text.len())?;
        Ok((copied > 0).then(|| written + text.get(copied..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Kept, Kind, Masks, Rule, Unmaskable, mask_json, mask_json_and_tell, mask_text, mask_text_and_tell};
    use proptest::prelude::*;

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
            (r#"ssn: "", age: "7""#, r#"ssn: "", age: "7""#),
            (r#"x "ssn: \"Ann\"" y"#, r#"x "ssn: \"[field]\"" y"#),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap().into_parts().0;
            let masked = masked.unwrap_or_else(|| text.as_bytes().to_vec());
            assert_eq!(String::from_utf8(masked).unwrap(), wanted);
        }
    }

    #[test]
    fn a_name_that_is_a_body_itself_goes_whole_and_so_does_what_computes_a_name() {
        let masks = masks(&["ssn"]);
        for body in [
            r#"{"{\"ssn\":\"Ann\"}":1}"#,
            r#"{"a {\"ssn\":\"Ann\"} b":"x"}"#,
            r#"{"%7B%22ssn%22:%22Ann%22":1}"#,
            r#"{"t":"{\"{\\\"ssn\\\":\\\"Ann\\\"}\":1}"}"#,
            r#"{"t":"{[\"ssn\"]:\"Ann\"}"}"#,
            r#"{"t":"a[\"ssn\"] = \"Ann\""}"#,
        ] {
            let masked = mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap().into_parts().0;
            let masked = String::from_utf8(masked.unwrap_or_else(|| body.as_bytes().to_vec())).unwrap();
            assert!(!masked.contains("Ann"), "{body} leaves as {masked}");
            serde_json::from_str::<serde_json::Value>(&masked).unwrap();
        }
        for body in [r#"{"a: {b}":1}"#, r#"{"t":"[\"ssn\"] and [1]: x"}"#] {
            assert_eq!(mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap().body(), None, "{body}");
        }
    }

    /// Each of these took time with the square of its length: a document of one megabyte held a worker for minutes.
    #[test]
    fn a_string_of_one_sign_is_read_in_time_that_grows_with_its_length() {
        let masks = masks(&["ssn", "customer.name"]);
        for piece in ["\"", "'", "\\", "\" ", "\u{201c}", "[1] ", "[\"ssn\"]", "a.", "\\\"", "x\""] {
            let many = piece.repeat((1 << 15) / piece.len());
            for text in [format!("{{{many}}}"), format!("{{x{many}}}"), format!("{{\"{many}\"}}"), format!("a={many}%")]
            {
                let body = serde_json::json!({ "t": text, text.clone(): 1 }).to_string();
                drop(mask_json(body.as_bytes(), &masks, &Kept::default(), &[]));
                drop(mask_text(text.as_bytes(), &masks, &[]));
            }
        }
    }

    /// Masking the first line of such a value would leave the others.
    #[test]
    fn a_text_with_a_value_that_goes_on_over_its_line_is_withheld() {
        let masks = masks(&["ssn"]);
        for text in [
            "ssn: |\n  536\n  22",
            "ssn: |-\n536",
            "ssn: >\n  536\n  22",
            "ssn: >2-\n  536",
            "ssn: !!str |\n  536",
            "ssn: | # note\n  536",
            "ssn: \"\"\"536\n22\"\"\"",
            "ssn = '''536\n22'''",
            "ssn = r\"\"\"536\n22\"\"\"",
            "ssn: ```\n536\n```",
            "ssn: \"536\n22\"",
            "ssn: '536\n22'",
            "ssn: `536\n22`",
            "ssn: \\\"536\n22\\\"",
            "ssn: [536,\nNaN]",
            "ssn: [']',\n536]",
            "ssn: {a: 536,\nb: 22}",
            "ssn: (536,\n22)",
            "ssn: f(\n536)",
            "ssn: 536 \\\n22",
            "ssn: 536\n  22 8726",
            "ssn=<<EOF\n536\nEOF",
            "ssn:\n536\n22",
            "ssn:\n[\n536\n]",
            "ssn:\n{\na: 536\n}",
            "{\"ssn\": [536,\n NaN]}",
            "ssn: '536' '22'",
            "ssn: \"536\"\n\"22\"",
            "ssn: \"536\" + \"22\"",
            "ssn: \"536\"\"22\"",
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]);
            assert!(matches!(masked, Err(Unmaskable::Unreadable { .. })), "{text}: {masked:?}");
        }
        for (text, wanted) in [
            ("a:\n  ssn: 536 (new)\n  b: 1", "a:\n  ssn: [field]\n  b: 1"),
            ("ssn: O'Brien\nb: 1", "ssn: [field]\nb: 1"),
            ("{\n  \"ssn\": NaN,\n  \"b\": 1\n}", "{\n  \"ssn\": [field]\n  \"b\": 1\n}"),
            ("ssn:\n  536\n  22\n\nb: 1", "ssn:[field]\n\nb: 1"),
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]).unwrap().into_parts().0.unwrap();
            assert_eq!(String::from_utf8(masked).unwrap(), wanted);
        }
    }

    #[test]
    fn a_name_that_stands_in_escapes_or_only_looks_otherwise_is_told_in_texts() {
        let masks = masks(&["ssn"]);
        for text in [
            r"s\u0073n: 536",
            r"s\x73n=536",
            "s%73n=536",
            "s%2573n=536",
            "s&#115;n: 536",
            "&#x73;sn: 536",
            "a\\nssn: 536",
            "\u{455}sn: 536",
            "s\u{200b}sn: 536",
            "ｓｓｎ: 536",
            "s\u{0}sn: 536",
            "s\u{3164}sn: 536",
            "SSN\u{ff1a} 536",
            r"\ssn ssn%20 s%73n=536",
            "&quot;ssn&quot;: 536",
            "{“ssn”: 536}",
        ] {
            let masked = mask_text(text.as_bytes(), &masks, &[]);
            let is_safe = match &masked {
                Ok(masked) => masked.body().is_some_and(|body| !body.windows(3).any(|part| part == b"536")),
                Err(why) => matches!(why, Unmaskable::Unreadable { .. }),
            };
            assert!(is_safe, "{text}: {masked:?}");
        }
        for text in ["100% & more", r"C:\users\new", "a%20b%C3%A9 &amp; &lt;", r"x\ny", "sson: 1"] {
            assert_eq!(mask_text(text.as_bytes(), &masks, &[]).unwrap().body(), None, "{text}");
        }
    }

    /// Readers that are lax about JSON, or read twice, find the field there.
    #[test]
    fn a_string_with_what_is_almost_json_and_names_a_field_goes_whole() {
        let masks = masks(&["ssn"]);
        for said in [
            r#"{"ssn": NaN, "x": 536}"#,
            r#"{"x": NaN, "ssn": 536}"#,
            r#"{"ssn": 536"#,
            r#"x": 1, "ssn": 536}"#,
            r#"{"ssn": 536,}"#,
            "{'ssn': 536}",
            "{ssn: 536}",
            r#"{"ssn" /* a:b */ : 536}"#,
            "{\"ssn\" // a: b\n : 536}",
            "{ssn // a\n: 536}",
            "{\"a\": 1, # \n \"ssn\": 536}",
            r#""{\"ssn\": 536}""#,
            r#"{\"ssn\": 536}"#,
            r#"{\\\"ssn\\\": 536}"#,
            r#""ssn": 536,"#,
            "log: 'ssn'=536",
            r#"{"s\u0073n": 536,}"#,
            r#"{'s\x73n': 536}"#,
            "%7B%22ssn%22%3A536%7D",
            "{&quot;ssn&quot;: 536}",
            r#"{"ѕsn": 536,}"#,
            "{“ssn”: 536}",
            r#"{"ssn"：536}"#,
            r#"{"a": 1} {"ssn": 536,}"#,
            r#"[{"a": 1}, {"ssn": Infinity, "b": 536}]"#,
            r#"{"a": 1, "ssn": +536}"#,
            r#"{"a": 0x1, "ssn": 536}"#,
            "{:ssn => 536}",
            "{\"ssn\"\u{0}: 536}",
            r#"{"a": {"b": [1, {"ssn": 536}]}"#,
        ] {
            let body = serde_json::json!({"results": [said, {"said": said}]}).to_string();
            let masked = mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap();
            let masked = std::str::from_utf8(masked.body().unwrap_or_default()).unwrap();
            assert!(masked.starts_with('{') && !masked.contains("536"), "{said}: {masked}");
            let (told, findings) = mask_json_and_tell(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap();
            assert_eq!(told.found().iter().map(|one| one.count).sum::<u32>() as usize, findings.len(), "{said}");
        }
        for said in [
            "the ssn: 7 of it",
            "it's said: yes",
            "{x} y",
            "{a: 1, 'b': 2}",
            "\"quoted\": text",
            "fn f() { return {a: 1} }",
            "a = 'b' # c",
            "https://example.org/?q=%20&a=b",
            "“yes”: no",
        ] {
            let body = serde_json::json!({"results": [said]}).to_string();
            assert_eq!(mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap().body(), None, "{said}");
        }
        // A pointer that leads elsewhere has nothing to do with it.
        let elsewhere = self::masks(&["/meta/ssn"]);
        let body = serde_json::json!({"results": ["{'ssn': 536}"], "meta": {"x": "a"}}).to_string();
        assert_eq!(mask_json(body.as_bytes(), &elsewhere, &Kept::default(), &[]).unwrap().body(), None);
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

    const NAMED: &str = r#"{"a": 1, "ssn": "536228726", "b": [true, "x"]}"#;

    proptest! {
        /// Whatever a body suffers on its way into a text, what it names is not left.
        #[test]
        fn of_json_that_is_damaged_around_it_no_field_is_left(
            damages in proptest::collection::vec((any::<prop::sample::Index>(), prop::option::of("[{}\\[\\],:'\"\\\\/*# \n\u{200b}\u{0}]")), 0..3),
        ) {
            let mut text = NAMED.to_owned();
            for (place, inserted) in damages {
                let kept = ["ssn", "536228726"].map(|kept| text.find(kept).map_or(0..0, |at| at..at + kept.len()));
                let free = |at: &usize| text.is_char_boundary(*at) && kept.iter().all(|kept| !kept.contains(at));
                let places: Vec<usize> = (0..text.len()).filter(free).collect();
                let at = *place.get(&places);
                match inserted {
                    Some(more) => text.insert_str(at, &more),
                    None => drop(text.remove(at)),
                }
            }
            let masks = masks(&["ssn"]);
            let body = serde_json::json!({"results": [text]}).to_string();
            let masked = mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap();
            let left = String::from_utf8_lossy(masked.body().unwrap_or(body.as_bytes())).into_owned();
            prop_assert!(!left.contains("536228726"), "{} in JSON: {}", text, left);
            if let Ok(masked) = mask_text(text.as_bytes(), &masks, &[]) {
                let left = String::from_utf8_lossy(masked.body().unwrap_or(text.as_bytes())).into_owned();
                prop_assert!(!left.contains("536228726"), "{} as a text: {}", text, left);
            }
        }
    }
}

//! Masks a JSON body in one pass over its tokens, without a tree.
//!
//! The grammar is RFC 8259 and nothing else, so a body that passes was read whole. Every string is looked at, member names too;
//! numbers where the dialect does not keep them. What stands where a field rule says is replaced whole. What is not replaced is
//! copied byte for byte, and a body in which nothing is replaced is not copied at all.

mod cursor;
mod field;
mod fragments;
mod output;
mod part;
mod pointer;
#[cfg(test)]
mod tests;
mod ways;

use super::detect::Context;
use super::fields::{Fields, State};
use super::finding::{self, Finding};
use super::found::{Masked, Tally};
use super::kept::Kept;
use super::kind::What;
use super::masking::With;
use super::masks::Masks;
use super::secret;
use super::text::{Masker, merge};
use super::unmaskable::Unmaskable;
use super::view::{Form, unescaped};
use cursor::Cursor;
pub(super) use fragments::{Read, mask_fields_in};
use output::{Member, Output};
pub use part::{kinds_in, mask_parts, mask_parts_within};
use pointer::pointer;
use std::borrow::Cow;
use std::ops::Range;
use ways::{Id, Way, Ways};

/// Masks a JSON body: what is found in any string, member names included, and in any number outside `kept` is replaced.
///
/// A number with a finding becomes a string, the finding's label. What field rules hit is replaced whole. Positions in errors are byte offsets.
///
/// # Errors
/// A body that is not one whole JSON value in UTF-8 (RFC 8259), nested more than 128 deep, has half of a surrogate pair in a
/// string, or one of `secrets` in its bytes or in a decoded string, or more findings than the masks let leave. Where there are
/// field rules, also one whose strings hold JSON more than three deep, or such with half of a surrogate pair or nested too deep.
/// Repeated member names are let through: each is looked at.
pub fn mask_json(body: &[u8], masks: &Masks, kept: &Kept, secrets: &[&[u8]]) -> Result<Masked, Unmaskable> {
    mask_json_within(body, masks, kept, secrets, usize::MAX)
}

/// As [`mask_json`], of which at most `most` bytes may come out. Masking stops as soon as more would.
///
/// # Errors
/// As [`mask_json`], and where more than `most` bytes would come out.
pub fn mask_json_within(
    body: &[u8],
    masks: &Masks,
    kept: &Kept,
    secrets: &[&[u8]],
    most: usize,
) -> Result<Masked, Unmaskable> {
    whole(body, masks, kept, secrets, most, false).map(|(masked, _)| masked)
}

/// As [`mask_json`], and tells each finding.
///
/// # Errors
/// As [`mask_json`].
pub fn mask_json_and_tell(
    body: &[u8],
    masks: &Masks,
    kept: &Kept,
    secrets: &[&[u8]],
) -> Result<(Masked, Vec<Finding>), Unmaskable> {
    whole(body, masks, kept, secrets, usize::MAX, true)
}

fn whole(
    body: &[u8],
    masks: &Masks,
    kept: &Kept,
    secrets: &[&[u8]],
    most: usize,
    tells: bool,
) -> Result<(Masked, Vec<Finding>), Unmaskable> {
    let text = std::str::from_utf8(body).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    if secret::stands_in(secrets, body) {
        return Err(Unmaskable::Secret);
    }
    let mut pass = Pass::new(text, Way::default(), masks, kept, secrets, most);
    if tells {
        pass.start_telling();
    }
    pass.value_and_end()?;
    masks.let_pass(&pass.tally)?;
    Ok((Masked::new(pass.output.finish()?, pass.tally), pass.told.unwrap_or_default()))
}

/// As [`mask_json`], for one record of a stream: gives what it becomes, if that is something else, and counts its findings in
/// `tally`, with pointers that begin with `prefix`.
pub(super) fn mask_record(
    record: &[u8],
    prefix: &str,
    with: With<'_>,
    tally: &mut Tally,
) -> Result<Option<Vec<u8>>, Unmaskable> {
    let text = std::str::from_utf8(record).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    if secret::stands_in(with.secrets, record) {
        return Err(Unmaskable::Secret);
    }
    let mut pass = Pass::new(text, Way::default(), with.masks, with.kept, with.secrets, with.most);
    pass.prefix = prefix;
    pass.tally = std::mem::take(tally);
    let end = pass.value_and_end();
    *tally = pass.tally;
    end.and_then(|()| pass.output.finish())
}

/// How deep arrays and objects may be nested.
const DEEPEST: usize = 128;

/// How deep JSON in the strings of JSON is read as such.
const NESTED: usize = 3;

struct Pass<'a> {
    cursor: Cursor<'a>,
    /// The pointer to the body, where it stands in another.
    prefix: &'a str,
    /// Whether what is dropped leaves a label instead.
    keeps_shape: bool,
    nested: usize,
    kept: &'a Kept,
    /// The field rules, if there are any.
    fields: Option<&'a Fields>,
    /// Whether the dialect or a rule tells items of arrays apart.
    numbers_items: bool,
    /// The most bytes that may come out.
    most: usize,
    masker: Masker<'a>,
    ways: Ways,
    open: Vec<Open>,
    output: Output<'a>,
    tally: Tally,
    /// Each finding for itself, if somebody wants to know.
    told: Option<Vec<Finding>>,
}

/// An array or object that is being read.
struct Open {
    /// The way to it.
    under: Id,
    /// The way to what is being read in it.
    way: Id,
    inside: Inside,
}

enum Inside {
    Array {
        index: u32,
    },
    Object {
        name: Range<usize>,
        masked: Option<String>,
        member: Member,
        /// Whether the member that is being read is to be taken out.
        dropped: bool,
        /// Whether no member before it stays.
        first: bool,
    },
}

impl<'a> Pass<'a> {
    /// `root`: what is known of the way to the body, where it stands in another; its place is the first.
    fn new(text: &'a str, root: Way, masks: &'a Masks, kept: &'a Kept, secrets: &'a [&'a [u8]], most: usize) -> Self {
        let fields = masks.fields();
        Self {
            cursor: Cursor { text, at: 0 },
            prefix: "",
            keeps_shape: false,
            nested: 0,
            kept,
            fields,
            numbers_items: kept.numbers_items() || fields.is_some_and(Fields::numbers_items),
            most,
            masker: Masker::new(masks, secrets, most),
            ways: Ways::from(Way { place: kept.root(), ..root }),
            open: Vec::new(),
            output: Output::of(text, most),
            tally: Tally::default(),
            told: None,
        }
    }

    fn value_and_end(&mut self) -> Result<(), Unmaskable> {
        loop {
            let opened = self.value()?;
            self.output.has_room()?;
            if opened {
                continue;
            }
            // Behind a value: close what ends here, until something goes on.
            loop {
                let byte = self.cursor.skip_space();
                let Some(open) = self.open.last_mut() else {
                    return if byte.is_none() { Ok(()) } else { Err(self.cursor.malformed()) };
                };
                match (byte, &mut open.inside) {
                    (Some(b','), Inside::Array { index }) => {
                        *index = index.saturating_add(1);
                        self.cursor.at += 1;
                        if self.numbers_items {
                            self.next_item();
                        }
                        break;
                    }
                    (Some(b','), Inside::Object { .. }) => {
                        self.end_member();
                        let comma = self.cursor.at;
                        self.cursor.at += 1;
                        self.cursor.skip_space();
                        self.name(comma)?;
                        break;
                    }
                    (Some(b']'), Inside::Array { .. }) => {
                        self.cursor.at += 1;
                        self.open.pop();
                    }
                    (Some(b'}'), Inside::Object { .. }) => {
                        self.end_member();
                        self.cursor.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(self.cursor.malformed()),
                }
            }
        }
    }

    /// Reads a value, or the beginning of one; whether an array or object was opened that is not empty.
    fn value(&mut self) -> Result<bool, Unmaskable> {
        let first = self.cursor.skip_space();
        if self.fields.is_some()
            && let Some(hit) = self.ways.get(self.here()).field.hit()
        {
            return self.mask_field(first, hit);
        }
        match first {
            Some(b'{') => return self.open(b'}'),
            Some(b'[') => return self.open(b']'),
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.cursor.literal(b"true")?,
            Some(b'f') => self.cursor.literal(b"false")?,
            Some(b'n') => self.cursor.literal(b"null")?,
            _ => return Err(self.cursor.malformed()),
        }
        Ok(false)
    }

    fn open(&mut self, closing: u8) -> Result<bool, Unmaskable> {
        if self.open.len() >= DEEPEST {
            return Err(Unmaskable::TooDeep { at: self.cursor.at });
        }
        self.cursor.at += 1;
        let empty = self.cursor.skip_space() == Some(closing);
        if empty {
            self.cursor.at += 1;
            return Ok(false);
        }
        let under = self.here();
        if closing == b']' {
            self.open.push(Open { under, way: under, inside: Inside::Array { index: 0 } });
            self.next_item();
            return Ok(true);
        }
        let inside =
            Inside::Object { name: 0..0, masked: None, member: Member::default(), dropped: false, first: true };
        self.open.push(Open { under, way: under, inside });
        self.name(self.cursor.at)?;
        Ok(true)
    }

    /// Goes to the next item of the innermost array.
    fn next_item(&mut self) {
        let known = |open: &Open| if self.numbers_items { None } else { self.ways.item(open.under) };
        let way = self.open.last().and_then(known).unwrap_or_else(|| self.new_item());
        if let Some(open) = self.open.last_mut() {
            open.way = way;
        }
    }

    #[inline(never)]
    fn new_item(&mut self) -> Id {
        self.forget();
        let Some(Open { under, inside: Inside::Array { index }, .. }) = self.open.last() else { return Id::ROOT };
        let way = self.ways.get(*under);
        let into = Way {
            place: self.kept.step(way.place, |step| step.parse() == Ok(*index)),
            field: self.fields.map(|fields| fields.item(way.field, *index)).unwrap_or_default(),
            ..way
        };
        if self.numbers_items { self.ways.add(into) } else { self.ways.add_item(*under, into) }
    }

    /// Forgets ways, if they have become many.
    fn forget(&mut self) {
        if self.ways.are_many() {
            self.ways.forget_all_but(self.open.iter_mut().flat_map(|open| [&mut open.under, &mut open.way]));
        }
    }

    /// Reads a member's name and the colon behind it. The member begins at `start`, with its comma if it has one.
    fn name(&mut self, start: usize) -> Result<(), Unmaskable> {
        let Some(open) = self.open.last() else { return Err(self.cursor.malformed()) };
        let under = open.under;
        let member = self.output.member(start, self.cursor.at);
        if self.cursor.byte() != Some(b'"') {
            return Err(self.cursor.malformed());
        }
        let (raw, plain) = self.cursor.string_end()?;
        if let Some(known) = self.ways.member(under, self.cursor.text, &raw) {
            self.colon()?;
            self.enter(raw, None, known, member);
            return Ok(());
        }
        self.new_name(raw, plain, member)
    }

    /// Reads a member's name that was not read before in its place, or had a finding.
    #[inline(never)]
    fn new_name(&mut self, raw: Range<usize>, plain: bool, member: Member) -> Result<(), Unmaskable> {
        self.forget();
        let Some(open) = self.open.last() else { return Err(self.cursor.malformed()) };
        let under = open.under;
        let way = self.ways.get(under);
        // Until it is read, findings in the name are told to be in the object.
        let masked = match self.label_of_fields_in(&raw, way.field)? {
            Some(label) => Some(label),
            None => {
                let replaced = self.mask(raw.clone(), plain, way.says, true)?;
                replaced.then(|| self.masker.masked().to_owned())
            }
        };
        self.colon()?;
        // The name as it leaves, so that what leaves has no finding either.
        let name = masked.as_deref().or(self.cursor.text.get(raw.clone())).unwrap_or_default();
        let name = unescaped(name);
        let said = unescaped(self.cursor.text.get(raw.clone()).unwrap_or_default());
        let into = Way {
            field: self.fields.map(|fields| fields.member(way.field, fields.class(&said))).unwrap_or_default(),
            // Once for all patterns, and for most names not at all.
            place: self.kept.step(way.place, |step| name == *step),
            ..way.member(self.masker.masks.context_of(name.as_bytes()))
        };
        let into = match &masked {
            None => self.ways.add_member(under, self.cursor.text, &raw, into),
            Some(_) => self.ways.add(into),
        };
        self.enter(raw, masked, into, member);
        Ok(())
    }

    /// What stands instead of the member's name `raw`, if that is a text with a field that a rule can hit there: packed, a whole body can
    /// be a name.
    fn label_of_fields_in(&mut self, raw: &Range<usize>, state: State) -> Result<Option<String>, Unmaskable> {
        let Some(fields) = self.fields else { return Ok(None) };
        let name = self.cursor.text.get(raw.clone()).unwrap_or_default();
        if !fragments::may_name_fields(name) || !fragments::names_a_field(&unescaped(name), false, fields, state) {
            return Ok(None);
        }
        let replacement = self.masker.masks.field_replacement(0).ok_or(Unmaskable::Unsettled { at: raw.start })?;
        let mut label = String::new();
        replacement.write_instead(name.as_bytes(), Form::Json, &mut label);
        self.output.replace(raw.clone(), &label);
        self.tell_field(None);
        self.count(&[What::Field]);
        Ok(Some(label))
    }

    fn colon(&mut self) -> Result<(), Unmaskable> {
        if self.cursor.skip_space() != Some(b':') {
            return Err(self.cursor.malformed());
        }
        self.cursor.at += 1;
        Ok(())
    }

    /// Goes into the member `name` of the innermost object, which leaves as `masked` if that is another.
    fn enter(&mut self, raw: Range<usize>, masked: Option<String>, into: Id, begun: Member) {
        let Some(open) = self.open.last_mut() else { return };
        open.way = into;
        let Inside::Object { name, masked: was, member, dropped, .. } = &mut open.inside else { return };
        *name = raw;
        if masked.is_some() || was.is_some() {
            *was = masked;
        }
        *member = begun;
        *dropped = false;
    }

    fn string(&mut self) -> Result<(), Unmaskable> {
        let (raw, plain) = self.cursor.string_end()?;
        let string = self.cursor.text.get(raw.clone()).unwrap_or_default();
        if looks_like_json(string) {
            if self.nested < NESTED {
                return self.nested(raw, string);
            }
            if self.fields.is_some() {
                // Rules would have to go on into it.
                return Err(Unmaskable::TooDeep { at: raw.start });
            }
        }
        // JSON in a text, perhaps, or something like it.
        if let Some(fields) = self.fields
            && fragments::may_name_fields(string)
            && (string.contains(['{', '[', '\\'])
                || fragments::names_a_field(string, false, fields, self.ways.get(self.here()).field))
        {
            return self.nested(raw, string);
        }
        self.mask(raw, plain, self.context(), false)?;
        Ok(())
    }

    /// Masks a string that looks like JSON, or has some in it, as JSON, and then as text, until neither finds anything. One that
    /// does not come to an end soon was made not to, and goes whole.
    #[inline(never)]
    fn nested(&mut self, raw: Range<usize>, string: &str) -> Result<(), Unmaskable> {
        const ROUNDS: usize = 4;
        let (masks, secrets, context) = (self.masker.masks, self.masker.secrets, self.context());
        let mut masked: Option<String> = None;
        let mut found = Vec::new();
        let way = self.ways.get(self.here());
        // After the first round, what stands there is no value any more, and must not be masked again.
        let mut fields = self.fields;
        for _ in 0..ROUNDS {
            let before = masked.as_deref().unwrap_or(string);
            let text = unescaped(before);
            let kept = Kept::default();
            let mut pass = Pass::new(&text, way, masks, &kept, secrets, self.most);
            pass.nested = self.nested + 1;
            let tells = self.told.is_some() && masked.is_none();
            if tells {
                pass.start_telling();
            }
            pass.keeps_shape = self.keeps_shape;
            pass.fields = fields;
            // One that only has JSON in it is no JSON, however it begins.
            let read = if self.fields.is_some() && !looks_like_json(before) {
                Err(Unmaskable::Malformed { at: 0 })
            } else {
                pass.value_and_end()
            };
            let inner = match read {
                Ok(()) => {
                    let inner = pass.output.finish()?.and_then(|body| String::from_utf8(body).ok());
                    if inner.is_some() {
                        pass.tally.kinds_into(&mut found);
                        self.tell_inside(pass.told);
                    }
                    inner
                }
                // It only looked like it: then it is text, perhaps with JSON in it.
                Err(Unmaskable::Malformed { .. }) if self.fields.is_none() => None,
                Err(Unmaskable::Malformed { .. }) => self.mask_fragments(&text, way, fields, tells, &mut found)?,
                // Others may read it, and rules would have to go on into it.
                Err(Unmaskable::TooDeep { .. } | Unmaskable::LoneSurrogate { .. }) if self.fields.is_none() => None,
                Err(Unmaskable::TooDeep { .. }) => return Err(Unmaskable::TooDeep { at: raw.start }),
                Err(Unmaskable::LoneSurrogate { .. }) => return Err(Unmaskable::LoneSurrogate { at: raw.start }),
                Err(why) => return Err(why),
            };
            fields = None;
            let inner = inner.map(|body| escaped(&body));
            let flat = inner.as_deref().unwrap_or(before);
            let outer = self.masker.mask(flat, Form::Json, context).map_err(|why| why.at(raw.start))?;
            let outer = outer.then(|| self.masker.take());
            found.extend_from_slice(self.masker.found());
            if masked.is_none() {
                self.tell(raw.clone(), inner.is_none(), None);
            }
            if outer.is_some() && self.masker.drops() && !self.keeps_shape {
                self.drop_value(raw.start - 1);
                self.count(&found);
                return Ok(());
            }
            let Some(now) = outer.or(inner) else {
                if let Some(masked) = &masked {
                    self.output.replace(raw, masked);
                    self.count(&found);
                }
                return Ok(());
            };
            masked = Some(now);
        }
        let replacements = found.iter().filter_map(|what| masks.replacement(what));
        let replacement = replacements.min_by_key(|replacement| replacement.reveals());
        let replacement = replacement.ok_or(Unmaskable::Unsettled { at: raw.start })?;
        if replacement.drops && !self.keeps_shape {
            self.drop_value(raw.start - 1);
        } else {
            let mut label = String::new();
            replacement.write_instead(string.as_bytes(), Form::Json, &mut label);
            self.output.replace(raw, &label);
        }
        self.count(&found);
        Ok(())
    }

    /// Masks the string `raw`, which stands between quotes; `plain`: it is ASCII without escapes. Returns whether it was replaced.
    fn mask(&mut self, raw: Range<usize>, plain: bool, context: Context, is_name: bool) -> Result<bool, Unmaskable> {
        let string = self.cursor.text.get(raw.clone()).unwrap_or_default();
        let form = if plain { Form::Bare } else { Form::Json };
        if !self.masker.mask(string, form, context).map_err(|why| why.at(raw.start))? {
            return Ok(false);
        }
        if self.masker.drops() && !is_name && !self.keeps_shape {
            self.drop_value(raw.start - 1);
        } else {
            self.output.replace(raw.clone(), self.masker.masked());
        }
        let (prefix, open, text) = (self.prefix, &self.open, self.cursor.text);
        let name = is_name.then_some(self.masker.masked());
        self.tally.add(self.masker.found(), || Some(pointer(prefix, open, text, name)));
        if self.told.is_some() {
            let name = name.map(str::to_owned);
            self.tell(raw, true, name.as_deref());
        }
        Ok(true)
    }

    /// Counts findings in the value that is being read.
    #[inline(never)]
    fn count(&mut self, kinds: &[What]) {
        let (prefix, open, text) = (self.prefix, &self.open, self.cursor.text);
        self.tally.add(kinds, || Some(pointer(prefix, open, text, None)));
    }

    fn start_telling(&mut self) {
        self.told = Some(Vec::new());
        self.masker.located = Some(Vec::new());
    }

    /// Tells the findings of the string `raw`, or of the member name that leaves as `name`. `whole`: they stood in it as it came.
    #[inline(never)]
    fn tell(&mut self, raw: Range<usize>, whole: bool, name: Option<&str>) {
        let (Some(told), Some(located)) = (&mut self.told, &self.masker.located) else { return };
        if located.is_empty() {
            return;
        }
        let pointer = pointer(self.prefix, &self.open, self.cursor.text, name);
        let string = self.cursor.text.get(raw).unwrap_or_default();
        let places = if whole {
            finding::places(string, Form::Json, located).map(|(_, place)| Some(place)).collect()
        } else {
            vec![None; located.len()]
        };
        told.extend(located.iter().zip(places).map(|(one, place)| Finding {
            in_name: name.is_some(),
            ..Finding::of(&one.what, one.proof, Some(pointer.clone()), place)
        }));
    }

    /// Tells the findings in the JSON that the string which is being read holds.
    fn tell_inside(&mut self, inner: Option<Vec<Finding>>) {
        let Some(told) = &mut self.told else { return };
        let pointer = pointer(self.prefix, &self.open, self.cursor.text, None);
        for mut finding in inner.unwrap_or_default() {
            finding.inside.insert(0, finding.pointer.replace(pointer.clone()).unwrap_or_default());
            told.push(finding);
        }
    }

    /// Takes the value from `start` to here out: with its member, or, where order counts, leaving `null`.
    #[inline(never)]
    fn drop_value(&mut self, start: usize) {
        match self.open.last_mut().map(|open| &mut open.inside) {
            Some(Inside::Object { member, dropped, .. }) => {
                *dropped = true;
                self.output.undo(member);
            }
            _ => self.output.replace(start..self.cursor.at, "null"),
        }
    }

    /// Ends a member, at the comma or brace that is here: takes it out, with one comma, if it is to be dropped.
    fn end_member(&mut self) {
        let comma = self.cursor.byte() == Some(b',');
        let Some(Inside::Object { member, dropped, first, .. }) = self.open.last_mut().map(|open| &mut open.inside)
        else {
            return;
        };
        if !*dropped {
            *first = false;
            return;
        }
        // The comma before it, or, where all before it are gone as well, the one behind it.
        let end = if *first && comma { self.cursor.at + 1 } else { self.cursor.at };
        let start = if *first { member.name } else { member.start };
        self.output.replace(start..end, "");
    }

    fn number(&mut self) -> Result<(), Unmaskable> {
        let start = self.cursor.at;
        self.cursor.number_end()?;
        let raw = self.cursor.text.get(start..self.cursor.at).unwrap_or_default();
        // The shortest number that can be found has six digits.
        if raw.len() < 6 && !self.masker.masks.has_patterns() {
            return Ok(());
        }
        if self.ways.get(self.here()).place.is_kept() && is_measure(raw) {
            return Ok(());
        }
        self.digits(start, raw)
    }

    /// Masks the number `raw` at `start`, if it is one that can be found.
    #[inline(never)]
    fn digits(&mut self, start: usize, raw: &str) -> Result<(), Unmaskable> {
        let context = self.context();
        let (mut digits, mut spans, mut hits) = (Cow::Borrowed(""), Vec::new(), Vec::new());
        for reading in readings(raw) {
            spans = self.masker.find(reading.as_bytes(), context);
            hits = spans.iter().map(|span| (span.start..span.end, What::Kind(span.kind))).collect();
            if self.masker.masks.has_patterns() {
                self.masker.masks.find_patterns(reading.as_bytes(), context, &mut hits);
                merge(&mut hits, self.masker.masks);
            }
            digits = reading;
            if !hits.is_empty() {
                break;
            }
        }
        let Some((seen, what)) = hits.first() else { return Ok(()) };
        let Some(replacement) = self.masker.masks.replacement(what) else {
            return Err(Unmaskable::Unsettled { at: start });
        };
        if replacement.drops && !self.keeps_shape {
            self.drop_value(start);
        } else {
            let mut label = String::from("\"");
            let value = digits.as_bytes().get(seen.clone()).unwrap_or_default();
            replacement.write(value, Form::Json, &mut label);
            label.push('"');
            self.output.replace(start..self.cursor.at, &label);
        }
        if let Some(told) = &mut self.told {
            let pointer = pointer(self.prefix, &self.open, self.cursor.text, None);
            let place = 0..raw.len();
            told.extend(hits.iter().map(|(range, what)| {
                Finding::of(
                    what,
                    finding::proof(self.masker.masks, &spans, what, range),
                    Some(pointer.clone()),
                    Some(place.clone()),
                )
            }));
        }
        let kinds: Vec<What> = hits.into_iter().map(|(_, what)| what).collect();
        self.count(&kinds);
        Ok(())
    }

    /// What the names on the way to the value that comes now say.
    fn context(&self) -> Context {
        self.ways.get(self.here()).says
    }

    /// The way to the value that comes now.
    fn here(&self) -> Id {
        self.open.last().map_or(Id::ROOT, |open| open.way)
    }
}

/// Whether a number is one that is counted or measured: indexes, scores, usage. None of those has ten digits before its point, or is
/// moved as far as numbers are that are to look small.
fn is_measure(raw: &str) -> bool {
    const LONGEST: usize = 32;
    let whole = raw.strip_prefix('-').unwrap_or(raw);
    let whole = whole.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(whole.len());
    if whole > 9 || raw.len() > LONGEST {
        return false;
    }
    // Every score is read here: bytes, for a search for characters takes four times as long.
    let Some(sign) = raw.bytes().position(|byte| matches!(byte, b'e' | b'E')) else { return true };
    let shift = raw.get(sign + 1..).map(str::parse::<i32>);
    shift.is_some_and(|shift| shift.is_ok_and(|shift| shift <= 0 && shift > -FAR))
}

/// Numbers that are measured are not moved so far.
const FAR: i32 = 30;

/// What can be read of a number as digits: those before its decimal point, written out (`4.1e3` has `4100`), and, where it is moved so
/// that they are others or none, those that stand there.
fn readings(raw: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let raw = raw.strip_prefix('-').unwrap_or(raw);
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let zeros = if whole == "0" { fraction.len() - fraction.trim_start_matches('0').len() } else { 0 };
    let far = i64::try_from(zeros).unwrap_or(i64::MAX) >= i64::from(FAR)
        || shift.unsigned_abs() >= u64::from(FAR.unsigned_abs());
    // Normalised, as programs write them, a number has one digit there.
    let moved = (shift != 0 && whole.len() >= 6).then_some(Cow::Borrowed(whole));
    let standing = far.then(|| Cow::Owned(format!("{whole}{fraction}").trim_start_matches('0').to_owned()));
    std::iter::once(integer(whole, fraction, shift)).chain(moved).chain(standing)
}

/// The digits before the decimal point, once it is moved.
fn integer<'a>(whole: &'a str, fraction: &str, shift: i64) -> Cow<'a, str> {
    /// More digits than any finding has. A larger number has none that are not among those that stand there.
    const MOST: usize = 40;
    if shift == 0 {
        return Cow::Borrowed(whole);
    }
    let places = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
    if shift < 0 {
        return Cow::Borrowed(whole.get(..whole.len().saturating_sub(places)).unwrap_or_default());
    }
    let digits = whole.bytes().chain(fraction.bytes()).map(char::from).chain(std::iter::repeat('0'));
    let digits = digits.take(whole.len().saturating_add(places)).skip_while(|digit| *digit == '0');
    // One that is moved out of zeros can be moved far.
    Cow::Owned(digits.take(MOST).collect())
}

/// Whether a string can be JSON with members or items in it.
fn looks_like_json(raw: &str) -> bool {
    let is_framed = |text: &str| {
        let text = text.trim_ascii();
        (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'))
    };
    // Hardly any text begins so.
    if !matches!(raw.trim_ascii_start().as_bytes(), [b'{' | b'[' | b'\\', ..]) {
        return false;
    }
    let trimmed = raw.trim_ascii();
    // White space around it, or a bracket, may be written as an escape.
    let escaped_edge = trimmed.starts_with('\\')
        || trimmed.ends_with(['n', 'r', 't', '0', '9', 'a', 'A', 'd', 'D']) && trimmed.contains('\\');
    is_framed(raw) || (escaped_edge && is_framed(&unescaped(raw)))
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

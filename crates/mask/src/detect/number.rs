//! Runs of digits: read once, shown to every detector of numbers.

use super::Context;
use super::checksum::twice;
use super::class::is_word;
use super::scan::Scan;
use super::{card, countries, date, digits, email, iban, ip, mixed, network, papers, phone, ssn};
use crate::bytes;
use crate::kind::{Kind, Kinds};

/// Groups of digits with separators between them, such as `+49 (30) 901820` or `4111-1111-1111-1111`. Digits that stand together
/// with letters are no part of it.
pub(super) struct Run<'a> {
    pub(super) groups: &'a [Group],
    /// How many of the groups are looked at as the first of a number. The others are, with those behind them, in the next part.
    pub(super) starts: usize,
    /// Whether there are no more groups.
    pub(super) whole: bool,
    /// How many digits the group before them has.
    pub(super) row: Option<usize>,
    /// Whether digits with letters among them are joined to the end, as in `2026-07-01T08`: the end is no end of a number.
    pub(super) cut: bool,
}

/// Digits without anything between them, `start..end` in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What joins it to the group before.
    pub(super) join: Join,
}

impl Group {
    pub(super) fn digits(self) -> usize {
        self.end - self.start
    }
}

/// What stands between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// Nothing: the first group of a run.
    First,
    Space,
    Hyphen,
    Dot,
    Slash,
    /// An opening or closing parenthesis, or a hyphen in spaces.
    Wide,
}

impl Join {
    /// The longest, in bytes.
    pub(super) const LONGEST: usize = 3;
}

/// The most digits that numbers other than telephone numbers have.
const LONGEST: usize = 19;

/// The kinds that are found in windows of a run.
const IN_WINDOWS: Kinds = {
    let mut kinds = Kinds::NONE.with(Kind::CreditCard);
    let mut tables: &[&[digits::Spec]] = digits::TABLES;
    while let [table, more @ ..] = tables {
        let mut rows: &[digits::Spec] = table;
        while let [row, rest @ ..] = rows {
            kinds = kinds.with(row.kind);
            rows = rest;
        }
        tables = more;
    }
    kinds
};

/// Looks at what the digit at `at` belongs to. Returns where to go on.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, at: usize) -> usize {
    let until = look_from(scan, at);
    // What stands behind an escape such as `%20` is looked at without it, too.
    match escape_end(scan, at) {
        Some(end) => until.min(end),
        None => until,
    }
}

/// Where the escape of URLs (RFC 3986) ends that `at` is a digit of.
fn escape_end(scan: &Scan<'_>, at: usize) -> Option<usize> {
    let before = scan.byte_before(at);
    if before == b'%' {
        return scan.byte(at + 1).is_ascii_hexdigit().then_some(at + 2);
    }
    let second = before.is_ascii_hexdigit() && at.checked_sub(2).is_some_and(|sign| scan.byte(sign) == b'%');
    second.then_some(at + 1)
}

/// Whether what stands right before `at` is an escape.
pub(super) fn is_escaped(scan: &Scan<'_>, at: usize) -> bool {
    let escape = at.checked_sub(3).and_then(|start| scan.text.get(start..at));
    matches!(escape, Some([b'%', one, two]) if one.is_ascii_hexdigit() && two.is_ascii_hexdigit())
}

fn look_from(scan: &mut Scan<'_>, at: usize) -> usize {
    let before = scan.byte_before(at);
    if before.is_ascii_alphabetic() || matches!(before, b'%' | b'#') {
        if let Some(end) = encoded(scan, at, before) {
            return end;
        }
        // A sign that is encoded in a URL is no letter.
        if before.is_ascii_alphabetic() && !is_escaped(scan, at) {
            return token(scan, at);
        }
    }
    let digits = scan.map.digits(at);
    let count = digits.trailing_ones() as usize;
    if count == 4
        && let Some(end) = time_end(scan, at, digits)
    {
        return end;
    }
    mixed::look_before(scan, at);
    if scan.byte_before(at) == b'-' && at.checked_sub(6).is_some_and(|slash| scan.byte(slash) == b'/') {
        countries::look_cnpj(scan, at);
    }
    if count == 8
        && let Some(end) = uuid_end(scan, at)
    {
        return end;
    }
    let end = scan.digits_end(at);
    let next = scan.byte(end);
    // Digits with letters behind them are no number, but for a time and an extension (`5550132x12`).
    if next.is_ascii_alphabetic() && !matches!(next, b'T' | b't' | b'E' | b'e' | b'X' | b'x') {
        return token(scan, at);
    }
    if count == 4
        && matches!(next, b',' | b'_' | b'/' | b'|' | b';' | b'\t' | b' ')
        && let Some(end) = card::look_parted(scan, at, digits)
    {
        return end;
    }
    if count < 5 {
        // Most digits are a few alone, as in `08:00`; nothing is found of them.
        if !is_joiner(next) {
            return end;
        }
        let rest = digits >> count;
        // The next group begins three bytes behind at most.
        if count < 4 && !next.is_ascii_alphabetic() && rest & 0b1110 == 0 {
            if matches!(next, b' ' | b'-') {
                mixed::look(scan, at, end);
            }
            // Of a date that is written out, the year follows.
            if count <= 2 && rest & rest >> 1 & rest >> 2 & rest >> 3 != 0 {
                date::look_day(scan, Group { start: at, end, join: Join::First });
            }
            return end;
        }
    }
    let mut groups = std::mem::take(scan.groups);
    scan.run = at;
    let until = look_at(scan, at, end, &mut groups);
    scan.run = usize::MAX;
    *scan.groups = groups;
    until
}

/// Looks at what URLs and HTML encode in digits, the first at `at`. Returns where to go on.
fn encoded(scan: &mut Scan<'_>, at: usize, before: u8) -> Option<usize> {
    if !matches!(before, b'%' | b'#' | b'x') || !matches!(scan.byte(at), b'2' | b'4' | b'6') {
        return None;
    }
    email::look_encoded(scan, at).or_else(|| is_encoded_plus(scan, at + 2).then_some(at + 2))
}

/// Whether the `+` before `at` is written as in URLs (RFC 3986).
pub(super) fn is_encoded_plus(scan: &Scan<'_>, at: usize) -> bool {
    matches!(scan.byte_before(at), b'B' | b'b')
        && matches!(at.checked_sub(3).and_then(|start| scan.text.get(start..at)), Some(b"%2B" | b"%2b"))
}

/// Looks at a run of digits that begins at `at`, and whose first group ends at `first_end`: some groups after the other, each with
/// those behind it that can belong to it. Returns where to go on.
#[inline(never)]
fn look_at(scan: &mut Scan<'_>, at: usize, first_end: usize, groups: &mut Vec<Group>) -> usize {
    groups.clear();
    // At once, and not bit by bit.
    groups.reserve(Run::GROUPS);
    let mut reader = Reader { next: Some((at, Join::First)), cut: false };
    reader.read(scan, groups);
    let Some(mut last) = groups.last().copied() else { return token(scan, at) };
    dotted(scan, at, first_end);
    let open = |scan: &Scan<'_>, cut, last: Group| cut || matches!(scan.byte(last.end), b' ' | b'-' | b'+');
    // A Finnish code can have digits alone.
    let hyphened =
        matches!(groups.as_slice(), [one, two, ..] if (one.digits(), two.digits(), two.join) == (6, 4, Join::Hyphen));
    if hyphened || (reader.next.is_none() && open(scan, reader.cut, last)) {
        mixed::look(scan, at, first_end);
    }
    let (mut row, mut phones_from) = (None, 0);
    loop {
        let whole = reader.next.is_none();
        let starts = if whole { groups.len() } else { groups.len() - Run::AHEAD };
        let run = Run { groups, starts, whole, cut: whole && reader.cut, row };
        phones_from = look_at_part(scan, &run, phones_from);
        if whole {
            // Numbers before it, as in `no. 12 131052-308T`, are none of its.
            if open(scan, reader.cut, last) {
                for group in groups.iter().rev().take(4).filter(|group| group.start > at) {
                    mixed::look(scan, group.start, group.end);
                }
            }
            return last.end;
        }
        row = starts.checked_sub(1).and_then(|before| groups.get(before)).map(|group| group.digits());
        groups.drain(..starts);
        reader.read(scan, groups);
        last = groups.last().copied().unwrap_or(last);
    }
}

/// Looks at a part of a run. `phones_from`: where telephone numbers can begin; returns where they can in the next.
fn look_at_part(scan: &mut Scan<'_>, run: &Run<'_>, phones_from: usize) -> usize {
    let total = run.total();
    // Every date has a number of two digits at most.
    if run.groups.iter().any(|group| group.digits() <= 2) {
        date::look(scan, run);
    }
    if run.groups.len() >= 4 {
        ip::look_v4(scan, run);
    }
    for group in run.groups.iter().take(run.starts) {
        let part = group.join == Join::Hyphen && group.digits() == 2;
        if part && group.start.checked_sub(6).is_some_and(|slash| scan.byte(slash) == b'/') {
            countries::look_cnpj(scan, group.start);
        }
    }
    if total < 6 {
        return phones_from;
    }
    for group in run.groups.iter().take(run.starts) {
        papers::look(scan, group.start, group.end);
    }
    if total >= 9 && scan.wants_any(IN_WINDOWS) {
        windows(scan, run);
    }
    ssn::look(scan, run);
    phone::look(scan, run, phones_from)
}

/// What can join digits to a group behind them, or to the rest of an identifier.
fn is_joiner(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-' | b'.' | b',' | b'/' | b'(' | b')' | b'+')
}

/// Whether what ended at `until` is right before `group`, which begins as the first of a run does then, as it would once that is masked.
pub(super) fn follows(until: Option<usize>, group: &Group) -> bool {
    until.is_some_and(|until| until < group.start && group.start - until <= Join::LONGEST)
}

/// Shows the windows of the run that can be a number of some kind to the detectors of numbers.
#[inline(never)]
fn windows(scan: &mut Scan<'_>, run: &Run<'_>) {
    let mut row = run.row;
    let mut left = run.total();
    let wants_cards = scan.wants(Kind::CreditCard);
    for from in 0..run.starts {
        // What begins here has too few.
        if left < 9 {
            return;
        }
        let groups = run.groups_from(from);
        let Some(first) = groups.first() else { return };
        let size = first.digits();
        let here = left;
        left -= size;
        let mut digits = Digits::default();
        countries(scan, groups, &mut digits);
        if here >= 12 && wants_cards {
            let in_row = row == Some(size) && !follows(scan.card_until, first);
            if let Some(end) = cards(scan, groups, in_row, &mut digits) {
                scan.card_until = Some(end);
            }
        }
        row = Some(size);
    }
}

/// Shows the windows from the first group on that have a form of a number of countries and industries to their detectors.
#[inline(never)]
fn countries(scan: &mut Scan<'_>, groups: &[Group], digits: &mut Digits) {
    // A part of a longer number: joined to a neighbour by anything but a space.
    let within = |join: Join| matches!(join, Join::Hyphen | Join::Dot | Join::Slash);
    let Some(first) = groups.first() else { return };
    let before = within(first.join);
    let mut begun = digits::Begun::default();
    let (mut join, mut same) = (None, true);
    for (position, group) in groups.iter().enumerate() {
        if !begun.add(group.digits()) {
            return;
        }
        if position > 0 {
            same &= matches!(group.join, Join::Space | Join::Hyphen) && group.join == *join.get_or_insert(group.join);
        }
        let rows = begun.rows(same);
        if rows == 0 {
            continue;
        }
        let behind = groups.get(position + 1).is_some_and(|next| within(next.join));
        let window = groups.get(..=position).unwrap_or_default();
        let read = digits.of(scan, window);
        digits::look(scan, window, read, rows, (before, behind));
    }
}

/// Shows the windows from the first group on that can be a payment card: one group, or one of four digits and others, or digit by
/// digit and in pairs. Those are not looked for in the middle of a row of groups with as many digits (`in_row`). Returns where the
/// longest ends that is one.
#[inline(never)]
fn cards(scan: &mut Scan<'_>, groups: &[Group], in_row: bool, digits: &mut Digits) -> Option<usize> {
    let (first, rest) = groups.split_first()?;
    let size = first.digits();
    // Most numbers begin as no card does, or have too many digits or too few.
    let second = if size > 1 { first.start + 1 } else { rest.first().map_or(0, |second| second.start) };
    let lengths = card::lengths(scan.byte(first.start), scan.byte(second));
    if lengths == 0 {
        return None;
    }
    let is_length = |total: usize| lengths >> total & 1 == 1;
    let mut total = size;
    if total >= 12 {
        let window = std::slice::from_ref(first);
        let found = total <= LONGEST && is_length(total) && digits.is_card(scan, window);
        return found.then_some(first.end);
    }
    if size > 4 {
        return odd_cards(scan, groups);
    }
    let join = rest.first().map(|second| second.join);
    let mut before = size;
    let mut found = None;
    for (position, group) in rest.iter().enumerate() {
        let next = group.digits();
        total += next;
        let fits = if size == 4 { next <= 7 && before >= 3 } else { next == size };
        if Some(group.join) != join || total > LONGEST || (in_row && position + 1 >= Run::WINDOW) {
            return found;
        }
        if !fits {
            return odd_cards(scan, groups).or(found);
        }
        before = next;
        if total >= 12 && is_length(total) && !(in_row && size <= 2) {
            let window = groups.get(..=position + 1).unwrap_or_default();
            if digits.is_card(scan, window) {
                found = Some(group.end);
            }
        }
    }
    found
}

/// As [`cards`], in any other groups, where a word says that it is one.
#[inline(never)]
fn odd_cards(scan: &mut Scan<'_>, groups: &[Group]) -> Option<usize> {
    let (first, rest) = groups.split_first()?;
    let mut digits = Digits::default();
    let join = rest.first().map(|second| second.join);
    // No network begins with 0 or 1 but UATP, and few with 7 or more.
    let issued = matches!(scan.byte(first.start), b'2'..=b'6');
    let known = issued && matches!(join, Some(Join::Space | Join::Hyphen));
    if !known || !scan.near(first.start).any.has(Context::of_kind(Kind::CreditCard)) {
        return None;
    }
    let mut total = first.digits();
    let mut found = None;
    for (position, group) in rest.iter().enumerate().take(Run::WINDOW - 1) {
        total += group.digits();
        if Some(group.join) != join || total > LONGEST {
            return found;
        }
        if total >= 12 {
            let window = groups.get(..=position + 1).unwrap_or_default();
            if digits.is_card(scan, window) {
                found = Some(group.end);
            }
        }
    }
    found
}

/// The digits of a window, which longer ones from the same group on go on from.
#[derive(Default)]
struct Digits {
    all: [u8; LONGEST],
    count: usize,
    groups: usize,
    /// The sums of ISO/IEC 7812-1 annex B: with the last digit as it is, as it is for a check digit, and with the last doubled.
    sums: [u32; 2],
}

impl Digits {
    /// The digits of `window`, which is at least as long as the one before.
    fn of(&mut self, scan: &Scan<'_>, window: &[Group]) -> &[u8] {
        for group in window.get(self.groups..).unwrap_or_default() {
            let number = scan.text.get(group.start..group.end).unwrap_or_default();
            let slots = self.all.get_mut(self.count..).unwrap_or_default();
            for (slot, digit) in slots.iter_mut().zip(number) {
                *slot = digit.wrapping_sub(b'0');
                let [plain, doubled] = self.sums;
                // Every other digit is doubled: before one that is not stands one that is.
                self.sums = [doubled + u32::from(*slot), plain + twice(*slot)];
            }
            self.count += number.len();
        }
        self.groups = self.groups.max(window.len());
        self.all.get(..self.count).unwrap_or_default()
    }

    /// Whether `window`, at least as long as the one before, is a payment card. Nine of ten are ruled out by their check digit.
    fn is_card(&mut self, scan: &mut Scan<'_>, window: &[Group]) -> bool {
        self.of(scan, window);
        let [plain, _] = self.sums;
        plain.is_multiple_of(10) && card::look(scan, window, self.all.get(..self.count).unwrap_or_default())
    }
}

/// Where a date and time (RFC 3339) such as `2026-07-01T08:00:00.123Z` ends. Logs are full of them,
/// and nothing else is in them; the hour of somebody's birth is told only under a name that says so.
fn time_end(scan: &Scan<'_>, at: usize, digits: u64) -> Option<usize> {
    /// `9999-99-99T99:99:99`
    const DIGITS: u64 = 0b110_1101_1011_0110_1111;
    const LENGTH: usize = 19;
    if digits & ((1 << LENGTH) - 1) != DIGITS {
        return None;
    }
    let time = scan.text.get(at..at + LENGTH)?;
    let fits = matches!(time, [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _]);
    if !fits || scan.path.has(Context::of_kind(Kind::DateOfBirth)) {
        return None;
    }
    let mut end = at + LENGTH;
    if matches!(scan.byte(end), b'.' | b',') {
        end = scan.end_within(end + 1, 9, u8::is_ascii_digit);
    }
    end += usize::from(matches!(scan.byte(end), b'Z' | b'z'));
    let inside =
        is_word(&scan.byte(end)) || matches!(scan.byte(end), b'-' | b':' | b'.') && is_word(&scan.byte(end + 1));
    (!inside).then_some(end)
}

/// Where the UUID (RFC 9562) that begins at `start` ends. Databases are full of them, and nothing else is in them.
pub(super) fn uuid_end(scan: &Scan<'_>, start: usize) -> Option<usize> {
    const LENGTH: usize = 36;
    /// Letters and digits in 8, 4, 4, 4 and 12, and none behind.
    const WORDS: u64 = 0xf_ff7b_deff;
    if scan.map.words(start) & ((1 << (LENGTH + 1)) - 1) != WORDS {
        return None;
    }
    let end = start + LENGTH;
    let [hex] = bytes::ask::<32, 1>(scan.text.get(start..)?.first_chunk()?, |block| [block.hex()]);
    let rest = scan.text.get(start + 32..end)?;
    let fits = hex == WORDS & 0xffff_ffff && rest.iter().all(u8::is_ascii_hexdigit);
    (fits && scan.byte(end) != b'-').then_some(end)
}

/// Looks for a hardware address in three parts, such as `001a.2b3c.4d5e`, of which the first ends at `end`.
fn dotted(scan: &mut Scan<'_>, start: usize, end: usize) {
    if end - start == 4 && scan.byte(end) == b'.' {
        network::look_mac(scan, end);
    }
}

/// Looks at digits and letters that stand together.
#[inline(never)]
fn token(scan: &mut Scan<'_>, at: usize) -> usize {
    let start = at - scan.map.words_before(at);
    let end = scan.word_end(at);
    if end - start == 8
        && let Some(end) = uuid_end(scan, start)
    {
        return end;
    }
    dotted(scan, start, end);
    // Behind an escape such as `%20`, too.
    let escaped = scan.byte_before(start) == b'%' && end - start > 2 && is_escaped(scan, start + 2);
    for start in [Some(start), escaped.then_some(start + 2)].into_iter().flatten() {
        if let Some(end) = iban::look(scan, start) {
            return end;
        }
        papers::look(scan, start, end);
        let until = mixed::look(scan, start, end);
        if until > end || !escaped {
            return until;
        }
    }
    end
}

/// Reads the groups of a run.
struct Reader {
    /// Where the next begins, and what joins it.
    next: Option<(usize, Join)>,
    cut: bool,
}

impl Reader {
    /// Reads on into `groups`, until there are as many as are looked at together.
    fn read(&mut self, scan: &Scan<'_>, groups: &mut Vec<Group>) {
        while let Some((start, join)) = self.next {
            if groups.len() >= Run::GROUPS {
                return;
            }
            let end = scan.digits_end(start);
            let time = is_time(scan, end);
            if scan.byte(end).is_ascii_alphabetic() && !time && phone::extension_end(scan, end).is_none() {
                self.cut = join != Join::Space;
                self.next = None;
                return;
            }
            groups.push(Group { start, end, join });
            self.cut = time;
            self.next = joined(scan, end).filter(|_| !time);
        }
    }
}

impl Run<'_> {
    /// The most groups read at once.
    const GROUPS: usize = 160;
    /// More groups than any detector looks at, from one on.
    const AHEAD: usize = 40;
    /// The most groups of a number that is not written digit by digit or in pairs.
    const WINDOW: usize = 7;

    /// The groups from position `from` on.
    pub(super) fn groups_from(&self, from: usize) -> &[Group] {
        self.groups.get(from..).unwrap_or_default()
    }

    /// The digits of all groups.
    pub(super) fn total(&self) -> usize {
        self.groups.iter().map(|group| group.digits()).sum()
    }
}

/// Whether the time of a date that ends at `end` follows (RFC 3339).
fn is_time(scan: &Scan<'_>, end: usize) -> bool {
    matches!(scan.byte(end), b'T' | b't') && scan.byte(end + 1).is_ascii_digit() && scan.byte(end + 3) == b':'
}

/// Where the group after one that ends at `end` begins, and what joins them.
fn joined(scan: &Scan<'_>, end: usize) -> Option<(usize, Join)> {
    let digit = |at: usize| scan.byte(at).is_ascii_digit();
    let (one, two, three) = (scan.byte(end), scan.byte(end + 1), scan.byte(end + 2));
    let simple = match one {
        b' ' => Join::Space,
        b'-' => Join::Hyphen,
        b'.' => Join::Dot,
        b'/' => Join::Slash,
        b'(' | b')' => Join::Wide,
        _ => return None,
    };
    if digit(end + 1) {
        return Some((end + 1, simple));
    }
    let wide = matches!((one, two), (b')', b' ' | b'-' | b'.' | b'/') | (b' ' | b'-', b'(')) && digit(end + 2);
    if wide {
        return Some((end + 2, Join::Wide));
    }
    let spaced = matches!((one, two, three), (b' ', b'-', b' ') | (b')', b' ', b'-')) && digit(end + 3);
    spaced.then_some((end + 3, Join::Wide))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::map::Map;
    use crate::detect::{luhn, scan::Asked};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sum_that_grows_with_a_window_is_that_of_the_check_digit(numbers in proptest::collection::vec("[0-9]{1,5}", 1..5)) {
            let text = numbers.join(" ");
            let mut at = 0;
            let groups: Vec<Group> = numbers.iter().map(|number| {
                let start = at;
                at += number.len() + 1;
                Group { start, end: start + number.len(), join: Join::Space }
            }).collect();
            let (map, asked, mut room, mut spans) = (Map::default(), Asked::default(), Vec::new(), Vec::new());
            let scan = Scan::new(text.as_bytes(), &map, Context::NONE, Kinds::all(), &asked, &mut room, &mut spans);
            let mut digits = Digits::default();
            for count in 1..=groups.len() {
                let all = digits.of(&scan, &groups[..count]).to_vec();
                if all.len() < LONGEST {
                    prop_assert_eq!(digits.sums[0].is_multiple_of(10), luhn(&all));
                }
            }
        }
    }
}

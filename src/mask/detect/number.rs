//! Runs of digits: read once, shown to every detector of numbers.

use super::Context;
use super::class::is_word;
use super::scan::Scan;
use super::{card, countries, date, digits, iban, ip, mixed, network, papers, phone, ssn};
use crate::mask::kind::{Kind, Kinds};

/// Groups of digits with separators between them, such as `+49 (30) 901820` or `4111-1111-1111-1111`. Digits that stand together
/// with letters are no part of it.
pub(super) struct Run {
    groups: Vec<Group>,
    /// Whether digits with letters among them are joined to the end, as in `2026-07-01T08`: the end is no end of a number.
    cut: bool,
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
pub(super) fn look(scan: &mut Scan<'_>, at: usize) -> usize {
    if scan.byte_before(at).is_ascii_alphabetic() {
        return token(scan, at);
    }
    if let Some(end) = time_end(scan, at) {
        return end;
    }
    mixed::look_before(scan, at);
    if scan.byte_before(at) == b'-' && at.checked_sub(6).is_some_and(|slash| scan.byte(slash) == b'/') {
        countries::look_cnpj(scan, at);
    }
    let end = scan.end_of(at, u8::is_ascii_digit);
    if end - at == 8
        && let Some(end) = uuid_end(scan, at)
    {
        return end;
    }
    // Most digits are a few alone, as in `08:00`; nothing is found of them.
    if end - at < 5 && !is_joiner(scan.byte(end)) {
        return end;
    }
    let run = Run::read(scan, at);
    let until = if run.groups.is_empty() { token(scan, at) } else { look_at(scan, &run, at, end) };
    scan.groups = run.groups;
    until
}

/// Looks at a run of digits that begins at `at`, and whose first group ends at `first_end`.
fn look_at(scan: &mut Scan<'_>, run: &Run, at: usize, first_end: usize) -> usize {
    let until = run.groups().last().map_or(first_end, |last| last.end);
    let total = run.total();
    dotted(scan, at, first_end);
    // A Finnish code can have digits alone.
    let hyphened =
        matches!(run.groups(), [one, two, ..] if (one.digits(), two.digits(), two.join) == (6, 4, Join::Hyphen));
    if hyphened || run.is_cut() || matches!(scan.byte(until), b' ' | b'-' | b'+') {
        mixed::look(scan, at, first_end);
        // Numbers before it, as in `no. 12 131052-308T`, are none of its.
        if let Some(last) = run.groups_from(1).last().filter(|last| last.join == Join::Space) {
            mixed::look(scan, last.start, last.end);
        }
    }
    date::look(scan, run);
    if total >= 4 {
        ip::look_v4(scan, run);
    }
    for group in run.groups_from(1) {
        let part = group.join == Join::Hyphen && group.digits() == 2;
        if part && group.start.checked_sub(6).is_some_and(|slash| scan.byte(slash) == b'/') {
            countries::look_cnpj(scan, group.start);
        }
    }
    if total >= 6 {
        for group in run.groups() {
            papers::look(scan, group.start, group.end);
        }
        if total >= 9 && scan.wants_any(IN_WINDOWS) {
            windows(scan, run);
        }
        ssn::look(scan, run);
        phone::look(scan, run);
    }
    // Where a run is longer than can be read at once, the next begins in its middle, so that nothing is cut.
    run.groups().get(Run::GROUPS / 2).filter(|_| run.groups.len() == Run::GROUPS).map_or(until, |middle| middle.start)
}

/// What can join digits to a group behind them, or to the rest of an identifier.
fn is_joiner(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-' | b'.' | b',' | b'/' | b')' | b'+')
}

/// Shows every window of the run that has digits enough to the detectors of numbers.
fn windows(scan: &mut Scan<'_>, run: &Run) {
    // No number has more groups, but one that is written digit by digit, or in pairs; and such a one is not looked for in the
    // middle of a row of others.
    const GROUPS: usize = 7;
    let mut row = None;
    let mut left = run.total();
    for from in 0..run.groups().len() {
        // What begins here has too few.
        if left < 9 {
            return;
        }
        let groups = run.groups_from(from);
        left -= groups.first().map_or(0, |group| group.digits());
        let size = groups.first().map(|group| group.digits());
        let most = if row == size { GROUPS } else { Run::GROUPS };
        row = size;
        let mut digits = [0_u8; LONGEST];
        let mut length = 0_usize;
        for (position, group) in groups.iter().enumerate().take(most) {
            if length + group.digits() > LONGEST {
                break;
            }
            let number = scan.text.get(group.start..group.end).unwrap_or_default();
            let slots = digits.get_mut(length..).unwrap_or_default();
            for (slot, digit) in slots.iter_mut().zip(number) {
                *slot = digit.wrapping_sub(b'0');
            }
            length += group.digits();
            let window = groups.get(..=position).unwrap_or_default();
            let read = digits.get(..length).unwrap_or_default();
            if length >= 9 {
                digits::look(scan, window, read, groups.get(position + 1).map(|next| next.join));
            }
            if length >= 12 && scan.wants(Kind::CreditCard) {
                card::look(scan, window, read);
            }
        }
    }
}

/// Where a date and time (RFC 3339) such as `2026-07-01T08:00:00.123Z` ends. Logs are full of them,
/// and nothing else is in them; the hour of somebody's birth is told only under a name that says so.
fn time_end(scan: &Scan<'_>, at: usize) -> Option<usize> {
    const FORM: &[u8; 19] = b"9999-99-99T99:99:99";
    let time = scan.text.get(at..at + FORM.len())?;
    let fits = time.iter().zip(FORM).all(|(byte, form)| match form {
        b'9' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        _ => byte == form,
    });
    if !fits || scan.path.has(Context::of_kind(Kind::DateOfBirth)) {
        return None;
    }
    let mut end = at + FORM.len();
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
    let uuid = scan.text.get(start..start + LENGTH)?;
    // Most tokens are ruled out by that.
    if uuid.get(8) != Some(&b'-') {
        return None;
    }
    let fits = uuid.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let end = start + LENGTH;
    (fits && !is_word(&scan.byte(end)) && scan.byte(end) != b'-').then_some(end)
}

/// Looks for a hardware address in three parts, such as `001a.2b3c.4d5e`, of which the first ends at `end`.
fn dotted(scan: &mut Scan<'_>, start: usize, end: usize) {
    if end - start == 4 && scan.byte(end) == b'.' {
        network::look_mac(scan, end);
    }
}

/// Looks at digits and letters that stand together.
fn token(scan: &mut Scan<'_>, at: usize) -> usize {
    let start = scan.start_of(at, 64, is_word);
    let end = scan.end_of(at, is_word);
    if end - start == 8
        && let Some(end) = uuid_end(scan, start)
    {
        return end;
    }
    dotted(scan, start, end);
    iban::look(scan, start);
    papers::look(scan, start, end);
    mixed::look(scan, start, end)
}

impl Run {
    /// The most groups read at once: twice the most any detector looks at.
    const GROUPS: usize = 40;

    fn read(scan: &mut Scan<'_>, at: usize) -> Self {
        let mut run = Self { groups: std::mem::take(&mut scan.groups), cut: false };
        run.groups.clear();
        // At once, and not bit by bit.
        run.groups.reserve(Self::GROUPS);
        let mut next = Some((at, Join::First));
        while let Some((start, join)) = next {
            let end = scan.end_of(start, u8::is_ascii_digit);
            let time = is_time(scan, end);
            if scan.byte(end).is_ascii_alphabetic() && !time && phone::extension_end(scan, end).is_none() {
                run.cut = join != Join::Space;
                break;
            }
            if run.groups.len() == Self::GROUPS {
                break;
            }
            run.groups.push(Group { start, end, join });
            run.cut = time;
            next = joined(scan, end).filter(|_| !time);
        }
        run
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The groups from position `from` on.
    pub(super) fn groups_from(&self, from: usize) -> &[Group] {
        self.groups().get(from..).unwrap_or_default()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    fn total(&self) -> usize {
        self.groups().iter().map(|group| group.digits()).sum()
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
        b')' => Join::Wide,
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

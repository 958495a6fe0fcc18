//! Telephone numbers: E.164, the North American plan, and national forms where the context speaks of telephones.

use super::lexicon::meaning;
use super::number::{self, Group, Join, Run, is_encoded_plus};
use super::scan::Scan;
use super::{Context, Proof, each_word_of_text, words_before};
use crate::kind::Kind;

/// The number of digits of telephone numbers (E.164 allows 15, with the country code).
const SHORTEST: usize = 6;
const LONGEST: usize = 15;

/// `begin`: where numbers can begin, behind the last one. Returns where they can in the next part of the run.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>, run: &Run<'_>, begin: usize) -> usize {
    if !scan.wants(Kind::Phone) {
        return begin;
    }
    let mut begin = begin;
    let mut left = run.total();
    for from in 0..run.starts {
        let groups = run.groups_from(from);
        let Some(first) = groups.first() else { break };
        let here = left;
        left -= first.digits();
        if first.start < begin {
            // In a longer one, whose end it may be beyond.
            if let Some(number) = american(scan, groups) {
                push(scan, groups, number);
            }
            continue;
        }
        let begins = first.join == Join::First || number::follows(Some(begin), first);
        let mut found = international(scan, groups, begins).or_else(|| american(scan, groups));
        if let Some(hanging) = found.take_if(|found| found.joined != (false, false)) {
            push(scan, groups, hanging);
        }
        // Words behind a number are heard only where the run ends.
        let found = found.or_else(|| national(scan, groups, run.cut, run.whole && here <= LONGEST));
        if let Some(number) = found {
            let alone = number.joined == (false, false);
            let end = push(scan, groups, number);
            begin = if alone { end } else { begin };
        }
    }
    begin
}

/// Adds a number that `groups` begin with. Returns where its last group ends.
fn push(scan: &mut Scan<'_>, groups: &[Group], number: Number) -> usize {
    let Number { count, proof, joined } = number;
    let (Some(first), Some(last)) = (groups.first(), groups.get(count.saturating_sub(1))) else { return 0 };
    let (start, end) = around(scan, first.start, last.end);
    if joined == (false, false) {
        if proof == Proof::Valid && is_plus(scan, first.start) {
            scan.withdraw(start, end);
        }
        scan.phones_until = Some(end);
    }
    scan.push_hanging(Kind::Phone, (start, end), proof, joined);
    last.end
}

/// The first `count` groups are a telephone number.
struct Number {
    count: usize,
    proof: Proof,
    /// To something before and behind it.
    joined: (bool, bool),
}

impl Number {
    const fn alone(count: usize, proof: Proof) -> Self {
        Self { count, proof, joined: (false, false) }
    }
}

/// `+` or `00` and a country code. As many groups as numbers of that country can have. `begins`: whether zeros can be that.
fn international(scan: &Scan<'_>, groups: &[Group], begins: bool) -> Option<Number> {
    let first = groups.first()?;
    let head = scan.text.get(first.start..first.end)?;
    let plus = is_plus(scan, first.start);
    let zeros = begins && head.starts_with(b"00");
    let code = if plus { head } else { head.get(2..).filter(|_| zeros)? };
    if code.first() == Some(&b'0') {
        return None;
    }
    // The country code can be the second group: `00 49 30 …`.
    let code = if code.is_empty() {
        let second = groups.get(1)?;
        scan.text.get(second.start..second.end)?
    } else {
        code
    };
    let dialled = if plus { 0 } else { 2 };
    let (shortest, longest) = lengths(code);
    let count = groups_up_to(groups, longest + dialled)?;
    let digits: usize = groups.iter().take(count).map(|group| group.digits()).sum();
    let bare = !plus && count == 1;
    // Numbers of invoices and parcels begin with zeros too.
    let thing =
        !plus && (scan.hangs(first.start, u8::is_ascii_alphabetic) || scan.near(first.start).any.has(Context::THING));
    let known = digits >= shortest + dialled && (!(bare || thing) || speaks_of_phones(scan, first.start, first.end));
    known.then_some(Number::alone(count, Proof::Valid))
}

/// How many digits numbers have, country code included, where it is known more closely than E.164 says.
fn lengths(code: &[u8]) -> (usize, usize) {
    match code {
        [b'1' | b'7', ..] => (11, 11),
        [b'2', b'0' | b'7', ..] | [b'3', b'0', ..] => (10, 12),
        [b'3', b'1' | b'2' | b'3' | b'4', ..] | [b'4', b'1' | b'6' | b'8', ..] | [b'6', b'1', ..] => (9, 12),
        [b'4', b'5' | b'7', ..] => (8, 11),
        // Numbers anybody may call are longer in Singapore and India.
        [b'6', b'5', ..] => (8, 13),
        [b'9', b'1', ..] => (9, LONGEST),
        // Saint Helena, Niue, Tokelau.
        [b'2', b'9', b'0', ..] | [b'6', b'8', b'3', ..] | [b'6', b'9', b'0', ..] => (7, 8),
        [b'3', b'9', ..]
        | [b'4', b'4', ..]
        | [b'5', b'2' | b'5', ..]
        | [b'8', b'1' | b'2' | b'6', ..]
        | [b'9', b'0', ..] => (9, 13),
        _ => (8, LONGEST),
    }
}

/// `(415) 555-0132`, `415-555-0132`, `415.555.0132`, with `1-` or `001-` before and an extension behind.
fn american(scan: &Scan<'_>, groups: &[Group]) -> Option<Number> {
    // Most rows of groups end here.
    if !matches!(groups, [_, two, three, ..] if two.digits() == 3 && matches!(three.digits(), 3 | 4)) {
        return None;
    }
    let trunk = usize::from(groups.first().is_some_and(|first| {
        matches!(scan.text.get(first.start..first.end), Some(b"1" | b"001"))
            && groups.get(1).is_some_and(|area| area.join != Join::Slash)
    }));
    let &[area, office, line, ..] = groups.get(trunk..)? else { return None };
    if (area.digits(), office.digits(), line.digits()) != (3, 3, 4) {
        return None;
    }
    let in_parentheses = scan.byte_before(area.start) == b'(' && office.join == Join::Wide;
    let same = office.join == line.join && matches!(office.join, Join::Hyphen | Join::Dot);
    let extended = extension_end(scan, line.end).is_some();
    let plan = valid_code(scan, area) && valid_code(scan, office);
    let next = groups.get(trunk + 3).is_some_and(|next| matches!(next.join, Join::Hyphen | Join::Dot));
    let alone = trunk == 1 || !matches!(area.join, Join::Hyphen | Join::Dot);
    let count = trunk + 3;
    if in_parentheses && line.join != Join::Slash {
        return Some(Number::alone(count, Proof::Form));
    }
    (same && (plan || extended)).then_some(Number { count, proof: Proof::Form, joined: (!alone, next) })
}

/// Area and office codes are `[2-9]XX` and not `N11`.
fn valid_code(scan: &Scan<'_>, group: Group) -> bool {
    match scan.text.get(group.start..group.end) {
        Some(&[first, second, third]) => first >= b'2' && (second, third) != (b'1', b'1'),
        _ => false,
    }
}

/// Any other form, where the words or names around speak of telephones. `cut`: the last group is not the end.
/// `open`: the number can go to the end of the run.
fn national(scan: &Scan<'_>, groups: &[Group], cut: bool, open: bool) -> Option<Number> {
    let first = groups.first()?;
    // Spelled digit by digit, a number is not looked for in the middle of a row of them.
    let spelled =
        first.join != Join::First && first.digits() == 1 && groups.get(1).is_some_and(|next| next.digits() == 1);
    // Nobody speaks of telephones, before it or behind.
    if spelled || (!open && !is_listed(scan, first.start) && !scan.near(first.start).any.has(SPEAKING)) {
        return None;
    }
    let joined = matches!(first.join, Join::Dot | Join::Slash | Join::Hyphen);
    if joined && !scan.follows(first.start) {
        return None;
    }
    let mut count = groups_up_to(groups, LONGEST)?;
    // A new number begins with an opening parenthesis in front.
    let begins = |group: &&Group| scan.byte_before(group.start) == b'(' && group.start != first.start;
    if let Some(other) = groups.iter().take(count).position(|group| begins(&group))
        && other > 1
    {
        count = other;
    }
    let number = groups.get(..count)?;
    let last = number.last()?;
    let digits: usize = number.iter().map(|group| group.digits()).sum();
    let bare = count == 1;
    if digits < SHORTEST + usize::from(bare) || is_date(number) {
        return None;
    }
    // Its last group begins a time, or something with letters hangs on it.
    let behind = cut && count == groups.len();
    let sign = scan.byte(last.end);
    if behind && matches!(sign, b'T' | b't') {
        return None;
    }
    let behind = behind && matches!(sign, b'-' | b'.' | b'/');
    // `tel. 3411.0561`, but not `phone bill 12345.67`.
    if is_decimal(number) && !scan.near(first.start).closest.has(Context::of_kind(Kind::Phone)) {
        return None;
    }
    // `tel:12345678` is one, `a4-12345678` is not.
    let hangs = scan.hangs(first.start, u8::is_ascii_digit) || scan.byte_before(first.start) == b'_';
    if hangs && !scan.follows(first.start) {
        return None;
    }
    let number = Number { count, proof: Proof::Context, joined: (joined || hangs, behind) };
    speaks_of_phones(scan, first.start, last.end).then_some(number)
}

/// What words before a telephone number say.
const SPEAKING: Context = Context::of_kind(Kind::Phone).or(Context::CALL).or(Context::NUMBER).or(Context::MESSAGE);

/// Whether a telephone number ends so near before `start` that this can be the next of a list.
fn is_listed(scan: &Scan<'_>, start: usize) -> bool {
    const LIST: usize = 24;
    scan.phones_until.is_some_and(|until| until <= start && start - until <= LIST)
}

/// Whether the number `start..end` stands where telephone numbers do.
fn speaks_of_phones(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let near = scan.near(start);
    if near.closest.has(Context::THING) {
        return false;
    }
    let end = extension_end(scan, end).unwrap_or(end);
    near.any.has(Context::of_kind(Kind::Phone) | Context::CALL)
        || (near.any.has(Context::NUMBER) && near.any.has(Context::OWN) && is_somebodys(scan, start))
        || (near.any.has(Context::MESSAGE) && is_goal(scan, start))
        || scan.following(end).has(Context::of_kind(Kind::Phone) | Context::LINE)
        || is_listed(scan, start)
}

/// Whether `my number`, `her home number` or `your registered` stands before `start`.
#[inline(never)]
fn is_somebodys(scan: &Scan<'_>, start: usize) -> bool {
    let (mut own, mut both) = (false, false);
    each_word_of_text(words_before(scan.text, start), |word| {
        let says = meaning(word);
        both |= own && says.has(Context::NUMBER);
        own = says.has(Context::OWN) || own && says.has(Context::LINE);
    });
    both
}

/// Whether messages go `to`, or somebody can be texted `at`, what begins at `start`.
#[inline(never)]
fn is_goal(scan: &Scan<'_>, start: usize) -> bool {
    let before = words_before(scan.text, start).trim_ascii_end();
    [&b" to"[..], b" at", b" on"].iter().any(|word| before.ends_with(word))
}

/// How many groups have at most `most` digits together.
fn groups_up_to(groups: &[Group], most: usize) -> Option<usize> {
    let mut digits = 0;
    let fits = groups.iter().enumerate().take_while(|(position, group)| {
        digits += group.digits();
        digits <= most && (*position == 0 || group.join != Join::First)
    });
    match fits.count() {
        0 => None,
        count => Some(count),
    }
}

/// `2007-03-23`, `23.03.2007`, `3/23/07`, and what follows them.
fn is_date(number: &[Group]) -> bool {
    let &[one, two, three, ..] = number else { return false };
    let same = two.join == three.join && matches!(two.join, Join::Hyphen | Join::Dot | Join::Slash);
    let lengths = (one.digits(), two.digits(), three.digits());
    let slashed = two.join == Join::Slash && lengths.0 <= 2 && lengths.1 != 3;
    same && matches!(lengths, (4, 1..=2, 1..=2) | (1..=2, 1..=2, 4)) || slashed
}

/// `12345.67`
fn is_decimal(number: &[Group]) -> bool {
    matches!(number, [_, fraction] if fraction.join == Join::Dot)
}

/// Takes the `+` and parenthesis before a number and the extension behind it along.
fn around(scan: &Scan<'_>, start: usize, end: usize) -> (usize, usize) {
    let mut start = start;
    if is_encoded_plus(scan, start) {
        start -= 3;
    } else if is_plus(scan, start) {
        start -= if scan.byte_before(start) == b'+' { 1 } else { 2 };
    }
    if scan.byte_before(start) == b'(' && scan.text.get(start..end).is_some_and(|number| number.contains(&b')')) {
        start -= 1;
        if scan.byte_before(start) == b'+' {
            start -= 1;
        }
    }
    (start, extension_end(scan, end).unwrap_or(end))
}

/// Whether a `+` stands before the digit at `at`, perhaps in a parenthesis or before one, or as URLs have it.
fn is_plus(scan: &Scan<'_>, at: usize) -> bool {
    let before = scan.byte_before(at);
    before == b'+'
        || (matches!(before, b'(' | b' ') && at >= 2 && scan.byte_before(at - 1) == b'+')
        || (before.eq_ignore_ascii_case(&b'B') && is_encoded_plus(scan, at))
}

/// Where an extension such as `x123`, ` ext. 123` or ` #12` behind a number that ends at `end` ends.
pub(super) fn extension_end(scan: &Scan<'_>, end: usize) -> Option<usize> {
    let mut at = end + usize::from(scan.byte(end) == b' ');
    let letters = scan.end_of(at, u8::is_ascii_alphabetic);
    let word = scan.text.get(at..letters)?;
    let sign = word.is_empty() && scan.byte(at) == b'#';
    let named = [&b"x"[..], b"ext", b"extn", b"extension"].iter().any(|name| word.eq_ignore_ascii_case(name));
    if !sign && !named {
        return None;
    }
    at = letters + usize::from(sign || scan.byte(letters) == b'.');
    at += usize::from(scan.byte(at) == b' ');
    let until = scan.end_of(at, u8::is_ascii_digit);
    let digits = until - at;
    ((1..=6).contains(&digits) && !scan.byte(until).is_ascii_alphanumeric()).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn international_numbers_are_found_alone() {
        check(
            Kind::Phone,
            &[
                "«+49 30 901820»",
                "«+49 (0)30 901820»",
                "«+1 646 555 0123» 2026-07-01",
                "«+14155550132».",
                "«+44 (20) 7123 4567», «+33 1 42 68 53 00»",
                "«(+49) 30 901820»",
                "«+91-98765-43210»",
                "«0049 30 901820»",
                "«001-748-088-2851x818»",
                "«+49(0)5900 287315», «+44(0)1154960997», «+90(029)313-7585x847»",
                "«+683 7012» «+690 3101»",
                "+49 7012",
                "«+91 1861 123 456 789» «+65 1800 123 4567»",
                "?tel=«%2B4930901820»&x, «%2b49-30-901820»",
                "x%2C4930901820",
            ],
        );
    }

    #[test]
    fn american_numbers_are_found_by_their_punctuation() {
        check(
            Kind::Phone,
            &[
                "«(415) 555-0132»",
                "US: «415-555-0132», «415.555.0132»",
                "callback=«415-555-0188»",
                "«(978)645-9740x11144» mobile",
                "«1-415-555-0132»",
                "«415-555-0132 ext. 12»",
                "(«415-555-0132»)",
            ],
        );
    }

    #[test]
    fn national_numbers_are_found_with_context() {
        check(
            Kind::Phone,
            &[
                "Phone: «021-4006034»",
                "Telefon «030 901820»",
                "you can call «469 34 883»",
                "«089 72 63 41» office\n«166-684-7899» fax",
                "tel «030/901820»",
                "my cell is «4155550132»",
                "phones: «12345678», «23456789» and «34567890»",
                "Téléphone «02.27.96.63.08»",
                "tel. «3411.0561», «362.24154»",
                "tel. «42/621-2997»",
                "my number is «9164741737», her home number: «0171 2345678»",
                "on my registered «0911 34 76 33».",
                "stop sending messages to «07708117853»",
                "text me at «0171 2345678»",
            ],
        );
        check_at(Kind::Phone, "phoneNumber", &["«4155550132»", "«12345678»"]);
        check_at(Kind::Phone, "mobile", &["«0171 2345678»"]);
    }

    #[test]
    fn what_a_plus_begins_is_no_card_and_no_other_number_inside() {
        let find = |text: &str, kinds: &[Kind]| -> Vec<Kind> {
            let found = super::super::find(text.as_bytes(), Context::NONE, kinds.iter().copied().collect());
            found.iter().map(|span| span.kind).collect()
        };
        let all = [Kind::Phone, Kind::CreditCard, Kind::UsSsn];
        assert_eq!(find("+573292320732", &all), [Kind::Phone]);
        assert_eq!(find("+43 5631 17329 653", &all), [Kind::Phone]);
        assert_eq!(find("+672 10 6609", &all), [Kind::Phone]);
        assert_eq!(find("+48 607 377 531", &[Kind::Phone, Kind::AuAbn]), [Kind::Phone]);
        assert_eq!(find("+4111111111111111", &all), [Kind::CreditCard]);
        assert_eq!(find("+49 4111 1111 1111 1111", &all), [Kind::CreditCard]);
        // Where telephone numbers may stay, it is the card.
        assert_eq!(find("+573292320732", &[Kind::CreditCard]), [Kind::CreditCard]);
    }

    #[test]
    fn near_misses_are_no_telephone_numbers() {
        check(
            Kind::Phone,
            &[
                "4155550132",
                "415 555 0132",
                "115-555-0132",
                "411-555-0132",
                "2026-07-01T08:00:00Z",
                "tracking number 0038 3571 1371 delivered",
                "invoice INV-0067-413747 total",
                "call on 2026-07-01",
                "call ticket 12345678",
                "tel 2026-07-01T08:00:00Z, 2026-07-01T08:00:00Z",
                "phone bill 12345.67",
                "+12",
                "1+1=2",
                "9f8c2d1e-4b7a-4c3e-9d2f-000000000000",
                "415-555-0132-99",
                "12-415-555-0132",
                "key=report:12345678",
                "phone 12345",
                "the number is 9164741737",
                "my order number is 9164741737",
                "my lottery ticket has number 9164741737",
                "message 9164741737 delivered",
                "phone meeting 12/10-2026",
                "call 9f8c2d1e-4b7a-4c3e-9d2f-000000000000",
            ],
        );
        check_at(Kind::Phone, "id", &["4155550132"]);
        check_at(Kind::Phone, "call", &["4155550132"]);
    }
}

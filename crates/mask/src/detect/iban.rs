//! International bank account numbers (ISO 13616).

use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

/// Looks at the letters and digits that begin at `start`. Returns where the number ends, if it is one.
pub(super) fn look(scan: &mut Scan<'_>, start: usize) -> Option<usize> {
    // Two letters and two digits.
    if scan.map.words(start) & !scan.map.digits(start) & 3 != 3 || scan.map.digits(start) & 0xf != 0b1100 {
        return None;
    }
    let &[one, two] = scan.text.get(start..)?.first_chunk()?;
    let lengths = lengths_in([one.to_ascii_uppercase(), two.to_ascii_uppercase()]);
    let end = lengths.iter().find_map(|length| end_of(scan, start, *length)).or_else(|| named_end(scan, start));
    let end = end.filter(|_| scan.wants(Kind::Iban))?;
    scan.push(Kind::Iban, start, end, Proof::Valid);
    Some(end)
}

/// Where a number in one piece ends whose country or length is not in the registry (yet), if its check digits are right and a word
/// says that it is an IBAN.
#[inline(never)]
fn named_end(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let length = scan.word_end(start) - start;
    let named = (15..=34).contains(&length) && scan.near(start).any.has(Context::of_kind(Kind::Iban));
    if named { end_of(scan, start, length) } else { None }
}

/// Where the number of `length` letters and digits from `start` on ends, if it is one. Single spaces and hyphens may stand
/// anywhere in it, for people group it as their banks do.
fn end_of(scan: &Scan<'_>, start: usize, length: usize) -> Option<usize> {
    let mut rest = 0_u32;
    let mut head = [0_u8; 4];
    let mut taken = 0_usize;
    let mut at = start;
    while taken < length {
        let mut byte = scan.byte(at);
        if matches!(byte, b' ' | b'-') && taken >= 2 {
            at += 1;
            byte = scan.byte(at);
        }
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        match head.get_mut(taken) {
            Some(slot) => *slot = byte,
            None => rest = append(rest, byte),
        }
        taken += 1;
        at += 1;
    }
    // ISO 7064 mod 97-10, over the number with its first four characters last.
    let remainder = head.into_iter().fold(rest, append);
    (remainder == 1 && !scan.byte(at).is_ascii_alphanumeric()).then_some(at)
}

/// Appends a letter (10 to 35) or digit to a number mod 97.
fn append(rest: u32, byte: u8) -> u32 {
    let value = char::from(byte).to_digit(36).unwrap_or(0);
    (rest * if value < 10 { 10 } else { 100 } + value) % 97
}

/// The lengths of the IBAN registry, release 99, and of countries that use IBANs without being in it; two where a country has
/// changed its own.
fn lengths_in(country: [u8; 2]) -> &'static [usize] {
    match &country {
        b"NO" => &[15],
        b"BE" => &[16],
        b"DK" | b"FO" | b"FI" | b"GL" | b"NL" | b"FK" | b"SD" => &[18],
        b"MK" | b"SI" => &[19],
        b"AT" | b"BA" | b"EE" | b"KZ" | b"XK" | b"LT" | b"LU" | b"MN" => &[20],
        b"HR" | b"LV" | b"LI" | b"CH" => &[21],
        b"BH" | b"CR" | b"BG" | b"GE" | b"DE" | b"IE" | b"ME" | b"RS" | b"GB" | b"VA" => &[22],
        b"GI" | b"IL" | b"AE" | b"IQ" | b"TL" | b"OM" | b"SO" => &[23],
        b"AD" | b"CZ" | b"MD" | b"PK" | b"RO" | b"SA" | b"SK" | b"ES" | b"SE" | b"TN" | b"VG" => &[24],
        b"PT" | b"LY" | b"ST" | b"AO" | b"CV" | b"MZ" | b"GW" => &[25],
        b"IS" | b"TR" | b"IR" => &[26],
        b"FR" | b"GR" | b"IT" | b"MR" | b"MC" | b"SM" | b"DJ" | b"CF" | b"CG" | b"CM" | b"GA" | b"GQ" | b"KM"
        | b"TD" | b"MG" => &[27],
        b"AL" | b"AZ" | b"BF" | b"BJ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HU" | b"LB" | b"NI" | b"PL" | b"SN"
        | b"CI" | b"HN" | b"MA" | b"ML" | b"NE" | b"TG" | b"SV" => &[28],
        b"BR" | b"PS" | b"QA" | b"UA" | b"EG" => &[29],
        b"JO" | b"KW" | b"MU" | b"YE" => &[30],
        b"MT" | b"SC" => &[31],
        b"LC" => &[32],
        b"RU" => &[33],
        b"BI" => &[27, 16],
        b"DZ" => &[26, 24],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn ibans_are_found_in_every_grouping_and_case() {
        check(
            Kind::Iban,
            &[
                "«DE89370400440532013000»",
                "«DE89 3704 0044 0532 0130 00» and more",
                "«de89-3704-0044-0532-0130-00».",
                "«gb82west12345698765432»",
                "«GB82 WEST 1234 5698 7654 32»",
                "«FR14 20041 01005 0500013M026 06»",
                "«NO9386011117947»",
                "«MT84MALT011000012345MTLCAST001S»",
                "«SC18 SSCB 1101 0000 0000 0000 1497 USD»",
                "«LC55HEMM000100010012001200023015»",
                "iban:«AT611904300234573201»,«BE71 0961 2345 6769»",
                "«BI4210000100010000332045181»",
                "IBAN «GB16HJLJ2509623754021», iban: «bd65tonb228430956»",
            ],
        );
    }

    #[test]
    fn near_misses_are_no_ibans() {
        check(
            Kind::Iban,
            &[
                "DE89370400440532013001",
                "DE8937040044053201300",
                "DE893704004405320130000",
                "DE89370400440532013000X",
                "XX89370400440532013000",
                "XDE89370400440532013000",
                "DE89  3704 0044 0532 0130 00",
                "GB82",
                "DE89 3704",
                "GB16HJLJ2509623754021",
                "IBAN GB16HJLJ2509623754022",
                "IBAN is not BD65TONB22843",
            ],
        );
    }
}

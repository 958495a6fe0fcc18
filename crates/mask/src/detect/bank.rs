//! Bank identifier codes (ISO 9362), where words say so.

use super::class::is_word;
use super::scan::Scan;
use super::{Context, Proof};
use crate::kind::Kind;

/// Looks at all tokens of eight or eleven letters and digits that begin with four letters and a country: six capitals in a row.
#[inline(never)]
pub(super) fn look(scan: &mut Scan<'_>) {
    let map = scan.map;
    for &start in &map.capitals {
        let end = scan.word_end(start);
        if is_bic(scan, start, end) && scan.near(start).any.has(Context::of_kind(Kind::Bic)) {
            scan.push(Kind::Bic, start, end, Proof::Context);
        }
    }
}

fn is_bic(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let code = scan.text.get(start..end).unwrap_or_default();
    let letters = code.get(..6).is_some_and(|head| head.iter().all(u8::is_ascii_uppercase));
    let known = code.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    matches!(code.len(), 8 | 11) && letters && known && !is_word(&scan.byte_before(start))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_at};
    use super::*;

    #[test]
    fn codes_are_found_only_where_words_say_so() {
        check(
            Kind::Bic,
            &[
                "BIC: «DEUTDEFF»",
                "SWIFT code «DEUTDEFF500», ok",
                "swift «COBADEFFXXX»",
                "DEUTDEFF",
                "BIC DEUTDEF",
                "BIC deutdeff",
            ],
        );
        check_at(Kind::Bic, "bic", &["«DEUTDEFF»", "DEUTDEFF5", "1EUTDEFF"]);
        for pad in 0..20 {
            check_at(Kind::Bic, "bic", &[&format!("{}«DEUTDEFF» x", " ".repeat(pad))]);
        }
    }
}

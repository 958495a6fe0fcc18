//! Searches eight bytes at once, in a word: most of a body is nothing anybody looks for.
//!
//! A test gives a word whose highest bit of each byte says whether that byte passes; all are exact, so the first one set is the
//! place. In V8 this is faster than what the compiler makes of loops over bytes, and it needs no SIMD.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const LOWS: u64 = !HIGHS;

/// The first place from `from` on that passes `test`. Behind the text are spaces, which must not pass.
pub(super) fn find(text: &[u8], from: usize, mut test: impl FnMut(u64) -> u64) -> Option<usize> {
    let (words, rest) = text.get(from..)?.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let passed = test(u64::from_le_bytes(*word));
        if passed != 0 {
            return Some(from + position * 8 + first(passed));
        }
    }
    let mut last = [b' '; 8];
    for (slot, byte) in last.iter_mut().zip(rest) {
        *slot = *byte;
    }
    let passed = test(u64::from_le_bytes(last));
    (passed != 0).then(|| from + words.len() * 8 + first(passed))
}

/// The first eight bytes in a row, at or behind `from` and at a distance from it that eight divides, that pass `test` together.
pub(super) fn find_eight(text: &[u8], from: usize, test: impl Fn(u64) -> bool) -> Option<usize> {
    let words = text.get(from..)?.as_chunks::<8>().0;
    let position = words.iter().position(|word| test(u64::from_le_bytes(*word)))?;
    Some(from + position * 8)
}

fn first(passed: u64) -> usize {
    passed.trailing_zeros() as usize / 8
}

/// Bytes that are not ASCII.
pub(super) fn wide(word: u64) -> u64 {
    word & HIGHS
}

/// Bytes that are `byte`.
pub(super) fn is(word: u64, byte: u8) -> u64 {
    let other = word ^ (ONES * u64::from(byte));
    !(((other & LOWS) + LOWS) | other) & HIGHS
}

/// ASCII bytes from `first` to `last`.
pub(super) fn between(word: u64, first: u8, last: u8) -> u64 {
    let low = word & LOWS;
    let from = low + ONES * u64::from(0x80 - first);
    let above = low + ONES * u64::from(0x7f - last);
    from & !above & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_test_is_exact(text in proptest::collection::vec(any::<u8>(), 0..40), from in 0..40_usize, byte in 0x21..0x7f_u8) {
            let naive = |passes: &dyn Fn(u8) -> bool| {
                text.iter().enumerate().skip(from).find(|(_, byte)| passes(**byte)).map(|(at, _)| at)
            };
            prop_assert_eq!(find(&text, from, wide), naive(&|seen| seen >= 0x80));
            prop_assert_eq!(find(&text, from, |word| is(word, byte)), naive(&|seen| seen == byte));
            let last = byte.saturating_add(9).min(0x7f);
            prop_assert_eq!(
                find(&text, from, |word| between(word, byte, last)),
                naive(&|seen| (byte..=last).contains(&seen))
            );
            prop_assert_eq!(find(&text, from, |word| between(word, 0, 0x1f)), naive(&|seen| seen < 0x20));
        }
    }
}

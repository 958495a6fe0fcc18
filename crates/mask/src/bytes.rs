//! Searches many bytes at once: most of a body is nothing anybody looks for.
//!
//! A block of bytes is asked a question, and the answer is a set of its bytes. All answers are exact, so the first byte in the set
//! is the place. In wasm a block is one SIMD register of sixteen bytes, elsewhere a word of eight; the compiler makes neither of
//! loops over bytes that end early.

#[cfg(target_arch = "wasm32")]
pub(super) use simd::Block;
#[cfg(not(target_arch = "wasm32"))]
pub(super) use word::Block;

/// The bytes of a block that an answer is true for, the first in the lowest of `STEP` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All but the first `count`, which may be a whole block.
    fn without(self, count: usize) -> Self {
        Self(u64::MAX.checked_shl(Block::STEP * count as u32).map_or(0, |kept| self.0 & kept))
    }

    fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / Block::STEP) as usize)
    }
}

/// The first place from `from` on that is in the answer.
pub(super) fn find(text: &[u8], from: usize, mut ask: impl FnMut(Block) -> Set) -> Option<usize> {
    let (blocks, rest) = text.get(from..)?.as_chunks::<{ Block::SIZE }>();
    for (position, block) in blocks.iter().enumerate() {
        if let Some(first) = ask(Block::of(*block)).first() {
            return Some(from + position * Block::SIZE + first);
        }
    }
    // The last block begins in what was seen already. (Copying the rest into a block of its own is a call in wasm.)
    if let Some(last) = text.last_chunk::<{ Block::SIZE }>() {
        let seen = Block::SIZE - rest.len();
        return Some(text.len() - Block::SIZE + ask(Block::of(*last)).without(seen).first()?);
    }
    let first = ask(Block::of(padded(rest))).first().filter(|first| *first < rest.len())?;
    Some(from + blocks.len() * Block::SIZE + first)
}

/// The first `N` bytes; above those that are not there stand zeros.
#[inline]
pub(super) fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (eight, part) in padded.as_chunks_mut::<8>().0.iter_mut().zip(text.chunks(8)) {
        *eight = head(part).to_le_bytes();
    }
    padded
}

/// The first eight bytes, the first in the lowest bits; above those that are not there stand zeros.
#[inline]
pub(super) fn head(text: &[u8]) -> u64 {
    match (text.first_chunk(), text.first_chunk(), text.last_chunk()) {
        (Some(eight), _, _) => u64::from_le_bytes(*eight),
        // Two fours, which overlap.
        (None, Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            u64::from(first) | u64::from(last) << (8 * (text.len() & 3))
        }
        _ => text.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

/// A hash of a text of `length` bytes that has this [`head`], its best bits the highest.
pub(super) const fn hash(head: u64, length: usize) -> u64 {
    (head ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Each question is answered with a bit for each byte of `part`, the first in the lowest. At most sixty-four bytes.
#[inline]
pub(super) fn ask<const M: usize, const N: usize>(part: &[u8; M], questions: impl Fn(Block) -> [Set; N]) -> [u64; N] {
    let mut answers = [0_u64; N];
    for (position, block) in part.as_chunks::<{ Block::SIZE }>().0.iter().enumerate() {
        for (answer, set) in answers.iter_mut().zip(questions(Block::of(*block))) {
            *answer |= set.bits() << (position * Block::SIZE);
        }
    }
    answers
}

#[cfg(not(target_arch = "wasm32"))]
mod word {
    use super::Set;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const LOWS: u64 = !HIGHS;

    /// Eight bytes. A set has the highest bit of each.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(u64);

    impl Block {
        pub(crate) const SIZE: usize = 8;
        pub(super) const STEP: u32 = 8;

        pub(crate) fn of(bytes: [u8; Self::SIZE]) -> Self {
            Self(u64::from_le_bytes(bytes))
        }

        /// Bytes that are not ASCII.
        pub(crate) fn wide(self) -> Set {
            Set(self.0 & HIGHS)
        }

        /// Bytes that are `byte`.
        pub(crate) fn is(self, byte: u8) -> Set {
            let other = self.0 ^ (ONES * u64::from(byte));
            Set(!(((other & LOWS) + LOWS) | other) & HIGHS)
        }

        /// Bytes that are `one` or `other`.
        pub(crate) fn either(self, one: u8, other: u8) -> Set {
            self.is(one).or(self.is(other))
        }

        /// ASCII bytes from `first` to `last`.
        pub(crate) fn between(self, first: u8, last: u8) -> Set {
            let low = self.0 & LOWS;
            let from = low + ONES * u64::from(0x80 - first);
            let above = low + ONES * u64::from(0x7f - last);
            Set(from & !above & !self.0 & HIGHS)
        }

        /// ASCII letters.
        pub(crate) fn letters(self) -> Set {
            Set(Self(self.0 | (ONES * 0x20)).between(b'a', b'z').0 & !self.0)
        }

        /// Hexadecimal digits.
        pub(crate) fn hex(self) -> Set {
            let letters = Set(Self(self.0 | (ONES * 0x20)).between(b'a', b'f').0 & !self.0);
            letters.or(self.between(b'0', b'9'))
        }

        /// What stands between letters and digits in keys, tokens and headers: `+`, `-`, `.`, `/`, `=`, `_`, `~`.
        pub(crate) fn joints(self) -> Set {
            let signs = [b'+', b'=', b'_', b'~'].into_iter().fold(Set::NONE, |set, sign| set.or(self.is(sign)));
            signs.or(self.between(b'-', b'/'))
        }

        /// Bytes that have the bit that small letters have and capital ones have not.
        pub(crate) fn small(self) -> Set {
            Set((self.0 << 2) & HIGHS)
        }
    }

    impl Set {
        /// A bit for each byte.
        pub(super) fn bits(self) -> u64 {
            // Each bit is moved to another place of the highest byte.
            (self.0 >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod simd {
    use super::Set;
    use core::arch::wasm32::{
        i8x16_gt, i16x8_shl, u8x16_add, u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2, v128, v128_or,
    };

    /// Sixteen bytes. A set has one bit of each.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(v128);

    impl Block {
        pub(crate) const SIZE: usize = 16;
        pub(super) const STEP: u32 = 1;

        pub(crate) fn of(bytes: [u8; Self::SIZE]) -> Self {
            let all = u128::from_le_bytes(bytes);
            Self(u64x2(all as u64, (all >> 64) as u64))
        }

        pub(crate) fn wide(self) -> Set {
            Set(u64::from(u8x16_bitmask(self.0)))
        }

        /// All ones where a byte is one of `first..=last`, which are ASCII: moved so that `last` is the highest signed number, those
        /// are above all others. A comparison without a sign costs twice as much.
        fn range(self, first: u8, last: u8) -> v128 {
            let moved = u8x16_add(self.0, u8x16_splat(0x7f - last));
            i8x16_gt(moved, u8x16_splat(0x7e - (last - first)))
        }

        pub(crate) fn is(self, byte: u8) -> Set {
            Set(u64::from(u8x16_bitmask(u8x16_eq(self.0, u8x16_splat(byte)))))
        }

        pub(crate) fn either(self, one: u8, other: u8) -> Set {
            let is = |byte| u8x16_eq(self.0, u8x16_splat(byte));
            Set(u64::from(u8x16_bitmask(v128_or(is(one), is(other)))))
        }

        pub(crate) fn between(self, first: u8, last: u8) -> Set {
            Set(u64::from(u8x16_bitmask(self.range(first, last))))
        }

        pub(crate) fn letters(self) -> Set {
            let small = Self(v128_or(self.0, u8x16_splat(0x20)));
            Set(u64::from(u8x16_bitmask(small.range(b'a', b'z'))))
        }

        pub(crate) fn hex(self) -> Set {
            let letters = Self(v128_or(self.0, u8x16_splat(0x20))).range(b'a', b'f');
            Set(u64::from(u8x16_bitmask(v128_or(letters, self.range(b'0', b'9')))))
        }

        pub(crate) fn joints(self) -> Set {
            let between = self.range(b'-', b'/');
            let is = |sign| u8x16_eq(self.0, u8x16_splat(sign));
            let (one, other) = (v128_or(is(b'+'), is(b'=')), v128_or(is(b'_'), is(b'~')));
            Set(u64::from(u8x16_bitmask(v128_or(between, v128_or(one, other)))))
        }

        pub(crate) fn small(self) -> Set {
            // The bits that come over from the byte before are not looked at.
            Set(u64::from(u8x16_bitmask(i16x8_shl(self.0, 2))))
        }
    }

    impl Set {
        pub(super) fn bits(self) -> u64 {
            self.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_head_is_the_first_eight_bytes(text in proptest::collection::vec(any::<u8>(), 0..12)) {
            let naive = text.iter().take(8).rev().fold(0, |head, byte| head << 8 | u64::from(*byte));
            prop_assert_eq!(head(&text), naive);
        }

        #[test]
        fn every_answer_is_exact(text in proptest::collection::vec(any::<u8>(), 0..60), from in 0..60_usize, byte in 0..0x7f_u8) {
            let naive = |passes: &dyn Fn(u8) -> bool| {
                text.iter().enumerate().skip(from).find(|(_, byte)| passes(**byte)).map(|(at, _)| at)
            };
            prop_assert_eq!(find(&text, from, Block::wide), naive(&|seen| seen >= 0x80));
            prop_assert_eq!(find(&text, from, |block| block.is(byte)), naive(&|seen| seen == byte));
            let last = byte.saturating_add(9).min(0x7f);
            prop_assert_eq!(
                find(&text, from, |block| block.between(byte, last)),
                naive(&|seen| (byte..=last).contains(&seen))
            );
            prop_assert_eq!(find(&text, from, |block| block.between(0, 0x1f)), naive(&|seen| seen < 0x20));
        }

        #[test]
        fn every_byte_gets_its_answers(text in proptest::array::uniform32(any::<u8>())) {
            let mut twice = [0; 64];
            twice.iter_mut().zip(text.iter().chain(&text)).for_each(|(slot, byte)| *slot = *byte);
            let text = twice;
            let answers = ask(&text, |block| [
                block.wide(), block.is(b'@'), block.between(b'0', b'9'), block.letters(), block.letters().and(block.small()), block.joints(), block.hex(), block.either(b'@', b':')
            ]);
            let naive: [&dyn Fn(u8) -> bool; 8] = [
                &|byte| byte >= 0x80,
                &|byte| byte == b'@',
                &|byte| byte.is_ascii_digit(),
                &|byte| byte.is_ascii_alphabetic(),
                &|byte| byte.is_ascii_lowercase(),
                &|byte| b"+-./=_~".contains(&byte),
                &|byte| byte.is_ascii_hexdigit(),
                &|byte| b"@:".contains(&byte),
            ];
            for (answer, passes) in answers.into_iter().zip(naive) {
                for (at, byte) in text.iter().enumerate() {
                    prop_assert_eq!(answer >> at & 1 == 1, passes(*byte), "{} at {}", byte, at);
                }
            }
        }
    }
}

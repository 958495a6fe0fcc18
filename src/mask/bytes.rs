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

    /// Those that two more in the set follow.
    pub(super) fn in_threes(self) -> Self {
        Self(self.0 & (self.0 >> Block::STEP) & (self.0 >> (2 * Block::STEP)))
    }

    fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / Block::STEP) as usize)
    }
}

/// The first place from `from` on that is in the answer. Behind the text are spaces, which must not be.
pub(super) fn find(text: &[u8], from: usize, mut ask: impl FnMut(Block) -> Set) -> Option<usize> {
    let (blocks, rest) = text.get(from..)?.as_chunks::<{ Block::SIZE }>();
    for (position, block) in blocks.iter().enumerate() {
        if let Some(first) = ask(Block::of(*block)).first() {
            return Some(from + position * Block::SIZE + first);
        }
    }
    if rest.is_empty() {
        return None;
    }
    let mut last = [b' '; Block::SIZE];
    for (slot, byte) in last.iter_mut().zip(rest) {
        *slot = *byte;
    }
    Some(from + blocks.len() * Block::SIZE + ask(Block::of(last)).first()?)
}

/// The first eight bytes in a row, at a distance from `from` that eight divides, of which none is in the answer.
pub(super) fn find_eight(text: &[u8], from: usize, ask: impl Fn(Block) -> Set) -> Option<usize> {
    let (blocks, rest) = text.get(from..)?.as_chunks::<{ Block::SIZE }>();
    let eight = (1 << (8 * Block::STEP - 1)) | ((1 << (8 * Block::STEP - 1)) - 1);
    let in_block = |block: &[u8; Block::SIZE]| {
        let set = ask(Block::of(*block)).0;
        if set & eight == 0 {
            Some(0)
        } else if Block::SIZE == 16 && set & (eight << 8) == 0 {
            Some(8)
        } else {
            None
        }
    };
    for (position, block) in blocks.iter().enumerate() {
        if let Some(at) = in_block(block) {
            return Some(from + position * Block::SIZE + at);
        }
    }
    // What is left has eight bytes only where a block has more.
    let mut last = [b' '; Block::SIZE];
    for (slot, byte) in last.iter_mut().zip(rest.get(..8)?) {
        *slot = *byte;
    }
    in_block(&last).filter(|at| *at == 0).map(|at| from + blocks.len() * Block::SIZE + at)
}

#[cfg(not(target_arch = "wasm32"))]
mod word {
    use super::Set;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const LOWS: u64 = !HIGHS;

    /// Eight bytes. A set has the highest bit of each.
    #[derive(Clone, Copy)]
    pub(in crate::mask) struct Block(u64);

    impl Block {
        pub(in crate::mask) const SIZE: usize = 8;
        pub(super) const STEP: u32 = 8;

        pub(in crate::mask) fn of(bytes: [u8; Self::SIZE]) -> Self {
            Self(u64::from_le_bytes(bytes))
        }

        /// Bytes that are not ASCII.
        pub(in crate::mask) fn wide(self) -> Set {
            Set(self.0 & HIGHS)
        }

        /// Bytes that are `byte`.
        pub(in crate::mask) fn is(self, byte: u8) -> Set {
            let other = self.0 ^ (ONES * u64::from(byte));
            Set(!(((other & LOWS) + LOWS) | other) & HIGHS)
        }

        /// ASCII bytes from `first` to `last`.
        pub(in crate::mask) fn between(self, first: u8, last: u8) -> Set {
            let low = self.0 & LOWS;
            let from = low + ONES * u64::from(0x80 - first);
            let above = low + ONES * u64::from(0x7f - last);
            Set(from & !above & !self.0 & HIGHS)
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod simd {
    use super::Set;
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_ge, u8x16_le, u8x16_splat, u64x2, v128, v128_and};

    /// Sixteen bytes. A set has one bit of each.
    #[derive(Clone, Copy)]
    pub(in crate::mask) struct Block(v128);

    impl Block {
        pub(in crate::mask) const SIZE: usize = 16;
        pub(super) const STEP: u32 = 1;

        pub(in crate::mask) fn of(bytes: [u8; Self::SIZE]) -> Self {
            let all = u128::from_le_bytes(bytes);
            Self(u64x2(all as u64, (all >> 64) as u64))
        }

        pub(in crate::mask) fn wide(self) -> Set {
            Set(u64::from(u8x16_bitmask(self.0)))
        }

        pub(in crate::mask) fn is(self, byte: u8) -> Set {
            Set(u64::from(u8x16_bitmask(u8x16_eq(self.0, u8x16_splat(byte)))))
        }

        pub(in crate::mask) fn between(self, first: u8, last: u8) -> Set {
            let from = u8x16_ge(self.0, u8x16_splat(first));
            Set(u64::from(u8x16_bitmask(v128_and(from, u8x16_le(self.0, u8x16_splat(last))))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_answer_is_exact(text in proptest::collection::vec(any::<u8>(), 0..60), from in 0..60_usize, byte in 0x21..0x7f_u8) {
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
        fn eight_without_are_found_in_steps_of_eight(text in "[ab]{0,60}|a{0,30}[ab]{0,9}a{0,30}", from in 0..20_usize) {
            let naive = (from..text.len()).step_by(8).find(|at| {
                text.get(*at..at + 8).is_some_and(|eight| !eight.contains('b'))
            });
            prop_assert_eq!(find_eight(text.as_bytes(), from, |block| block.is(b'b')), naive);
        }

        #[test]
        fn three_in_a_row_are_found(text in "[Ab]{3,8}") {
            let found = find(text.as_bytes(), 0, |block| block.between(b'A', b'Z').in_threes());
            prop_assert_eq!(found, text.find("AAA"));
        }
    }
}

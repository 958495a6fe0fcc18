//! Names nobody can guess.

/// A fresh random identifier in the text form of a version 4 UUID (RFC 9562, section 5.4).
pub(crate) fn fresh() -> String {
    uuid(rand::random())
}

fn uuid(bits: u128) -> String {
    const VERSION: u128 = 0x4 << 76;
    const VARIANT: u128 = 0x2 << 62;
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | VERSION | VARIANT;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        bits >> 80 & 0xffff,
        bits >> 64 & 0xffff,
        bits >> 48 & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_carries_version_and_variant_and_all_other_bits() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), "01234567-89ab-4def-8123-456789abcdef");
    }

    #[test]
    fn no_two_are_alike() {
        assert_ne!(fresh(), fresh());
    }
}

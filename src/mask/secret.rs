//! Does an upstream credential stand in a text?

/// Whether one of `secrets` stands in `text`. Empty secrets are nothing to look for.
pub(super) fn stands_in(secrets: &[&[u8]], text: &[u8]) -> bool {
    secrets.iter().any(|secret| contains(text, secret))
}

/// Compares the first and the last byte for a block of places at once (which becomes SIMD), the whole only where both agree.
fn contains(text: &[u8], secret: &[u8]) -> bool {
    const BLOCK: usize = 32;
    let (Some(&first), Some(&last)) = (secret.first(), secret.last()) else { return false };
    let Some(ends) = text.get(secret.len() - 1..) else { return false };
    let matches_at = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(secret));
    let starts = text.get(..ends.len()).unwrap_or(text);
    for (block, (starts, ends)) in starts.chunks(BLOCK).zip(ends.chunks(BLOCK)).enumerate() {
        let both = |(start, end): (&u8, &u8)| (*start == first) & (*end == last);
        let any = starts.iter().zip(ends).fold(false, |any, pair| any | both(pair));
        if any && (0..starts.len()).any(|offset| matches_at(block * BLOCK + offset)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_found_for_an_empty_secret() {
        assert!(!stands_in(&[], b"abc"));
        assert!(!stands_in(&[b""], b"abc"));
        assert!(!stands_in(&[b"abcd"], b"abc"));
        assert!(stands_in(&[b"x", b"abc"], b"abc"));
    }

    proptest! {
        #[test]
        fn a_secret_is_found_wherever_it_stands(text in "[ab]{0,80}", secret in "[ab]{1,6}") {
            prop_assert_eq!(stands_in(&[secret.as_bytes()], text.as_bytes()), text.contains(&secret));
        }
    }
}

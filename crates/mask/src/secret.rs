//! Does an upstream credential, or another fixed text, stand in a text?

use super::bytes::Block;

/// Whether one of `secrets` stands in `text`. Empty secrets are nothing to look for.
pub(super) fn stands_in(secrets: &[&[u8]], text: &[u8]) -> bool {
    secrets.iter().any(|secret| !secret.is_empty() && find(text, secret, 0).is_some())
}

/// Where `wanted` stands in `text` first, from `from` on. Its first and last byte are compared for a block of places at once, the whole
/// only where both agree.
pub(super) fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let (&first, &last) = (wanted.first()?, wanted.last()?);
    let starts = text.get(from..)?;
    let ends = starts.get(wanted.len() - 1..)?;
    let is_at = |at: &usize| starts.get(*at..).is_some_and(|rest| rest.starts_with(wanted));
    let (blocks, rest) = ends.as_chunks::<{ Block::SIZE }>();
    for (position, (start, end)) in starts.as_chunks().0.iter().zip(blocks).enumerate() {
        let both = Block::of(*start).is(first).and(Block::of(*end).is(last));
        let begin = position * Block::SIZE;
        if !both.is_empty()
            && let Some(at) = (begin..begin + Block::SIZE).find(is_at)
        {
            return Some(from + at);
        }
    }
    let checked = ends.len() - rest.len();
    (checked..ends.len()).find(is_at).map(|at| from + at)
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
            for from in 0..=text.len() {
                let wanted = text.get(from..).and_then(|rest| rest.find(&secret)).map(|at| from + at);
                prop_assert_eq!(find(text.as_bytes(), secret.as_bytes(), from), wanted);
            }
        }
    }
}

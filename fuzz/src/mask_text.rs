//! Text bodies.

use rerank_guard::mask::{Unmaskable, mask_text};

/// The first byte chooses the replacement, the rest is the body. What was masked has no finding; what was not is UTF-8.
pub fn check(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let masks = crate::masks(*choice);
    let masked = match mask_text(body, &masks, &[]) {
        Ok(masked) => masked,
        Err(why) => {
            return assert!(matches!(why, Unmaskable::NotUtf8 { .. }), "a text keeps a body from leaving: {why}");
        }
    };
    assert!(std::str::from_utf8(body).is_ok(), "what is not UTF-8 leaves");
    assert_eq!(masked.body().is_none(), masked.found().is_empty(), "a finding that was not replaced, or the reverse");
    let Some(once) = masked.body() else { return };
    let twice = mask_text(once, &masks, &[]).expect("what was masked can be masked");
    assert!(twice.found().is_empty() && twice.body().is_none(), "a finding is left: {:?}", twice.found());
}

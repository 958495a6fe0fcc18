//! Where a finding stood, told without telling whose it is.

use super::{Inside, Open};
use crate::view::unescaped;
use std::borrow::Cow;

/// The JSON pointer (RFC 6901) of the value that is being read, or of the member name `name` of the innermost object. Names with
/// findings stand in their masked form; those that are no plain identifier as `*`. `prefix` is the way to the body itself.
pub(super) fn pointer(prefix: &str, open: &[Open], text: &str, name: Option<&str>) -> String {
    /// Names can be as long as texts; what is recorded must not.
    const LONGEST: usize = 256;
    let mut pointer = prefix.to_owned();
    for (depth, inner) in open.iter().enumerate() {
        let step = match (&inner.inside, name) {
            (_, Some(name)) if depth + 1 == open.len() => unescaped(name),
            (Inside::Array { index }, _) => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                continue;
            }
            (Inside::Object { masked: Some(masked), .. }, _) => unescaped(masked),
            (Inside::Object { name, .. }, _) => unescaped(text.get(name.clone()).unwrap_or_default()),
        };
        let step = if is_plain(&step) { step } else { Cow::Borrowed("*") };
        pointer.push('/');
        // RFC 6901, section 3. Hardly a name needs it, and every finding comes by here.
        if step.bytes().any(|byte| byte == b'~' || byte == b'/') {
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        } else {
            pointer.push_str(&step);
        }
    }
    if let Some((cut, _)) = pointer.char_indices().nth(LONGEST) {
        pointer.truncate(cut);
        pointer.push('…');
    }
    pointer
}

/// Whether a member's name is one that programs give, and not somebody's name, number or sentence: short, without blanks, letters
/// beyond ASCII, and more than four digits. Documents may be keyed by whatever they are about.
fn is_plain(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:$/~[]<>*".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(known) && name.bytes().filter(u8::is_ascii_digit).count() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_somebodys_are_not_told() {
        for name in ["text", "homeAddress", "home-address", "address_2", "a/~", "$ref", "[email]", "xml:lang", "v1.2"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "Ann Lee", "Jos\u{e9}", "12345", "4155550132", "a@b", "2024-05-17", &long] {
            assert!(!is_plain(name), "{name}");
        }
    }
}

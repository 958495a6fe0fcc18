//! What bytes are, by table: the loops that run over most of a text ask nothing else.

/// A letter or digit of ASCII.
const WORD: u8 = 1;
/// What tokens are made of (Base64url).
const TOKEN: u8 = 1 << 1;
/// What joins tokens in keys and headers (RFC 6750).
const PART: u8 = 1 << 2;

const CLASSES: [u8; 256] = {
    let mut all = [0_u8; 256];
    let mut byte = 0_u8;
    let mut slots: &mut [u8] = &mut all;
    while let [slot, rest @ ..] = slots {
        *slot = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => WORD | TOKEN | PART,
            b'_' | b'-' => TOKEN | PART,
            b'.' | b'~' | b'+' | b'/' | b'=' => PART,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        slots = rest;
    }
    all
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

pub(super) fn is_word(byte: &u8) -> bool {
    is(*byte, WORD)
}

pub(super) fn is_token(byte: &u8) -> bool {
    is(*byte, TOKEN)
}

pub(super) fn is_part(byte: &u8) -> bool {
    is(*byte, PART)
}

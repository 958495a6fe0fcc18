//! What bytes are, by table: the loops that run over most of a text ask nothing else.

/// A letter or digit of ASCII.
const WORD: u8 = 1;
/// What tokens are made of (Base64url).
const TOKEN: u8 = 1 << 1;
/// What joins tokens in keys and headers (RFC 6750).
const PART: u8 = 1 << 2;

/// What words are made of: a letter of ASCII, or any character beyond it.
const LETTER: u8 = 1 << 3;
const UPPER: u8 = 1 << 4;
const LOWER: u8 = 1 << 5;

const CLASSES: [u8; 256] = {
    let mut all = [0_u8; 256];
    let mut byte = 0_u8;
    let mut slots: &mut [u8] = &mut all;
    while let [slot, rest @ ..] = slots {
        *slot = match byte {
            b'0'..=b'9' => WORD | TOKEN | PART,
            b'A'..=b'Z' => WORD | TOKEN | PART | LETTER | UPPER,
            b'a'..=b'z' => WORD | TOKEN | PART | LETTER | LOWER,
            0x80.. => LETTER,
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

pub(super) fn is_letter(byte: &u8) -> bool {
    is(*byte, LETTER)
}

pub(super) fn is_upper(byte: &u8) -> bool {
    is(*byte, UPPER)
}

pub(super) fn is_lower(byte: &u8) -> bool {
    is(*byte, LOWER)
}

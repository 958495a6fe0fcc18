//! Bytes as digits: names of decisions and chains, digests.

/// `prefix` and two lower-case hexadecimal digits for each byte.
pub(crate) fn hexadecimal(prefix: &str, bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    let mut text = String::with_capacity(prefix.len().saturating_add(bytes.len().saturating_mul(2)));
    text.push_str(prefix);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hexadecimal("x:", &[0, 9, 0x0a, 0x1f, 0xa0, 0xff]), "x:00090a1fa0ff");
        assert_eq!(hexadecimal("", &[]), "");
    }
}

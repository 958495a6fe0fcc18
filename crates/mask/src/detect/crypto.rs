//! Addresses of cryptocurrencies: Base58Check (Bitcoin and its kin), Bech32 (BIP 173, BIP 350), Ethereum.

/// Whether `text`, a whole token, is an address.
pub(super) fn is_address(text: &[u8]) -> bool {
    match text.first() {
        Some(b'0') => is_ethereum(text),
        Some(b'1' | b'3' | b'L' | b'M' | b'D' | b'T' | b'm' | b'n' | b'2') => is_base58check(text),
        Some(b'b' | b'B' | b'l' | b't') => is_bech32(text),
        _ => false,
    }
}

/// `0x` and twenty bytes. Upper and lower case can be a checksum (EIP-55), which is not looked at: it is optional.
fn is_ethereum(text: &[u8]) -> bool {
    let hex = text.get(2..).is_some_and(|hex| hex.len() == 40 && hex.iter().all(u8::is_ascii_hexdigit));
    hex && text.starts_with(b"0x") && text.iter().any(|byte| !matches!(byte, b'0' | b'x'))
}

/// Twenty-one bytes, and the first four of their double SHA-256.
fn is_base58check(text: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if !(26..=35).contains(&text.len()) {
        return false;
    }
    let mut bytes = [0_u8; 25];
    for letter in text {
        let Some(mut carry) = ALPHABET.iter().position(|known| known == letter) else { return false };
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).unwrap_or(0);
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let Some((body, check)) = bytes.split_last_chunk::<4>() else { return false };
    hmac_sha256::Hash::hash(&hmac_sha256::Hash::hash(body)).starts_with(check)
}

/// A known network, `1`, and data whose checksum is that of its version.
fn is_bech32(text: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    // Most tokens that begin so are hashes.
    let network = |name: &[u8]| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    if !(network(b"bc1") || network(b"tb1") || network(b"ltc1")) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let mixed = text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    let Some(separator) = lower.iter().rposition(|byte| *byte == b'1') else { return false };
    let (Some(network), Some(data)) = (lower.get(..separator), lower.get(separator + 1..)) else { return false };
    if mixed || !matches!(network, b"bc" | b"tb" | b"ltc") || !(14..=74).contains(&text.len()) {
        return false;
    }
    let values: Option<Vec<u32>> = data
        .iter()
        .map(|byte| ALPHABET.iter().position(|known| known == byte).and_then(|value| u32::try_from(value).ok()))
        .collect();
    let Some(values) = values else { return false };
    let head = network.iter().map(|byte| u32::from(byte >> 5));
    let tail = network.iter().map(|byte| u32::from(byte & 31));
    // The first value is the version of the witness program: 0 has Bech32, all later ones Bech32m (BIP 350).
    let wanted = if values.first() == Some(&0) { 1 } else { 0x2bc8_30a3 };
    head.chain([0]).chain(tail).chain(values).fold(1, polymod) == wanted
}

fn polymod(checksum: u32, value: u32) -> u32 {
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = checksum >> 25;
    let shifted = (checksum & 0x1ff_ffff) << 5 ^ value;
    GENERATORS
        .iter()
        .enumerate()
        .filter(|(bit, _)| top >> bit & 1 == 1)
        .fold(shifted, |sum, (_, generator)| sum ^ generator)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::kind::Kind;

    #[test]
    fn addresses_are_found_by_their_checksums() {
        check(
            Kind::CryptoAddress,
            &[
                "btc «16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ», «3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy».",
                "«bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq»",
                "«bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0»",
                "«BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4»",
                "usdt «TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t»",
                "eth «0x52908400098527886E0F7030069857D2E4169EE7»",
                "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ2",
                "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyY",
                "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdx",
                "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u",
                // BIP 350's own: the checksum of the other version.
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
                "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
                "0x0000000000000000000000000000000000000000",
                "0x52908400098527886E0F7030069857D2E4169EE",
            ],
        );
    }
}

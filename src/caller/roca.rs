//! RSA keys by a library that chose weak primes: CVE-2017-15361, "ROCA".
//!
//! Its primes are powers of 65537 modulo the product of the first primes, and so is their product. A modulus that is such a power
//! modulo every one of the primes below is by that library; another one passes all of them with a chance of about 2^-27 (Nemec
//! et al., "The Return of Coppersmith's Attack", section 2.2).

const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus, big-endian, has the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

fn is_power_of_65537(rest: u32, prime: u32) -> bool {
    let powers = std::iter::successors(Some(1), |power| Some(power * (65_537 % prime) % prime));
    { powers }.take(prime as usize).any(|power| power == rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_65537_have_the_fingerprint_and_their_neighbours_have_not() {
        // By the binomial theorem, (2^16 + 1)^2 and (2^16 + 1)^4 in base 256.
        for power in [&[1][..], &[1, 0, 1], &[1, 0, 2, 0, 1], &[1, 0, 4, 0, 6, 0, 4, 0, 1]] {
            assert!(has_fingerprint(power), "{power:?}");
        }
        for other in [&[0][..], &[3], &[1, 0, 3], &[1, 0, 2, 0, 3], &[1, 0, 4, 0, 6, 0, 4, 0, 3]] {
            assert!(!has_fingerprint(other), "{other:?}");
        }
    }
}

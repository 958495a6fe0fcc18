//! Whether the host's signature check can be believed. A host that says yes to everything would accept every forged token, so it is
//! asked about signatures known to be good and known to be bad first.

use super::algorithm::{Algorithm, Hash};
use super::keys::Key;
use super::signature::{NativeSignatures, NoNativeSignatures, cost};
use super::token::decode;

/// What the host has been found to be; not known before it is first needed.
#[derive(Debug, Default)]
pub(super) struct Host {
    is_good: Option<bool>,
}

impl Host {
    /// The host, if it tells good signatures from bad ones; none otherwise, and the library does its work.
    pub(super) fn tested<'a>(&mut self, native: &'a dyn NativeSignatures) -> &'a dyn NativeSignatures {
        if *self.is_good.get_or_insert_with(|| KNOWN.iter().all(|known| known.is_told(native) == Some(true))) {
            native
        } else {
            &NoNativeSignatures
        }
    }

    /// What a bad signature by this key costs here, see [`cost`]: nothing where the host proves it, but for the one curve that is slow
    /// there too.
    pub(super) fn cost(&self, key: &Key) -> u64 {
        match key.algorithm.native_hash() {
            Some(_) if self.is_good == Some(true) => u64::from(key.algorithm == Algorithm::ES384),
            _ => cost(key),
        }
    }

    pub(super) const fn is_good(&self) -> Option<bool> {
        self.is_good
    }
}

/// A signature over a text by SHA-256, all in base64url but the text. Made with OpenSSL; the private keys no longer exist.
struct Known {
    text: &'static str,
    key: &'static str,
    signature: &'static str,
}

impl Known {
    fn is_told(&self, native: &dyn NativeSignatures) -> Option<bool> {
        let (key, good) = (decode(self.key).ok()?, decode(self.signature).ok()?);
        let mut bad = good.clone();
        *bad.last_mut()? ^= 1;
        let (shorter, _) = self.text.split_at_checked(self.text.len().checked_sub(1)?)?;
        let says = |signature: &[u8], text: &str| native.verify(Hash::Sha256, &key, signature, text.as_bytes());
        let told =
            says(&good, self.text)? && !says(&bad, self.text)? && !says(&good, shorter)? && !says(&[], self.text)?;
        Some(told)
    }
}

const KNOWN: [Known; 2] = [
    Known {
        text: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIGtub3duIGdvb2Qgc2lnbmF0dXJlIn0",
        key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtrFcRCzIc_a86UfU3qRQqOQKXQYETB2Mm02GSrDPsvsasr1umY0z\
            4_Vr9Yl1yT5zGbIcEsuwfOqDWR82s0KcgUvLTRkSkbeeybpgWLMLMIVCvRh1WVX7SAH8SXm3ZPdn5JXPqwu8ZJXbR_nYna9A\
            j7GRfMCWs1_dilKLK9DpEn306N6-HzugmAp8gTaujPCeZUFMKqK_EZoJxGZGNruL2d2Sm1LXF-mtmBpB3vuE_3aX83n36u2z\
            Wlr5DtouVQEwbGOIAK5OMdEwinvdmuTH0xfSn6Zg389RnhX7YaA273_GDWomQ4a5l3Jpm03qCJz9J5S284lzfL4YAtcXgYII\
            vwIDAQAB",
        signature: "HPdvfKjFs1w3Oo4ogEO5ow-sfhSJApnCdyMmDt0d8vjXYrGCSdJfAxOhIjbV59dj6xXD1VfzsmLP42g3wLcYmc5tqEE3gVoI\
            Hpwn1I4_9JbKn4N7vsNJSqVT8MXqn5Rgr17tZRfZ7oHZ9ZQAAQcEWnpLv9lm1wmOkcdEzAGVqhiQ5UeX8PNaJ927d3ZB_jul\
            QVh9ffbBkOJIlto7uXyeDD5V50qIMi6w6PDRroQKOnSbQy4lHr1puE2IpyZY-W8I_uEShT4TtZZzGBWq9M-VlJCK2ug9w51e\
            _0WgPSR1r9MX4Tx-7e9DISgSCsBEZsv6W40YMRgKMSt917hOiQi26g",
    },
    Known {
        text: "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIGtub3duIGdvb2Qgc2lnbmF0dXJlIn0",
        key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoWW8xsiPOL5lNdqDyrdqgMvJxu8Mql0HkNdo79YzXFcbZ93HzOtG5TEt6yqv\
            Cq_N4ra4vFUUaQWRGDG73rb44w",
        signature: "MEUCIGUKwmsDlocxrGBctB2r7RjdxZtEap2YYsw1VaYTnVHFAiEA187sFYOQIhQRZBzipjaw0aPnVOZvD839rY_B8fKWg88",
    },
];

#[cfg(test)]
mod tests {
    use super::super::testing::Host as Double;
    use super::*;
    use std::cell::Cell;

    struct Says<F>(F);

    impl<F: Fn(&[u8], &[u8]) -> Option<bool>> NativeSignatures for Says<F> {
        fn verify(&self, _: Hash, _: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
            (self.0)(signature, text)
        }
    }

    #[test]
    fn a_host_that_verifies_is_used() {
        let mut host = Host::default();
        assert_eq!(host.is_good(), None);
        host.tested(&Double);
        assert_eq!(host.is_good(), Some(true));
    }

    #[test]
    fn a_host_that_says_the_same_to_everything_or_cannot_is_never_used() {
        for says in [None, Some(true), Some(false)] {
            let mut host = Host::default();
            assert_eq!(
                host.tested(&Says(|_: &[u8], _: &[u8]| says)).verify(Hash::Sha256, &[], &[], &[]),
                None,
                "{says:?}"
            );
            assert_eq!(host.is_good(), Some(false));
        }
    }

    #[test]
    fn a_host_that_does_not_look_at_the_signature_or_the_text_is_never_used() {
        let known = |text: &[u8]| KNOWN.iter().any(|known| known.text.as_bytes() == text);
        let mut host = Host::default();
        host.tested(&Says(|signature: &[u8], text: &[u8]| Some(known(text) && !signature.is_empty())));
        assert_eq!(host.is_good(), Some(false), "any signature is good to it");
        let good = |shown: &[u8]| KNOWN.iter().any(|known| decode(known.signature).unwrap() == shown);
        let mut host = Host::default();
        host.tested(&Says(|signature: &[u8], _: &[u8]| Some(good(signature))));
        assert_eq!(host.is_good(), Some(false), "any text is good to it");
    }

    #[test]
    fn a_host_is_tested_once() {
        let (calls, mut host) = (Cell::new(0), Host::default());
        let native = Says(|_: &[u8], _: &[u8]| {
            calls.set(calls.get() + 1);
            None
        });
        host.tested(&native);
        let once = calls.get();
        host.tested(&native);
        assert_eq!((once > 0, calls.get()), (true, once));
    }
}

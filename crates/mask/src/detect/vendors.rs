//! Vendors' keys: what they begin with, and what follows.
//!
//! Sources: the vendors' documentation, and the forms that other scanners publish (gitleaks).

use super::class::is_word;

/// A key: what it begins with, and of how many characters of which class the rest is, at least.
struct Row(&'static [u8], usize, Class);

/// What a key is made of behind its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Letters, digits, `-` and `_` (Base64url).
    Token,
    /// The same, and `+`, `/` and `=` (Base64).
    Wide,
    /// Letters and digits, of which one is a digit.
    Letters,
    /// Capitals, small letters and digits together: others begin with that prefix too.
    Mixed,
    /// Capitals, digits and `-`.
    Capitals,
    /// Exactly so many hexadecimal digits in small letters, and perhaps `-` and a digit.
    Hex,
    /// Exactly so many of what Amazon's identifiers have.
    Amazon,
}

const ROWS: &[Row] = &[
    Row(b"AKIA", 16, Class::Amazon),
    Row(b"ASIA", 16, Class::Amazon),
    Row(b"ABIA", 16, Class::Amazon),
    Row(b"ACCA", 16, Class::Amazon),
    Row(b"A3T", 17, Class::Amazon),
    Row(b"ABSK", 60, Class::Wide),
    Row(b"bedrock-api-key-", 20, Class::Wide),
    Row(b"LTAI", 12, Class::Letters),
    Row(b"AQVN", 35, Class::Token),
    Row(b"AIza", 35, Class::Token),
    Row(b"GOCSPX-", 20, Class::Token),
    Row(b"EAAA", 60, Class::Token),
    Row(b"EAA", 90, Class::Letters),
    Row(b"AAAAAAAAAAAAAAAAAAAAA", 50, Class::Token),
    Row(b"ghp_", 36, Class::Token),
    Row(b"gho_", 36, Class::Token),
    Row(b"ghu_", 36, Class::Token),
    Row(b"ghs_", 36, Class::Token),
    Row(b"ghr_", 36, Class::Token),
    Row(b"github_pat_", 60, Class::Token),
    Row(b"glpat-", 20, Class::Token),
    Row(b"gldt-", 20, Class::Token),
    Row(b"glrt-", 20, Class::Token),
    Row(b"glrtr-", 20, Class::Token),
    Row(b"glcbt-", 20, Class::Token),
    Row(b"glptt-", 40, Class::Token),
    Row(b"glagent-", 40, Class::Token),
    Row(b"glsoat-", 20, Class::Token),
    Row(b"glft-", 20, Class::Token),
    Row(b"glimt-", 25, Class::Token),
    Row(b"glffct-", 20, Class::Token),
    Row(b"glwt-", 20, Class::Token),
    Row(b"gloas-", 60, Class::Token),
    Row(b"GR1348941", 20, Class::Token),
    Row(b"xoxb-", 10, Class::Token),
    Row(b"xoxp-", 10, Class::Token),
    Row(b"xoxa-", 10, Class::Token),
    Row(b"xoxe-", 10, Class::Token),
    Row(b"xoxs-", 10, Class::Token),
    Row(b"xoxr-", 10, Class::Token),
    Row(b"xoxo-", 20, Class::Token),
    Row(b"xoxc-", 20, Class::Token),
    Row(b"xoxd-", 20, Class::Token),
    Row(b"xapp-", 20, Class::Token),
    Row(b"sk_live_", 10, Class::Token),
    Row(b"rk_live_", 10, Class::Token),
    Row(b"sk_test_", 10, Class::Token),
    Row(b"rk_test_", 10, Class::Token),
    Row(b"sk_prod_", 10, Class::Token),
    Row(b"rk_prod_", 10, Class::Token),
    Row(b"whsec_", 24, Class::Token),
    Row(b"sk-ant-", 40, Class::Token),
    Row(b"sk-proj-", 20, Class::Token),
    Row(b"sk-svcacct-", 20, Class::Token),
    Row(b"sk-admin-", 20, Class::Token),
    Row(b"sk-or-", 40, Class::Token),
    Row(b"sk-lf-", 36, Class::Token),
    Row(b"sk-", 40, Class::Token),
    Row(b"sk-", 32, Class::Hex),
    Row(b"sk_", 48, Class::Hex),
    Row(b"npm_", 36, Class::Token),
    Row(b"pypi-AgEIcHlwaS5vcmc", 16, Class::Token),
    Row(b"rubygems_", 48, Class::Token),
    Row(b"cio", 32, Class::Mixed),
    Row(b"oy2", 43, Class::Letters),
    Row(b"hf_", 30, Class::Token),
    Row(b"api_org_", 34, Class::Token),
    Row(b"jina_", 30, Class::Token),
    Row(b"pcsk_", 30, Class::Token),
    Row(b"pa-", 40, Class::Token),
    Row(b"gsk_", 40, Class::Token),
    Row(b"xai-", 40, Class::Token),
    Row(b"csk-", 40, Class::Token),
    Row(b"r8_", 36, Class::Token),
    Row(b"pplx-", 48, Class::Token),
    Row(b"tvly-", 20, Class::Token),
    Row(b"nvapi-", 60, Class::Token),
    Row(b"nk-", 40, Class::Mixed),
    Row(b"fw_", 22, Class::Mixed),
    Row(b"tgp_v1_", 40, Class::Token),
    Row(b"lsv2_pt_", 32, Class::Token),
    Row(b"lsv2_sk_", 32, Class::Token),
    Row(b"mxb_", 24, Class::Mixed),
    Row(b"ze_", 16, Class::Mixed),
    Row(b"fc-", 32, Class::Hex),
    Row(b"vck_", 40, Class::Token),
    Row(b"sb_secret_", 20, Class::Token),
    Row(b"sbp_", 40, Class::Token),
    Row(b"napi_", 60, Class::Token),
    Row(b"rpa_", 40, Class::Letters),
    Row(b"e2b_", 40, Class::Hex),
    Row(b"re_", 24, Class::Mixed),
    Row(b"tskey-", 20, Class::Token),
    Row(b"phx_", 40, Class::Letters),
    Row(b"dop_v1_", 60, Class::Token),
    Row(b"doo_v1_", 60, Class::Token),
    Row(b"dor_v1_", 60, Class::Token),
    Row(b"shpat_", 32, Class::Token),
    Row(b"shpca_", 32, Class::Token),
    Row(b"shppa_", 32, Class::Token),
    Row(b"shpss_", 32, Class::Token),
    Row(b"glsa_", 32, Class::Token),
    Row(b"glc_", 32, Class::Wide),
    Row(b"eyJrIjoi", 60, Class::Wide),
    Row(b"ZXlK", 60, Class::Wide),
    Row(b"lin_api_", 32, Class::Token),
    Row(b"lin_oauth_", 32, Class::Token),
    Row(b"dckr_pat_", 20, Class::Token),
    Row(b"dckr_oat_", 20, Class::Token),
    Row(b"sntrys_", 30, Class::Wide),
    Row(b"sntryu_", 60, Class::Token),
    Row(b"PMAK-", 40, Class::Token),
    Row(b"ATATT3", 100, Class::Wide),
    Row(b"ATCTT3", 100, Class::Wide),
    Row(b"ATBB", 28, Class::Letters),
    Row(b"NRAK-", 27, Class::Token),
    Row(b"NRII-", 32, Class::Token),
    Row(b"figd_", 40, Class::Token),
    Row(b"CFPAT-", 40, Class::Token),
    Row(b"ntn_", 46, Class::Token),
    Row(b"secret_", 43, Class::Mixed),
    Row(b"pscale_tkn_", 30, Class::Token),
    Row(b"pscale_oauth_", 30, Class::Token),
    Row(b"pscale_pw_", 30, Class::Token),
    Row(b"nfp_", 36, Class::Token),
    Row(b"xkeysib-", 64, Class::Token),
    Row(b"tfp_", 59, Class::Token),
    Row(b"pul-", 40, Class::Token),
    Row(b"pnu_", 36, Class::Letters),
    Row(b"sq0atp-", 22, Class::Token),
    Row(b"sq0csp-", 43, Class::Token),
    Row(b"CCIPAT_", 40, Class::Token),
    Row(b"HRKU-", 36, Class::Token),
    Row(b"bkua_", 40, Class::Token),
    Row(b"pat-na1-", 36, Class::Token),
    Row(b"pat-eu1-", 36, Class::Token),
    Row(b"AGE-SECRET-KEY-1", 58, Class::Capitals),
    Row(b"A3-", 31, Class::Capitals),
    Row(b"API-", 26, Class::Capitals),
    Row(b"ops_eyJ", 100, Class::Wide),
    Row(b"p8e-", 32, Class::Letters),
    Row(b"AKCp", 60, Class::Letters),
    Row(b"cmVmdGtu", 50, Class::Letters),
    Row(b"CLOJARS_", 60, Class::Letters),
    Row(b"EZAK", 54, Class::Letters),
    Row(b"EZTK", 54, Class::Letters),
    Row(b"FLWSECK_TEST-", 12, Class::Token),
    Row(b"FLWSECK-", 32, Class::Token),
    Row(b"fio-u-", 60, Class::Token),
    Row(b"ico-", 32, Class::Mixed),
    Row(b"s-s4t2ud-", 60, Class::Token),
    Row(b"s-s4t2af-", 60, Class::Token),
    Row(b"rdme_", 70, Class::Letters),
    Row(b"tk-us-", 48, Class::Token),
    Row(b"sm_aat_", 16, Class::Letters),
    Row(b"sm_pat_", 16, Class::Letters),
    Row(b"sm_sat_", 16, Class::Letters),
    Row(b"shippo_live_", 40, Class::Hex),
    Row(b"shippo_test_", 40, Class::Hex),
    Row(b"sgp_", 40, Class::Token),
    Row(b"squ_", 40, Class::Hex),
    Row(b"sqp_", 40, Class::Hex),
    Row(b"sqa_", 40, Class::Hex),
    Row(b"duffel_live_", 40, Class::Token),
    Row(b"duffel_test_", 40, Class::Token),
    Row(b"access-production-", 36, Class::Token),
    Row(b"access-sandbox-", 36, Class::Token),
    Row(b"aio_", 28, Class::Letters),
    Row(b"fo1_", 43, Class::Token),
    Row(b"fm1a_", 100, Class::Wide),
    Row(b"fm1r_", 100, Class::Wide),
    Row(b"fm2_", 100, Class::Wide),
    Row(b"4b1d", 38, Class::Mixed),
    Row(b"SK", 32, Class::Hex),
    Row(b"AC", 32, Class::Hex),
    Row(b"dapi", 32, Class::Hex),
    Row(b"key-", 32, Class::Hex),
];

/// What stands before the token, up to the sign that parts it from the key, and how long the token is at least.
const BEFORE: &[(&[u8], usize)] = &[
    (b"SG.", 20),
    (b"hvs.", 20),
    (b"hvb.", 20),
    (b"hvr.", 20),
    (b"ya29.", 20),
    (b"1//", 40),
    (b"dp.pt.", 40),
    (b"dp.st.", 40),
    (b"dp.ct.", 40),
    (b"dp.sa.", 40),
    (b"dt0c01.", 24),
    (b"sl.", 100),
    (b"sl.u.", 100),
    (b"sk.", 60),
    (b"v1.", 146),
    (b"atlasv1.", 60),
    (b"sha256~", 43),
    (b"_gitlab_session=", 32),
];

/// Addresses that are secrets themselves: whoever knows one may write there. What they begin with, and how much follows at least.
const HOOKS: &[(&[u8], usize)] = &[
    (b"hooks.slack.com/", 40),
    (b"discord.com/api/webhooks/", 60),
    (b"discordapp.com/api/webhooks/", 60),
    (b"canary.discord.com/api/webhooks/", 60),
    (b"ptb.discord.com/api/webhooks/", 60),
    (b"hooks.zapier.com/hooks/catch/", 12),
];

/// The length of the key that `token` begins with or is; `whole` is as much as Base64 can go on.
pub(super) fn key_length<'a>(token: &[u8], whole: impl Fn() -> &'a [u8]) -> Option<usize> {
    if !begins_like_one(token) {
        return None;
    }
    ROWS.iter().find_map(|Row(prefix, least, class)| {
        let key = token.strip_prefix(*prefix)?;
        let key = if *class == Class::Wide { whole().get(prefix.len()..)? } else { key };
        (is_random(key) && class.fits(key, *least)).then_some(prefix.len() + key.len())
    })
}

impl Class {
    fn fits(self, key: &[u8], least: usize) -> bool {
        let digit = || key.iter().any(u8::is_ascii_digit);
        let enough = key.len() >= least;
        match self {
            Self::Token | Self::Wide => enough,
            Self::Letters => enough && key.iter().all(is_word) && digit(),
            Self::Mixed => {
                let upper = key.iter().any(u8::is_ascii_uppercase);
                let known = |byte: &u8| is_word(byte) || *byte == b'_';
                enough && key.iter().all(known) && upper && key.iter().any(u8::is_ascii_lowercase) && digit()
            }
            Self::Capitals => {
                let known = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'-';
                enough && key.iter().all(known) && digit()
            }
            Self::Hex => {
                let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let Some((key, tail)) = key.split_at_checked(least) else { return false };
                key.iter().all(is_hex) && matches!(tail, [] | [b'-', b'0'..=b'9'])
            }
            Self::Amazon => key.len() == least && key.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')),
        }
    }
}

/// The length of what belongs to a key before its `token`, as `SG.` does; `before` is the text before it.
pub(super) fn length_before(before: &[u8], token: &[u8]) -> Option<usize> {
    // Most tokens stand behind something else.
    let ends = matches!(
        before.last_chunk(),
        Some(
            b"G."
                | b"s."
                | b"b."
                | b"r."
                | b"9."
                | b"t."
                | b"a."
                | b"1."
                | b"l."
                | b"u."
                | b"k."
                | b"//"
                | b"6~"
                | b"n="
        )
    );
    if !ends {
        return None;
    }
    let (prefix, _) = BEFORE.iter().find(|(prefix, least)| {
        let part = || before.len().checked_sub(prefix.len() + 1).and_then(|at| before.get(at)).is_some_and(is_word);
        token.len() >= *least && before.ends_with(prefix) && !part()
    })?;
    is_random(token).then_some(prefix.len())
}

/// Where in an address the secret begins: `address` is all of it but the scheme.
pub(super) fn secret_of_hook(address: &[u8]) -> Option<usize> {
    let host = address.strip_prefix(b"//").unwrap_or(address);
    if !matches!(host.first_chunk(), Some(b"ho" | b"di" | b"ca" | b"pt")) {
        return None;
    }
    let (prefix, least) = HOOKS.iter().find(|(prefix, _)| host.starts_with(prefix))?;
    let secret = host.get(prefix.len()..)?;
    (secret.len() >= *least && is_random(secret)).then_some(address.len() - secret.len())
}

/// Whether `token` is a key known by how it is made alone: of Mailchimp, hexadecimal digits and `-us1`, or of Mailgun, 32, 8 and 8 of them.
pub(super) fn has_known_tail(token: &[u8]) -> bool {
    let Some((key, tail)) = token.split_at_checked(32) else { return false };
    let is_hex = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let known = match tail {
        [b'-', b'u', b's', b'0'..=b'9'] | [b'-', b'u', b's', b'0'..=b'9', b'0'..=b'9'] => true,
        [b'-', tail @ ..] => {
            tail.len() == 17 && tail.get(8) == Some(&b'-') && tail.split(|byte| *byte == b'-').all(is_hex)
        }
        _ => false,
    };
    known && is_hex(key) && is_random(key)
}

/// Not a placeholder such as `xxxxxxxx`: at least eight different characters.
pub(super) fn is_random(key: &[u8]) -> bool {
    let seen = key.iter().fold(0_u128, |seen, byte| seen | 1 << (byte & 0x7f));
    seen.count_ones() >= 8
}

/// Whether a prefix begins with the first three bytes: nearly all tokens are ruled out by that.
fn begins_like_one(token: &[u8]) -> bool {
    let Some(&[one, two, three]) = token.first_chunk() else { return false };
    let place = place(one, two, three);
    HEADS.get(place / 64).is_some_and(|heads| heads >> (place % 64) & 1 == 1)
}

/// Room enough that few other tokens share a place.
const WORDS: usize = 256;

/// A bit for the first three bytes of each prefix, by their hash.
static HEADS: [u64; WORDS] = {
    let mut heads = [0_u64; WORDS];
    let mut rows = ROWS;
    while let [Row(prefix, _, _), more @ ..] = rows {
        match *prefix {
            [one, two, three, ..] => add(&mut heads, place(*one, *two, *three)),
            // A hexadecimal digit follows.
            [one, two] => {
                let mut digit = b'0';
                while digit <= b'f' {
                    if digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase() {
                        add(&mut heads, place(*one, *two, digit));
                    }
                    digit += 1;
                }
            }
            _ => panic!("a prefix has two bytes at least"),
        }
        rows = more;
    }
    heads
};

const fn add(heads: &mut [u64; WORDS], place: usize) {
    if let (_, [slot, ..]) = heads.split_at_mut(place / 64) {
        *slot |= 1 << (place % 64);
    }
}

const fn place(one: u8, two: u8, three: u8) -> usize {
    let head = one as u32 | (two as u32) << 8 | (three as u32) << 16;
    (head.wrapping_mul(0x9e37_79b1) >> 18) as usize
}

#[cfg(test)]
mod tests {
    use super::super::map::Map;
    use super::super::tests::check;
    use super::*;
    use crate::kind::Kind;

    /// So many characters of each class.
    fn sample(class: Class, count: usize) -> String {
        let letters = match class {
            Class::Hex => "0123456789abcdef",
            Class::Amazon | Class::Capitals => "A2B3C4D5E6F7G2H3",
            _ => "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0eF2hI4kL6nO8",
        };
        letters.repeat(count / letters.len() + 1).get(..count).unwrap().to_owned()
    }

    #[test]
    fn every_row_is_found_alone_and_not_when_it_is_too_short() {
        for Row(prefix, least, class) in ROWS {
            let prefix = std::str::from_utf8(prefix).unwrap();
            // Shorter tokens are not looked at.
            let least = &(*least).max(Map::LONG.saturating_sub(prefix.len()));
            let key = |count: usize| format!("{prefix}{}", sample(*class, count));
            check(Kind::ApiKey, &[&format!("a «{}» b", key(*least)), &format!("k='«{}»'", key(*least))]);
            let short = key(*least - 1);
            // Unless a shorter row has it.
            let other = ROWS.iter().any(|Row(other, least, _)| {
                short
                    .as_bytes()
                    .strip_prefix(*other)
                    .is_some_and(|key| key.len() >= *least && *other != prefix.as_bytes())
            });
            if !other {
                check(Kind::ApiKey, &[&format!("a {short} b")]);
            }
            check(Kind::ApiKey, &[&format!("a {prefix}{} b", "x".repeat(*least)), &format!("x{}", key(*least))]);
        }
    }

    #[test]
    fn keys_behind_a_sign_are_found_with_what_stands_before_it() {
        for (prefix, least) in BEFORE {
            let prefix = std::str::from_utf8(prefix).unwrap();
            let key = sample(Class::Token, *least);
            check(Kind::ApiKey, &[&format!("a «{prefix}{key}» b"), &format!("a x{prefix}{key} b")]);
        }
        check(Kind::ApiKey, &["MSG.some-long-identifier-in-a-program"]);
    }

    #[test]
    fn addresses_that_are_secrets_are_found_behind_their_host() {
        let key = sample(Class::Token, 68);
        check(
            Kind::ApiKey,
            &[
                "https://hooks.slack.com/«services/T024BE7LD/B024BE7LH/aB3dE5gH7jK9mN1pQ2sT4vW6», x",
                "hooks.slack.com/«workflows/T024BE7LD/A024BE7LH/123456789012345678/aB3dE5gH7jK9mN1pQ2sT4vW6».",
                &format!("https://discord.com/api/webhooks/«112233445566778899/{key}»"),
                &format!("https://canary.discord.com/api/webhooks/«112233445566778899/{key}»"),
                "https://hooks.zapier.com/hooks/catch/«1234567/ab3de5g/»",
                "https://hooks.slack.com/services/YOUR/WEBHOOK",
                "https://discord.com/api/webhooks/your-webhook-url",
                &format!("https://example.com/api/webhooks/112233445566778899/{}", "a".repeat(10)),
            ],
        );
    }

    #[test]
    fn keys_of_known_form_are_found_without_a_prefix() {
        let hex = "0123456789abcdef0123456789abcdef";
        check(
            Kind::ApiKey,
            &[
                &format!("mailchimp «{hex}-us21», «{hex}-us6»"),
                &format!("«{hex}-01234567-89abcdef»"),
                &format!("{hex}-us, {hex}-eu6, {hex}-us211, {}-us6", "0".repeat(32)),
                "bot «MTEyMjMzNDQ1NTY2Nzc4ODk5.GaBcDe.aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0eF2hI4kL»",
                "«patAb3dE5gH7jK9mN.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef»",
                "secret «abc8Q~aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0e.F»",
                "MTEyMjMzNDQ1NTY2Nzc4ODk5.GaBcDe.short",
                "patAb3dE5gH7jK9mN.0123456789abcdef",
                "xyz.hashed~aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0e",
            ],
        );
    }
}

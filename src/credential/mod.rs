//! As whom do we go upstream? The credentials that the configuration names, and their secrets from the environment.

use crate::call::is_header_name;
use crate::diagnostic::{Flaw, Place};
use crate::escapes::{MOST_TIMES, percent};
use crate::hexadecimal::hexadecimal;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// A credential as the platform team writes it. The secret itself never stands in the configuration, which Envoy shows in its
/// configuration dump.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The environment variable that holds the secret, listed in `vm_config.environment_variables.host_env_keys`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub env: String,
    /// The request header that carries it.
    #[serde(default = "authorization")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::HEADER)))]
    pub header: String,
    /// What stands before the secret in the header, such as `Bearer ` or `ApiKey `.
    #[serde(default)]
    pub prefix: String,
}

fn authorization() -> String {
    "authorization".to_owned()
}

/// A credential that can be sent.
#[derive(Clone)]
pub struct Credential {
    name: Rc<str>,
    header: String,
    value: String,
    secret_at: usize,
    /// What tells the secret: itself, and how it reads in base64 and hexadecimal.
    traces: Vec<String>,
}

impl Credential {
    /// The name that policies, routes and records use.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// The header that carries it.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The header's value, with the secret.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The secret alone: what must not come back.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.value.get(self.secret_at..).unwrap_or(&self.value)
    }

    /// Whether a header's value has the secret in it: as it stands, with percent-escapes, or in base64 (inside of something longer,
    /// too) or hexadecimal.
    #[must_use]
    pub fn is_told_by(&self, value: &[u8]) -> bool {
        let stands_in = |text: &[u8]| {
            self.traces.iter().any(|trace| text.windows(trace.len()).any(|part| part == trace.as_bytes()))
        };
        if stands_in(value) {
            return true;
        }
        let mut read = value.to_vec();
        // Escapes may be escaped themselves.
        for _ in 0..MOST_TIMES {
            if !read.contains(&b'%') {
                return false;
            }
            read = percent(&read);
            if stands_in(&read) {
                return true;
            }
        }
        // Nobody writes so but to hide something.
        percent(&read) != read
    }
}

/// Shows no secret.
impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credential").field("name", &self.name).field("header", &self.header).finish_non_exhaustive()
    }
}

/// Why a credential cannot be used. Never quotes the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The environment variable is not there.
    Missing {
        /// The credential.
        credential: String,
        /// The variable.
        env: String,
    },
    /// The secret is shorter than 8 bytes, or not visible ASCII. A shorter one could not be told from chance in an answer.
    Unsound {
        /// The credential.
        credential: String,
        /// The variable.
        env: String,
    },
    /// The header's name or the prefix cannot stand in a request.
    BadHeader {
        /// The credential.
        credential: String,
    },
}

impl Unusable {
    /// As a flaw of the configuration.
    pub(crate) fn flaw(&self) -> Flaw {
        match self {
            Self::Missing { credential, env } => Flaw::new(
                Place::of(["credentials", credential, "env"]),
                format!("environment variable `{env}` is not set: set it for Envoy and list it in `host_env_keys`"),
            ),
            Self::Unsound { credential, env } => Flaw::new(
                Place::of(["credentials", credential, "env"]),
                format!("the value of `{env}` is no secret: write at least 8 visible ASCII characters"),
            ),
            Self::BadHeader { credential } => Flaw::new(
                Place::of(["credentials", credential]),
                "write `header` in lower case and `prefix` in visible ASCII",
            ),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flaw().fmt(out)
    }
}

impl std::error::Error for Unusable {}

/// All credentials of a configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<String, Rc<Credential>>);

impl Credentials {
    /// Takes the secrets from `environment`.
    ///
    /// # Errors
    /// The first credential that cannot be used.
    pub fn resolve(
        written: &BTreeMap<String, Written>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Unusable> {
        let mut all = BTreeMap::new();
        for (name, one) in written {
            check(name, one)?;
            let missing = || Unusable::Missing { credential: name.clone(), env: one.env.clone() };
            let secret = environment(&one.env).ok_or_else(missing)?;
            if secret.len() < 8 || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Unusable::Unsound { credential: name.clone(), env: one.env.clone() });
            }
            let credential = Credential {
                name: name.as_str().into(),
                header: one.header.clone(),
                value: format!("{}{secret}", one.prefix),
                secret_at: one.prefix.len(),
                traces: traces(&secret),
            };
            all.insert(name.clone(), Rc::new(credential));
        }
        Ok(Self(all))
    }

    /// The credential of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Rc<Credential>> {
        self.0.get(name)
    }
}

/// The secret and its encodings, none of them empty.
fn traces(secret: &str) -> Vec<String> {
    let mut traces = vec![secret.to_owned(), hexadecimal("", secret.as_bytes())];
    traces.extend(traces.get(1).map(|digits| digits.to_uppercase()));
    for before in 0..3_usize {
        // Of letters that it shares with what stands before and behind it, only those of its own are known.
        let text = [vec![0; before], secret.as_bytes().to_vec()].concat();
        let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            traces.extend(engine.encode(&text).get(first..last).map(str::to_owned));
        }
    }
    traces.retain(|trace| !trace.is_empty());
    traces.sort_unstable();
    traces.dedup();
    traces
}

/// Whether a credential's header can stand in a request, without its secret.
///
/// # Errors
/// It cannot.
pub fn check(name: &str, written: &Written) -> Result<(), Unusable> {
    let prefix = written.prefix.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let header = is_header_name(&written.header) && !ROUTING.contains(&written.header.as_str());
    if prefix && header { Ok(()) } else { Err(Unusable::BadHeader { credential: name.to_owned() }) }
}

/// Headers that choose the upstream or frame the message; no credential may stand in them.
const ROUTING: [&str; 7] = ["host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"];

#[cfg(test)]
mod tests {
    use super::*;

    fn written(env: &str, header: &str, prefix: &str) -> BTreeMap<String, Written> {
        let one = Written { env: env.to_owned(), header: header.to_owned(), prefix: prefix.to_owned() };
        BTreeMap::from([("prod".to_owned(), one)])
    }

    fn environment(name: &str) -> Option<String> {
        match name {
            "GOOD" => Some("s3cret-0123".to_owned()),
            "SHORT" => Some("short".to_owned()),
            "BROKEN" => Some("s3cret-0123\r\nx: y".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn the_header_carries_prefix_and_secret() {
        for (header, prefix, value) in [
            ("authorization", "Bearer ", "Bearer s3cret-0123"),
            ("api-key", "", "s3cret-0123"),
            ("authorization", "ApiKey ", "ApiKey s3cret-0123"),
        ] {
            let all = Credentials::resolve(&written("GOOD", header, prefix), &environment).unwrap();
            let one = all.get("prod").unwrap();
            assert_eq!((one.header(), one.value(), one.secret()), (header, value, "s3cret-0123"));
        }
    }

    #[test]
    fn a_credential_that_cannot_be_sent_safely_is_refused_without_its_secret() {
        for (env, header, prefix) in [
            ("NONE", "authorization", "Bearer "),
            ("SHORT", "authorization", "Bearer "),
            ("BROKEN", "authorization", "Bearer "),
            ("GOOD", "Authorization", ""),
            ("GOOD", "host", ""),
            ("GOOD", ":path", ""),
            ("GOOD", "api-key", "a\n"),
        ] {
            let said = Credentials::resolve(&written(env, header, prefix), &environment).unwrap_err().to_string();
            assert!(!said.contains("s3cret") && !said.contains("short"), "{said}");
        }
    }

    #[test]
    fn a_secret_is_told_however_it_is_encoded() {
        let all = Credentials::resolve(&written("GOOD", "api-key", ""), &environment).unwrap();
        let secret = all.get("prod").unwrap();
        for before in ["", "a", "ab", "user:", "abcdefg "] {
            for behind in ["", "x", "xy", " and more"] {
                let text = format!("{before}s3cret-0123{behind}");
                let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let encoded = [
                    URL_SAFE_NO_PAD.encode(&text),
                    STANDARD_NO_PAD.encode(&text),
                    hexadecimal("", text.as_bytes()),
                    hexadecimal("", text.as_bytes()).to_uppercase(),
                    escaped.replace('%', "%25"),
                    escaped.replace('%', "%25%32%35").replace("%25", "%2525"),
                    escaped,
                    text.replace('-', "%2D"),
                ];
                for told in encoded.iter().chain([&text]) {
                    assert!(secret.is_told_by(format!("no: {told}.").as_bytes()), "{told}");
                }
            }
        }
        for other in ["", "s3cret-012", "S3CRET-0123", "no secret", "%", "%%2", "czNjcmV0LTAx"] {
            assert!(!secret.is_told_by(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        let all = Credentials::resolve(&written("GOOD", "api-key", ""), &environment).unwrap();
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}

//! OpenID Connect Discovery 1.0: the document that says where an issuer's keys are.

use super::source::SET_BYTES;
use crate::json::{self, Malformed};
use serde_json::Value;
use std::fmt;

/// Why a discovery document leads to no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryProblem {
    /// Larger than 512 KiB.
    TooLarge,
    /// Not strict JSON.
    NotJson(Malformed),
    /// `issuer` is not exactly the configured one (section 4.3): the document is another issuer's.
    WrongIssuer,
    /// `jwks_uri` is not an `https` address without user, fragment or white space.
    NoKeysAddress,
    /// `jwks_uri` leads to a host that is not configured, which no document may choose.
    KeysElsewhere,
}

impl fmt::Display for DiscoveryProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => out.write_str("the discovery document is too large"),
            Self::NotJson(why) => write!(out, "the discovery document is not JSON: {why}"),
            Self::WrongIssuer => out.write_str("the discovery document is another issuer's"),
            Self::NoKeysAddress => out.write_str("the discovery document has no usable `jwks_uri`"),
            Self::KeysElsewhere => {
                out.write_str("`jwks_uri` in the discovery document leads to a host that is not configured")
            }
        }
    }
}

/// Longer addresses of keys are none, in bytes.
const ADDRESS_BYTES: usize = 2048;

/// The path of `jwks_uri`, if the document is `issuer`'s and the address is at `authority`.
pub(super) fn keys_path(document: &[u8], issuer: &str, authority: &str) -> Result<String, DiscoveryProblem> {
    if document.len() > SET_BYTES {
        return Err(DiscoveryProblem::TooLarge);
    }
    let document: Value = json::read(document).map_err(DiscoveryProblem::NotJson)?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(DiscoveryProblem::WrongIssuer);
    }
    let address = document.get("jwks_uri").and_then(Value::as_str).ok_or(DiscoveryProblem::NoKeysAddress)?;
    let plain = address.len() <= ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    let rest = address.strip_prefix("https://").filter(|_| plain).ok_or(DiscoveryProblem::NoKeysAddress)?;
    let slash = rest.find('/').ok_or(DiscoveryProblem::NoKeysAddress)?;
    let (host, path) = rest.split_at_checked(slash).ok_or(DiscoveryProblem::NoKeysAddress)?;
    if host == authority { Ok(path.to_owned()) } else { Err(DiscoveryProblem::KeysElsewhere) }
}

/// Where an issuer's document is: its own path with `/.well-known/openid-configuration` behind it (section 4.1).
pub(super) fn default_path(issuer: &str) -> String {
    let path = issuer.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{slash}{path}/.well-known/openid-configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "https://idp.example/tenant";

    fn path(document: &Value) -> Result<String, DiscoveryProblem> {
        keys_path(document.to_string().as_bytes(), ISSUER, "idp.example")
    }

    #[test]
    fn the_keys_of_exactly_this_issuer_at_a_configured_host_are_found() {
        let document = json!({"issuer": ISSUER, "jwks_uri": "https://idp.example/tenant/keys?v=2"});
        assert_eq!(path(&document).unwrap(), "/tenant/keys?v=2");
    }

    #[test]
    fn documents_of_another_issuer_are_refused() {
        for issuer in [
            json!("https://idp.example/tenant/"),
            json!("https://IDP.example/tenant"),
            json!("https://idp.example"),
            json!("https://idp.example/{tenantid}"),
            json!(null),
            json!([ISSUER]),
        ] {
            let document = json!({"issuer": issuer, "jwks_uri": "https://idp.example/keys"});
            assert_eq!(path(&document), Err(DiscoveryProblem::WrongIssuer), "{issuer}");
        }
        assert_eq!(path(&json!([])), Err(DiscoveryProblem::WrongIssuer));
    }

    #[test]
    fn a_document_cannot_lead_the_gateway_to_another_host() {
        for (uri, problem) in [
            ("https://eve.example/keys", DiscoveryProblem::KeysElsewhere),
            ("https://idp.example.eve.example/keys", DiscoveryProblem::KeysElsewhere),
            ("https://idp.example@eve.example/keys", DiscoveryProblem::KeysElsewhere),
            ("https://idp.example:8443/keys", DiscoveryProblem::KeysElsewhere),
            ("https:///keys", DiscoveryProblem::KeysElsewhere),
            ("https://eve.example\\@idp.example/keys", DiscoveryProblem::NoKeysAddress),
            ("https://eve.example#idp.example/keys", DiscoveryProblem::NoKeysAddress),
            ("http://idp.example/keys", DiscoveryProblem::NoKeysAddress),
            ("//idp.example/keys", DiscoveryProblem::NoKeysAddress),
            ("file:///etc/passwd", DiscoveryProblem::NoKeysAddress),
            ("https://idp.example", DiscoveryProblem::NoKeysAddress),
            ("https://idp.example/keys HTTP/1.1\r\nx: y", DiscoveryProblem::NoKeysAddress),
            ("", DiscoveryProblem::NoKeysAddress),
            (&format!("https://idp.example/{}", "k".repeat(2048)), DiscoveryProblem::NoKeysAddress),
        ] {
            assert_eq!(path(&json!({"issuer": ISSUER, "jwks_uri": uri})), Err(problem), "{uri}");
        }
        assert_eq!(path(&json!({"issuer": ISSUER})), Err(DiscoveryProblem::NoKeysAddress));
        assert_eq!(
            path(&json!({"issuer": ISSUER, "jwks_uri": ["https://idp.example/keys"]})),
            Err(DiscoveryProblem::NoKeysAddress)
        );
        let twice =
            format!(r#"{{"issuer":"https://eve.example","issuer":"{ISSUER}","jwks_uri":"https://idp.example/keys"}}"#);
        assert!(matches!(keys_path(twice.as_bytes(), ISSUER, "idp.example"), Err(DiscoveryProblem::NotJson(_))));
    }

    #[test]
    fn the_document_is_behind_the_issuers_own_path() {
        for (issuer, path) in [
            ("https://idp.example", "/.well-known/openid-configuration"),
            ("https://idp.example/", "/.well-known/openid-configuration"),
            ("https://idp.example/realms/search", "/realms/search/.well-known/openid-configuration"),
            ("https://idp.example/tenant/v2.0/", "/tenant/v2.0/.well-known/openid-configuration"),
        ] {
            assert_eq!(default_path(issuer), path, "{issuer}");
        }
    }
}

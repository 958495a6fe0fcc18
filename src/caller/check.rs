//! What settings must be to be used, as far as that shows without reading keys.

use super::algorithm::Algorithm;
use super::keys::{KeyProblem, KeySetProblem};
use super::peer;
use super::settings::{
    BadSignatureSettings, DiscoverySettings, DpopSettings, GroupsSettings, IssuerSettings, JwksSettings, KeysSettings,
    PeerSettings, PlaceSettings, Settings,
};
use crate::time::Span;
use std::fmt;

/// Largest clock difference that can be configured: more would keep stolen tokens alive.
const MAX_SKEW: Span = Span::from_secs(60);

/// Bounds of the memory of proofs, in proofs.
const MIN_PROOFS: usize = 1 << 14;
const MAX_PROOFS: usize = 1 << 20;

/// Why settings cannot be used. Every message names the field, from `callers` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A list or text that must not be empty is.
    Empty {
        /// The field.
        field: String,
    },
    /// A value that must stand once stands twice.
    Repeated {
        /// The field.
        field: String,
        /// The value.
        value: String,
    },
    /// A value has not the form it needs.
    Malformed {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// The form, in words.
        expected: &'static str,
    },
    /// An inline key cannot be used.
    Key {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The inline keys cannot be used together.
    KeySet {
        /// The field.
        field: String,
        /// What is wrong with them.
        problem: KeySetProblem,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { field } => write!(out, "`{field}` is empty"),
            Self::Repeated { field, value } => write!(out, "`{field}` repeats `{value}`"),
            Self::Malformed { field, value, expected } => write!(out, "`{field}` is `{value}`, but must be {expected}"),
            Self::Key { field, problem } => write!(out, "`{field}`: {problem}"),
            Self::KeySet { field, problem } => write!(out, "`{field}`: {problem}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl Settings {
    /// Everything about the settings that can be judged without reading keys.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        if self.issuers.is_empty() && self.peers.is_empty() {
            return Err(Unusable::Empty { field: "callers.issuers".to_owned() });
        }
        let BadSignatureSettings { burst, forgive } = self.bad_signatures;
        check(burst > 0, "callers.bad_signatures.burst", &burst.to_string(), "at least 1")?;
        let (least, most) = (Span(1), Span::from_secs(3600));
        check_span("callers.bad_signatures.forgive", forgive, least, most, "from 1ms to 1h")?;
        self.dpop.as_ref().map_or(Ok(()), |dpop| dpop.check("callers.dpop"))?;
        check_places(&self.places)?;
        for (position, issuer) in self.issuers.iter().enumerate() {
            issuer.check(&format!("callers.issuers[{position}]"))?;
            if self.issuers.iter().take(position).any(|other| other.issuer == issuer.issuer) {
                let field = format!("callers.issuers[{position}].issuer");
                return Err(Unusable::Repeated { field, value: issuer.issuer.clone() });
            }
        }
        let mut names: Vec<String> = self.issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
        for (position, peer) in self.peers.iter().enumerate() {
            let at = format!("callers.peers[{position}]");
            let name = peer.check(&at)?;
            if names.contains(&name) {
                return Err(Unusable::Repeated { field: at, value: name });
            }
            names.push(name);
        }
        if !self.peers.is_empty() {
            // Without one, no certificate is ever proved, and all peers would be refused.
            check_list("callers.verified_routes", &self.verified_routes)?;
        }
        Ok(())
    }
}

impl PeerSettings {
    /// Gives the issuer's name: no two may share one, or a caller could be taken for another issuer's.
    fn check(&self, at: &str) -> Result<String, Unusable> {
        match self {
            Self::Spiffe(spiffe) => {
                let (at, expected) = (format!("{at}.spiffe"), "a trust domain such as `example.org`");
                let domain = &spiffe.trust_domain;
                check(peer::is_trust_domain(domain), &format!("{at}.trust_domain"), domain, expected)?;
                if spiffe.paths.is_empty() {
                    return Err(Unusable::Empty { field: format!("{at}.paths") });
                }
                for (position, entry) in spiffe.paths.iter().enumerate() {
                    let (at, expected) =
                        (format!("{at}.paths[{position}]"), "a path such as `/ns/x/sa/y` or `/ns/x/*`");
                    check(peer::is_path_pattern(&entry.path), &format!("{at}.path"), &entry.path, expected)?;
                    check_groups(&format!("{at}.groups"), &entry.groups)?;
                }
                Ok(format!("spiffe://{domain}"))
            }
            Self::Dns(dns) => {
                let at = format!("{at}.dns");
                check_text(&format!("{at}.issuer"), &dns.issuer)?;
                if dns.names.is_empty() {
                    return Err(Unusable::Empty { field: format!("{at}.names") });
                }
                for (name, groups) in &dns.names {
                    check(peer::is_dns_name(name), &format!("{at}.names"), name, "exact DNS names")?;
                    check_groups(&format!("{at}.names.{name}"), groups)?;
                }
                Ok(dns.issuer.clone())
            }
        }
    }
}

fn check_places(places: &[PlaceSettings]) -> Result<(), Unusable> {
    let names: Vec<String> = places.iter().map(|place| place.header.to_ascii_lowercase()).collect();
    check_list("callers.places", &names)?;
    for (position, PlaceSettings { header, prefix }) in places.iter().enumerate() {
        // A header's name is a token (RFC 9110, section 5.6.2); those of routing, and cookies, which hold more than one thing, are
        // no place for a credential.
        let plain = header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let other = ["host", "cookie", "content-type", "content-length", "dpop"];
        let fits = plain && !other.iter().any(|other| header.eq_ignore_ascii_case(other));
        check(fits, &format!("callers.places[{position}].header"), header, "the name of a header for credentials")?;
        let plain = prefix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let shown = prefix.escape_debug().to_string();
        check(plain, &format!("callers.places[{position}].prefix"), &shown, "plain text")?;
    }
    Ok(())
}

fn check_groups(field: &str, groups: &[String]) -> Result<(), Unusable> {
    for group in groups {
        let plain = !group.is_empty() && super::claims::is_printable(group);
        check(plain, field, &group.escape_debug().to_string(), "a list of groups' names")?;
    }
    Ok(())
}

impl DpopSettings {
    fn check(&self, at: &str) -> Result<(), Unusable> {
        let (field, expected) = (format!("{at}.algorithms"), "one of RS256, RS384, RS512, ES256, ES384 and EdDSA");
        check_algorithms(&field, &self.algorithms)?;
        for algorithm in &self.algorithms {
            let checkable = algorithm.native_hash().is_some() || *algorithm == Algorithm::EdDSA;
            check(checkable, &field, algorithm.name(), expected)?;
        }
        let (least, most) = (Span::from_secs(1), Span::from_secs(300));
        check_span(&format!("{at}.max_age"), self.max_age, least, most, "from 1s to 5m")?;
        check_span(&format!("{at}.clock_skew"), self.clock_skew, Span(0), MAX_SKEW, "at most 60s")?;
        check(
            (MIN_PROOFS..=MAX_PROOFS).contains(&self.proofs),
            &format!("{at}.proofs"),
            &self.proofs.to_string(),
            "from 16384 to 1048576",
        )
    }
}

impl IssuerSettings {
    fn check(&self, at: &str) -> Result<(), Unusable> {
        check_text(&format!("{at}.issuer"), &self.issuer)?;
        check_list(&format!("{at}.audiences"), &self.audiences)?;
        check_algorithms(&format!("{at}.algorithms"), &self.algorithms)?;
        check_list(&format!("{at}.types"), &self.types)?;
        for kind in &self.types {
            let plain = super::token::plain_type(kind);
            let expected = "`JWT` or a type that ends in `+jwt`";
            check(plain == "jwt" || plain.ends_with("+jwt"), &format!("{at}.types"), kind, expected)?;
        }
        check_span(&format!("{at}.clock_skew"), self.clock_skew, Span(0), MAX_SKEW, "at most 60s")?;
        let (field, expected) = (format!("{at}.max_lifetime"), "from 1s to 366d");
        check_span(&field, self.max_lifetime, Span::from_secs(1), Span::from_secs(366 * 86_400), expected)?;
        self.groups.check(&format!("{at}.groups"))?;
        match &self.keys {
            KeysSettings::Jwks(jwks) => jwks.check(&format!("{at}.keys.jwks")),
            KeysSettings::Discovery(discovery) => discovery.check(&format!("{at}.keys.discovery")),
            KeysSettings::Inline(_) => Ok(()),
        }
    }
}

impl GroupsSettings {
    fn check(&self, at: &str) -> Result<(), Unusable> {
        let expected = "a claim, a dotted path of claims, or a JSON pointer that starts with `/`";
        check(super::groups::Groups::new(self).is_some(), &format!("{at}.claim"), &self.claim, expected)?;
        if self.delimiter.as_deref() == Some("") {
            return Err(Unusable::Empty { field: format!("{at}.delimiter") });
        }
        for (name, group) in &self.map {
            let plain = !group.is_empty() && super::claims::is_printable(group);
            check(plain, &format!("{at}.map.{name}"), &group.escape_debug().to_string(), "a group's name")?;
        }
        Ok(())
    }
}

impl JwksSettings {
    fn check(&self, at: &str) -> Result<(), Unusable> {
        check_host(at, &self.cluster, &self.authority)?;
        check_path(at, &self.path)?;
        check_spans(at, self.timeout, self.refresh, self.max_stale)
    }
}

impl DiscoverySettings {
    fn check(&self, at: &str) -> Result<(), Unusable> {
        check_host(at, &self.cluster, &self.authority)?;
        if let Some(path) = &self.path {
            check_path(at, path)?;
        }
        if let Some(host) = &self.keys_at {
            check_host(&format!("{at}.keys_at"), &host.cluster, &host.authority)?;
        }
        check_spans(at, self.timeout, self.refresh, self.max_stale)
    }
}

fn check_host(at: &str, cluster: &str, authority: &str) -> Result<(), Unusable> {
    check_text(&format!("{at}.cluster"), cluster)?;
    check_text(&format!("{at}.authority"), authority)
}

fn check_path(at: &str, path: &str) -> Result<(), Unusable> {
    let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    check(plain, &format!("{at}.path"), path, "a path that starts with `/`")
}

fn check_spans(at: &str, timeout: Span, refresh: Span, max_stale: Span) -> Result<(), Unusable> {
    let (field, expected) = (format!("{at}.timeout"), "from 1ms to 30s");
    check_span(&field, timeout, Span(1), Span::from_secs(30), expected)?;
    let (field, expected) = (format!("{at}.refresh"), "from 1s to 1d");
    check_span(&field, refresh, Span::from_secs(1), Span::from_secs(86_400), expected)?;
    let (field, expected) = (format!("{at}.max_stale"), "from `refresh` to 7d");
    check_span(&field, max_stale, refresh, Span::from_secs(7 * 86_400), expected)
}

fn check(fits: bool, field: &str, value: &str, expected: &'static str) -> Result<(), Unusable> {
    if fits {
        return Ok(());
    }
    Err(Unusable::Malformed { field: field.to_owned(), value: value.to_owned(), expected })
}

fn check_text(field: &str, text: &str) -> Result<(), Unusable> {
    if text.is_empty() {
        return Err(Unusable::Empty { field: field.to_owned() });
    }
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    check(plain, field, &text.escape_debug().to_string(), "without white space")
}

fn check_list(field: &str, texts: &[String]) -> Result<(), Unusable> {
    if texts.is_empty() {
        return Err(Unusable::Empty { field: field.to_owned() });
    }
    for (position, text) in texts.iter().enumerate() {
        check_text(field, text)?;
        if texts.iter().take(position).any(|other| other == text) {
            return Err(Unusable::Repeated { field: field.to_owned(), value: text.clone() });
        }
    }
    Ok(())
}

fn check_algorithms(field: &str, algorithms: &[Algorithm]) -> Result<(), Unusable> {
    let names: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
    check_list(field, &names)
}

fn check_span(field: &str, span: Span, least: Span, most: Span, expected: &'static str) -> Result<(), Unusable> {
    check((least..=most).contains(&span), field, &format!("{}ms", span.0), expected)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ISSUER, Signer, fetched, inline};
    use super::super::{Callers, Settings};
    use serde_json::{Value, json};

    fn said(settings: Value) -> String {
        match serde_json::from_value::<Settings>(settings) {
            Err(why) => why.to_string(),
            Ok(settings) => Callers::new(&settings).unwrap_err().to_string(),
        }
    }

    #[test]
    fn unusable_settings_are_refused_with_the_name_of_the_field() {
        let good = inline(&[Signer::new().jwk("a")]);
        for (at, value, words) in [
            ("/issuers", json!([]), "`callers.issuers` is empty"),
            ("/issuers/0/issuer", json!(""), "`callers.issuers[0].issuer` is empty"),
            ("/issuers/0/issuer", json!("https://a b"), "issuers[0].issuer"),
            ("/issuers/0/audiences", json!([]), "issuers[0].audiences"),
            ("/issuers/0/audiences", json!(["a", "a"]), "audiences` repeats `a`"),
            ("/issuers/0/audiences", json!("a"), "sequence"),
            ("/issuers/0/algorithms", json!([]), "issuers[0].algorithms"),
            ("/issuers/0/algorithms", json!(["none"]), "unknown variant `none`"),
            ("/issuers/0/algorithms", json!(["HS256"]), "unknown variant `HS256`"),
            ("/issuers/0/algorithms", json!(["EdDSA", "EdDSA"]), "algorithms` repeats `EdDSA`"),
            ("/issuers/0/types", json!(["JOSE"]), "issuers[0].types"),
            ("/issuers/0/profile", json!("oidc"), "unknown variant `oidc`"),
            ("/issuers/0/clock_skew", json!("61s"), "issuers[0].clock_skew"),
            ("/issuers/0/clock_skew", json!(30), "string"),
            ("/issuers/0/max_lifetime", json!("0s"), "issuers[0].max_lifetime"),
            ("/issuers/0/groups", json!({"claim": "a..b"}), "issuers[0].groups.claim"),
            ("/issuers/0/groups", json!({"delimiter": ""}), "issuers[0].groups.delimiter"),
            ("/issuers/0/groups", json!({"map": {"a": ""}}), "issuers[0].groups.map.a"),
            ("/issuers/0/groups", json!({"claims": "groups"}), "unknown field `claims`"),
            (
                "/issuers/0/keys",
                json!({"inline": {"keys": []}}),
                "`callers.issuers[0].keys.inline`: the key set has no usable key",
            ),
            (
                "/issuers/0/keys",
                json!({"inline": {"keys": [Signer::new().jwk("a"), {}]}}),
                "keys.inline.keys[1]`: the key is malformed",
            ),
            ("/issuers/0/keys", json!({"inline": {"keys": [], "x": 1}}), "unknown field `x`"),
            ("/issuers/0/keys", json!({"file": {}}), "unknown variant `file`"),
            ("/issuers/0", json!({"issuer": "a", "audiences": ["a"]}), "missing field `keys`"),
            ("/cache", json!({"size": 1}), "unknown field `size`"),
            (
                "/peers",
                json!([{"spiffe": {"trust_domain": "Example.org", "paths": [{"path": "/x"}]}}]),
                "spiffe.trust_domain",
            ),
            ("/peers", json!([{"spiffe": {"trust_domain": "example.org", "paths": []}}]), "spiffe.paths` is empty"),
            (
                "/peers",
                json!([{"spiffe": {"trust_domain": "example.org", "paths": [{"path": "/x/"}]}}]),
                "paths[0].path",
            ),
            (
                "/peers",
                json!([{"spiffe": {"trust_domain": "example.org", "paths": [{"path": "/x*"}]}}]),
                "paths[0].path",
            ),
            (
                "/peers",
                json!([{"spiffe": {"trust_domain": "example.org", "paths": [{"path": "/x"}]}}]),
                "`callers.verified_routes` is empty",
            ),
            ("/peers", json!([{"dns": {"issuer": "ca", "names": {"*.example": []}}}]), "peers[0].dns.names"),
            ("/peers", json!([{"dns": {"issuer": "ca", "names": {"a.example": [""]}}}]), "dns.names.a.example"),
            ("/peers", json!([{"dns": {"issuer": ISSUER, "names": {"a.example": []}}}]), "`callers.peers[0]` repeats"),
            ("/peers", json!([{"x509": {}}]), "unknown variant `x509`"),
            ("/places", json!([]), "`callers.places` is empty"),
            ("/places", json!([{"header": "api-key"}, {"header": "Api-Key"}]), "`callers.places` repeats `api-key`"),
            ("/places", json!([{"header": ":path"}]), "`callers.places[0].header`"),
            ("/places", json!([{"header": "Cookie"}]), "`callers.places[0].header`"),
            ("/places", json!([{"header": "api-key", "prefix": "a\n"}]), "`callers.places[0].prefix`"),
            ("/dpop", json!({"algorithms": ["PS256"]}), "`callers.dpop.algorithms` is `PS256`"),
            ("/dpop", json!({"algorithms": []}), "`callers.dpop.algorithms` is empty"),
            ("/dpop", json!({"max_age": "6m"}), "`callers.dpop.max_age`"),
            ("/dpop", json!({"clock_skew": "61s"}), "`callers.dpop.clock_skew`"),
            ("/dpop", json!({"proofs": 16_383}), "`callers.dpop.proofs`"),
            ("/dpop", json!({"proofs": 1_048_577}), "`callers.dpop.proofs`"),
            ("/bad_signatures", json!({"burst": 0}), "`callers.bad_signatures.burst`"),
            ("/bad_signatures", json!({"forgive": "0s"}), "`callers.bad_signatures.forgive`"),
        ] {
            let mut settings = good.clone();
            settings["cache"] = json!({});
            *settings.pointer_mut(at).unwrap_or(&mut json!(null)) = json!(null);
            let (parent, name) = at.rsplit_once('/').unwrap();
            match settings.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
                members => members[name] = value.clone(),
            }
            let said = said(settings);
            assert!(said.contains(words), "{at} {value}: {said}");
        }
        let mut unknown = good.clone();
        unknown["allow_missing"] = json!(true);
        assert!(said(unknown).contains("unknown field `allow_missing`"));
        let mut twice = good.clone();
        twice["issuers"] = json!([good["issuers"][0], good["issuers"][0]]);
        assert!(said(twice).contains("`callers.issuers[1].issuer` repeats"));
    }

    #[test]
    fn discovery_is_configured_within_limits() {
        for (name, value) in [
            ("cluster", json!("")),
            ("path", json!("x")),
            ("keys_at", json!({"cluster": "keys", "authority": ""})),
            ("refresh", json!("0s")),
        ] {
            let mut settings = fetched();
            settings["issuers"][0]["keys"] = json!({"discovery": {"cluster": "idp", "authority": "idp.example"}});
            assert!(Callers::new(&serde_json::from_value(settings.clone()).unwrap()).is_ok());
            settings["issuers"][0]["keys"]["discovery"][name] = value.clone();
            let said = said(settings);
            assert!(said.contains(&format!("`callers.issuers[0].keys.discovery.{name}")), "{value}: {said}");
        }
    }

    #[test]
    fn fetches_are_configured_within_limits() {
        for (name, value) in [
            ("cluster", json!("")),
            ("authority", json!("idp example")),
            ("path", json!("jwks.json")),
            ("path", json!("/jwks json")),
            ("timeout", json!("0s")),
            ("timeout", json!("31s")),
            ("refresh", json!("999ms")),
            ("max_stale", json!("299s")),
        ] {
            let mut settings = fetched();
            settings["issuers"][0]["keys"]["jwks"][name] = value.clone();
            let said = said(settings);
            assert!(said.contains(&format!("`callers.issuers[0].keys.jwks.{name}`")), "{value}: {said}");
        }
    }
}

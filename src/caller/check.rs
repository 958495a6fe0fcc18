//! What settings must be to be used, as far as that shows without reading keys.

use super::algorithm::Algorithm;
use super::peer;
use super::settings::{
    BadSignatureSettings, DiscoverySettings, DpopSettings, GroupsSettings, IssuerSettings, JwksSettings, KeysSettings,
    PeerSettings, PlaceSettings, Settings,
};
use crate::diagnostic::{Flaw, Place, Spot};
use crate::time::Span;

/// Largest clock difference that can be configured: more would keep stolen tokens alive.
const MAX_SKEW: Span = Span::from_secs(60);

/// Bounds of the memory of proofs, in proofs.
const MIN_PROOFS: usize = 1 << 14;
const MAX_PROOFS: usize = 1 << 20;

/// Everything about the settings that can be judged without reading keys. Places begin at `callers`.
pub(super) fn check(settings: &Settings) -> Vec<Flaw> {
    let mut check = Check(Vec::new());
    check.settings(settings, &Spot::Root.name("callers"));
    check.0
}

/// A flaw that says the field, too.
pub(super) fn flaw(place: Place, what: &str) -> Flaw {
    let what = format!("`{place}` {what}");
    Flaw::new(place, what)
}

struct Check(Vec<Flaw>);

impl Check {
    fn settings(&mut self, settings: &Settings, at: &Spot<'_>) {
        if settings.issuers.is_empty() && settings.peers.is_empty() {
            self.empty(&at.name("issuers"));
        }
        let BadSignatureSettings { burst, forgive } = settings.bad_signatures;
        let bad_signatures = at.name("bad_signatures");
        self.value(burst > 0, &bad_signatures.name("burst"), &burst.to_string(), "at least 1");
        let (least, most) = (Span(1), Span::from_secs(3600));
        self.span(&bad_signatures.name("forgive"), forgive, least, most, "from 1ms to 1h");
        if let Some(dpop) = &settings.dpop {
            self.dpop(dpop, &at.name("dpop"));
        }
        self.places(&settings.places, &at.name("places"));
        let issuers = at.name("issuers");
        for (position, issuer) in settings.issuers.iter().enumerate() {
            let at = issuers.item(position);
            self.issuer(issuer, &at);
            if settings.issuers.iter().take(position).any(|other| other.issuer == issuer.issuer) {
                self.repeated(&at.name("issuer"), &issuer.issuer);
            }
        }
        let mut names: Vec<String> = settings.issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
        let peers = at.name("peers");
        for (position, peer) in settings.peers.iter().enumerate() {
            let at = peers.item(position);
            let name = self.peer(peer, &at);
            if names.contains(&name) {
                self.repeated(&at, &name);
            }
            names.push(name);
        }
        if !settings.peers.is_empty() {
            // Without one, no certificate is ever proved, and all peers would be refused.
            self.list(&at.name("verified_routes"), &settings.verified_routes);
        }
    }

    /// Gives the issuer's name: no two may share one, or a caller could be taken for another issuer's.
    fn peer(&mut self, peer: &PeerSettings, at: &Spot<'_>) -> String {
        match peer {
            PeerSettings::Spiffe(spiffe) => {
                let (at, expected) = (at.name("spiffe"), "a trust domain such as `example.org`");
                let domain = &spiffe.trust_domain;
                self.value(peer::is_trust_domain(domain), &at.name("trust_domain"), domain, expected);
                let paths = at.name("paths");
                if spiffe.paths.is_empty() {
                    self.empty(&paths);
                }
                for (position, entry) in spiffe.paths.iter().enumerate() {
                    let (at, expected) = (paths.item(position), "a path such as `/ns/x/sa/y` or `/ns/x/*`");
                    self.value(peer::is_path_pattern(&entry.path), &at.name("path"), &entry.path, expected);
                    self.groups(&at.name("groups"), &entry.groups);
                }
                format!("spiffe://{domain}")
            }
            PeerSettings::Dns(dns) => {
                let at = at.name("dns");
                self.text(&at.name("issuer"), &dns.issuer);
                let names = at.name("names");
                if dns.names.is_empty() {
                    self.empty(&names);
                }
                for (name, groups) in &dns.names {
                    self.value(peer::is_dns_name(name), &names, name, "exact DNS names");
                    self.groups(&names.name(name), groups);
                }
                dns.issuer.clone()
            }
        }
    }

    fn places(&mut self, places: &[PlaceSettings], at: &Spot<'_>) {
        let names: Vec<String> = places.iter().map(|place| place.header.to_ascii_lowercase()).collect();
        self.list(at, &names);
        for (position, PlaceSettings { header, prefix }) in places.iter().enumerate() {
            let at = at.item(position);
            // A header's name is a token (RFC 9110, section 5.6.2); those of routing, and cookies, which hold more than one thing, are
            // no place for a credential.
            let plain = header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
            let other = ["host", "cookie", "content-type", "content-length", "dpop"];
            let fits = plain && !other.iter().any(|other| header.eq_ignore_ascii_case(other));
            self.value(fits, &at.name("header"), header, "the name of a header for credentials");
            let plain = prefix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            self.value(plain, &at.name("prefix"), &prefix.escape_debug().to_string(), "plain text");
        }
    }

    fn groups(&mut self, field: &Spot<'_>, groups: &[String]) {
        for group in groups {
            let plain = !group.is_empty() && super::claims::is_printable(group);
            self.value(plain, field, &group.escape_debug().to_string(), "a list of groups' names");
        }
    }

    fn dpop(&mut self, dpop: &DpopSettings, at: &Spot<'_>) {
        let (field, expected) = (at.name("algorithms"), "one of RS256, RS384, RS512, ES256, ES384 and EdDSA");
        self.algorithms(&field, &dpop.algorithms);
        for algorithm in &dpop.algorithms {
            let checkable = algorithm.native_hash().is_some() || *algorithm == Algorithm::EdDSA;
            self.value(checkable, &field, algorithm.name(), expected);
        }
        let (least, most) = (Span::from_secs(1), Span::from_secs(300));
        self.span(&at.name("max_age"), dpop.max_age, least, most, "from 1s to 5m");
        self.span(&at.name("clock_skew"), dpop.clock_skew, Span(0), MAX_SKEW, "at most 60s");
        let fits = (MIN_PROOFS..=MAX_PROOFS).contains(&dpop.proofs);
        self.value(fits, &at.name("proofs"), &dpop.proofs.to_string(), "from 16384 to 1048576");
    }

    fn issuer(&mut self, issuer: &IssuerSettings, at: &Spot<'_>) {
        self.text(&at.name("issuer"), &issuer.issuer);
        self.list(&at.name("audiences"), &issuer.audiences);
        self.algorithms(&at.name("algorithms"), &issuer.algorithms);
        let types = at.name("types");
        self.list(&types, &issuer.types);
        for kind in issuer.types.iter().filter(|kind| !kind.is_empty()) {
            let plain = super::token::plain_type(kind);
            let expected = "`JWT` or a type that ends in `+jwt`";
            self.value(plain == "jwt" || plain.ends_with("+jwt"), &types, kind, expected);
        }
        self.span(&at.name("clock_skew"), issuer.clock_skew, Span(0), MAX_SKEW, "at most 60s");
        let (least, most) = (Span::from_secs(1), Span::from_secs(366 * 86_400));
        self.span(&at.name("max_lifetime"), issuer.max_lifetime, least, most, "from 1s to 366d");
        self.claimed_groups(&issuer.groups, &at.name("groups"));
        let keys = at.name("keys");
        match &issuer.keys {
            KeysSettings::Jwks(jwks) => self.jwks(jwks, &keys.name("jwks")),
            KeysSettings::Discovery(discovery) => self.discovery(discovery, &keys.name("discovery")),
            KeysSettings::Inline(_) => {}
        }
    }

    fn claimed_groups(&mut self, groups: &GroupsSettings, at: &Spot<'_>) {
        let expected = "a claim, a dotted path of claims, or a JSON pointer that starts with `/`";
        self.value(super::groups::Groups::new(groups).is_some(), &at.name("claim"), &groups.claim, expected);
        if groups.delimiter.as_deref() == Some("") {
            self.empty(&at.name("delimiter"));
        }
        for (name, group) in &groups.map {
            let plain = !group.is_empty() && super::claims::is_printable(group);
            self.value(plain, &at.name("map").name(name), &group.escape_debug().to_string(), "a group's name");
        }
    }

    fn jwks(&mut self, jwks: &JwksSettings, at: &Spot<'_>) {
        self.host(at, &jwks.cluster, &jwks.authority);
        self.path(at, &jwks.path);
        self.spans(at, jwks.timeout, jwks.refresh, jwks.max_stale);
    }

    fn discovery(&mut self, discovery: &DiscoverySettings, at: &Spot<'_>) {
        self.host(at, &discovery.cluster, &discovery.authority);
        if let Some(path) = &discovery.path {
            self.path(at, path);
        }
        if let Some(host) = &discovery.keys_at {
            self.host(&at.name("keys_at"), &host.cluster, &host.authority);
        }
        self.spans(at, discovery.timeout, discovery.refresh, discovery.max_stale);
    }

    fn host(&mut self, at: &Spot<'_>, cluster: &str, authority: &str) {
        self.text(&at.name("cluster"), cluster);
        self.text(&at.name("authority"), authority);
    }

    fn path(&mut self, at: &Spot<'_>, path: &str) {
        let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        self.value(plain, &at.name("path"), path, "a path that starts with `/`");
    }

    fn spans(&mut self, at: &Spot<'_>, timeout: Span, refresh: Span, max_stale: Span) {
        self.span(&at.name("timeout"), timeout, Span(1), Span::from_secs(30), "from 1ms to 30s");
        self.span(&at.name("refresh"), refresh, Span::from_secs(1), Span::from_secs(86_400), "from 1s to 1d");
        self.span(&at.name("max_stale"), max_stale, refresh, Span::from_secs(7 * 86_400), "from `refresh` to 7d");
    }

    fn text(&mut self, field: &Spot<'_>, text: &str) {
        if text.is_empty() {
            return self.empty(field);
        }
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        self.value(plain, field, &text.escape_debug().to_string(), "without white space");
    }

    fn list(&mut self, field: &Spot<'_>, texts: &[String]) {
        if texts.is_empty() {
            self.empty(field);
        }
        for (position, text) in texts.iter().enumerate() {
            self.text(field, text);
            if texts.iter().take(position).any(|other| other == text) {
                self.repeated(field, text);
            }
        }
    }

    fn algorithms(&mut self, field: &Spot<'_>, algorithms: &[Algorithm]) {
        let names: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
        self.list(field, &names);
    }

    fn span(&mut self, field: &Spot<'_>, span: Span, least: Span, most: Span, expected: &str) {
        self.value((least..=most).contains(&span), field, &format!("{}ms", span.0), expected);
    }

    fn value(&mut self, fits: bool, field: &Spot<'_>, value: &str, expected: &str) {
        if !fits {
            self.0.push(flaw(field.into(), &format!("is `{value}`, but must be {expected}")));
        }
    }

    fn empty(&mut self, field: &Spot<'_>) {
        self.0.push(flaw(field.into(), "is empty"));
    }

    fn repeated(&mut self, field: &Spot<'_>, value: &str) {
        self.0.push(flaw(field.into(), &format!("repeats `{value}`")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ISSUER, Signer, fetched, inline};
    use super::super::{Callers, Settings};
    use serde_json::{Value, json};

    fn said(settings: Value) -> String {
        match serde_json::from_value::<Settings>(settings) {
            Err(why) => why.to_string(),
            Ok(settings) => {
                let flaws = Callers::new(&settings).unwrap_err();
                flaws.iter().map(|flaw| flaw.what.as_str()).collect::<Vec<_>>().join("; ")
            }
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
            ("/peers", json!([{"dns": {"issuer": "ca", "names": {"a.example": [""]}}}]), "dns.names[\"a.example\"]"),
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

//! Callers without a token: workloads whose certificate TLS has verified, by SPIFFE ID or by DNS name.

use super::claims::is_printable;
use super::refusal::Refusal;
use super::settings::{PathGroups, PeerSettings};
use std::rc::Rc;

/// What TLS says of the peer: its certificate, whose key it holds; and the route, which says whether the certificate was verified
/// for a trusted authority. Nothing of this may come from a header.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peer<'a> {
    /// The only URI among its subject alternative names. A certificate with several is no SPIFFE certificate (X509-SVID, section 2).
    pub uri: Option<&'a str>,
    /// The first DNS name among them.
    pub dns: Option<&'a str>,
    /// SHA-256 of the certificate in DER.
    pub certificate: [u8; 32],
    /// The name of the proxy's route, for some routes match only where the certificate was verified.
    pub route: Option<&'a str>,
}

/// A kind of certificate to accept, as an issuer of its own.
#[derive(Debug)]
pub(super) enum PeerIssuer {
    Spiffe { trust_domain: Rc<str>, paths: Vec<PathGroups> },
    Dns { issuer: Rc<str>, names: Vec<(String, Vec<String>)> },
}

/// Whom a certificate names.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) issuer: Rc<str>,
    pub(super) subject: String,
    pub(super) groups: Vec<String>,
}

impl PeerIssuer {
    pub(super) fn new(settings: &PeerSettings) -> Self {
        match settings {
            PeerSettings::Spiffe(spiffe) => Self::Spiffe {
                trust_domain: format!("spiffe://{}", spiffe.trust_domain).into(),
                paths: spiffe.paths.clone(),
            },
            PeerSettings::Dns(dns) => {
                let names = dns.names.iter().map(|(name, groups)| (name.to_ascii_lowercase(), groups.clone()));
                Self::Dns { issuer: dns.issuer.as_str().into(), names: names.collect() }
            }
        }
    }

    /// Whom the certificate names for this issuer; none if it is not one of its certificates.
    ///
    /// A workload the configuration does not list is refused, not taken as one without groups: it would escape every deny by
    /// group.
    pub(super) fn name(&self, peer: &Peer<'_>) -> Option<Result<Named, Refusal>> {
        match self {
            Self::Spiffe { trust_domain, paths } => {
                let path = peer.uri?.strip_prefix(&**trust_domain)?;
                // `spiffe://example.org.eve.example/x` starts like one of ours and is not.
                if !path.starts_with('/') {
                    return None;
                }
                Some(Self::workload(trust_domain, path, paths))
            }
            Self::Dns { issuer, names } => {
                let name = peer.dns?.to_ascii_lowercase();
                let (name, groups) = names.iter().find(|(listed, _)| *listed == name)?;
                Some(Ok(Named { issuer: issuer.clone(), subject: name.clone(), groups: groups.clone() }))
            }
        }
    }

    fn workload(trust_domain: &Rc<str>, path: &str, paths: &[PathGroups]) -> Result<Named, Refusal> {
        if !is_spiffe_path(path) {
            return Err(Refusal::PeerMalformed);
        }
        let mut groups: Vec<String> = Vec::new();
        let mut is_listed = false;
        for listed in paths.iter().filter(|listed| matches(&listed.path, path)) {
            is_listed = true;
            for group in &listed.groups {
                if !groups.contains(group) {
                    groups.push(group.clone());
                }
            }
        }
        if !is_listed {
            return Err(Refusal::UnknownPeer);
        }
        Ok(Named { issuer: trust_domain.clone(), subject: format!("{trust_domain}{path}"), groups })
    }
}

/// Whether `path` is `listed`, or is under it where it ends in `/*`.
fn matches(listed: &str, path: &str) -> bool {
    match listed.strip_suffix('*') {
        Some(folder) => path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty()),
        None => listed == path,
    }
}

/// A path of the SPIFFE ID standard, section 2.2: segments of letters, digits, dots, dashes and underscores, none empty or dots
/// only, no slash at the end.
pub(super) fn is_spiffe_path(path: &str) -> bool {
    path.len() <= 2048
        && path.strip_prefix('/').is_some_and(|segments| {
            segments.split('/').all(|segment| {
                !matches!(segment, "" | "." | "..")
                    && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            })
        })
}

/// A trust domain of the SPIFFE ID standard, section 2.1.
pub(super) fn is_trust_domain(domain: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    !domain.is_empty() && domain.len() <= 255 && domain.bytes().all(plain)
}

/// A path in the configuration: an exact one, or a folder and `/*`.
pub(super) fn is_path_pattern(pattern: &str) -> bool {
    pattern == "/*" || is_spiffe_path(pattern.strip_suffix("/*").unwrap_or(pattern))
}

/// A DNS name in the configuration.
pub(super) fn is_dns_name(name: &str) -> bool {
    !name.is_empty() && is_printable(name) && !name.contains(['*', ' ', '/'])
}

#[cfg(test)]
mod tests {
    use super::super::testing::callers;
    use super::super::{Caller, Proof};
    use super::*;
    use serde_json::json;

    fn identify(uri: Option<&str>, dns: Option<&str>) -> Result<Rc<Caller>, Refusal> {
        identify_on(Some("verified"), uri, dns)
    }

    fn identify_on(route: Option<&str>, uri: Option<&str>, dns: Option<&str>) -> Result<Rc<Caller>, Refusal> {
        let callers = callers(&json!({"verified_routes": ["verified"], "peers": [
            {"spiffe": {"trust_domain": "example.org", "paths": [
                {"path": "/ns/search/*", "groups": ["search"]},
                {"path": "/ns/search/sa/ui", "groups": ["ui", "search"]},
                {"path": "/batch"},
            ]}},
            {"dns": {"issuer": "https://ca.example", "names": {"UI.search.internal": ["ui"]}}},
        ]}));
        assert!(callers.accepts_peers());
        callers.identify_peer(&Peer { uri, dns, certificate: [7; 32], route })
    }

    #[test]
    fn listed_workloads_are_callers_in_the_groups_of_all_their_entries() {
        for (uri, groups) in [
            ("spiffe://example.org/ns/search/sa/ui", &["search", "ui"][..]),
            ("spiffe://example.org/ns/search/sa/indexer", &["search"]),
            ("spiffe://example.org/batch", &[]),
        ] {
            let caller = identify(Some(uri), None).unwrap();
            assert_eq!((caller.issuer(), caller.subject()), ("spiffe://example.org", uri));
            assert_eq!(caller.groups(), groups, "{uri}");
            assert_eq!((caller.proof(), caller.expires(), caller.algorithm()), (Proof::Certificate, None, None));
        }
        let caller = identify(None, Some("ui.SEARCH.internal")).unwrap();
        assert_eq!((caller.issuer(), caller.subject()), ("https://ca.example", "ui.search.internal"));
        assert_eq!(caller.groups(), ["ui"]);
    }

    #[test]
    fn a_certificate_that_nobody_verified_proves_nobody() {
        for route in [None, Some(""), Some("Verified"), Some("verified2"), Some("anybody")] {
            let verdict = identify_on(route, Some("spiffe://example.org/batch"), None);
            assert_eq!(verdict, Err(Refusal::UnprovedPeer), "{route:?}");
        }
    }

    #[test]
    fn certificates_of_others_name_nobody() {
        for uri in [
            "spiffe://example.org.eve.example/batch",
            "spiffe://eve.example/batch",
            "spiffe://example.orgx/batch",
            "spiffe://EXAMPLE.org/batch",
            "SPIFFE://example.org/batch",
            "spiffe://example.org",
            "spiffe://example.org:443/batch",
            "spiffe://eve@example.org/batch",
            "https://example.org/batch",
            "spiffe://example.org/ns/search",
            "spiffe://example.org/ns/searching/sa/ui",
            "spiffe://example.org/batch/x",
            "spiffe://example.org/Batch",
            "",
        ] {
            assert_eq!(identify(Some(uri), None), Err(Refusal::UnknownPeer), "{uri}");
        }
        for name in
            ["", "search.internal", "x.ui.search.internal", "ui.search.internal.", "ui.search.internal.eve.example"]
        {
            assert_eq!(identify(None, Some(name)), Err(Refusal::UnknownPeer), "{name}");
        }
        assert_eq!(identify(None, None), Err(Refusal::UnknownPeer));
    }

    #[test]
    fn ids_the_standard_does_not_know_are_refused() {
        for path in [
            "/",
            "/batch/",
            "//batch",
            "/ns/search/../batch",
            "/ns/search/.",
            "/ns/search/%2e",
            "/ns/search/a?b",
            "/ns/search/a#b",
            "/ns/search/\u{e4}",
            "/ns/search/a\n",
        ] {
            let uri = format!("spiffe://example.org{path}");
            assert_eq!(identify(Some(&uri), None), Err(Refusal::PeerMalformed), "{path}");
        }
    }
}

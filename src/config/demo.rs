//! Keys that everybody can sign with are for demos, and what a demo is.

use super::Written;
use crate::caller::{self, KeysSettings, PeerSettings, jwk_is_published};
use crate::diagnostic::{Flaw, Place};

/// A flaw for each key that everybody can sign with, unless the gateway is a demo.
pub(super) fn published_keys(written: &Written) -> Vec<Flaw> {
    if is_demo(&written.gateway, &written.callers) {
        return Vec::new();
    }
    let mut fields = Vec::new();
    if written.approver.as_ref().is_some_and(|approver| approver.key.is_published()) {
        fields.push(Place::of(["approver", "key"]));
    }
    for (at, issuer) in written.callers.issuers.iter().enumerate() {
        let KeysSettings::Inline(inline) = &issuer.keys else { continue };
        let published = inline.keys.iter().enumerate().filter(|(_, key)| jwk_is_published(key));
        let keys = Place::of(["callers", "issuers"]).item(at).join(Place::of(["keys", "inline", "keys"]));
        fields.extend(published.map(|(number, _)| keys.item(number)));
    }
    let shadow = written.bundle.shadow.as_deref();
    let places = [Place::of(["bundle", "fetched", "keys"]), Place::of(["bundle", "shadow", "fetched", "keys"])];
    for (place, supply) in places.iter().zip([Some(&written.bundle), shadow]) {
        let keys = supply.and_then(|supply| supply.fetched.as_ref()).map_or(&[][..], |fetched| &fetched.keys);
        let published = keys.iter().enumerate().filter(|(_, key)| key.is_published());
        fields.extend(published.map(|(number, _)| place.item(number)));
    }
    let what = "everybody can sign with this key, its private half is published: make one of your own; it is for demos only, \
                gateways called `demo/…` whose issuers all have names that nobody can have, such as https://idp.example";
    fields.into_iter().map(|field| Flaw::new(field, what)).collect()
}

/// A gateway that says it is a demo and could not be anything else: it believes no issuer that anybody could have.
fn is_demo(gateway: &str, callers: &caller::Settings) -> bool {
    gateway.starts_with("demo/")
        && callers.issuers.iter().all(|issuer| is_nobodys(host(&issuer.issuer)))
        && callers.peers.iter().all(|peer| match peer {
            PeerSettings::Spiffe(domain) => is_nobodys(&domain.trust_domain),
            PeerSettings::Dns(dns) => dns.names.keys().all(|name| is_nobodys(name)),
        })
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.split_once(']') {
        Some((inside, _)) => inside.trim_start_matches('['),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Names that are registered to nobody (RFC 2606, RFC 6761), and this machine.
fn is_nobodys(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let under = |name: &str| host == name || host.strip_suffix(name).is_some_and(|before| before.ends_with('.'));
    let names = ["example", "test", "invalid", "localhost", "example.com", "example.net", "example.org"];
    names.iter().any(|name| under(name)) || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_believes_no_issuer_that_anybody_could_have() {
        for (issuer, nobodys) in [
            ("https://idp.example", true),
            ("https://idp.example:8443/realms/a", true),
            ("https://login.example.com/", true),
            ("http://127.0.0.1:8002", true),
            ("http://[::1]:8002/x", true),
            ("http://localhost", true),
            ("https://idp.example.evil.net", false),
            ("https://idp.example@evil.net/", false),
            ("https://myexample.com", false),
            ("https://login.microsoftonline.com/common", false),
            ("accounts.google.com", false),
            ("", false),
        ] {
            assert_eq!(is_nobodys(host(issuer)), nobodys, "{issuer}");
        }
    }
}

//! What a configuration needs of the Envoy around it. It answers for itself, so that the operator's tool has no list of its own in
//! which something could be forgotten.

use super::Config;
use crate::call::Route;
use crate::caller::KeysSettings;
use crate::diagnostic::Place;
use crate::origin::{Named, Origin};

/// A cluster of Envoy's that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster<'c> {
    /// Where it is named, such as `approver.cluster`.
    pub field: Place,
    /// Its name.
    pub name: &'c str,
    /// What it is for.
    pub purpose: Purpose,
}

/// Where calls come to, and where they may go.
#[derive(Debug, Clone)]
pub struct Way<'c> {
    /// A template such as `/{dataset}/v2/rerank`.
    pub path: &'c str,
    /// The clusters that they may go to.
    pub clusters: &'c [String],
    /// What they may be addressed to; nothing where anything will do.
    pub addressed: Vec<Addressed<'c>>,
    /// The `Host` that they go upstream with, where the configuration says it: Envoy chooses its route anew by it.
    pub host: Option<&'c str>,
}

/// A host that calls may be addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed<'c> {
    /// In lower case, without a port.
    pub host: &'c str,
    /// The ports that may stand beside it, `None` among them where none may stand there; no list where any may.
    pub ports: Option<Vec<Option<u16>>>,
}

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An issuer's keys come from it.
    Keys,
    /// Policy bundles come from it.
    Bundle,
    /// People are asked over it.
    Approver,
    /// Calls go to it, with a credential.
    Upstream,
}

impl Config {
    /// The environment variables that secrets are taken from, each once.
    #[must_use]
    pub fn environment(&self) -> Vec<&str> {
        let credentials = self.credentials.values().map(|credential| credential.env.as_str());
        let pseudonyms = self.pseudonym_keys.values().map(|key| key.env.as_str());
        let mut names: Vec<&str> = credentials.chain(pseudonyms).chain(self.audit.digest_key_env.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The clusters that are named, in the order of the document's sections.
    #[must_use]
    pub fn clusters(&self) -> Vec<Cluster<'_>> {
        let mut all = Vec::new();
        let mut add = |field: Place, name, purpose| all.push(Cluster { field, name, purpose });
        for (place, supply) in [(Place::of(["bundle"]), &self.bundle), (Place::of(["bundle", "shadow"]), &self.shadow)]
        {
            if let Some(fetched) = &supply.fetched {
                add(place.name("fetched").name("cluster"), fetched.cluster.as_str(), Purpose::Bundle);
            }
        }
        for (at, issuer) in self.callers.issuers.iter().enumerate() {
            let place = Place::of(["callers", "issuers"]).item(at).name("keys");
            let inside =
                |names: &[&str]| names.iter().fold(place.clone(), |place, name| place.name(name)).name("cluster");
            match &issuer.keys {
                KeysSettings::Jwks(jwks) => add(inside(&["jwks"]), jwks.cluster.as_str(), Purpose::Keys),
                KeysSettings::Discovery(discovery) => {
                    add(inside(&["discovery"]), discovery.cluster.as_str(), Purpose::Keys);
                    if let Some(host) = &discovery.keys_at {
                        add(inside(&["discovery", "keys_at"]), host.cluster.as_str(), Purpose::Keys);
                    }
                }
                KeysSettings::Inline(_) => {}
            }
        }
        if let Some(approver) = &self.approver {
            add(Place::of(["approver", "cluster"]), approver.cluster.as_str(), Purpose::Approver);
        }
        for (at, way) in self.ways().iter().enumerate() {
            for (number, name) in way.clusters.iter().enumerate() {
                add(Place::of(["routes"]).item(at).name("clusters").item(number), name, Purpose::Upstream);
            }
        }
        all
    }

    /// The paths that calls come to, in the order of `routes`, and where each may go.
    #[must_use]
    pub fn ways(&self) -> Vec<Way<'_>> {
        let way = |route| {
            let Route { template, clusters, authorities, host, .. }: &Route = route;
            let addressed = if authorities.is_empty() {
                let addressed = |origin| (Origin::host(origin), origin.ports());
                self.origins.iter().map(addressed).collect::<Vec<_>>()
            } else {
                authorities.iter().map(|named: &Named| (named.host(), named.ports())).collect()
            };
            let addressed = addressed.into_iter().map(|(host, ports)| Addressed { host, ports }).collect();
            Way { path: template.as_str(), clusters, addressed, host: host.as_deref() }
        };
        self.routes.iter().map(way).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sound;
    use super::*;
    use crate::exchange::Guard;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    /// Every kind of secret and of cluster there is.
    fn full() -> Config {
        let mut document = sound();
        document["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("[{pseudonym:k1}]");
        document["pseudonym_keys"] = json!({"k1": {"env": "PSEUDONYMS"}});
        document["audit"] = json!({"digest_key_env": "DIGESTS"});
        document["credentials"]["other"] = json!({"env": "OTHER"});
        document["credentials"]["again"] = json!({"env": "OTHER", "header": "api-key"});
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([7; 32]));
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "b", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(*pair.pk)});
        let fetched = |cluster: &str| json!({"cluster": cluster, "authority": "b.test", "path": "/b", "keys": [key]});
        document["bundle"]["fetched"] = fetched("bundles");
        document["bundle"]["shadow"] = json!({"fetched": fetched("shadows")});
        document["bundle"]["shadow"]["fetched"]["id"] = json!("next");
        let issuers = document["callers"]["issuers"].as_array_mut().unwrap();
        let mut other = issuers[0].clone();
        other["issuer"] = json!("https://other.test");
        other["keys"] = json!({"discovery": {"cluster": "discovery", "authority": "other.test",
            "keys_at": {"cluster": "cdn", "authority": "cdn.test"}}});
        issuers.push(other);
        document["approver"] =
            json!({"cluster": "approver", "authority": "a.test", "issuer": "https://a.test", "key": key});
        Config::read(document.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn every_variable_that_a_guard_asks_for_is_told_and_no_other() {
        let config = full();
        let told: BTreeSet<String> = config.environment().into_iter().map(str::to_owned).collect();
        let asked = RefCell::new(BTreeSet::new());
        let environment = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            told.contains(name).then(|| "0123456789abcdef0123456789abcdef".to_owned())
        };
        assert!(Guard::new(full(), &environment, 1).is_ok());
        assert_eq!(*asked.borrow(), told);
        for missing in &told {
            let environment = |name: &str| (name != missing).then(|| "0123456789abcdef0123456789abcdef".to_owned());
            assert!(Guard::new(full(), &environment, 1).is_err(), "{missing}");
        }
    }

    /// Whatever is called `cluster` or `clusters` in the document is told.
    #[test]
    fn every_cluster_that_is_named_is_told_where_it_stands() {
        let config = full();
        let told: Vec<String> = config.clusters().iter().map(|one| format!("{}={}", one.field, one.name)).collect();
        assert_eq!(
            told,
            [
                "bundle.fetched.cluster=bundles",
                "bundle.shadow.fetched.cluster=shadows",
                "callers.issuers[0].keys.jwks.cluster=idp",
                "callers.issuers[1].keys.discovery.cluster=discovery",
                "callers.issuers[1].keys.discovery.keys_at.cluster=cdn",
                "approver.cluster=approver",
                "routes[0].clusters[0]=tei",
            ]
        );
        let schema =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/config.schema.json")).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut fields = 0;
        let mut left = vec![&schema];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(members) => {
                    let named = |name| members.get("properties").is_some_and(|all| all.get(name).is_some());
                    fields += usize::from(named("cluster")) + usize::from(named("clusters"));
                    left.extend(members.values());
                }
                Value::Array(items) => left.extend(items),
                _ => {}
            }
        }
        // Keys of issuers in three ways, bundles, the approver, routes: a new one has to be told too.
        assert_eq!(fields, 6);
    }
}

//! What a configuration needs of the Envoy around it. It answers for itself, so that the operator's tool has no list of its own in
//! which something could be forgotten.

use super::Config;
use crate::caller::KeysSettings;

/// A cluster of Envoy's that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster<'c> {
    /// Where it is named, such as `approver.cluster`.
    pub field: String,
    /// Its name.
    pub name: &'c str,
    /// What it is for.
    pub purpose: Purpose,
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
        let mut add = |field: String, name, purpose| all.push(Cluster { field, name, purpose });
        for (place, supply) in [("bundle", &self.bundle), ("bundle.shadow", &self.shadow)] {
            if let Some(fetched) = &supply.fetched {
                add(format!("{place}.fetched.cluster"), fetched.cluster.as_str(), Purpose::Bundle);
            }
        }
        for (at, issuer) in self.callers.issuers.iter().enumerate() {
            let place = format!("callers.issuers[{at}].keys");
            match &issuer.keys {
                KeysSettings::Jwks(jwks) => add(format!("{place}.jwks.cluster"), jwks.cluster.as_str(), Purpose::Keys),
                KeysSettings::Discovery(discovery) => {
                    add(format!("{place}.discovery.cluster"), discovery.cluster.as_str(), Purpose::Keys);
                    if let Some(host) = &discovery.keys_at {
                        add(format!("{place}.discovery.keys_at.cluster"), host.cluster.as_str(), Purpose::Keys);
                    }
                }
                KeysSettings::Inline(_) => {}
            }
        }
        if let Some(approver) = &self.approver {
            add("approver.cluster".to_owned(), approver.cluster.as_str(), Purpose::Approver);
        }
        all
    }
}

//! What the story of a call is told by whoever hosts it.

use crate::caller::{NativeSignatures, NoNativeSignatures};
use crate::shared::{LocalMemory, SharedMemory, Unavailable, Versioned};
use std::rc::Rc;

/// What the host can be asked about the connection of a request. Each question costs a host call, so it is asked only where the
/// answer decides.
pub trait Host {
    /// The host's own signature check.
    fn signatures(&self) -> &dyn NativeSignatures;
    /// Where the request comes from, for the limit on bad signatures: the peer's IPv4 address, or the first 64 bits of its IPv6
    /// address.
    fn source(&self) -> Option<Vec<u8>>;
    /// The client certificate, if TLS has one: its sender holds its key. Whether anybody verified it, [`Self::route`] tells.
    fn certificate(&self) -> Option<Certificate>;
    /// The name of Envoy's route for the request as it came.
    fn route(&self) -> Option<String>;
    /// The cluster of Envoy's route: on the way in for the request as it came, once there is an answer the one that was asked. None
    /// where there is no route, or no such cluster.
    fn cluster(&self) -> Option<String>;
    /// Whether the answer is the refusal of the filter behind this one, which holds the route to the cluster that was judged: then
    /// nothing went upstream.
    fn was_held_back(&self) -> bool;
    /// What all workers of the process remember together.
    fn shared(&self) -> &dyn SharedMemory;
    /// The address and port a request comes from, for its record.
    fn peer(&self) -> Option<String>;
    /// How the answer came about, in the host's own words.
    fn details(&self) -> Option<String>;
    /// The status of the answer, as far as there is one.
    fn status(&self) -> Option<u16>;
    /// Whether the request may have been put on a connection to an upstream. True where that is not known.
    fn may_have_reached_upstream(&self) -> bool;
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 over its DER.
    pub sha256: [u8; 32],
    /// The first URI among its subject alternative names.
    pub uri: Option<String>,
    /// The first DNS name among them.
    pub dns: Option<String>,
}

/// A host that tells what stands in its fields, where there is no Envoy: in tests and fuzzers. By default an upstream answered, a
/// request may have reached it, and nothing else is known.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// [`Host::source`].
    pub source: Option<Vec<u8>>,
    /// [`Host::certificate`].
    pub certificate: Option<Certificate>,
    /// [`Host::route`].
    pub route: Option<&'static str>,
    /// [`Host::cluster`].
    pub cluster: Option<&'static str>,
    /// [`Host::was_held_back`].
    pub was_held_back: bool,
    /// [`Host::shared`]; None: it cannot be used.
    pub memory: Option<Rc<LocalMemory>>,
    /// [`Host::peer`].
    pub peer: Option<&'static str>,
    /// [`Host::details`].
    pub details: Option<&'static str>,
    /// [`Host::status`].
    pub status: Option<u16>,
    /// [`Host::may_have_reached_upstream`].
    pub may_have_reached_upstream: bool,
}

impl Default for StandIn {
    fn default() -> Self {
        Self {
            source: None,
            certificate: None,
            route: None,
            cluster: None,
            was_held_back: false,
            memory: None,
            peer: None,
            details: Some("via_upstream"),
            status: None,
            may_have_reached_upstream: true,
        }
    }
}

impl Host for StandIn {
    fn signatures(&self) -> &dyn NativeSignatures {
        &NoNativeSignatures
    }

    fn source(&self) -> Option<Vec<u8>> {
        self.source.clone()
    }

    fn certificate(&self) -> Option<Certificate> {
        self.certificate.clone()
    }

    fn route(&self) -> Option<String> {
        self.route.map(str::to_owned)
    }

    fn cluster(&self) -> Option<String> {
        self.cluster.map(str::to_owned)
    }

    fn was_held_back(&self) -> bool {
        self.was_held_back
    }

    fn shared(&self) -> &dyn SharedMemory {
        self
    }

    fn peer(&self) -> Option<String> {
        self.peer.map(str::to_owned)
    }

    fn details(&self) -> Option<String> {
        self.details.map(str::to_owned)
    }

    fn status(&self) -> Option<u16> {
        self.status
    }

    fn may_have_reached_upstream(&self) -> bool {
        self.may_have_reached_upstream
    }
}

impl SharedMemory for StandIn {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        self.memory.as_ref().ok_or(Unavailable)?.get(key)
    }

    fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        self.memory.as_ref().ok_or(Unavailable)?.put(key, value, version)
    }
}

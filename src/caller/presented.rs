//! A credential as it was presented, and what can be asked of the connection it came over.

use super::dpop::Shown;

/// A credential as it was presented, and the connection it came over.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token's bytes as they stood behind `Bearer ` or `DPoP `.
    pub token: &'a [u8],
    /// Whether it stood behind `DPoP `: then it must be bound to a key, and a proof be there; if not, it must not.
    pub is_dpop: bool,
    /// What the `DPoP` header shows.
    pub dpop: Shown<'a>,
    /// What can be asked of its sender.
    pub connection: &'a dyn Connection,
}

/// Nothing, over a connection of which nothing is known.
impl Default for Presented<'_> {
    fn default() -> Self {
        Self { token: &[], is_dpop: false, dpop: Shown::Nothing, connection: &Unknown }
    }
}

/// What can be asked of a connection. Each question is a call to the proxy, so it is asked only where the answer decides: most
/// tokens are good and bound to nothing, and for those nothing is asked.
pub trait Connection {
    /// Where it comes from, for the budget of bad signatures: the peer's IPv4 address, or the first 64 bits of its IPv6 address, of
    /// which one host has many. None: no limit.
    fn source(&self) -> Option<Vec<u8>>;
    /// SHA-256 of the client certificate in DER, if TLS has proved that the peer holds its key.
    fn certificate(&self) -> Option<[u8; 32]>;
}

/// A connection of which nothing is known: it has no certificate, and no source to count bad signatures of.
#[derive(Debug, Clone, Copy)]
pub struct Unknown;

impl Connection for Unknown {
    fn source(&self) -> Option<Vec<u8>> {
        None
    }

    fn certificate(&self) -> Option<[u8; 32]> {
        None
    }
}

//! What will be remembered? One record of every call, denials included, as a link of its VM's hash chain.
//!
//! ```
//! use rerank_guard::audit::{Broken, Chain, verify};
//!
//! let mut chain = Chain::new("eu1/rerank", 7);
//! let (first, second) = (chain.seal(r#""sub":"ann""#), chain.seal(r#""sub":"bob""#));
//! let tip = verify(&first, None).unwrap();
//! assert!(verify(&second, Some(&tip)).is_ok());
//! assert_eq!(verify(&first.replace("ann", "eve"), None), Err(Broken::Edited));
//! assert_eq!(verify(&second, None), Err(Broken::Unlinked), "one before it is gone");
//! ```

mod chain;
mod record;
#[cfg(any(test, feature = "schema"))]
pub(crate) mod told;
mod written;

pub use chain::{Broken, Chain, KeyedDigest, digest, keyed_digest, verify};
pub use record::{Approved, Names, Record};
pub(crate) use written::Members;

use serde::Deserialize;

/// What records hold besides.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The environment variable with the key (16 characters at least) of content digests. With it each record carries an
    /// HMAC-SHA-256 of the request body and of the answer as it left, of a stream of all that left. Without it records carry none: a plain hash of a short
    /// query can be guessed.
    pub digest_key_env: Option<String>,
}

//! What the two servers that sign share: why they do not start, and the time they sign for.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{keys, server};

/// Why a server with a key did not start.
#[derive(Debug)]
pub(crate) enum Failure {
    Server(server::Failure),
    Key(keys::Failure),
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

impl From<server::Failure> for Failure {
    fn from(failure: server::Failure) -> Self {
        Self::Server(failure)
    }
}

impl From<keys::Failure> for Failure {
    fn from(failure: keys::Failure) -> Self {
        Self::Key(failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(failure) => failure.fmt(f),
            Self::Key(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

//! Versions of Envoy, as far as they differ in what they read.

use super::at::At;
use super::notes::Notes;

/// A version that is to run a configuration: `1.37` of `1.37.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The first that runs the module as it has to be run.
    const FIRST: Self = Self { major: 1, minor: 36 };
    /// The first that reads the sandbox in `vm_config`.
    const SANDBOX_OF_VM: Self = Self { major: 1, minor: 40 };

    /// Reads `1.37` or `1.37.0`, with or without `v`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_)), None) => Ok(Self { major, minor }),
            _ => Err("write a version such as 1.37".to_owned()),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

/// `entry` is the filter's in `http_filters`, `wasm` its own configuration.
pub(super) fn check(version: Version, entry: &At<'_>, wasm: &At<'_>, notes: &mut Notes) {
    if version < Version::FIRST {
        let what = format!("Envoy {version} may leave calls hanging when the module traps");
        notes.error(entry.place.clone(), what, format!("run Envoy {} or later", Version::FIRST));
    }
    let sandbox = "capability_restriction_config";
    if version < Version::SANDBOX_OF_VM
        && let Some(unknown) = wasm.get(&format!("config.vm_config.{sandbox}"))
    {
        let what = format!("Envoy {version} does not know `{sandbox}` in `vm_config`, and does not start with it");
        let hint = format!(
            "write it beside `vm_config`: Envoy {} to {} read it there",
            Version::FIRST,
            Version::SANDBOX_OF_VM
        );
        notes.error(unknown.place, what, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_by_their_first_two_numbers() {
        for (text, version) in [("1.37", (1, 37)), ("v1.40.0", (1, 40)), ("2.0", (2, 0))] {
            let (major, minor) = version;
            assert_eq!(Version::read(text), Ok(Version { major, minor }), "{text}");
        }
        for text in ["", "1", "1.x", "1.37.0.1", "one", "1.-1"] {
            assert!(Version::read(text).is_err(), "{text}");
        }
    }
}

//! Where Envoy listens and connects to: this machine alone, or anywhere.

use super::at::At;

/// Whether an address (`{socket_address: …}`, `{pipe: …}`) is of this machine alone.
pub(super) fn is_local(address: &At<'_>) -> bool {
    if address.get("pipe").is_some() || address.get("envoy_internal_address").is_some() {
        return true;
    }
    let host = address.text("socket_address.address").unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// How an address is told.
pub(super) fn told(address: &At<'_>) -> String {
    address.text("socket_address.address").unwrap_or("its address").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn this_machine_is_told_from_everywhere() {
        for (address, local) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("localhost", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("", false),
        ] {
            let document = json!({"socket_address": {"address": address, "port_value": 1}});
            assert_eq!(is_local(&At::root(&document)), local, "{address}");
        }
        assert!(is_local(&At::root(&json!({"pipe": {"path": "/run/x"}}))));
        assert!(!is_local(&At::root(&json!({}))));
    }
}

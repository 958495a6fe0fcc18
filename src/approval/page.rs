//! Where callers may be sent to have a call approved: addresses are compared by origin (RFC 6454), strictly and without a parser
//! that repairs.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longer addresses are not passed on, in bytes.
const MOST: usize = 1024;

/// Whether `page` is an origin that addresses can be held against.
pub(super) fn is_origin(page: &str) -> bool {
    split(page).is_some_and(|(_, _, rest)| rest.is_empty()) && origin(page).is_some()
}

/// Whether `url` is a plain address at the origin of `page`.
pub(super) fn is_at(url: &str, page: &str) -> bool {
    let at = origin(url);
    at.is_some() && at == origin(page)
}

/// Scheme, host in lower case, port. None for anything but `https`, and `http` on loopback: what a caller opens must not be read or
/// changed on its way.
fn origin(url: &str) -> Option<(&str, String, u16)> {
    if url.len() > MOST || !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return None;
    }
    let (scheme, authority, _) = split(url)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (host, if is_number { port.parse().ok()? } else { return None })
        }
        _ => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    let host = host.to_ascii_lowercase();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_loopback = match address {
        Some(address) => address.parse::<Ipv6Addr>().ok()?.is_loopback(),
        None => host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    };
    // No user, no escapes: nothing that somebody reads as another host.
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if (address.is_some() || is_name) && (scheme == "https" || is_loopback) { Some((scheme, host, port)) } else { None }
}

/// Scheme, authority, and what follows.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let scheme = ["https", "http"]
        .into_iter()
        .find(|scheme| url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))?;
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    Some((scheme, authority, rest))
}

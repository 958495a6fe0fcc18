//! Names that a gateway is called by: authorities (`search.example:8443`) and origins (`https://search.example`), compared as RFC 3986,
//! section 6.2, has it. What could be read in two ways is none.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Whom a request addresses: a host in lower case, and a port if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

/// An authority that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    host: String,
    port: Port,
}

/// The scheme, host and port that a gateway is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    name: Named,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// The scheme's own.
    Default,
    Number(u16),
    /// Whichever, for what is only reached on its own machine.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Authority {
    /// Reads `search.example`, `search.example:8443`, `192.0.2.1` or `[2001:db8::1]:8443`. None for all else: user names, escapes, an
    /// empty port, one with leading zeros.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let host = format!("[{}]", address.parse::<Ipv6Addr>().ok()?);
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                if !is_host(host) {
                    return None;
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        Some(Self { host, port: port.map_or(Some(None), |port| number(port).map(Some))? })
    }

    /// One text for all ways to write it: without the port of http or https.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self.port {
            None | Some(80 | 443) => self.host.clone(),
            Some(port) => format!("{}:{port}", self.host),
        }
    }

    fn port(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(scheme.port())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(out, ":{port}"))
    }
}

impl Named {
    /// Reads what the configuration says: an authority, or one of loopback with `*` for its port.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        let any = text.strip_suffix(":*");
        let Some(Authority { host, port }) = Authority::read(any.unwrap_or(text)) else {
            return Err(format!(
                "`{text}` is no authority: write a host, or a host and a port, such as search.example:8443"
            ));
        };
        match (any, port) {
            (None, None) => Ok(Self { host, port: Port::Default }),
            (None, Some(port)) => Ok(Self { host, port: Port::Number(port) }),
            (Some(_), None) if is_loopback(&host) => Ok(Self { host, port: Port::Any }),
            (Some(_), _) => {
                Err(format!("`{text}`: only localhost, 127.0.0.1 and [::1] may have any port: write the port"))
            }
        }
    }

    /// Its host, in lower case.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The ports that may stand beside its host, and whether none may; `None` where any may.
    pub(crate) fn ports(&self) -> Option<Vec<Option<u16>>> {
        match self.port {
            Port::Default => Some(vec![None, Some(80), Some(443)]),
            Port::Number(port) => Some(vec![Some(port)]),
            Port::Any => None,
        }
    }

    /// Whether a request to `authority` is one to this name. A name without a port also stands for the ports of http and https.
    #[must_use]
    pub fn fits(&self, authority: &Authority) -> bool {
        self.host == authority.host
            && match self.port {
                Port::Default => matches!(authority.port, None | Some(80 | 443)),
                Port::Number(port) => authority.port == Some(port),
                Port::Any => true,
            }
    }
}

impl Origin {
    /// Reads `https://search.example`, `https://search.example:8443`, or `http://127.0.0.1:*`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        let no_origin =
            || format!("`{text}` is no origin: write scheme, host and port, such as https://search.example:8443");
        let (scheme, name) = text.split_once("://").ok_or_else(no_origin)?;
        let scheme = Scheme::read(scheme).ok_or_else(no_origin)?;
        let name = Named::read(name).map_err(|what| if name.contains('*') { what } else { no_origin() })?;
        Ok(Self { scheme, name })
    }

    /// Its host, in lower case.
    pub(crate) fn host(&self) -> &str {
        self.name.host()
    }

    /// As [`Named::ports`], for a request to this origin.
    pub(crate) fn ports(&self) -> Option<Vec<Option<u16>>> {
        let own = match self.name.port {
            Port::Default => self.scheme.port(),
            Port::Number(port) => port,
            Port::Any => return None,
        };
        let may_be_left_out = own == self.scheme.port();
        Some(may_be_left_out.then_some(None).into_iter().chain([Some(own)]).collect())
    }

    /// Whether a request to `authority` is one to this origin.
    #[must_use]
    pub fn fits(&self, authority: &Authority) -> bool {
        let own = match self.name.port {
            Port::Default => self.scheme.port(),
            Port::Number(port) => port,
            Port::Any => authority.port(self.scheme),
        };
        self.name.host == authority.host && authority.port(self.scheme) == own
    }

    /// Whether `uri`, but for its query, is `path` at this origin, for a request to `authority` that fits it.
    #[must_use]
    pub fn has(&self, uri: &str, authority: &Authority, path: &str) -> bool {
        let Some((scheme, named, asked)) = split(uri) else { return false };
        scheme == self.scheme
            && named.host == authority.host
            && named.port(scheme) == authority.port(scheme)
            && self.fits(authority)
            && asked == without_query(path)
    }
}

impl Scheme {
    fn read(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("https") => Some(Self::Https),
            _ if text.eq_ignore_ascii_case("http") => Some(Self::Http),
            _ => None,
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, authority and path of an address. An empty path is `/`.
fn split(uri: &str) -> Option<(Scheme, Authority, &str)> {
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let (scheme, rest) = without_query(uri).split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some((Scheme::read(scheme)?, Authority::read(authority)?, if path.is_empty() { "/" } else { path }))
}

fn without_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

/// A registered name of plain characters, or an IPv4 address. What is nearly an address (`127.1`, `0x7f.1`) is a name that nobody
/// configured.
fn is_host(host: &str) -> bool {
    (1..=253).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && host.split('.').rev().skip(usize::from(host.ends_with('.'))).all(|label| !label.is_empty())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// A port as everybody writes it.
fn number(text: &str) -> Option<u16> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(origin: &str, authority: &str) -> bool {
        Authority::read(authority).is_some_and(|authority| Origin::read(origin).unwrap().fits(&authority))
    }

    #[test]
    fn an_origin_is_reached_by_its_host_in_any_case_and_by_its_own_port() {
        for (origin, authority) in [
            ("https://search.example", "search.example"),
            ("https://search.example", "SEARCH.Example:443"),
            ("HTTPS://Search.Example:443", "search.example"),
            ("http://search.example:80", "search.example"),
            ("https://search.example:8443", "search.example:8443"),
            ("https://192.0.2.1", "192.0.2.1"),
            ("https://[2001:DB8::1]", "[2001:db8:0::1]:443"),
            ("http://127.0.0.1:*", "127.0.0.1:49152"),
            ("http://127.0.0.1:*", "127.0.0.1"),
            ("http://localhost:*", "localhost:10000"),
            ("https://[::1]:*", "[::1]:10000"),
        ] {
            assert!(fits(origin, authority), "{origin} {authority}");
        }
        for (origin, authority) in [
            ("https://search.example", "search.example:80"),
            ("http://search.example", "search.example:443"),
            ("https://search.example", "search.example:8443"),
            ("https://search.example:8443", "search.example"),
            ("https://search.example", "search.example.evil.example"),
            ("https://search.example", "evil.search.example"),
            ("https://search.example", "search.example."),
            ("http://127.0.0.1:*", "127.0.0.2:80"),
            ("http://127.0.0.1:*", "127.1:80"),
            ("http://127.0.0.1:*", "localhost:80"),
            ("http://localhost:*", "localhost.evil.example:80"),
        ] {
            assert!(!fits(origin, authority), "{origin} {authority}");
        }
    }

    #[test]
    fn the_ports_that_are_told_are_those_that_fit() {
        for origin in ["https://a.example", "http://a.example", "https://a.example:80", "https://a.example:8443"] {
            let read = Origin::read(origin).unwrap();
            for port in [None, Some(80), Some(443), Some(8443), Some(1)] {
                let authority = Authority { host: "a.example".to_owned(), port };
                assert_eq!(read.ports().unwrap().contains(&port), read.fits(&authority), "{origin} {port:?}");
                let name = origin.split_once("://").unwrap().1;
                let named = Named::read(name).unwrap();
                assert_eq!(named.ports().unwrap().contains(&port), named.fits(&authority), "{name} {port:?}");
            }
        }
        assert_eq!(
            (Origin::read("http://localhost:*").unwrap().ports(), Named::read("localhost:*").unwrap().ports()),
            (None, None)
        );
    }

    #[test]
    fn an_authority_that_can_be_read_in_two_ways_is_none() {
        for text in [
            "",
            ":",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:+80",
            "a:65536",
            "a:8 0",
            "a:80:90",
            "a b",
            "a,b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "u@a",
            "u:p@a",
            "a%2eb",
            "a..b",
            ".a",
            "..",
            "a:80 ",
            " a",
            "b\u{fc}",
            "[::1",
            "::1",
            "[::1]80",
            "[::1]:",
            "[::1%25eth0]",
            "[v1.x]",
            "[127.0.0.1]",
            "*",
            "a:*",
            "\u{0}",
            &"a".repeat(254),
        ] {
            assert_eq!(Authority::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_origin_is_told() {
        for text in [
            "",
            "search.example",
            "https:search.example",
            "ftp://search.example",
            "https://",
            "https://search.example/",
            "https://search.example/x",
            "https://u@search.example",
            "https://search.example?x",
            "https://*",
            "https://*.example",
            "https://search.example:*",
            "http://127.0.0.1:80:*",
            "http://10.0.0.1:*",
        ] {
            let said = Origin::read(text).unwrap_err();
            assert!(said.contains(&format!("`{text}`")) || said.contains(text.split("://").last().unwrap()), "{said}");
            assert!(!said.contains('\n'));
        }
    }

    #[test]
    fn a_name_without_a_port_stands_for_the_ports_of_both_schemes() {
        let fits = |name: &str, text: &str| Named::read(name).unwrap().fits(&Authority::read(text).unwrap());
        assert!(
            fits("a.example", "A.example") && fits("a.example", "a.example:443") && fits("a.example", "a.example:80")
        );
        assert!(
            !fits("a.example", "a.example:8443")
                && !fits("a.example:443", "a.example")
                && !fits("a.example", "b.example")
        );
        assert!(fits("127.0.0.1:*", "127.0.0.1:1") && Named::read("a.example:*").is_err());
    }

    #[test]
    fn an_address_is_the_requests_whatever_its_case_port_and_query() {
        let has = |uri: &str, authority: &str| {
            let origin = Origin::read("https://search.example").unwrap();
            origin.has(uri, &Authority::read(authority).unwrap(), "/v2/rerank?a=b")
        };
        for uri in [
            "https://search.example/v2/rerank",
            "https://search.example/v2/rerank?x=1",
            "https://search.example/v2/rerank#x",
            "HTTPS://SEARCH.example/v2/rerank",
            "https://search.example:443/v2/rerank",
        ] {
            assert!(has(uri, "search.example") && has(uri, "Search.Example:443"), "{uri}");
            assert!(!has(uri, "evil.example") && !has(uri, "search.example:80"), "{uri}");
        }
        for uri in [
            "https://search.example/V2/rerank",
            "https://search.example/v2//rerank",
            "https://search.example/v2/rerank/",
            "https://search.example/v2/%72erank",
            "https://search.example:80/v2/rerank",
            "https://search.example:0443/v2/rerank",
            "http://search.example/v2/rerank",
            "https://evil.example/v2/rerank",
            "https://search.example@evil.example/v2/rerank",
            "https://evil@search.example/v2/rerank",
            "https://search.example\\@evil.example/v2/rerank",
            "https://search.example",
            "//search.example/v2/rerank",
            "/v2/rerank",
            "https://search.example /v2/rerank",
            "ftp://search.example/v2/rerank",
            "",
        ] {
            assert!(!has(uri, "search.example"), "{uri}");
        }
    }

    #[test]
    fn on_loopback_the_port_of_an_address_is_still_the_requests() {
        let origin = Origin::read("http://127.0.0.1:*").unwrap();
        let has = |uri: &str| origin.has(uri, &Authority::read("127.0.0.1:10000").unwrap(), "/rerank");
        assert!(has("http://127.0.0.1:10000/rerank"));
        assert!(
            !has("http://127.0.0.1/rerank")
                && !has("http://127.0.0.1:10001/rerank")
                && !has("https://127.0.0.1:10000/rerank")
        );
    }

    proptest::proptest! {
        #[test]
        fn an_authority_that_was_read_reads_as_itself(text in "[a-zA-Z0-9._:\\[\\]@%*-]{0,24}") {
            if let Some(authority) = Authority::read(&text) {
                proptest::prop_assert_eq!(Authority::read(&authority.to_string()), Some(authority));
            }
        }
    }
}

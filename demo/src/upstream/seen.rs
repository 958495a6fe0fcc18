//! What the upstream saw, kept for tests to look at. Credentials are kept as digests only.

use std::collections::VecDeque;

use hyper::{HeaderMap, Version};
use serde_json::{Value, json};

use crate::server::Asked;

/// How many requests are kept: the newest.
const KEPT: usize = 200;

/// Headers that carry a credential wherever they appear.
const CREDENTIAL_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "ocp-apim-subscription-key",
];

/// The last requests, the oldest first.
#[derive(Default)]
pub(crate) struct Seen {
    requests: VecDeque<Value>,
}

impl Seen {
    /// Keeps a request and the status it was answered with. `also` names further headers that carry a credential.
    pub(crate) fn keep(&mut self, asked: &Asked, status: u16, also: impl Fn(&str) -> bool) {
        if self.requests.len() >= KEPT {
            self.requests.pop_front();
        }
        let secret = |name: &str| CREDENTIAL_HEADERS.contains(&name) || also(name);
        let target =
            if asked.query.is_empty() { asked.path.clone() } else { format!("{}?{}", asked.path, asked.query) };
        self.requests.push_back(json!({
            "method": asked.method.as_str(),
            "path": target,
            "version": if asked.version == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" },
            "headers": pairs(&asked.headers, &secret),
            "body": String::from_utf8_lossy(&asked.body),
            "trailers": pairs(&asked.trailers, &secret),
            "status": status,
        }));
    }

    pub(crate) fn empty(&mut self) {
        self.requests.clear();
    }

    pub(crate) fn list(&self) -> Value {
        self.requests.iter().cloned().collect()
    }
}

/// `sha256:` and the digest in hexadecimal.
pub(crate) fn digest(value: &[u8]) -> String {
    let hex: String = hmac_sha256::Hash::hash(value).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn pairs(headers: &HeaderMap, secret: &impl Fn(&str) -> bool) -> Value {
    let pair = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        if secret(name.as_str()) {
            json!([name.as_str(), digest(value.as_bytes())])
        } else {
            json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
        }
    };
    headers.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use hyper::header::HeaderValue;

    use super::*;

    fn asked(path: &str) -> Asked {
        Asked {
            method: Method::POST,
            path: path.into(),
            query: String::new(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Default::default(),
            trailers: HeaderMap::new(),
        }
    }

    #[test]
    fn only_the_newest_requests_are_kept() {
        let mut seen = Seen::default();
        for n in 0..KEPT + 5 {
            seen.keep(&asked(&format!("/{n}")), 200, |_| false);
        }
        let list = seen.list();
        assert_eq!(list.as_array().unwrap().len(), KEPT);
        assert_eq!(list[0]["path"], "/5");
        assert_eq!(list[KEPT - 1]["path"], format!("/{}", KEPT + 4));
        seen.empty();
        assert_eq!(seen.list(), json!([]));
    }

    /// The digest of `abc` is the one of FIPS 180-2, appendix B.1.
    #[test]
    fn credentials_are_kept_as_digests_only() {
        let mut request = asked("/");
        for name in ["authorization", "x-own-key", "x-plain"] {
            request.headers.append(name, HeaderValue::from_static("abc"));
        }
        request.trailers.append("cookie", HeaderValue::from_static("abc"));
        let mut seen = Seen::default();
        seen.keep(&request, 401, |name| name == "x-own-key");
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let found = &seen.list()[0];
        assert_eq!(found["headers"], json!([["authorization", abc], ["x-own-key", abc], ["x-plain", "abc"]]));
        assert_eq!(found["trailers"], json!([["cookie", abc]]));
        assert_eq!(found["status"], 401);
    }
}

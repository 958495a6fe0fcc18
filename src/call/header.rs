//! Names of headers that a configuration or a dialect may add to those that cross: further request headers go upstream, further
//! response headers go to callers. What is a credential, frames the message, or chooses who answers is none of them.

/// Why a request header of this name may not go upstream, with what would be right. None: it may.
#[must_use]
pub fn why_not_upstream(name: &str) -> Option<&'static str> {
    if let Some(why) = why_no_name(name) {
        return Some(why);
    }
    if OWN.contains(&name) {
        return Some("is sent by this gateway itself: leave it out");
    }
    if HOP_BY_HOP.contains(&name) || name.starts_with("proxy-") || name.starts_with("http2-") {
        return Some("belongs to one connection and never goes on: leave it out");
    }
    if name.starts_with("x-envoy-") || name.starts_with("x-rerank-guard-") || name.starts_with("x-istio-") {
        return Some("is a header of the mesh's own, which no caller may set: leave it out");
    }
    if name == "via"
        || ROUTING.iter().any(|part| name.contains(part))
        || CLIENT_ADDRESSES.contains(&name)
        || name.starts_with("content-")
        || name.starts_with("sec-")
    {
        return Some(
            "would tell the upstream another method, address, body or sender than was decided on: leave it out",
        );
    }
    if name.starts_with("if-")
        || matches!(name, "range" | "accept-encoding" | "accept-charset" | "a-im" | "want-digest")
    {
        return Some("asks for an answer that cannot be masked: leave it out");
    }
    if is_credential(name) {
        return Some(
            "holds a credential of the caller, and none goes upstream: name the upstream's own under `credentials`",
        );
    }
    None
}

/// Why a response header of this name may not go on to callers, with what would be right. None: it may.
#[must_use]
pub fn why_not_to_callers(name: &str) -> Option<&'static str> {
    if let Some(why) = why_no_name(name) {
        return Some(why);
    }
    if HOP_BY_HOP.contains(&name) || name.starts_with("proxy-") || name.starts_with("content-") || name == "status" {
        return Some("frames the answer and is set by this gateway itself: leave it out");
    }
    if name.starts_with("x-rerank-guard-") {
        return Some("is this gateway's own: leave it out");
    }
    if is_credential(name) || name.ends_with("-authenticate") {
        return Some("holds a credential, and none leaves: leave it out");
    }
    None
}

/// Whether `name` says that its value is a credential. Words are compared whole where they are short, and anywhere in the name
/// where nothing else has them.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    const ANYWHERE: [&str; 17] = [
        "apikey",
        "assertion",
        "authent",
        "authoriz",
        "bearer",
        "cookie",
        "credential",
        "forwarded-client",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "saml",
        "secret",
        "session",
        "signature",
        "token",
    ];
    const WORDS: [&str; 15] = [
        "auth", "csrf", "dpop", "key", "keys", "macaroon", "nonce", "oauth", "oauth2", "otp", "pin", "pwd", "sid",
        "sso", "xsrf",
    ];
    name != "idempotency-key"
        && (ANYWHERE.iter().any(|part| name.contains(part)) || name.split('-').any(|word| WORDS.contains(&word)))
}

fn why_no_name(name: &str) -> Option<&'static str> {
    if name.starts_with(':') {
        return Some("is no header but a part of the request line: leave it out");
    }
    if name.contains('_') {
        return Some("has `_`, which many servers read as `-`, so that it is another header's twin: leave it out");
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return Some("is no header name: write it in lower case, with letters, digits and `-`, at most 64");
    }
    None
}

/// Headers that are written here.
const OWN: [&str; 5] = ["host", "content-length", "content-type", "content-encoding", "accept-encoding"];

/// RFC 9110, section 7.6.1, and what is as bad.
const HOP_BY_HOP: [&str; 9] =
    ["connection", "expect", "keep-alive", "max-forwards", "te", "trailer", "transfer-encoding", "upgrade", "alt-used"];

/// Parts of names that tell an upstream to read another method, address or sender out of a header.
const ROUTING: [&str; 9] =
    ["forwarded", "http-method", "method-override", "original-", "rewrite-", "-host", "-uri", "-url", "-scheme"];

/// Names that tell where a request comes from.
const CLIENT_ADDRESSES: [&str; 9] = [
    "x-real-ip",
    "true-client-ip",
    "client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "remote-user",
    "x-remote-user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apis_need_may_be_added() {
        for name in [
            "x-client-name",
            "x-pinecone-api-version",
            "x-request-id",
            "x-b3-traceid",
            "anthropic-version",
            "openai-organization",
            "x-elastic-client-meta",
            "x-size",
            "prefer",
            "accept-language",
            "idempotency-key",
        ] {
            assert_eq!(why_not_upstream(name), None, "{name}");
        }
        for name in ["x-elastic-product", "x-cost", "etag", "x-trial-endpoint-call-limit", "x-request-id"] {
            assert_eq!(why_not_to_callers(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_a_credential_or_chooses_who_answers_may_not() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "api-key",
            "apikey",
            "x-api-key",
            "x-cohere-api-key",
            "x-auth-request-access-token",
            "x-ms-token-aad-refresh-token",
            "x-vault-token",
            "x-goog-iap-jwt-assertion",
            "dpop",
            "x-amz-security-token",
            "x-csrf",
            "private-token",
            "x-session-id",
            "ocp-apim-subscription-key",
            "x-functions-key",
            "x-forwarded-client-cert",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "via",
            "x-real-ip",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method-override",
            "x-method-override",
            "x-host",
            "host",
            ":path",
            ":authority",
            "api_key",
            "content_type",
            "Content-Type",
            "content-type",
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "te",
            "connection",
            "upgrade",
            "http2-settings",
            "expect",
            "range",
            "if-none-match",
            "accept-encoding",
            "x-envoy-retry-on",
            "x-rerank-guard-subject",
            "x-basic-auth",
            "sec-websocket-key",
            "",
            "a b",
            "caf\u{e9}",
            "x:y",
        ] {
            assert!(why_not_upstream(name).is_some(), "{name}");
        }
        for name in [
            "set-cookie",
            "content-encoding",
            "content-type",
            "transfer-encoding",
            "www-authenticate",
            "x-auth-token",
            ":status",
            "X",
        ] {
            assert!(why_not_to_callers(name).is_some(), "{name}");
        }
    }
}

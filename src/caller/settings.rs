//! The `callers` section of the plugin configuration: whom to believe, and how far.

use super::algorithm::Algorithm;
use crate::time::Span;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whose tokens and certificates prove a caller, and how far they are believed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The issuers whose tokens are accepted, each once.
    #[serde(default)]
    pub issuers: Vec<IssuerSettings>,
    /// The client certificates that are accepted in place of a token. At least one of both must be there.
    #[serde(default)]
    pub peers: Vec<PeerSettings>,
    /// Names of Envoy routes that match only where TLS has verified the client certificate: with `tls_context: {validated: true}` in
    /// their `match`. Envoy tells modules that there is a certificate, not whether anybody verified it, so without such a route no
    /// certificate stands in for a token. Tokens that are bound to a certificate need none: TLS proves that the sender holds its key.
    #[serde(default)]
    pub verified_routes: Vec<String>,
    /// The headers a token may stand in; `authorization`, behind `Bearer `, by default. A request may use only one of them.
    #[serde(default = "default_places")]
    pub places: Vec<PlaceSettings>,
    /// The cache of verified tokens.
    #[serde(default)]
    pub cache: CacheSettings,
    /// The budget for bad signatures.
    #[serde(default)]
    pub bad_signatures: BadSignatureSettings,
    /// Proofs of possession (DPoP), for tokens that are bound to a key. They need `origins`: a proof is for an address of this gateway.
    /// Where those are written, this may be left out; where they are not, tokens that are bound to a key are refused.
    pub dpop: Option<DpopSettings>,
}

/// One issuer of tokens.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The exact `iss` of its tokens: no slash is added or taken away.
    pub issuer: String,
    /// Names of this gateway: `aud` must be or contain one of them.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub audiences: Vec<String>,
    /// Signature algorithms it may use; RS256 and ES256 by default.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeysSettings,
    /// Where its tokens carry the caller's groups; by default an array of strings in `groups`, required.
    #[serde(default)]
    pub groups: GroupsSettings,
    /// Values of `typ` to accept, in any case, with or without `application/`; `JWT` (or none) and `at+jwt` by default.
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    /// Rules beyond RFC 7519 that its tokens keep; none by default.
    pub profile: Option<Profile>,
    /// How far its clock may differ from ours: 30s by default, 60s at most.
    #[serde(default = "default_skew")]
    pub clock_skew: Span,
    /// Longest time from `iat` (without it: from now) to `exp`; 24h by default.
    #[serde(default = "default_lifetime")]
    pub max_lifetime: Span,
}

/// A header a token may stand in.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct PlaceSettings {
    /// Its name, in any case.
    pub header: String,
    /// What stands before the token, with its space, in any case: `Bearer `. Nothing by default.
    #[serde(default)]
    pub prefix: String,
}

/// Client certificates that name a caller. That they are valid, TLS has judged before; this says who they are.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PeerSettings {
    /// By the SPIFFE ID in the certificate.
    Spiffe(SpiffeSettings),
    /// By the DNS name in the certificate.
    Dns(DnsSettings),
}

/// The workloads of one SPIFFE trust domain.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpiffeSettings {
    /// `example.org`; the caller's issuer is then `spiffe://example.org`, and its subject the whole SPIFFE ID.
    pub trust_domain: String,
    /// The workloads, and the groups they are in: those of all matching entries. Others are refused.
    pub paths: Vec<PathGroups>,
}

/// Workloads by the path of their SPIFFE ID.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PathGroups {
    /// `/ns/search/sa/ui`, or `/ns/search/*` for everything under it.
    pub path: String,
    /// The groups they are in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Certificates by DNS name.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DnsSettings {
    /// What these callers' issuer is called, for policies and records.
    pub issuer: String,
    /// The groups of each name. Other names are refused.
    pub names: BTreeMap<String, Vec<String>>,
}

/// A profile of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// OAuth 2.0 access tokens: only `typ: at+jwt`, whatever `types` says besides, and every claim that RFC 9068, section 2.2,
    /// requires.
    Rfc9068,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeysSettings {
    /// A JWK set, fetched over a cluster of the proxy and refreshed.
    Jwks(JwksSettings),
    /// A JWK set whose path is learned from the issuer's OpenID Connect discovery document, anew with every refresh.
    Discovery(DiscoverySettings),
    /// A JWK set in the configuration. Here every key must be usable.
    Inline(InlineKeys),
}

/// A JWK set in the configuration.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InlineKeys {
    /// JWKs as in RFC 7517.
    pub keys: Vec<Value>,
}

/// A JWK set behind a cluster.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwksSettings {
    /// The proxy's cluster to ask.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request.
    pub path: String,
    /// How long to wait for the answer; 2s by default, 30s at most.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How old keys get before they are fetched again (less up to 15 % of jitter); 5m by default, 1s at least.
    #[serde(default = "default_refresh")]
    pub refresh: Span,
    /// How old keys may get while fetches fail, before tokens are refused; 1h by default, not less than `refresh`.
    #[serde(default = "default_max_stale")]
    pub max_stale: Span,
}

/// A discovery document behind a cluster, and the host of the keys it names.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscoverySettings {
    /// The proxy's cluster to ask for the document.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request; by default the issuer's path and `/.well-known/openid-configuration`.
    pub path: Option<String>,
    /// Where keys are, if not at the same cluster and authority: `jwks_uri` must lead exactly there.
    pub keys_at: Option<HostSettings>,
    /// How long to wait for an answer; 2s by default, 30s at most.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How old keys get before they are looked for again (less up to 15 % of jitter); 5m by default, 1s at least.
    #[serde(default = "default_refresh")]
    pub refresh: Span,
    /// How old keys may get while fetches fail, before tokens are refused; 1h by default, not less than `refresh`.
    #[serde(default = "default_max_stale")]
    pub max_stale: Span,
}

/// A host behind a cluster.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostSettings {
    /// The proxy's cluster.
    pub cluster: String,
    /// `:authority` of requests, and the host in addresses.
    pub authority: String,
}

/// Where tokens carry groups.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GroupsSettings {
    /// `groups`, `realm_access.roles`, or a JSON pointer, `/resource_access/my.client/roles`.
    pub claim: String,
    /// Whether a token without the claim is refused. True by default: a caller whose groups are unknown escapes every deny by
    /// group.
    pub required: bool,
    /// If given, the claim is one string of names with this between them; if not, an array of strings.
    pub delimiter: Option<String>,
    /// Put before every name that is not in `map`, so that two issuers' groups cannot be taken for each other.
    pub prefix: String,
    /// New names for groups, by their name in the token.
    pub map: BTreeMap<String, String>,
}

/// Bounds of the cache of verified tokens, per virtual machine (one per worker).
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Most tokens kept; 4096 by default.
    pub tokens: usize,
    /// Most memory used, estimated, in bytes; 16 MiB by default.
    pub bytes: usize,
    /// Longest time a token is believed without verifying it again; 5m by default.
    pub ttl: Span,
}

/// How many bad signatures of new tokens this module checks by itself for one source, before that source is told to come again (503):
/// those of EdDSA and the PS algorithms, and all where the host does not verify signatures. One of EdDSA counts once, of ES256 twice,
/// of RSA four to fifteen times, of ES384 ten times (once where the host verifies it). One key has three times as much, and all together six times. Signatures that
/// the host verifies (RS256, ES256) and tokens already verified are not concerned.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BadSignatureSettings {
    /// How many at once; 100 by default.
    pub burst: u32,
    /// How long until one of them is forgiven; 10ms by default.
    pub forgive: Span,
}

impl Default for BadSignatureSettings {
    fn default() -> Self {
        Self { burst: 100, forgive: Span(10) }
    }
}

/// How proofs of possession (RFC 9449) are judged.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DpopSettings {
    /// Algorithms of proofs; ES256 and EdDSA by default. The PS algorithms cannot be used here, and all but EdDSA need a host that
    /// verifies signatures.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be; 60s by default, 5m at most.
    pub max_age: Span,
    /// How far a sender's clock may differ from ours; 10s by default, 60s at most.
    pub clock_skew: Span,
    /// How many proofs are remembered, so that none is accepted twice by any worker of the process; 131072 by default (4 MiB), from
    /// 16384 to 1048576. More of them within the time a proof is valid are refused, and so is more than an eighth of them by one key
    /// or a quarter by one caller.
    pub proofs: usize,
}

impl Default for DpopSettings {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            max_age: Span::from_secs(60),
            clock_skew: Span::from_secs(10),
            proofs: 1 << 17,
        }
    }
}

impl Default for GroupsSettings {
    fn default() -> Self {
        Self {
            claim: "groups".to_owned(),
            required: true,
            delimiter: None,
            prefix: String::new(),
            map: BTreeMap::new(),
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { tokens: 4096, bytes: 16 << 20, ttl: Span::from_secs(300) }
    }
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256]
}

fn default_places() -> Vec<PlaceSettings> {
    vec![PlaceSettings { header: "authorization".to_owned(), prefix: "Bearer ".to_owned() }]
}

fn default_types() -> Vec<String> {
    vec!["JWT".to_owned(), "at+jwt".to_owned()]
}

const fn default_skew() -> Span {
    Span::from_secs(30)
}

const fn default_lifetime() -> Span {
    Span::from_secs(86_400)
}

const fn default_timeout() -> Span {
    Span::from_secs(2)
}

const fn default_refresh() -> Span {
    Span::from_secs(300)
}

const fn default_max_stale() -> Span {
    Span::from_secs(3600)
}

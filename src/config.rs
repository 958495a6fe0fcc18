//! The plugin configuration: the platform team's document. One that was read is whole: every name in it resolves, in the bundle
//! too.

mod demo;
mod needs;

pub use needs::{Addressed, Cluster, Purpose, Way};

use crate::approval;
use crate::audit;
use crate::call::{
    Dialect, Route, Source, Template, WrittenDialect, WrittenRoute, why_not_to_callers, why_not_upstream,
};
use crate::caller;
use crate::credential;
use crate::exchange::Supply;
use crate::mask::{Kept, Kind, Masks, Rule};
use crate::origin::Origin;
use crate::policy::{Flaw, Policy, fetched};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// A configuration that can serve.
#[derive(Debug)]
pub struct Config {
    /// This gateway's name: the audience of receipts, part of digests and records.
    pub gateway: String,
    /// The bundle: one to start with, and where newer ones come from.
    pub bundle: Supply,
    /// A bundle that is asked too and never decides; empty where there is none.
    pub shadow: Supply,
    /// Who may prove whom.
    pub callers: caller::Settings,
    /// What this gateway is reached at; may be empty.
    pub(crate) origins: Vec<Origin>,
    /// The dialects, the module's first.
    pub(crate) dialects: Vec<Spoken>,
    /// The routes; no path fits two.
    pub(crate) routes: Vec<Route>,
    /// Streams that are no calls and pass all the same.
    pub(crate) pass: Vec<Pass>,
    /// The approver, if the bundle has approvals.
    pub approver: Option<approval::Settings>,
    /// The keys of pseudonyms, by name, without their secrets.
    pub(crate) pseudonym_keys: BTreeMap<String, PseudonymKey>,
    /// The credentials, without their secrets.
    pub credentials: BTreeMap<String, credential::Written>,
    /// Sizes.
    pub limits: Limits,
    /// The records.
    pub audit: audit::Settings,
    /// Further request headers that go upstream.
    pub(crate) request_headers: Vec<String>,
    /// Further response headers that go on to the caller.
    pub(crate) response_headers: Vec<String>,
    /// Every kind there is, for previews.
    pub(crate) every_mask: Masks,
}

/// A dialect and the numbers of its answers that are structure.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) dialect: Dialect,
    pub(crate) kept: Kept,
}

/// A stream that is listed as no call.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) method: String,
    pub(crate) template: Template,
}

/// A key that pseudonyms are made with.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct PseudonymKey {
    /// The environment variable that holds it: 32 characters at least.
    pub(crate) env: String,
}

/// The largest bodies, before and after they are masked. Envoy's own buffers have to hold as much, or Envoy answers first.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Of a request, in bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 67_108_864)))]
    pub request_bytes: usize,
    /// Of a response, in bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 67_108_864)))]
    pub response_bytes: usize,
    /// Of one record of a response that is a stream, in bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 67_108_864)))]
    pub record_bytes: usize,
    /// Of all bodies together that wait in one worker: for their end, or for people. Beyond it calls get 503.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 2_147_483_647)))]
    pub held_bytes: usize,
    /// The same, of one caller.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 2_147_483_647)))]
    pub held_bytes_per_caller: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 1 << 20,
            response_bytes: 4 << 20,
            record_bytes: 256 << 10,
            held_bytes: 256 << 20,
            held_bytes_per_caller: 64 << 20,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Written<'t> {
    /// This gateway's name: the audience of approval receipts, part of every record.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    gateway: String,
    /// Where the policy bundle comes from.
    #[serde(borrow)]
    bundle: WrittenSupply<'t>,
    /// Who may prove whom.
    callers: caller::Settings,
    /// What callers reach this gateway at: `https://search.example`, `https://search.example:8443`; on loopback also any port,
    /// `http://127.0.0.1:*`. Proofs of possession (DPoP) are held against it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": crate::schema::ORIGIN})))]
    origins: Vec<String>,
    /// Further dialects, as data.
    #[serde(default)]
    dialects: Vec<WrittenDialect>,
    /// Which paths carry calls.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    routes: Vec<WrittenRoute>,
    /// Streams that are no calls and pass without any credential, unmasked. Everything else is refused.
    #[serde(default)]
    pass: Vec<WrittenPass>,
    /// Where approvals are asked for.
    approver: Option<approval::Settings>,
    /// The credentials of the bundle, by name.
    credentials: BTreeMap<String, credential::Written>,
    /// The keys of masks that replace by pseudonyms, by name.
    #[serde(default)]
    pseudonym_keys: BTreeMap<String, PseudonymKey>,
    /// The largest bodies.
    #[serde(default)]
    limits: Limits,
    /// The records.
    #[serde(default)]
    audit: audit::Settings,
    /// Further request headers that go upstream, in lower case; all others stay here. None may be a credential's, one connection's, or
    /// tell the upstream another method, address or sender.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": crate::schema::HEADER})))]
    request_headers: Vec<String>,
    /// Further response headers that go on to callers, in lower case; all others are dropped.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": crate::schema::HEADER})))]
    response_headers: Vec<String>,
}

/// `inline` or `embedded` is the bundle to start with, and below which none that is fetched may be.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "not" = {"required": ["inline", "embedded"]})))]
struct WrittenSupply<'t> {
    /// The bundle itself.
    // It stays text until it is compiled: as a tree it would take several times the memory of the policy it becomes, and a worker's
    // memory never shrinks.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::policy::Bundle>"))]
    #[serde(borrow)]
    inline: Option<&'t RawValue>,
    /// `true` for the bundle that was built into the module.
    #[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
    embedded: Option<bool>,
    /// A signed bundle, fetched from a cluster again and again.
    fetched: Option<fetched::Settings>,
    /// A bundle that is evaluated and recorded beside the one in force, and changes nothing.
    #[serde(borrow)]
    shadow: Option<Box<WrittenSupply<'t>>>,
}

/// A stream that is no call and passes.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct WrittenPass {
    /// The method.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["GET", "HEAD", "POST", "OPTIONS"])))]
    method: String,
    /// The path, as in `routes`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::PATH)))]
    path: String,
}

/// All that is wrong with a configuration, a line each: the field, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaws(pub Vec<String>);

impl fmt::Display for Flaws {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Flaws {}

impl Config {
    /// Reads the plugin configuration, a pure function of its bytes and of the bundle that was built into the module.
    ///
    /// # Errors
    /// All flaws that can be seen at once. Unknown fields are flaws.
    pub fn read(json: &[u8], embedded: Option<&[u8]>) -> Result<Self, Flaws> {
        let one = |what: String| Flaws(vec![what]);
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(one(
                "configuration: not a JSON object: write JSON in a `google.protobuf.StringValue`".to_owned()
            ));
        }
        let written: Written<'_> =
            crate::json::read(json).map_err(|malformed| one(format!("configuration: {malformed}")))?;
        let mut flaws = Vec::new();
        if written.gateway.is_empty() || written.gateway.len() > 128 || written.gateway.chars().any(char::is_control) {
            flaws.push("gateway: write a name of 1 to 128 characters, such as eu1/rerank".to_owned());
        }
        flaws.extend(demo::published_keys(&written));
        let shadow = written.bundle.shadow.as_deref();
        let bundle = supply(&written.bundle, "bundle", embedded, &mut flaws);
        let shadow = shadow.map(|shadow| supply(shadow, "bundle.shadow", embedded, &mut flaws)).unwrap_or_default();
        let dialects = dialects(written.dialects, &mut flaws);
        let origins = origins(&written.origins, &mut flaws);
        let routes = routes(written.routes, &dialects, !written.origins.is_empty(), &mut flaws);
        let pass = pass(&written.pass, &routes, &mut flaws);
        if !pass.is_empty() && written.origins.is_empty() {
            flaws.push("pass: whatever Host a caller writes would go upstream: write `origins`".to_owned());
        }
        for (name, credential) in &written.credentials {
            flaws.extend(credential::check(name, credential).err().map(|unusable| unusable.to_string()));
        }
        for (at, route) in routes.iter().enumerate() {
            for name in route.credentials.iter().filter(|name| !written.credentials.contains_key(*name)) {
                flaws.push(format!("routes[{at}].credentials: `{name}` is not under `credentials`"));
            }
        }
        let means = Means {
            credentials: &written.credentials,
            pseudonym_keys: &written.pseudonym_keys,
            has_approver: written.approver.is_some(),
        };
        flaws.extend(bundle.start.as_ref().map(|policy| means.unfit(policy)).unwrap_or_default());
        flaws.extend(written.approver.as_ref().and_then(|approver| approver.check().err()));
        let mut callers = written.callers;
        match (&callers.dpop, written.origins.is_empty()) {
            (Some(_), true) => flaws.push(
                "origins: `callers.dpop` accepts proofs of possession, which are for an address of this gateway: write what it is \
                 reached at"
                    .to_owned(),
            ),
            (None, false) => callers.dpop = Some(caller::DpopSettings::default()),
            _ => {}
        }
        flaws.extend(caller::Callers::new(&callers).err().map(|unusable| unusable.to_string()));
        let limits = written.limits;
        let sizes = [limits.request_bytes, limits.response_bytes, limits.record_bytes];
        if !sizes.iter().all(|size| (1..=64 << 20).contains(size)) {
            flaws.push("limits: write sizes from 1 to 67108864 bytes".to_owned());
        }
        let (held, of_caller, largest) = (limits.held_bytes, limits.held_bytes_per_caller, limits.buffer_bytes());
        if of_caller < largest {
            flaws.push(format!(
                "limits.held_bytes_per_caller: one call may hold {largest} bytes: write as many or more"
            ));
        }
        if !(of_caller..=i32::MAX as usize).contains(&held) {
            flaws.push(format!(
                "limits.held_bytes: write at least `held_bytes_per_caller`, which is {of_caller}, and at most 2147483647"
            ));
        }
        for name in &written.request_headers {
            let why = why_not_upstream(name).or_else(|| taken(name, &callers, &written.credentials, &routes));
            flaws.extend(why.map(|why| format!("request_headers: `{}` {why}", name.escape_debug())));
        }
        for name in &written.response_headers {
            let why = why_not_to_callers(name);
            flaws.extend(why.map(|why| format!("response_headers: `{}` {why}", name.escape_debug())));
        }
        let everything = Rule::detecting(Kind::ALL, "[{kind}]");
        let every_mask = match Masks::compile(&[("preview", &everything)]) {
            Ok(masks) => masks,
            Err(refused) => return Err(one(format!("preview: {refused}"))),
        };
        if !flaws.is_empty() {
            return Err(Flaws(flaws));
        }
        Ok(Self {
            gateway: written.gateway,
            bundle,
            shadow,
            callers,
            origins,
            dialects,
            routes,
            pass,
            approver: written.approver,
            pseudonym_keys: written.pseudonym_keys,
            credentials: written.credentials,
            limits,
            audit: written.audit,
            request_headers: written.request_headers,
            response_headers: written.response_headers,
            every_mask,
        })
    }
}

/// Why a header that may go upstream elsewhere may not here: it means something to this gateway.
fn taken(
    name: &str,
    callers: &caller::Settings,
    credentials: &BTreeMap<String, credential::Written>,
    routes: &[Route],
) -> Option<&'static str> {
    let names_data = |source: &Source| matches!(source, Source::Header(header) if header == name);
    if callers.places.iter().any(|place| place.header.eq_ignore_ascii_case(name)) {
        return Some("holds callers' tokens here, and none goes upstream: leave it out");
    }
    if credentials.values().any(|credential| credential.header == name) {
        return Some("carries a credential of `credentials`: leave it out");
    }
    let is_source =
        routes.iter().any(|route| names_data(&route.dataset) || route.tenant.as_ref().is_some_and(names_data));
    is_source.then_some("names a route's dataset or tenant, which is decided here: leave it out")
}

impl Limits {
    /// The most bytes that this module ever wants a buffer of Envoy's to hold. Envoy has one limit for requests and responses, which
    /// is at HTTP/1 the listener's `per_connection_buffer_limit_bytes` and at HTTP/2 and HTTP/3 the `initial_stream_window_size` of
    /// what speaks to callers; a virtual host or route may state another one. Where it is smaller, Envoy answers 413 or 500 by itself.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.request_bytes.max(self.most_at_once())
    }

    /// The most bytes of an answer that may go on at once: of a stream no more than of an answer that is whole.
    pub(crate) fn most_at_once(&self) -> usize {
        self.response_bytes.max(self.record_bytes)
    }
}

impl Config {
    /// The most bytes that a buffer of Envoy's has to hold: see [`Limits::buffer_bytes`].
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.limits.buffer_bytes()
    }

    /// What a bundle asks for that cannot be done under this configuration, a line each.
    pub(crate) fn unfit(&self, policy: &Policy) -> Vec<String> {
        let (credentials, pseudonym_keys) = (&self.credentials, &self.pseudonym_keys);
        Means { credentials, pseudonym_keys, has_approver: self.approver.is_some() }.unfit(policy)
    }
}

/// What bundles can be carried out with.
struct Means<'a> {
    credentials: &'a BTreeMap<String, credential::Written>,
    pseudonym_keys: &'a BTreeMap<String, PseudonymKey>,
    has_approver: bool,
}

impl Means<'_> {
    fn unfit(&self, policy: &Policy) -> Vec<String> {
        let mut unfit = Vec::new();
        for name in policy.credentials().filter(|name| !self.credentials.contains_key(&***name)) {
            unfit.push(format!("credentials: the bundle uses `{name}`, which is not here: add it"));
        }
        // Whether each mask can be carried out does not depend on what the keys are, only on which there are.
        let stand_ins: Vec<_> = self.pseudonym_keys.keys().map(|name| (name.as_str(), &[0u8; 32][..])).collect();
        let masks: Vec<_> = policy.masks().map(|(name, rule)| (&**name, rule)).collect();
        for one in masks.chunks(1).chain([&masks[..]]) {
            if let Err(refused) = Masks::compile_with_keys(one, &stand_ins) {
                unfit.push(format!("bundle: masks: {refused}"));
                break;
            }
        }
        if !self.has_approver && policy.approvals().next().is_some() {
            unfit.push("approver: the bundle has approvals: write where to ask".to_owned());
        }
        unfit
    }
}

/// Reads where bundles come from; `place` is the field.
fn supply(written: &WrittenSupply<'_>, place: &str, embedded: Option<&[u8]>, flaws: &mut Vec<String>) -> Supply {
    let before = flaws.len();
    let taken = |loaded: Result<Policy, Vec<Flaw>>, flaws: &mut Vec<String>| match loaded {
        Ok(policy) => Some(policy),
        Err(found) => {
            flaws.extend(found.iter().map(|flaw| format!("{place}: {flaw}")));
            None
        }
    };
    let start = match (&written.inline, written.embedded) {
        (Some(_), Some(_)) => {
            flaws.push(format!("{place}.embedded: `inline` is a bundle to start with too: write one of them"));
            None
        }
        (Some(bundle), None) => taken(Policy::load_inline(bundle), flaws),
        (None, Some(true)) => match embedded {
            Some(embedded) => taken(Policy::load(embedded), flaws),
            None => {
                flaws.push(format!(
                    "{place}.embedded: this module was built without a bundle: build it with `make wasm BUNDLE=…` or write \
                     `{{inline: …}}`"
                ));
                None
            }
        },
        (None, Some(false)) => {
            flaws.push(format!("{place}.embedded: write true, or `{{inline: …}}`"));
            None
        }
        (None, None) => None,
    };
    if start.is_none() && written.fetched.is_none() && flaws.len() == before {
        flaws.push(format!("{place}: write `embedded`, `inline` or `fetched`"));
    }
    if let Some(settings) = &written.fetched {
        flaws.extend(settings.flaws().into_iter().map(|flaw| format!("{place}.fetched.{flaw}")));
        match (&settings.id, &start) {
            (Some(id), Some(start)) if id != start.id() => flaws.push(format!(
                "{place}.fetched.id: `{id}` is not `{}`, the bundle to start with: write the same, or leave it out",
                start.id()
            )),
            (None, None) if flaws.len() == before => {
                flaws.push(format!("{place}.fetched.id: write the id of the bundle, as it names itself"));
            }
            _ => {}
        }
        if start.as_ref().is_some_and(|start| start.serial() < settings.min_serial) {
            flaws.push(format!("{place}.fetched.min_serial: the bundle to start with is below it"));
        }
    }
    if place != "bundle" && written.shadow.is_some() {
        flaws.push(format!("{place}.shadow: a shadow has no shadow: leave it out"));
    }
    Supply { start, fetched: written.fetched.clone() }
}

/// The bundle that was built into the module, if any, as JSON.
#[must_use]
pub const fn embedded_bundle() -> Option<&'static [u8]> {
    // The build script writes `None` or `Some(include_bytes!(…))`.
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"))
}

fn dialects(written: Vec<WrittenDialect>, flaws: &mut Vec<String>) -> Vec<Spoken> {
    let mut all = Vec::new();
    let built_in = Dialect::built_in().map_err(|misdrawn| flaws.push(misdrawn.to_string())).unwrap_or_default();
    let added = written
        .into_iter()
        .filter_map(|one| Dialect::new(one).map_err(|misdrawn| flaws.push(misdrawn.to_string())).ok());
    for dialect in built_in.into_iter().chain(added.collect::<Vec<_>>()) {
        let kept: Vec<&str> = dialect.kept.iter().map(String::as_str).collect();
        if all.iter().any(|spoken: &Spoken| spoken.dialect.name() == dialect.name()) {
            flaws.push(format!(
                "dialects: `{}` is there twice, or the module has it: choose another name",
                dialect.name()
            ));
        }
        match Kept::compile(&kept) {
            Ok(kept) => all.push(Spoken { dialect, kept }),
            Err(refused) => flaws.push(format!("dialects: `{}`: response.kept: {refused}", dialect.name())),
        }
    }
    all
}

fn origins(written: &[String], flaws: &mut Vec<String>) -> Vec<Origin> {
    let mut all = Vec::new();
    for (at, text) in written.iter().enumerate() {
        match Origin::read(text) {
            Ok(origin) => all.push(origin),
            Err(what) => flaws.push(format!("origins[{at}]: {what}")),
        }
    }
    all
}

fn routes(written: Vec<WrittenRoute>, dialects: &[Spoken], has_origins: bool, flaws: &mut Vec<String>) -> Vec<Route> {
    let known = dialects
        .iter()
        .enumerate()
        .map(|(at, spoken)| (spoken.dialect.name(), (at, spoken.dialect.names_model)))
        .collect();
    let mut all: Vec<Route> = Vec::new();
    if written.is_empty() {
        flaws.push("routes: write at least one, or nothing is served".to_owned());
    }
    for (at, one) in written.into_iter().enumerate() {
        match Route::new(one, &known) {
            Ok(route) => {
                if let Some(other) = all.iter().find(|other| other.template.meets(&route.template)) {
                    let (one, other) = (&route.template, &other.template);
                    flaws.push(format!("routes[{at}].path: `{one}` and `{other}` share a path: tell them apart"));
                }
                if route.host.is_none() && route.authorities.is_empty() && !has_origins {
                    flaws.push(format!(
                        "routes[{at}].host: whatever Host a caller writes would go upstream: write `host`, the upstream's own name, \
                         or `authorities`, or `origins`"
                    ));
                }
                all.push(route);
            }
            Err(what) => flaws.push(format!("routes[{at}].{what}")),
        }
    }
    all
}

fn pass(written: &[WrittenPass], routes: &[Route], flaws: &mut Vec<String>) -> Vec<Pass> {
    let mut all = Vec::new();
    for (at, one) in written.iter().enumerate() {
        if !matches!(one.method.as_str(), "GET" | "HEAD" | "POST" | "OPTIONS") {
            flaws.push(format!("pass[{at}].method: `{}` cannot pass: write GET, HEAD, POST or OPTIONS", one.method));
        }
        match Template::new(&one.path) {
            Ok(template) if routes.iter().any(|route| route.template.resembles(&template)) => {
                flaws.push(format!(
                    "pass[{at}].path: `{template}` is the path of a route: whatever its method, it is no stream to pass"
                ));
            }
            Ok(template) => all.push(Pass { method: one.method.clone(), template }),
            Err(what) => flaws.push(format!("pass[{at}].{what}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(super) fn sound() -> Value {
        json!({
            "gateway": "eu1/test",
            "bundle": {"inline": {
                "schema": "rerank-guard/v1",
                "bundle": {"id": "test", "serial": 7, "not_after": "2036-01-01"},
                "groups": {"analysts": ["grp-bi"]},
                "credentials": {"tei": {}},
                "masks": {"pii": {"detect": ["email"]}},
                "rules": [
                    {"id": "mask", "guard": {}, "require": {"masks": ["pii"]}},
                    {"id": "a", "allow": {"groups": ["analysts"], "models": ["m"], "datasets": ["web-*"], "operations": ["rerank"]}, "use": "tei"},
                ],
            }},
            "callers": {"issuers": [{"issuer": "https://idp.test", "audiences": ["rg"],
                                     "keys": {"jwks": {"cluster": "idp", "authority": "idp.test", "path": "/jwks.json"}}}]},
            "origins": ["https://rerank.test"],
            "routes": [{"path": "/{dataset}/v2/rerank", "dialect": "cohere-v2", "clusters": ["tei"], "dataset": {"segment": "dataset"},
                        "credentials": ["tei"]}],
            "credentials": {"tei": {"env": "TEI", "prefix": "Bearer "}},
        })
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<Config, Flaws> {
        let mut document = sound();
        change(&mut document);
        Config::read(document.to_string().as_bytes(), None)
    }

    #[test]
    fn a_sound_configuration_is_read() {
        assert!(read(|_| {}).is_ok());
        let bundle = sound()["bundle"]["inline"].to_string();
        let mut document = sound();
        document["bundle"] = json!({"embedded": true});
        assert!(Config::read(document.to_string().as_bytes(), Some(bundle.as_bytes())).is_ok());
    }

    #[test]
    fn what_cannot_serve_is_refused_and_the_field_is_named() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 39] = [
            (|all| all["typo"] = json!(1), "unknown field `typo`"),
            (|all| all["limits"] = json!({"request_byte": 1}), "unknown field `request_byte`"),
            (|all| all["callers"]["issuers"][0]["aud"] = json!("x"), "unknown field `aud`"),
            (|all| all["gateway"] = json!(""), "gateway:"),
            (|all| all["bundle"] = json!({"embedded": true}), "bundle.embedded:"),
            (|all| all["bundle"]["inline"]["rules"][1]["use"] = json!("nope"), "bundle: rules[1].use"),
            (|all| all["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("{nope}"), "bundle: masks.pii.replace:"),
            (|all| all["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("[{pseudonym:k1}]"), "bundle: masks:"),
            (|all| all["callers"]["issuers"] = json!([]), "callers."),
            (|all| all["routes"] = json!([]), "routes:"),
            (|all| all["routes"][0]["dialect"] = json!("coher"), "routes[0].dialect:"),
            (|all| all["routes"][0]["dataset"] = json!({"segment": "ds"}), "routes[0].dataset:"),
            (|all| all["routes"][0]["credentials"] = json!(["other"]), "routes[0].credentials:"),
            (|all| all["routes"] = json!([all["routes"][0], all["routes"][0]]), "routes[1].path:"),
            (|all| all["credentials"] = json!({"other": {"env": "X"}}), "credentials:"),
            (|all| all["credentials"]["tei"]["header"] = json!("Host"), "credentials.tei"),
            (|all| all["limits"] = json!({"request_bytes": 0}), "limits:"),
            (|all| all["pass"] = json!([{"method": "POST", "path": "/web/v2/rerank"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "GET", "path": "/web/v2/rerank"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "HEAD", "path": "/web/V2/Rerank;x"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "OPTIONS", "path": "/{x}/v2/{y}"}]), "pass[0].path:"),
            (|all| all["response_headers"] = json!(["X-Header"]), "response_headers:"),
            (|all| all["response_headers"] = json!(["set-cookie"]), "response_headers: `set-cookie`"),
            (|all| all["request_headers"] = json!(["x-team", "x-vault-token"]), "request_headers: `x-vault-token`"),
            (|all| all["request_headers"] = json!(["x_team"]), "request_headers: `x_team`"),
            (
                |all| {
                    all["routes"][0]["dataset"] = json!({"header": "x-dataset"});
                    all["request_headers"] = json!(["x-dataset"]);
                },
                "request_headers: `x-dataset`",
            ),
            (
                |all| {
                    all["credentials"]["tei"]["header"] = json!("x-tei");
                    all["request_headers"] = json!(["x-tei"]);
                },
                "request_headers: `x-tei`",
            ),
            (|all| all["routes"][0]["clusters"] = json!([]), "routes[0].clusters:"),
            (|all| all["routes"][0]["clusters"] = json!(["tei", ""]), "routes[0].clusters:"),
            (|all| all["routes"][0]["authorities"] = json!(["a b"]), "routes[0].authorities:"),
            (|all| all["routes"][0]["authorities"] = json!(["rerank.test:*"]), "routes[0].authorities:"),
            (|all| all["routes"][0]["host"] = json!("https://api.test"), "routes[0].host:"),
            (|all| all["routes"][0]["host"] = json!("127.0.0.1:*"), "routes[0].host:"),
            (|all| all["origins"] = json!(["rerank.test"]), "origins[0]:"),
            (|all| all["origins"] = json!(["https://rerank.test/"]), "origins[0]:"),
            (|all| all["origins"] = json!(["https://rerank.test:*"]), "origins[0]:"),
            (|all| all["origins"] = json!([]), "routes[0].host:"),
            (
                |all| {
                    all["origins"] = json!([]);
                    all["routes"][0]["host"] = json!("api.test");
                    all["callers"]["dpop"] = json!({});
                },
                "origins:",
            ),
            (
                |all| {
                    all["origins"] = json!([]);
                    all["routes"][0]["host"] = json!("api.test");
                    all["pass"] = json!([{"method": "GET", "path": "/healthz"}]);
                },
                "pass:",
            ),
        ];
        for (change, field) in cases {
            let flaws = read(change).map(|_| ()).unwrap_err();
            assert!(flaws.0.iter().any(|flaw| flaw.contains(field)), "no `{field}` in {flaws}");
            assert!(flaws.0.iter().all(|flaw| !flaw.contains('\n')), "{flaws}");
        }
    }

    #[test]
    fn approvals_without_an_approver_are_refused() {
        let flaws = read(|all| {
            all["bundle"]["inline"]["approvals"] = json!({"desk": {"groups": ["grp-leads"], "min": 1, "ttl": "10m"}});
            all["bundle"]["inline"]["rules"][0]["require"]["approval"] = json!("desk");
        });
        assert!(flaws.map(|_| ()).unwrap_err().to_string().contains("approver:"));
    }

    #[test]
    fn a_pseudonym_needs_its_key_to_be_configured() {
        let with_key = |all: &mut Value| {
            all["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("[{pseudonym:k1}]");
            all["pseudonym_keys"] = json!({"k1": {"env": "PSEUDONYMS"}});
        };
        assert!(read(with_key).is_ok());
    }

    #[test]
    fn all_flaws_are_told_at_once() {
        let flaws = read(|all| {
            all["gateway"] = json!("");
            all["routes"][0]["dialect"] = json!("x");
            all["limits"] = json!({"request_bytes": 0});
        });
        assert!(flaws.map(|_| ()).unwrap_err().0.len() >= 3);
    }

    #[test]
    fn a_configuration_in_binary_says_how_to_write_it() {
        let said = Config::read(b"\x0a\x12gateway", None).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("StringValue"), "{said}");
    }
}

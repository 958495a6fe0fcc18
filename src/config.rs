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
use crate::caller::{self, Callers};
use crate::credential;
use crate::diagnostic::{Flaw, Place, Salvaged, Words, salvage};
use crate::exchange::Supply;
use crate::mask::{Kept, Kind, Masks, Rule};
use crate::origin::Origin;
use crate::policy::{Policy, fetched};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A configuration that can serve.
#[derive(Debug)]
pub struct Config {
    /// This gateway's name: the audience of receipts, part of digests and records.
    pub gateway: String,
    /// The bundle: one to start with, and where newer ones come from.
    pub bundle: Supply,
    /// A bundle that is asked too and never decides; empty where there is none.
    pub shadow: Supply,
    /// Who may prove whom, as it is written.
    pub callers: caller::Settings,
    /// The same, to prove callers by.
    pub(crate) proving: RefCell<Callers>,
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
pub(crate) struct Written {
    /// This gateway's name: the audience of approval receipts, part of every record.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    gateway: String,
    /// Where the policy bundle comes from.
    bundle: WrittenSupply,
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
struct WrittenSupply {
    /// The bundle itself.
    // Its number among those in the document: see `Tree`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::policy::Bundle>"))]
    inline: Option<usize>,
    /// `true` for the bundle that was built into the module.
    #[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
    embedded: Option<bool>,
    /// A signed bundle, fetched from a cluster again and again.
    fetched: Option<fetched::Settings>,
    /// A bundle that is evaluated and recorded beside the one in force, and changes nothing.
    shadow: Option<Box<WrittenSupply>>,
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

/// The document as a tree, but for the bundles in it: each is a number there and stays text until it is compiled. As a tree it would take
/// several times the memory of the policy it becomes, and a worker's memory never shrinks.
struct Tree<'t> {
    value: Value,
    bundles: Vec<(Place, &'t RawValue)>,
}

impl<'t> Tree<'t> {
    /// Reads a text that was found to be an object of strict JSON.
    fn read(text: &'t [u8]) -> Result<Self, serde_json::Error> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(text)?;
        let mut tree = Self { value: Value::Null, bundles: Vec::new() };
        let member = |(name, written): (String, &'t RawValue)| {
            let value = match name.as_str() {
                "bundle" => tree.supply(written, &Place::of(["bundle"]))?,
                _ => serde_json::from_str(written.get())?,
            };
            Ok((name, value))
        };
        tree.value = Value::Object(members.into_iter().map(member).collect::<Result<_, serde_json::Error>>()?);
        Ok(tree)
    }

    fn supply(&mut self, written: &'t RawValue, place: &Place) -> Result<Value, serde_json::Error> {
        let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(written.get()) else {
            return serde_json::from_str(written.get());
        };
        let member = |(name, written): (String, &'t RawValue)| {
            let place = place.name(&name);
            let value = match name.as_str() {
                "inline" if written.get() != "null" => {
                    self.bundles.push((place, written));
                    Value::from(self.bundles.len().saturating_sub(1))
                }
                "shadow" => self.supply(written, &place)?,
                _ => serde_json::from_str(written.get())?,
            };
            Ok((name, value))
        };
        Ok(Value::Object(members.into_iter().map(member).collect::<Result<_, serde_json::Error>>()?))
    }
}

impl Config {
    /// Reads the plugin configuration, a pure function of its bytes and of the bundle that was built into the module.
    ///
    /// # Errors
    /// All its flaws, at once; never empty. Unknown fields are flaws.
    pub fn read(json: &[u8], embedded: Option<&[u8]>) -> Result<Self, Vec<Flaw>> {
        let one = |what: String| vec![Flaw::new(Place::root(), what)];
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(one("not a JSON object: write JSON in a `google.protobuf.StringValue`".to_owned()));
        }
        crate::json::check(json).map_err(|malformed| one(malformed.to_string()))?;
        let Tree { mut value, bundles } = Tree::read(json).map_err(|why| one(why.to_string()))?;
        let mut flaws = Vec::new();
        let written: Written = match salvage(Words::Configuration, Place::root, &mut value, &mut flaws) {
            Salvaged::Whole(written) | Salvaged::WithoutUnknown(written) => written,
            Salvaged::Nothing => {
                for (place, bundle) in &bundles {
                    flaws.extend(
                        Policy::load_inline(bundle)
                            .err()
                            .unwrap_or_default()
                            .into_iter()
                            .map(|flaw| flaw.inside(place)),
                    );
                }
                return Err(flaws);
            }
        };
        if written.gateway.is_empty() || written.gateway.len() > 128 || written.gateway.chars().any(char::is_control) {
            flaws.push(at(["gateway"], "write a name of 1 to 128 characters, such as eu1/rerank"));
        }
        flaws.extend(demo::published_keys(&written));
        let shadow = written.bundle.shadow.as_deref();
        let sources = Sources { embedded, bundles: &bundles };
        let bundle = sources.supply(&written.bundle, &Place::of(["bundle"]), &mut flaws);
        let shadow_at = Place::of(["bundle", "shadow"]);
        let shadow = shadow.map(|shadow| sources.supply(shadow, &shadow_at, &mut flaws)).unwrap_or_default();
        let dialects = dialects(written.dialects, &mut flaws);
        let origins = origins(&written.origins, &mut flaws);
        let routes = routes(written.routes, &dialects, !written.origins.is_empty(), &written.credentials, &mut flaws);
        let pass = pass(&written.pass, &routes, &mut flaws);
        if !pass.is_empty() && written.origins.is_empty() {
            flaws.push(at(["pass"], "whatever Host a caller writes would go upstream: write `origins`"));
        }
        for (name, credential) in &written.credentials {
            flaws.extend(credential::check(name, credential).err().map(|unusable| unusable.flaw()));
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
            (Some(_), true) => flaws.push(at(
                ["origins"],
                "`callers.dpop` accepts proofs of possession, which are for an address of this gateway: write what it is reached at",
            )),
            (None, false) => callers.dpop = Some(caller::DpopSettings::default()),
            _ => {}
        }
        let proving = match Callers::new(&callers) {
            Ok(proving) => Some(proving),
            Err(found) => {
                flaws.extend(found);
                None
            }
        };
        let limits = written.limits;
        let sizes = [limits.request_bytes, limits.response_bytes, limits.record_bytes];
        if !sizes.iter().all(|size| (1..=64 << 20).contains(size)) {
            flaws.push(at(["limits"], "write sizes from 1 to 67108864 bytes"));
        }
        let (held, of_caller, largest) = (limits.held_bytes, limits.held_bytes_per_caller, limits.buffer_bytes());
        if of_caller < largest {
            let what = format!("one call may hold {largest} bytes: write as many or more");
            flaws.push(at(["limits", "held_bytes_per_caller"], what));
        }
        if !(of_caller..=i32::MAX as usize).contains(&held) {
            let what = format!("write at least `held_bytes_per_caller`, which is {of_caller}, and at most 2147483647");
            flaws.push(at(["limits", "held_bytes"], what));
        }
        let header = |list: &str, number: usize, name: &str, why: &str| {
            Flaw::new(Place::root().name(list).item(number), format!("`{}` {why}", name.escape_debug()))
        };
        for (number, name) in written.request_headers.iter().enumerate() {
            let why = why_not_upstream(name).or_else(|| taken(name, &callers, &written.credentials, &routes));
            flaws.extend(why.map(|why| header("request_headers", number, name, why)));
        }
        for (number, name) in written.response_headers.iter().enumerate() {
            let why = why_not_to_callers(name);
            flaws.extend(why.map(|why| header("response_headers", number, name, why)));
        }
        let everything = Rule::detecting(Kind::ALL, "[{kind}]");
        let every_mask =
            Masks::compile(&[("preview", &everything)]).map_err(|refused| one(format!("preview: {refused}")))?;
        let Some(proving) = proving.filter(|_| flaws.is_empty()) else { return Err(flaws) };
        Ok(Self {
            gateway: written.gateway,
            bundle,
            shadow,
            callers,
            proving: RefCell::new(proving),
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
        let unfit = Means { credentials, pseudonym_keys, has_approver: self.approver.is_some() }.unfit(policy);
        unfit.iter().map(ToString::to_string).collect()
    }
}

/// What bundles can be carried out with.
struct Means<'a> {
    credentials: &'a BTreeMap<String, credential::Written>,
    pseudonym_keys: &'a BTreeMap<String, PseudonymKey>,
    has_approver: bool,
}

impl Means<'_> {
    fn unfit(&self, policy: &Policy) -> Vec<Flaw> {
        let mut unfit = Vec::new();
        for name in policy.credentials().filter(|name| !self.credentials.contains_key(&***name)) {
            unfit.push(at(["credentials"], format!("the bundle uses `{name}`, which is not here: add it")));
        }
        // Whether each mask can be carried out does not depend on what the keys are, only on which there are.
        let stand_ins: Vec<_> = self.pseudonym_keys.keys().map(|name| (name.as_str(), &[0u8; 32][..])).collect();
        let masks: Vec<_> = policy.masks().map(|(name, rule)| (&**name, rule)).collect();
        for one in masks.chunks(1).chain([&masks[..]]) {
            if let Err(refused) = Masks::compile_with_keys(one, &stand_ins) {
                unfit.push(at(["bundle"], format!("masks: {refused}")));
                break;
            }
        }
        if !self.has_approver && policy.approvals().next().is_some() {
            unfit.push(at(["approver"], "the bundle has approvals: write where to ask"));
        }
        unfit
    }
}

/// A flaw of the member at the end of `names`.
fn at<const N: usize>(names: [&str; N], what: impl Into<String>) -> Flaw {
    Flaw::new(Place::of(names), what)
}

/// What bundles there are to start with.
struct Sources<'t> {
    embedded: Option<&'t [u8]>,
    bundles: &'t [(Place, &'t RawValue)],
}

impl Sources<'_> {
    /// Reads where bundles come from; `place` is the field.
    fn supply(&self, written: &WrittenSupply, place: &Place, flaws: &mut Vec<Flaw>) -> Supply {
        let before = flaws.len();
        let start = self.start(written, place).map_err(|found| flaws.extend(found)).ok().flatten();
        if let Some(settings) = &written.fetched {
            let place = place.name("fetched");
            let mut found: Vec<Flaw> = settings.flaws().into_iter().map(|flaw| flaw.inside(&place)).collect();
            match (&settings.id, &start) {
                (Some(id), Some(start)) if id != start.id() => {
                    let what = format!(
                        "`{id}` is not `{}`, the bundle to start with: write the same, or leave it out",
                        start.id()
                    );
                    found.push(Flaw::new(place.name("id"), what));
                }
                (None, None) if flaws.len() == before && found.is_empty() => {
                    found.push(Flaw::new(place.name("id"), "write the id of the bundle, as it names itself"));
                }
                _ => {}
            }
            if start.as_ref().is_some_and(|start| start.serial() < settings.min_serial) {
                found.push(Flaw::new(place.name("min_serial"), "the bundle to start with is below it"));
            }
            flaws.extend(found);
        } else if start.is_none() && flaws.len() == before {
            flaws.push(Flaw::new(place.clone(), "write `embedded`, `inline` or `fetched`"));
        }
        if place.steps().len() > 1 && written.shadow.is_some() {
            flaws.push(Flaw::new(place.name("shadow"), "a shadow has no shadow: leave it out"));
        }
        Supply { start, fetched: written.fetched.clone() }
    }

    /// The bundle to start with, if one is named.
    fn start(&self, written: &WrittenSupply, place: &Place) -> Result<Option<Policy>, Vec<Flaw>> {
        let at = place.name("embedded");
        let one = |what: &str| Err(vec![Flaw::new(at.clone(), what)]);
        let inline = written.inline.and_then(|number| self.bundles.get(number));
        match (inline, written.embedded, self.embedded) {
            (Some(_), Some(_), _) => one("`inline` is a bundle to start with too: write one of them"),
            (Some((place, bundle)), None, _) => match Policy::load_inline(bundle) {
                Ok(policy) => Ok(Some(policy)),
                Err(found) => Err(found.into_iter().map(|flaw| flaw.inside(place)).collect()),
            },
            (None, Some(true), Some(embedded)) => match Policy::load(embedded) {
                Ok(policy) => Ok(Some(policy)),
                // They stand in another document than this one.
                Err(found) => Err(found.iter().map(|flaw| Flaw::new(place.clone(), flaw.to_string())).collect()),
            },
            (None, Some(true), None) => {
                one("this module was built without a bundle: build it with `make wasm BUNDLE=…` or write `{inline: …}`")
            }
            (None, Some(false), _) => one("write true, or `{inline: …}`"),
            (None, None, _) => Ok(None),
        }
    }
}

/// The bundle that was built into the module, if any, as JSON.
#[must_use]
pub const fn embedded_bundle() -> Option<&'static [u8]> {
    // The build script writes `None` or `Some(include_bytes!(…))`.
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"))
}

fn dialects(written: Vec<WrittenDialect>, flaws: &mut Vec<Flaw>) -> Vec<Spoken> {
    let root = Place::of(["dialects"]);
    let built_in = Dialect::built_in().map_err(|misdrawn| flaws.push(Flaw::new(root.clone(), misdrawn.to_string())));
    let mut all: Vec<(Place, Dialect)> =
        built_in.unwrap_or_default().into_iter().map(|one| (root.clone(), one)).collect();
    for (number, one) in written.into_iter().enumerate() {
        let place = root.item(number);
        match Dialect::new(one) {
            Ok(dialect) => all.push((place, dialect)),
            Err(misdrawn) => flaws.push(misdrawn.flaw().inside(&place)),
        }
    }
    let mut spoken: Vec<Spoken> = Vec::new();
    for (place, dialect) in all {
        let (name, kept) = (dialect.name(), dialect.kept.iter().map(String::as_str).collect::<Vec<_>>());
        if spoken.iter().any(|other| other.dialect.name() == name) {
            let what = format!("`{name}` is there twice, or the module has it: choose another name");
            flaws.push(Flaw::new(place.name("name"), what));
        }
        match Kept::compile(&kept) {
            Ok(kept) => spoken.push(Spoken { dialect, kept }),
            Err(refused) => {
                flaws.push(Flaw::new(place.name("response").name("kept"), format!("`{name}`: {refused}")));
            }
        }
    }
    spoken
}

fn origins(written: &[String], flaws: &mut Vec<Flaw>) -> Vec<Origin> {
    let mut all = Vec::new();
    for (number, text) in written.iter().enumerate() {
        match Origin::read(text) {
            Ok(origin) => all.push(origin),
            Err(what) => flaws.push(Flaw::new(Place::of(["origins"]).item(number), what)),
        }
    }
    all
}

fn routes(
    written: Vec<WrittenRoute>,
    dialects: &[Spoken],
    has_origins: bool,
    credentials: &BTreeMap<String, credential::Written>,
    flaws: &mut Vec<Flaw>,
) -> Vec<Route> {
    let known = dialects
        .iter()
        .enumerate()
        .map(|(at, spoken)| (spoken.dialect.name(), (at, spoken.dialect.names_model)))
        .collect();
    let mut all: Vec<Route> = Vec::new();
    if written.is_empty() {
        flaws.push(at(["routes"], "write at least one, or nothing is served"));
    }
    for (number, one) in written.into_iter().enumerate() {
        let place = Place::of(["routes"]).item(number);
        match Route::new(one, &known) {
            Ok(route) => {
                if let Some(other) = all.iter().find(|other| other.template.meets(&route.template)) {
                    let (one, other) = (&route.template, &other.template);
                    let what = format!("`{one}` and `{other}` share a path: tell them apart");
                    flaws.push(Flaw::new(place.name("path"), what));
                }
                if route.host.is_none() && route.authorities.is_empty() && !has_origins {
                    let what = "whatever Host a caller writes would go upstream: write `host`, the upstream's own name, or `authorities`, \
                                or `origins`";
                    flaws.push(Flaw::new(place.name("host"), what));
                }
                for (at, name) in
                    route.credentials.iter().enumerate().filter(|(_, name)| !credentials.contains_key(*name))
                {
                    let what = format!("`{name}` is not under `credentials`");
                    flaws.push(Flaw::new(place.name("credentials").item(at), what));
                }
                all.push(route);
            }
            Err(flaw) => flaws.push(flaw.inside(&place)),
        }
    }
    all
}

fn pass(written: &[WrittenPass], routes: &[Route], flaws: &mut Vec<Flaw>) -> Vec<Pass> {
    let mut all = Vec::new();
    for (number, one) in written.iter().enumerate() {
        let place = Place::of(["pass"]).item(number);
        if !matches!(one.method.as_str(), "GET" | "HEAD" | "POST" | "OPTIONS") {
            let what = format!("`{}` cannot pass: write GET, HEAD, POST or OPTIONS", one.method);
            flaws.push(Flaw::new(place.name("method"), what));
        }
        match Template::new(&one.path) {
            Ok(template) if routes.iter().any(|route| route.template.resembles(&template)) => {
                let what = format!("`{template}` is the path of a route: whatever its method, it is no stream to pass");
                flaws.push(Flaw::new(place.name("path"), what));
            }
            Ok(template) => all.push(Pass { method: one.method.clone(), template }),
            Err(what) => flaws.push(Flaw::new(place.name("path"), what)),
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

    fn read(change: impl FnOnce(&mut Value)) -> Result<Config, Vec<Flaw>> {
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
            (|all| all["bundle"]["inline"]["rules"][1]["use"] = json!("nope"), "bundle.inline.rules[1].use:"),
            (
                |all| all["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("{nope}"),
                "bundle.inline.masks.pii.replace:",
            ),
            (|all| all["bundle"]["inline"]["masks"]["pii"]["replace"] = json!("[{pseudonym:k1}]"), "bundle: masks:"),
            (|all| all["callers"]["issuers"] = json!([]), "callers."),
            (|all| all["routes"] = json!([]), "routes:"),
            (|all| all["routes"][0]["dialect"] = json!("coher"), "routes[0].dialect:"),
            (|all| all["routes"][0]["dataset"] = json!({"segment": "ds"}), "routes[0].dataset:"),
            (|all| all["routes"][0]["credentials"] = json!(["other"]), "routes[0].credentials[0]:"),
            (|all| all["routes"] = json!([all["routes"][0], all["routes"][0]]), "routes[1].path:"),
            (|all| all["credentials"] = json!({"other": {"env": "X"}}), "credentials:"),
            (|all| all["credentials"]["tei"]["header"] = json!("Host"), "credentials.tei"),
            (|all| all["limits"] = json!({"request_bytes": 0}), "limits:"),
            (|all| all["pass"] = json!([{"method": "POST", "path": "/web/v2/rerank"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "GET", "path": "/web/v2/rerank"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "HEAD", "path": "/web/V2/Rerank;x"}]), "pass[0].path:"),
            (|all| all["pass"] = json!([{"method": "OPTIONS", "path": "/{x}/v2/{y}"}]), "pass[0].path:"),
            (|all| all["response_headers"] = json!(["X-Header"]), "response_headers[0]:"),
            (|all| all["response_headers"] = json!(["set-cookie"]), "response_headers[0]: `set-cookie`"),
            (|all| all["request_headers"] = json!(["x-team", "x-vault-token"]), "request_headers[1]: `x-vault-token`"),
            (|all| all["request_headers"] = json!(["x_team"]), "request_headers[0]: `x_team`"),
            (
                |all| {
                    all["routes"][0]["dataset"] = json!({"header": "x-dataset"});
                    all["request_headers"] = json!(["x-dataset"]);
                },
                "request_headers[0]: `x-dataset`",
            ),
            (
                |all| {
                    all["credentials"]["tei"]["header"] = json!("x-tei");
                    all["request_headers"] = json!(["x-tei"]);
                },
                "request_headers[0]: `x-tei`",
            ),
            (|all| all["routes"][0]["clusters"] = json!([]), "routes[0].clusters:"),
            (|all| all["routes"][0]["clusters"] = json!(["tei", ""]), "routes[0].clusters[1]:"),
            (|all| all["routes"][0]["authorities"] = json!(["a b"]), "routes[0].authorities[0]:"),
            (|all| all["routes"][0]["authorities"] = json!(["rerank.test:*"]), "routes[0].authorities[0]:"),
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
            let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
            assert!(flaws.iter().any(|flaw| flaw.contains(field)), "no `{field}` in {flaws:?}");
            assert!(flaws.iter().all(|flaw| !flaw.contains('\n')), "{flaws:?}");
        }
    }

    #[test]
    fn approvals_without_an_approver_are_refused() {
        let flaws = read(|all| {
            all["bundle"]["inline"]["approvals"] = json!({"desk": {"groups": ["grp-leads"], "min": 1, "ttl": "10m"}});
            all["bundle"]["inline"]["rules"][0]["require"]["approval"] = json!("desk");
        });
        assert!(flaws.map(|_| ()).unwrap_err().iter().any(|flaw| flaw.place == Place::of(["approver"])));
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
        let places: Vec<String> = flaws.map(|_| ()).unwrap_err().iter().map(|flaw| flaw.place.to_string()).collect();
        assert_eq!(places, ["gateway", "routes[0].dialect", "limits"]);
    }

    #[test]
    fn a_configuration_in_binary_says_how_to_write_it() {
        let flaws = Config::read(b"\x0a\x12gateway", None).map(|_| ()).unwrap_err();
        assert!(flaws[0].what.contains("StringValue"), "{flaws:?}");
    }
}

//! The policy bundle as people write it. Reading one is in `read`, checking and compiling it in `check`: a `Bundle` may still
//! say impossible things, a [`Policy`](super::Policy) may not.

use super::Effect;
use super::facts::Stated;
use super::when::When;
use crate::mask;
#[cfg(feature = "schema")]
use crate::schema;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The only schema there is.
pub const SCHEMA: &str = "rerank-guard/v1";

/// The operations a rule can name. A rule for an operation nobody performs would be a typo that never matches, so others are
/// refused at load.
pub const OPERATIONS: [&str; 1] = ["rerank"];

/// A whole bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The form of the bundle; there is one.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// Which bundle this is.
    pub bundle: Identity,
    /// Aliases, each for one or more groups of the identity provider. Rules name aliases only.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME}, "additionalProperties" = {"type": "array", "items": {"type": "string", "pattern": schema::GROUP}, "minItems": 1})))]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Names for sets of models. Where there are any, a rule names these or patterns with a `*`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME})))]
    pub models: BTreeMap<String, Named>,
    /// Names for sets of datasets. A rule names these or patterns with a `*`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME})))]
    pub datasets: BTreeMap<String, Named>,
    /// The credentials rules may use; the secrets stand in the platform's configuration under the same names.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME})))]
    pub credentials: BTreeMap<String, Credential>,
    /// What to find and replace in responses and requests.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME})))]
    pub masks: BTreeMap<String, mask::Rule>,
    /// Who can approve a call, and how many of them it takes.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": schema::NAME})))]
    pub approvals: BTreeMap<String, ApprovalTerms>,
    /// The rules; their order means nothing.
    pub rules: Vec<Rule>,
    /// What the bundle must decide; run by `rerank-guard test`, not by the module.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// Which bundle this is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The bundle's name, the same over all its versions.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::NAME)))]
    pub id: String,
    /// Grows with every version.
    pub serial: u64,
    /// From this moment on the bundle denies everything.
    pub not_after: Option<Time>,
}

/// A name for a set of models or datasets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Patterns for what belongs to it; without any, it is its own name.
    #[serde(rename = "match")]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::PATTERN}, "minItems" = 1)))]
    pub patterns: Option<Vec<String>>,
    /// What is to be known about it, such as `regulated`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::NAME})))]
    pub labels: Vec<String>,
}

/// A credential has a name and nothing else here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Credential {}

/// Who can approve, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalTerms {
    /// Groups of the identity provider (not aliases), one of which every approver must be in.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::GROUP}, "minItems" = 1)))]
    pub groups: Vec<String>,
    /// How many different people must approve.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub min: u32,
    /// How long people may take.
    pub ttl: Span,
}

fn one() -> u32 {
    1
}

/// One rule: exactly one of `deny`, `guard` and `allow`, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend(
    "oneOf" = [{"required": ["deny"]}, {"required": ["guard"]}, {"required": ["allow"]}],
    "dependentRequired" = {
        "require": ["guard"], "risk": ["guard"], "use": ["allow"], "precedence": ["allow"], "expires": ["allow"]
    },
    "dependentSchemas" = {"limits": {"not": {"required": ["deny"]}}},
)))]
pub struct Rule {
    /// Unique in the bundle; decisions and records name it.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = schema::NAME)))]
    pub id: String,
    /// Whether it counts.
    #[serde(default)]
    pub mode: Mode,
    /// Any match denies.
    pub deny: Option<Selectors>,
    /// A match never grants; it adds obligations, limits and risk.
    pub guard: Option<Selectors>,
    /// A match grants; names groups, models, datasets and operations.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["groups", "models", "operations"], "allOf" = [{"anyOf": [{"required": ["datasets"]}, {"required": ["labels"]}]}])))]
    pub allow: Option<Selectors>,
    /// When the rule counts, beyond its selectors.
    pub when: Option<When>,
    /// Of a guard: what must happen.
    pub require: Option<Require>,
    /// Of a guard or an allow: how large the call may be.
    pub limits: Option<Limits>,
    /// Of a guard: points added to the call's risk.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub risk: Option<u32>,
    /// Of an allow: the credential to go upstream with; none goes without.
    #[serde(rename = "use")]
    pub credential: Option<String>,
    /// Of an allow: which one gives the credential where two are equally specific; the higher one.
    pub precedence: Option<u32>,
    /// Of an allow: it matches nothing from this moment on.
    pub expires: Option<Time>,
    /// Who answers for the rule.
    pub owner: Option<String>,
    /// Why the rule is there.
    pub description: Option<String>,
}

/// Whether a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, Serialize))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It counts.
    #[default]
    Enforce,
    /// It is evaluated and recorded, and changes nothing.
    Shadow,
}

/// Which calls a rule is about. All selectors must match; one matches when any of its entries does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("not" = {"required": ["labels", "datasets"]})))]
pub struct Selectors {
    /// Aliases of `groups`.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::NAME}, "minItems" = 1)))]
    pub groups: Option<Vec<String>>,
    /// Names of `models`, or patterns.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::PATTERN}, "minItems" = 1)))]
    pub models: Option<Vec<String>>,
    /// Names of `datasets`, or patterns.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::PATTERN}, "minItems" = 1)))]
    pub datasets: Option<Vec<String>>,
    /// Labels of datasets, instead of `datasets`: all that have one of them.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::NAME}, "minItems" = 1)))]
    pub labels: Option<Vec<String>>,
    /// Patterns. A call without a tenant is met by every deny and guard that names tenants, and by no such allow.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"type": "string", "pattern": schema::PATTERN}, "minItems" = 1)))]
    pub tenants: Option<Vec<String>>,
    /// What is asked for.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"enum": OPERATIONS}, "minItems" = 1)))]
    pub operations: Option<Vec<String>>,
}

/// What a guard asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("dependentRequired" = {"when_risk_at_least": ["approval"]})))]
pub struct Require {
    /// A name of `approvals`.
    pub approval: Option<String>,
    /// The approval is needed only when the risk of all matching guards together reaches this. Masks do not wait for it.
    pub when_risk_at_least: Option<u32>,
    /// The call is denied when the risk of all matching guards together reaches this.
    pub deny_when_risk_at_least: Option<u32>,
    /// Parameters that go upstream as written here, whatever the caller wrote. Limits look at what the caller wrote.
    #[serde(default)]
    pub force: Force,
    /// Names of `masks`: what to mask in the response.
    #[serde(default)]
    pub masks: Vec<String>,
    /// Names of `masks`: what to mask in query and documents before they go upstream.
    #[serde(default)]
    pub request_masks: Vec<String>,
}

/// Parameters that are changed on the way upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// Only `false`: the response does not repeat the documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_documents: Option<bool>,
    /// The most results that are asked for upstream: a call that asks for more, or for all, gets this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u64>,
}

impl Force {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            return_documents: self.return_documents.or(other.return_documents),
            top_n: self.top_n.into_iter().chain(other.top_n).min(),
        }
    }
}

/// How large a call may be. A number is the largest value still allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
pub struct Limits {
    /// Documents of a call.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub documents: Option<u64>,
    /// Bytes of the query (UTF-8).
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub query_bytes: Option<u64>,
    /// Bytes of the largest document (UTF-8).
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub document_bytes: Option<u64>,
    /// Results asked for.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub top_n: Option<u64>,
    /// Only `false`: the response must not repeat the documents.
    #[cfg_attr(feature = "schema", schemars(extend("const" = false)))]
    pub return_documents: Option<bool>,
    /// The only further parameters a call may have, such as `instruction`; none may where the list is empty.
    pub parameters: Option<Vec<String>>,
}

/// A call and what the bundle must decide on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What the test protects.
    pub name: String,
    /// The call.
    pub request: Request,
    /// What must come out.
    pub expect: Expect,
}

/// A call, written by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The caller's subject.
    #[serde(default)]
    pub sub: String,
    /// The caller's issuer.
    #[serde(default)]
    pub iss: String,
    /// The caller's groups, as the identity provider names them.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The model asked for.
    pub model: String,
    /// The dataset the documents come from.
    pub dataset: String,
    /// The tenant, where the route has one.
    pub tenant: Option<String>,
    /// What is asked for.
    #[serde(default = "rerank")]
    pub operation: String,
    /// How many documents.
    #[serde(default = "one_document")]
    pub documents: u64,
    /// Bytes of the query.
    #[serde(default)]
    pub query_bytes: u64,
    /// Bytes of the largest document.
    #[serde(default)]
    pub document_bytes: u64,
    /// Results asked for; all documents where it is not said.
    pub top_n: Option<u64>,
    /// Whether the response shall repeat the documents.
    #[serde(default)]
    pub return_documents: bool,
    /// Names of further parameters.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// The claims of the caller's token.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// What is found in the call, and what the caller did before.
    #[serde(default)]
    pub signals: Stated,
    /// When. Without it the call is at 1970-01-01T00:00:00Z, when nothing has expired yet, so that a test says the same every day.
    #[serde(default)]
    pub at: Time,
}

fn rerank() -> String {
    "rerank".to_owned()
}

fn one_document() -> u64 {
    1
}

/// What must come out of a test. What is not written is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The outcome.
    pub decision: Effect,
    /// Rules that must be among those that decided.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Exactly the masks.
    pub masks: Option<Vec<String>>,
    /// Exactly the masks of the request.
    pub request_masks: Option<Vec<String>>,
    /// Exactly the approvals.
    pub approvals: Option<Vec<String>>,
    /// Exactly the parameters that are changed on the way upstream.
    pub force: Option<Force>,
    /// The credential.
    pub credential: Option<String>,
    /// The risk.
    pub risk: Option<u32>,
    /// Why, in the word of records.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = super::Reason::ALL.map(super::Reason::as_str))))]
    pub reason: Option<String>,
    /// Rules that must be among the near misses.
    #[serde(default)]
    pub near_misses: Vec<String>,
    /// What it would be with the shadow rules.
    pub shadow: Option<Effect>,
}

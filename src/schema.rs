//! JSON Schemas of the policy bundle, of the plugin configuration and of audit records, out of the types that read them: what is documented there is
//! described here. For editors and the operator's tool, never in the module.
//!
//! A schema can only say what stands in one place: that names resolve, and that obligations can be carried out, is said by
//! [`Policy::load`](crate::policy::Policy::load) and [`Config::read`](crate::config::Config::read). Whatever those take is valid here.

use crate::audit::told;
use crate::caller::PinnedKey;
use crate::policy::fetched::BundleKey;
use crate::time::{Span, Time};
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Names of the bundle: short and plain, because they stand in logs, records and paths.
pub(crate) const NAME: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// Patterns for models, datasets and tenants: a name in which only `*` is special.
pub(crate) const PATTERN: &str = r#"^[^\s\x00-\x1f\x7f?\[\]{}()|\\^$!"'`,;]{1,256}$"#;

/// A group of the identity provider: compared whole.
pub(crate) const GROUP: &str = r"^[^*\x00-\x1f\x7f]{1,256}$";

/// A time of day.
pub(crate) const CLOCK: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

/// A distance from UTC.
pub(crate) const OFFSET: &str = "^(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// The name of a header, in lower case (RFC 9110, section 5.1).
pub(crate) const HEADER: &str = r"^[a-z0-9!#$%&'*+.^_`|~-]+$";

/// The path of a request.
pub(crate) const PATH: &str = r"^/[!-~]*$";

/// What a gateway is reached at.
pub(crate) const ORIGIN: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\s]+$";

/// The texts that have a form of their own: what it is called, its pattern, what it is for.
pub const FORMS: [(&str, &str, &str); 8] = [
    ("Name", NAME, "A name of the bundle: short and plain, because it stands in logs, records and paths."),
    (
        "Name pattern",
        PATTERN,
        "A name of models, datasets or tenants, in which only `*` is special: it stands for any characters.",
    ),
    ("Group name", GROUP, "A group of the identity provider, compared whole."),
    ("Time of day", CLOCK, "An hour and a minute of a day of 24 hours."),
    ("Offset", OFFSET, "A distance from UTC."),
    ("Header name", HEADER, "The name of a header, in lower case (RFC 9110, section 5.1)."),
    ("Path", PATH, "The path of a request."),
    ("Origin", ORIGIN, "Scheme, host and port that a gateway is reached at."),
];

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A point in time: `2027-01-31T08:00:00Z` (RFC 3339), or a day, `2027-01-31`, for its first moment in UTC.",
            "type": "string",
            "pattern": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$",
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: `250ms`, `10s`, `5m`, `2h` or `7d`.",
            "type": "string",
            "pattern": "^[0-9]{1,20}(ms|s|m|h|d)$",
        })
    }
}

/// For defaults, in the largest unit that says it.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let fits = |(unit, _): &(u64, &str)| self.0 >= *unit && self.0.is_multiple_of(*unit);
        let (unit, name) = units.into_iter().find(fits).unwrap_or((1, "ms"));
        out.collect_str(&format_args!("{}{name}", self.0 / unit))
    }
}

impl JsonSchema for PinnedKey {
    fn schema_name() -> Cow<'static, str> {
        "PinnedKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A public key in the configuration: one JWK (RFC 7517) for EdDSA (Ed25519) or ES256.",
            "type": "object",
            "properties": {
                "kty": {"description": "The key's type.", "enum": ["OKP", "EC"]},
                "crv": {"description": "Its curve.", "enum": ["Ed25519", "P-256"]},
                "kid": {"description": "Its name, as tokens name it.", "type": "string"},
            },
            "required": ["kty"],
            "not": {"required": ["d"]},
        })
    }
}

impl JsonSchema for BundleKey {
    fn schema_name() -> Cow<'static, str> {
        "BundleKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A public key in the configuration: an Ed25519 JWK (RFC 8037) whose `kid` is its name in log lines.",
            "type": "object",
            "properties": {
                "kty": {"description": "The key's type.", "const": "OKP"},
                "crv": {"description": "Its curve.", "const": "Ed25519"},
                "x": {"description": "The public key, in base64url.", "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
                "kid": {"description": "Its name, as signatures name it.", "type": "string", "pattern": "^[!-~]{1,64}$"},
                "alg": {"description": "What it signs with.", "enum": ["EdDSA", "Ed25519"]},
                "use": {"description": "What it is for.", "const": "sig"},
            },
            "required": ["kty", "crv", "x", "kid"],
            "additionalProperties": false,
        })
    }
}

/// The schema of policy bundles.
#[must_use]
pub fn bundle() -> Value {
    schema::<crate::policy::Bundle>("bundle", "The policy bundle of rerank-guard")
}

/// The schema of plugin configurations.
#[must_use]
pub fn config() -> Value {
    schema::<crate::config::Written>("config", "The plugin configuration of rerank-guard")
}

/// The schema of audit records.
#[must_use]
pub fn record() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(Plain));
    let mut generator = settings.into_generator();
    let kinds = [
        generator.subschema_for::<told::CallRecord>(),
        generator.subschema_for::<told::BundleRecord>(),
        generator.subschema_for::<told::SentRecord>(),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:rerank-guard:v1:record",
        "title": "An audit record of rerank-guard",
        "oneOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}

fn schema<T: JsonSchema>(name: &str, title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(Strict));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    schema.insert("$id".to_owned(), json!(format!("urn:rerank-guard:v1:{name}")));
    schema.to_value()
}

/// What may be left out is still never `null`: nothing written behind a name is an oversight, not a wish.
#[derive(Debug, Clone)]
struct Strict;

impl Transform for Strict {
    fn transform(&mut self, schema: &mut Schema) {
        let Some(members) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = members.get_mut("type") {
            types.retain(|one| one != "null");
            if let [one] = &types[..] {
                let one = one.clone();
                members.insert("type".to_owned(), one);
            }
        }
        if let Some(Value::Array(any)) = members.get_mut("anyOf") {
            any.retain(|one| *one != json!({"type": "null"}));
            if let [Value::Object(one)] = &any[..] {
                let one = one.clone();
                members.remove("anyOf");
                one.into_iter().for_each(|(name, value)| {
                    members.entry(name).or_insert(value);
                });
            }
        }
        if members.get("default") == Some(&Value::Null) {
            members.remove("default");
        }
        Plain.transform(schema);
    }
}

/// Descriptions are plain text, and what only Rust knows is left out.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        let Some(members) = schema.as_object_mut() else { return };
        // How wide a machine's numbers are is no business of a document.
        if members.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
            members.remove("format");
        }
        if let Some(Value::String(text)) = members.get_mut("description") {
            *text = plain(text);
        }
        // Of an object its members tell.
        if members.get("x-chosen-by") == Some(&json!("")) {
            members.remove("x-chosen-by");
        }
    }
}

/// `[text](link)` and `[`name`]` lose what only Rust's documentation understands; lines of one paragraph become one.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("[`") {
        let Some((name, after)) = behind.split_once("`]") else { break };
        plain.push_str(before);
        plain.push('`');
        plain.push_str(name.rsplit("::").next().unwrap_or(name));
        plain.push('`');
        rest = match after.strip_prefix('(').and_then(|link| link.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    let paragraphs: Vec<String> = plain.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_they_are_read() {
        for text in ["0ms", "250ms", "1s", "90s", "5m", "24h", "7d"] {
            let span = Span::parse(text).unwrap();
            let Value::String(told) = serde_json::to_value(span).unwrap() else { panic!("no text") };
            assert_eq!(Span::parse(&told), Some(span), "{text} is told as {told}");
        }
        assert_eq!(serde_json::to_value(Span::from_secs(7200)).unwrap(), json!("2h"));
    }

    #[test]
    fn what_a_field_asks_for_besides_its_type_does_not_replace_the_type() {
        let bundle = bundle();
        let mut definitions = bundle["$defs"].as_object().unwrap().values();
        let allow = definitions.find_map(|one| one["properties"].get("allow")).unwrap();
        assert_eq!(allow["$ref"], json!("#/$defs/Selectors"), "{allow}");
    }

    #[test]
    fn descriptions_are_plain_text() {
        assert_eq!(
            plain("Some of [`OPERATIONS`],\nor [`Reason`](super::Reason)."),
            "Some of `OPERATIONS`, or `Reason`."
        );
        assert_eq!(plain("one\n\ntwo [`x"), "one\n\ntwo [`x");
    }
}

//! What a record can say, member by member: `schema/record.schema.json` and `docs/reference/record.md` are made of these types, and
//! every record that a test writes is read back as one of them. Unknown members are errors, so that no member can be written that
//! no page tells of.

use crate::time::Time;
#[cfg(feature = "schema")]
use crate::{exchange::reason::Outcome, mask::Found, reason::Answer};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// How a string is made that only the gateway can have written.
#[cfg(feature = "schema")]
const SHA256: &str = "^sha256:[0-9a-f]{64}$";
#[cfg(feature = "schema")]
const HMAC: &str = "^hmac-sha256:[0-9a-f]{64}$";
#[cfg(feature = "schema")]
const BARE_SHA256: &str = "^[0-9a-f]{64}$";

/// Reads one record back.
///
/// # Errors
/// What about it no page tells.
#[cfg(test)]
pub(crate) fn read(record: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    fn as_one<'de, T: Deserialize<'de>>(record: &'de str) -> Result<(), String> {
        serde_json::from_str::<T>(record).map(drop).map_err(|error| error.to_string())
    }
    let typed: Typed = serde_json::from_str(record).map_err(|error| error.to_string())?;
    match typed.kind.as_str() {
        "call" => as_one::<CallRecord>(record),
        "bundle" => as_one::<BundleRecord>(record),
        "sent" => as_one::<SentRecord>(record),
        other => Err(format!("there are no records of type `{other}`")),
    }
}

/// A value that is always there, and may be `null`.
#[derive(Debug)]
struct Nullable<T>(#[allow(dead_code, reason = "read to be held against the type")] Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        // Asked for an option, serde takes a member that is missing for null.
        match serde_json::Value::deserialize(reader)? {
            serde_json::Value::Null => Ok(Self(None)),
            value => T::deserialize(value).map(|value| Self(Some(value))).map_err(D::Error::custom),
        }
    }
}

/// A value that is left out where there is none, and never `null`.
#[derive(Debug)]
struct AtTimes<T>(#[allow(dead_code, reason = "read to be held against the type")] Option<T>);

impl<T> Default for AtTimes<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AtTimes<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        T::deserialize(reader).map(|value| Self(Some(value)))
    }
}

#[cfg(feature = "schema")]
mod described {
    use super::{AtTimes, Nullable};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::borrow::Cow;

    impl<T: JsonSchema> JsonSchema for Nullable<T> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("Nullable{}", T::schema_name()).into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let schema = generator.subschema_for::<T>();
            json_schema!({"anyOf": [schema, {"type": "null"}]})
        }
    }

    impl<T: JsonSchema> JsonSchema for AtTimes<T> {
        fn inline_schema() -> bool {
            T::inline_schema()
        }

        fn schema_name() -> Cow<'static, str> {
            T::schema_name()
        }

        fn schema_id() -> Cow<'static, str> {
            T::schema_id()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            T::json_schema(generator)
        }
    }
}

/// Makes the types of records: `member: type, "who chose what stands there"`, each with its meaning.
macro_rules! told {
    ($($(#[$about:meta])* $name:ident {
        $($(#[$member_about:meta])* $member:ident: $type:ty, $chosen_by:literal;)+
    })+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            #[serde(deny_unknown_fields)]
            #[allow(dead_code, reason = "read to be held against the type")]
            pub(crate) struct $name {
                $(
                    $(#[$member_about])*
                    #[cfg_attr(feature = "schema", schemars(extend("x-chosen-by" = $chosen_by)))]
                    $member: $type,
                )+
            }
        )+
    };
}

/// Makes the words that a member can be, `Variant "word" "what it means"`, under the name that pages show.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident $shown:literal {$($variant:ident $word:literal $means:literal,)+})+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = $shown))]
            pub(crate) enum $name {
                $(#[doc = $means] #[serde(rename = $word)] $variant,)+
            }
        )+
    };
}

words! {
    /// What the policy decided.
    RecordedEffect "Effect" {
        Allow "allow" "The call may go on.",
        Approval "approval" "The call may go on once people have approved it.",
        Deny "deny" "The call is refused, or was refused before there was a call to decide on.",
        Pass "pass" "It is no call, and `pass` of the configuration lists it.",
    }
    /// How a caller was proved.
    RecordedProof "Proof" {
        Bearer "bearer" "By a token alone.",
        CertificateBound "certificate-bound" "By a token and the client certificate it is bound to.",
        Dpop "dpop" "By a token and a proof of the key it is bound to (RFC 9449).",
        Certificate "certificate" "By a client certificate.",
    }
    /// Whether an upstream saw the request.
    Reached "Upstream" {
        Answered "answered" "An upstream answered.",
        Unanswered "unanswered" "It had a connection, or an attempt before had one: an upstream may have seen it.",
        Unreached "unreached" "None did.",
    }
    /// What a bundle is for.
    RecordedRole "Role" {
        Enforced "enforced" "It decides.",
        Shadow "shadow" "It is asked as well, and changes nothing.",
    }
    /// What happened to a bundle.
    RecordedEvent "Event" {
        Loaded "loaded" "It was taken, and decides from then on.",
        Refused "refused" "It was not taken; the one in force stays.",
    }
}

told! {
    /// The record of one call, denials included, as a link of its VM's chain.
    CallRecord {
        /// The version of this form: 1.
        #[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
        v: u8, "the gateway";
        /// What the record is about.
        #[serde(rename = "type")]
        #[cfg_attr(feature = "schema", schemars(extend("const" = "call")))]
        kind: String, "the gateway";
        /// When the stream began, in UTC.
        time: Time, "the gateway";
        /// Names the decision, also in the answer to the caller.
        decision_id: String, "the gateway";
        /// `x-request-id`, if it has the form of an id.
        request_id: Nullable<String>, "the caller or Envoy; masked";
        /// The gateway's name.
        gateway: String, "the configuration";
        /// Address and port that the request came from, as Envoy knows them.
        peer: Nullable<String>, "Envoy";
        /// Who called; null where nobody was proved to.
        actor: Nullable<Actor>, "";
        /// What was asked for.
        call: Asked, "";
        /// What the policy said.
        decision: Decided, "";
        /// The bundle that the call was judged by, or the one in force where it was not; null before there is one.
        policy: Nullable<BundleIdentity>, "";
        /// The human side; null where nobody was asked.
        approval: Nullable<Approval>, "";
        /// The name of the credential that the request went upstream under; null where it did not, or went without.
        credential: Nullable<String>, "the bundle";
        /// The Envoy cluster that the call was for; null where it was refused before that mattered.
        cluster: Nullable<String>, "the configuration";
        /// What came of it.
        result: CallResult, "";
        /// The chain: the gateway's name and eight random bytes, one for each VM.
        chain: String, "the gateway";
        /// Which record of the chain this is, from 0.
        seq: u64, "the gateway";
        /// `hash` of the record before; null for the first.
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = SHA256)))]
        prev: Nullable<String>, "the gateway";
        /// SHA-256 over `rerank-guard/record/v1`, a line feed and the record without this member, exactly as written.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = SHA256)))]
        hash: String, "the gateway";
    }

    /// Who called.
    Actor {
        /// The issuer of the token, as configured; of a certificate, the trust domain or what the configuration calls it.
        iss: String, "the configuration";
        /// The subject, as the issuer wrote it.
        sub: String, "the issuer";
        /// The groups, as the issuer wrote them or the configuration renames them.
        groups: Vec<String>, "the issuer";
        /// How it was proved.
        proof: RecordedProof, "the gateway";
        /// `kid` of the key that proved it, null where it has none; without a token, the certificate's SHA-256 in base64url.
        kid: Nullable<String>, "the issuer";
        /// The token's id, null where it has none.
        jti: Nullable<String>, "the issuer; masked";
    }

    /// What was asked for. Up to `body_digest` it is the request's; what follows is there where it was read as a call.
    Asked {
        /// The method, or `other`.
        method: String, "the gateway";
        /// The path template of the route; null where none fits, for a path may hold anything.
        route: Nullable<String>, "the configuration";
        /// Whom the request addressed; null where that is no name of this gateway.
        authority: Nullable<String>, "the configuration";
        /// Keyed digest of the body; null without `audit.digest_key_env`, and where the body was not read.
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = HMAC)))]
        body_digest: Nullable<String>, "the gateway";
        /// The dialect.
        #[serde(default)]
        dialect: AtTimes<String>, "the configuration";
        /// The operation.
        #[serde(default)]
        operation: AtTimes<String>, "the configuration";
        /// The model asked for.
        #[serde(default)]
        model: AtTimes<String>, "the caller; masked";
        /// The dataset the documents come from.
        #[serde(default)]
        dataset: AtTimes<String>, "the caller; masked";
        /// The tenant; null where the route has none, or the call.
        #[serde(default)]
        tenant: AtTimes<Nullable<String>>, "the caller; masked";
        /// How many documents.
        #[serde(default)]
        documents: AtTimes<u64>, "the caller";
        /// Bytes of the largest document.
        #[serde(default)]
        document_bytes: AtTimes<u64>, "the caller";
        /// Bytes of the query.
        #[serde(default)]
        query_bytes: AtTimes<u64>, "the caller";
        /// How many results, as the policy saw it.
        #[serde(default)]
        top_n: AtTimes<u64>, "the caller";
        /// Whether the answer repeats the documents, as the policy saw it.
        #[serde(default)]
        return_documents: AtTimes<bool>, "the caller";
        /// The names of the further parameters, which the dialect lists.
        #[serde(default)]
        parameters: AtTimes<Vec<String>>, "the configuration";
    }

    /// What the policy said.
    Decided {
        /// The decision.
        effect: RecordedEffect, "the gateway";
        /// Why: `result.reason` where the policy was not asked.
        reason: String, "the gateway";
        /// The rules that decided.
        rules: Vec<String>, "the bundle";
        /// Allows that one thing kept from matching.
        near_misses: Vec<Missed>, "";
        /// The risk of all matching guards together, in points.
        risk: u32, "the bundle";
        /// Where the risk comes from.
        risk_reasons: Vec<RiskReason>, "";
        /// The approvals that are needed, by name.
        approvals: Vec<String>, "the bundle";
        /// The masks of the answer, by name.
        masks: Vec<String>, "the bundle";
        /// Parameters that were changed on the way upstream; left out where none was.
        #[serde(default)]
        force: AtTimes<Forced>, "";
        /// The masks of the request, by name; left out where there is none.
        #[serde(default)]
        request_masks: AtTimes<Vec<String>>, "the bundle";
        /// What it would be with the shadow rules too; null where none of them matches.
        shadow: Nullable<Shadow>, "";
        /// What the shadow bundle says; left out where there is none, or nothing was decided.
        #[serde(default)]
        shadow_bundle: AtTimes<OfShadowBundle>, "";
    }

    /// An allow that one thing kept from matching.
    Missed {
        /// The allow's id.
        rule: String, "the bundle";
        /// What kept it: a selector, a limit, `claims`, `hours` or `expires`.
        what: String, "the gateway";
    }

    /// Points of risk.
    RiskReason {
        /// The guard's id.
        rule: String, "the bundle";
        /// Its points.
        points: u32, "the bundle";
    }

    /// Parameters that were changed.
    Forced {
        /// `return_documents` as it went upstream.
        #[serde(default)]
        return_documents: AtTimes<bool>, "the bundle";
        /// The most results that were asked for upstream.
        #[serde(default)]
        top_n: AtTimes<u64>, "the bundle";
    }

    /// What the shadow rules would change.
    Shadow {
        /// The decision with them.
        effect: RecordedEffect, "the gateway";
        /// The rules that would decide.
        rules: Vec<String>, "the bundle";
    }

    /// What another bundle says.
    OfShadowBundle {
        /// That bundle.
        policy: BundleIdentity, "";
        /// Its decision.
        effect: RecordedEffect, "the gateway";
        /// Why.
        reason: String, "the gateway";
        /// Its rules that decided.
        rules: Vec<String>, "the bundle";
    }

    /// Which bundle.
    BundleIdentity {
        /// Its id.
        id: String, "the bundle";
        /// Its serial.
        serial: u64, "the bundle";
        /// SHA-256 of it, in hexadecimal.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = BARE_SHA256)))]
        sha256: String, "the gateway";
    }

    /// The human side, as far as it came.
    Approval {
        /// The approval's id.
        id: String, "the approver";
        /// The id of the receipt; left out where none was believed.
        #[serde(default)]
        receipt: AtTimes<String>, "the approver";
        /// Who approved.
        approvers: Vec<String>, "the approver";
    }

    /// What came of a call.
    CallResult {
        /// What came of it, in one word: of a refusal the last part of the problem's `type`.
        #[cfg_attr(feature = "schema", schemars(extend("enum" = outcomes())))]
        outcome: String, "the gateway";
        /// Why, in one word.
        reason: String, "the gateway";
        /// The status that the caller got; null where the stream ended before.
        status: Nullable<u64>, "the gateway";
        /// Whether an upstream saw the request; null where it was never let go.
        upstream: Nullable<Reached>, "the gateway";
        /// The status that an upstream answered; null where none did.
        upstream_status: Nullable<u64>, "the upstream";
        /// Milliseconds to the upstream's headers; null where there were none.
        upstream_ms: Nullable<u64>, "the gateway";
        /// Milliseconds that all of it took.
        duration_ms: u64, "the gateway";
        /// What was masked in the answer.
        masks: Vec<MaskedKind>, "";
        /// What was masked in the request; left out where nothing was.
        #[serde(default)]
        request_masks: AtTimes<Vec<MaskedKind>>, "";
        /// How many response headers did not go on.
        headers_dropped: u64, "the gateway";
        /// Keyed digest of the answer as it left, of a stream of all that left; null without `audit.digest_key_env`, and where there was none.
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = HMAC)))]
        body_digest: Nullable<String>, "the gateway";
        /// How many records of a stream left, each masked; left out for other answers.
        #[serde(default)]
        records: AtTimes<u32>, "the gateway";
    }

    /// Findings of one kind. Never what was found.
    MaskedKind {
        /// The kind: one of those a mask can detect, `field`, or `custom_` and the name of a pattern of the bundle's.
        kind: String, "the gateway";
        /// How many.
        count: u32, "the gateway";
        /// JSON pointers (RFC 6901) of the first places. A name with a finding in it stands masked, one that is no plain identifier as `*`.
        #[cfg_attr(feature = "schema", schemars(length(max = Found::POINTERS)))]
        pointers: Vec<String>, "the upstream or the caller; masked";
    }

    /// The record of a bundle that was taken or refused, as a link of the same chain. It goes before the record of the next call.
    BundleRecord {
        /// The version of this form: 1.
        #[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
        v: u8, "the gateway";
        /// What the record is about.
        #[serde(rename = "type")]
        #[cfg_attr(feature = "schema", schemars(extend("const" = "bundle")))]
        kind: String, "the gateway";
        /// The gateway's name.
        gateway: String, "the configuration";
        /// When, in UTC.
        time: Time, "the gateway";
        /// What the bundle is for.
        role: RecordedRole, "the gateway";
        /// What happened.
        event: RecordedEvent, "the gateway";
        /// Why it was refused, in one word; null where it was taken.
        reason: Nullable<String>, "the gateway";
        /// The same in a sentence of 512 bytes at most, which may quote the bundle; null where it was taken.
        detail: Nullable<String>, "the gateway and the bundle";
        /// The bundle that was taken; null where it was refused.
        loaded: Nullable<BundleIdentity>, "";
        /// The bundle that was in force until then; null before there is one.
        before: Nullable<BundleIdentity>, "";
        /// How many records of bundles before this one are not in the chain, because too many had to wait.
        lost_before: u64, "the gateway";
        /// As in records of calls.
        chain: String, "the gateway";
        /// As in records of calls.
        seq: u64, "the gateway";
        /// As in records of calls.
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = SHA256)))]
        prev: Nullable<String>, "the gateway";
        /// As in records of calls.
        #[cfg_attr(feature = "schema", schemars(regex(pattern = SHA256)))]
        hash: String, "the gateway";
    }

    /// The draft of a record, which stands in the log while a call is upstream, and stays if the VM dies. It is no link of a chain.
    SentRecord {
        /// The version of this form: 1.
        #[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
        v: u8, "the gateway";
        /// What the record is about.
        #[serde(rename = "type")]
        #[cfg_attr(feature = "schema", schemars(extend("const" = "sent")))]
        kind: String, "the gateway";
        /// When the stream began, in UTC.
        time: Time, "the gateway";
        /// Names the decision.
        decision_id: String, "the gateway";
        /// The gateway's name.
        gateway: String, "the configuration";
        /// The caller's issuer; null where nobody was proved.
        iss: Nullable<String>, "the configuration";
        /// The caller's subject.
        sub: Nullable<String>, "the issuer";
        /// The token's id.
        jti: Nullable<String>, "the issuer; masked";
        /// Whom the request addressed.
        authority: Nullable<String>, "the configuration";
        /// The model asked for.
        model: Nullable<String>, "the caller; masked";
        /// The dataset the documents come from.
        dataset: Nullable<String>, "the caller; masked";
        /// The name of the credential it went upstream under.
        credential: Nullable<String>, "the bundle";
        /// The Envoy cluster it went to.
        cluster: Nullable<String>, "the configuration";
    }
}

/// Every word for what came of a call.
#[cfg(feature = "schema")]
fn outcomes() -> Vec<&'static str> {
    Outcome::ALL.map(Outcome::as_str).into_iter().chain(Answer::ALL.map(Answer::code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a member that is written and told of nowhere would pass every test.
    #[test]
    fn what_no_page_tells_of_is_no_record_and_what_every_page_tells_of_has_to_be_there() {
        let draft = r#"{"v":1,"type":"sent","time":"2027-01-31T08:00:00.000Z","decision_id":"d","gateway":"g","iss":null,"sub":null,
            "jti":null,"authority":null,"model":null,"dataset":null,"credential":null,"cluster":null}"#;
        assert_eq!(read(draft), Ok(()));
        for (was, is) in [
            (r#""iss":null"#, r#""iss":null,"more":1"#),
            (r#""iss":null,"#, ""),
            (r#""gateway":"g""#, r#""gateway":null"#),
            (r#""type":"sent""#, r#""type":"other""#),
            (r#""type":"sent""#, r#""type":"call""#),
        ] {
            assert!(read(&draft.replacen(was, is, 1)).is_err(), "{was} as {is}");
        }
    }
}

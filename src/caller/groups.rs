//! Where a caller's groups stand in a token, and what they are called here.

use super::claims::{Claims, is_printable};
use super::refusal::Refusal;
use super::settings::GroupsSettings;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// How to read the groups of one issuer's tokens.
#[derive(Debug)]
pub(super) struct Groups {
    path: Vec<String>,
    required: bool,
    delimiter: Option<String>,
    prefix: String,
    map: BTreeMap<String, String>,
    /// The names that `map` gives.
    given: HashSet<String>,
}

impl Groups {
    /// None when the claim path is none: `groups`, `realm_access.roles`, or a JSON pointer, `/realm_access/roles`.
    pub(super) fn new(settings: &GroupsSettings) -> Option<Self> {
        Some(Self {
            path: path(&settings.claim)?,
            required: settings.required,
            delimiter: settings.delimiter.clone(),
            prefix: settings.prefix.clone(),
            given: settings.map.values().cloned().collect(),
            map: settings.map.clone(),
        })
    }

    /// The caller's groups, each once, in the order of the token.
    pub(super) fn read(&self, claims: &Claims) -> Result<Vec<String>, Refusal> {
        if self.is_elsewhere(claims) {
            return Err(Refusal::GroupsElsewhere);
        }
        let names: Vec<&str> = match (self.find(claims)?, &self.delimiter) {
            (None, _) if self.required => return Err(Refusal::GroupsMissing),
            (None, _) => Vec::new(),
            (Some(Value::String(text)), Some(delimiter)) => {
                text.split(delimiter.as_str()).filter(|name| !name.is_empty()).collect()
            }
            (Some(Value::Array(names)), None) => {
                names.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Refusal::GroupsMalformed)?
            }
            (Some(_), _) => return Err(Refusal::GroupsMalformed),
        };
        let (mut seen, mut groups) = (HashSet::with_capacity(names.len()), Vec::new());
        for name in names {
            // Two names can become one.
            let group = self.rename(name)?;
            if seen.insert(group.clone()) {
                groups.push(group);
            }
        }
        Ok(groups)
    }

    fn find<'a>(&self, claims: &'a Claims) -> Result<Option<&'a Value>, Refusal> {
        let mut members = claims;
        let mut steps = self.path.iter().peekable();
        while let Some(step) = steps.next() {
            let value = members.get(step);
            if steps.peek().is_none() {
                return Ok(value);
            }
            match value {
                Some(Value::Object(inner)) => members = inner,
                None => return Ok(None),
                Some(_) => return Err(Refusal::GroupsMalformed),
            }
        }
        Ok(None)
    }

    /// Entra ID leaves out a claim that has grown too long and names it in `_claim_names` (OpenID Connect Core, section 5.6.2),
    /// or says `hasgroups`. Reading such a token as one of a caller without groups would miss every deny by group.
    fn is_elsewhere(&self, claims: &Claims) -> bool {
        let first = self.path.first().map_or("", String::as_str);
        let named = match claims.get("_claim_names") {
            Some(Value::Object(names)) => names.contains_key(first),
            Some(_) => true,
            None => false,
        };
        named || (first == "groups" && claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false)))
    }

    fn rename(&self, name: &str) -> Result<String, Refusal> {
        if name.is_empty() || !is_printable(name) {
            return Err(Refusal::GroupsMalformed);
        }
        if let Some(group) = self.map.get(name) {
            return Ok(group.clone());
        }
        let group = format!("{}{name}", self.prefix);
        // Whoever can name groups at the issuer must not be able to take a name the configuration gives to another group.
        if self.given.contains(&group) { Err(Refusal::GroupsClash) } else { Ok(group) }
    }
}

fn path(claim: &str) -> Option<Vec<String>> {
    let steps: Vec<String> = match claim.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(unescape).collect::<Option<_>>()?,
        None => claim.split('.').map(str::to_owned).collect(),
    };
    if steps.iter().any(String::is_empty) { None } else { Some(steps) }
}

/// One reference token of a JSON pointer (RFC 6901): `~1` is `/`, `~0` is `~`, any other `~` is a mistake.
fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            (None, None) => return None,
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(settings: Value, claims: Value) -> Result<Vec<String>, Refusal> {
        let settings: GroupsSettings = serde_json::from_value(settings).unwrap();
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Groups::new(&settings).unwrap().read(&claims)
    }

    #[test]
    fn groups_are_found_wherever_the_configuration_says() {
        for (claim, claims) in [
            ("groups", json!({"groups": ["a", "b", "a"]})),
            ("realm_access.roles", json!({"realm_access": {"roles": ["a", "b"]}, "groups": ["x"]})),
            ("/realm_access/roles", json!({"realm_access": {"roles": ["a", "b"]}})),
            ("/resource_access/my.client/roles", json!({"resource_access": {"my.client": {"roles": ["a", "b"]}}})),
            ("/https:~1~1idp.example~1groups", json!({"https://idp.example/groups": ["a", "b"]})),
            ("/a~01", json!({"a~1": ["a", "b"]})),
        ] {
            assert_eq!(read(json!({"claim": claim}), claims).unwrap(), ["a", "b"], "{claim}");
        }
        assert_eq!(read(json!({}), json!({"groups": []})).unwrap(), [""; 0]);
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused_in_the_configuration() {
        for claim in ["", ".", "a..b", "/", "/a//b", "/a~2b", "/a~", ".groups"] {
            assert!(
                Groups::new(&GroupsSettings { claim: claim.to_owned(), ..Default::default() }).is_none(),
                "{claim}"
            );
        }
    }

    #[test]
    fn a_missing_claim_is_no_group_only_where_the_configuration_says_so() {
        for claims in [json!({}), json!({"realm_access": {}})] {
            let settings = json!({"claim": "realm_access.roles"});
            assert_eq!(read(settings, claims.clone()), Err(Refusal::GroupsMissing));
            let settings = json!({"claim": "realm_access.roles", "required": false});
            assert_eq!(read(settings, claims).unwrap(), [""; 0]);
        }
    }

    #[test]
    fn groups_of_another_form_are_refused_never_skipped() {
        for groups in [
            json!("a"),
            json!(null),
            json!(1),
            json!({"a": true}),
            json!(["a", 1]),
            json!(["a", null]),
            json!([["a"]]),
            json!([""]),
            json!(["a\nb"]),
        ] {
            for required in [true, false] {
                let verdict = read(json!({"required": required}), json!({"groups": groups}));
                assert_eq!(verdict, Err(Refusal::GroupsMalformed), "{groups}");
            }
        }
        assert_eq!(read(json!({"claim": "a.b"}), json!({"a": ["b"]})), Err(Refusal::GroupsMalformed));
    }

    #[test]
    fn delimited_groups_are_one_string_between_delimiters() {
        let settings = json!({"claim": "scope", "delimiter": " "});
        assert_eq!(read(settings.clone(), json!({"scope": " a  b "})).unwrap(), ["a", "b"]);
        assert_eq!(read(settings.clone(), json!({"scope": ""})).unwrap(), [""; 0]);
        assert_eq!(read(settings, json!({"scope": ["a"]})), Err(Refusal::GroupsMalformed));
    }

    #[test]
    fn overage_groups_that_are_elsewhere_are_refused_not_taken_as_none() {
        for claims in [
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}),
            json!({"_claim_names": {"groups": "src1"}, "groups": ["a"]}),
            json!({"_claim_names": "groups"}),
            json!({"hasgroups": true}),
        ] {
            for required in [true, false] {
                let verdict = read(json!({"required": required}), claims.clone());
                assert_eq!(verdict, Err(Refusal::GroupsElsewhere), "{claims}");
            }
        }
        let claims = json!({"roles": ["a"], "_claim_names": {"groups": "src1"}, "hasgroups": true});
        assert_eq!(read(json!({"claim": "roles"}), claims).unwrap(), ["a"], "another claim");
        assert!(read(json!({}), json!({"groups": ["a"], "hasgroups": false})).is_ok());
    }

    #[test]
    fn names_are_mapped_or_prefixed_and_no_issuer_can_take_a_mapped_name() {
        let settings = json!({"prefix": "idp:", "map": {"7f3a": "admins", "x": "idp:y"}});
        let groups = read(settings.clone(), json!({"groups": ["7f3a", "bi", "admins"]})).unwrap();
        assert_eq!(groups, ["admins", "idp:bi", "idp:admins"]);
        assert_eq!(read(settings, json!({"groups": ["y"]})), Err(Refusal::GroupsClash));
        let settings = json!({"map": {"7f3a": "admins"}});
        assert_eq!(read(settings, json!({"groups": ["admins"]})), Err(Refusal::GroupsClash));
    }
}

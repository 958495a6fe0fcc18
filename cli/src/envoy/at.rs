//! A value of an Envoy configuration and where it stands, read as Envoy reads it: names in both of their forms, messages also in
//! the wrapping for what the sender does not know, and YAML's other words for `true`.

use rerank_guard::diagnostic::Place;
use serde_json::Value;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<'v> {
    pub(crate) value: &'v Value,
    pub(crate) place: Place,
}

impl<'v> At<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value, place: Place::root() }
    }

    /// The value at a path of names, each in either of the forms that Envoy reads: `vm_config` and `vmConfig`.
    pub(super) fn get(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |at, name| {
            let camel = camel(name);
            let (name, value) = at.value.as_object()?.iter().find(|(have, _)| **have == name || **have == camel)?;
            Some(At { value, place: at.place.name(name) })
        })
    }

    /// The member of exactly this name: for names that are keys of a map.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| Self { value, place: self.place.name(name) })
    }

    pub(super) fn text(&self, path: &str) -> Option<&'v str> {
        self.get(path)?.value.as_str()
    }

    /// Where the value at `path` is or ought to be.
    pub(super) fn place(&self, path: &str) -> Place {
        self.get(path)
            .map_or_else(|| path.split('.').fold(self.place.clone(), |place, name| place.name(name)), |at| at.place)
    }

    /// The items of the list at `path`; none where there is no list.
    pub(super) fn items(&self, path: &str) -> Vec<Self> {
        self.get(path).filter(|at| at.value.is_array()).map(|at| at.inner()).unwrap_or_default()
    }

    /// The members or items.
    pub(super) fn inner(&self) -> Vec<Self> {
        match self.value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| At { value, place: self.place.name(name) }).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(number, value)| At { value, place: self.place.item(number) }).collect()
            }
            _ => Vec::new(),
        }
    }

    /// It and everything in it, however deep, in the order of the document's names.
    pub(super) fn all(&self) -> Vec<Self> {
        let mut all = vec![self.clone()];
        all.extend(self.inner().iter().flat_map(Self::all));
        all
    }

    /// Every text in it, however deep.
    pub(super) fn texts(&self) -> Vec<(Self, &'v str)> {
        self.all().into_iter().filter_map(|at| at.value.as_str().map(|text| (at, text))).collect()
    }

    /// Whether Envoy reads `true` at `path`. It reads YAML as version 1.1 had it.
    pub(super) fn is_on(&self, path: &str) -> bool {
        self.get(path).is_some_and(|at| match at.value {
            Value::Bool(value) => *value,
            Value::String(text) => ["true", "yes", "on", "y"].iter().any(|word| text.eq_ignore_ascii_case(word)),
            _ => false,
        })
    }

    /// Whether the enum at `path` is what has this name and this number: Envoy reads both, the number also in a text.
    pub(super) fn is_enum(&self, path: &str, name: &str, number: u64) -> bool {
        self.text(path) == Some(name) || self.number(path) == Some(Some(number))
    }

    /// The number at `path`, if there is anything. `Some(None)` is something that is no number here.
    pub(super) fn number(&self, path: &str) -> Option<Option<u64>> {
        self.get(path).filter(|at| !at.value.is_null()).map(|at| match at.value {
            Value::Number(number) => number.as_u64(),
            // Envoy reads hexadecimal, and protobuf numbers in texts. What begins with 0 may be octal to it.
            Value::String(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok().filter(|_| !text.starts_with('0') || text == "0"),
            },
            _ => None,
        })
    }

    /// The type of the message that stands in a `typed_config`, such as `envoy.extensions.filters.http.router.v3.Router`.
    pub(super) fn type_name(&self) -> Option<&'v str> {
        let name = self.text("@type")?;
        let name = if last(name) == "TypedStruct" { self.text("type_url")? } else { name };
        Some(name.rsplit('/').next().unwrap_or(name))
    }

    /// The message itself, where it is of this type: its own members, also in the wrapping for what the sender does not know.
    pub(super) fn message(&self, name: &str) -> Option<Self> {
        if last(self.type_name()?) != name {
            return None;
        }
        self.content()
    }

    /// Likewise of any type.
    pub(super) fn content(&self) -> Option<Self> {
        if self.text("@type").is_some_and(|name| last(name) == "TypedStruct") {
            self.get("value")
        } else {
            Some(self.clone())
        }
    }
}

/// What a type is called without its package.
fn last(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_have_two_forms() {
        assert_eq!(camel("allow_on_headers_stop_iteration"), "allowOnHeadersStopIteration");
        assert_eq!((camel("name").as_str(), camel("proxy_100_continue").as_str()), ("name", "proxy100Continue"));
    }

    #[test]
    fn values_are_read_as_envoy_reads_them() {
        let document = json!({"a": "yes", "b": "On", "c": true, "d": "no", "e": 1, "f": "8388608", "g": "0x800000", "h": "010",
            "i": -1, "j": null});
        let at = At::root(&document);
        assert_eq!(["a", "b", "c", "d", "e", "k"].map(|name| at.is_on(name)), [true, true, true, false, false, false]);
        assert_eq!(
            ["e", "f", "g", "h", "i", "j", "k"].map(|name| at.number(name)),
            [Some(Some(1)), Some(Some(8_388_608)), Some(Some(8_388_608)), Some(None), Some(None), None, None]
        );
        let document = json!({"a": "REJECT", "b": 2, "c": "2", "d": "ALLOW", "e": 0, "f": "reject"});
        let at = At::root(&document);
        assert_eq!(
            ["a", "b", "c", "d", "e", "f", "g"].map(|name| at.is_enum(name, "REJECT", 2)),
            [true, true, true, false, false, false, false]
        );
    }

    #[test]
    fn messages_are_found_in_both_wrappings() {
        let kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua";
        for document in [
            json!({"@type": kind, "x": 1}),
            json!({"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": kind, "value": {"x": 1}}),
        ] {
            let at = At::root(&document);
            assert_eq!(at.type_name(), Some("envoy.extensions.filters.http.lua.v3.Lua"));
            assert_eq!(at.message("Lua").unwrap().number("x"), Some(Some(1)));
            assert!(at.message("Wasm").is_none());
        }
    }
}

//! An Envoy configuration: the filters in it that are ours, and whether what stands around them leaves them safe.

use crate::report::Severity::{self, Error, Warning};
use rerank_guard::config::Limits;
use rerank_guard::policy::{Flaw, Place};
use serde_json::Value;
use std::collections::BTreeSet;

/// The filter state that holds a call's record.
const RECORD: &str = "wasm.rerank_guard_record";

/// What access logs must not print: the caller chose it.
const CALLERS_WORDS: [&str; 8] = [
    "%REQ(",
    "%REQUEST_HEADER(",
    "%REQ_WITHOUT_QUERY(",
    "%PATH(",
    "%PATH%",
    "%QUERY_PARAM(",
    "%QUERY_PARAMS(",
    "%STREAM_ID%",
];

/// What the module needs to be allowed: the events it hears, and the host functions it calls.
const CAPABILITIES: [&str; 40] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<'v> {
    pub(crate) value: &'v Value,
    pub(crate) place: Place,
}

/// The Wasm filters of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Filters<'v> {
    pub(crate) ours: Vec<Filter<'v>>,
    others: Vec<Filter<'v>>,
}

/// A Wasm filter and what is around it.
#[derive(Debug)]
pub(crate) struct Filter<'v> {
    entry: At<'v>,
    /// Holds `config`.
    wasm: At<'v>,
    listener: Option<At<'v>>,
    manager: Option<At<'v>>,
}

/// Whether `document` is Envoy's configuration and not the plugin's.
pub(crate) fn is_envoys(document: &Value) -> bool {
    ["static_resources", "dynamic_resources", "admin", "node", "resources", "staticResources", "@type", "filter_chains"]
        .iter()
        .any(|name| document.get(name).is_some())
}

impl<'v> Filters<'v> {
    pub(crate) fn of(document: &'v Value) -> Self {
        let mut filters = Self::default();
        filters.look(At { value: document, place: Place::root() }, None, None);
        filters
    }

    fn look(&mut self, at: At<'v>, listener: Option<&At<'v>>, manager: Option<&At<'v>>) {
        let is_listener =
            ["filter_chains", "default_filter_chain", "api_listener"].iter().any(|name| at.get(name).is_some());
        let listener = if is_listener { Some(&at) } else { listener };
        let manager = if at.is_a("HttpConnectionManager") { Some(&at) } else { manager };
        if let Some(wasm) = at.get("typed_config").and_then(|typed| typed.wasm()) {
            let filter = Filter { entry: at.clone(), wasm, listener: listener.cloned(), manager: manager.cloned() };
            if filter.is_ours() { self.ours.push(filter) } else { self.others.push(filter) }
        }
        for inner in at.inner() {
            self.look(inner, listener, manager);
        }
    }
}

impl<'v> At<'v> {
    /// The value at a path of names, each in either of the forms that Envoy reads: `vm_config` and `vmConfig`.
    fn get(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |at, name| {
            let camel = camel(name);
            let (name, value) = at.value.as_object()?.iter().find(|(have, _)| **have == name || **have == camel)?;
            Some(At { value, place: at.place.name(name) })
        })
    }

    fn text(&self, path: &str) -> Option<&'v str> {
        self.get(path)?.value.as_str()
    }

    /// Where the value at `path` is or ought to be.
    fn place(&self, path: &str) -> Place {
        self.get(path)
            .map_or_else(|| path.split('.').fold(self.place.clone(), |place, name| place.name(name)), |at| at.place)
    }

    fn inner(&self) -> Vec<Self> {
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

    /// Every text in it, however deep.
    fn texts(&self) -> Vec<(Self, &'v str)> {
        match self.value {
            Value::String(text) => vec![(self.clone(), text.as_str())],
            _ => self.inner().iter().flat_map(Self::texts).collect(),
        }
    }

    fn is_a(&self, message: &str) -> bool {
        let name = self.value.get("@type").and_then(Value::as_str);
        name.is_some_and(|name| name.rsplit('.').next() == Some(message))
    }

    /// The filter's own configuration, also in the wrapping for what the sender does not know.
    fn wasm(&self) -> Option<Self> {
        let is_wasm = |name: &str| name.ends_with("envoy.extensions.filters.http.wasm.v3.Wasm");
        if self.text("@type").is_some_and(is_wasm) {
            return Some(self.clone());
        }
        if self.is_a("TypedStruct") && self.text("type_url").is_some_and(is_wasm) { self.get("value") } else { None }
    }
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

impl<'v> Filter<'v> {
    /// The plugin configuration: a text of JSON. An object is looked at too, though Envoy hands it on in another form.
    pub(crate) fn plugin(&self) -> Option<At<'v>> {
        self.wasm.get("config.configuration")?.get("value")
    }

    /// Where to point for the filter as a whole.
    pub(crate) fn place(&self) -> Place {
        self.wasm.place("config.configuration")
    }

    pub(crate) fn name(&self) -> &'v str {
        self.entry.text("name").unwrap_or("without a name")
    }

    /// Ours by its name, or by what its configuration says.
    fn is_ours(&self) -> bool {
        let said = ["config.name", "config.root_id", "config.vm_config.vm_id", "config.vm_config.code.local.filename"];
        let names = said.iter().filter_map(|path| self.wasm.text(path)).chain(self.entry.text("name"));
        if names.into_iter().any(|name| name.contains("rerank-guard") || name.contains("rerank_guard")) {
            return true;
        }
        let Some(plugin) = self.plugin() else { return false };
        let read = plugin.value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let document = read.as_ref().unwrap_or(plugin.value);
        ["gateway", "callers", "routes"].iter().all(|name| document.get(name).is_some())
    }

    /// What around the filter is not as it must be. Without the plugin's own document, what depends on it is not looked at.
    pub(crate) fn around(&self, plugin: Option<&Value>, all: &Filters<'v>) -> Vec<(Severity, Flaw)> {
        let mut told = self.itself(all);
        told.extend(self.capabilities());
        if let Some(plugin) = plugin {
            told.extend(self.environment(plugin));
        }
        match (&self.manager, &self.listener) {
            (Some(manager), Some(listener)) => {
                told.extend(timeouts(manager));
                told.extend(self.records(manager));
                told.extend(self.switched_off(manager));
                told.extend(plugin.and_then(|plugin| buffers(listener, plugin)));
            }
            _ => told.push((
                Warning,
                Flaw::new(self.entry.place.clone(), "the filter's listener is not here")
                    .hint("timeouts, buffers and access logs are not checked: check the whole configuration"),
            )),
        }
        told
    }

    fn itself(&self, all: &Filters<'v>) -> Vec<(Severity, Flaw)> {
        let mut told = Vec::new();
        let mut error = |at: &At<'v>, path: &str, what: &str, hint: &str| {
            told.push((Error, Flaw::new(at.place(path), what).hint(hint)));
        };
        let is = |at: &At<'v>, path: &str, value: bool| at.get(path).is_some_and(|at| *at.value == Value::Bool(value));
        if !is(&self.wasm, "config.allow_on_headers_stop_iteration", true) {
            let what = "headers are not held until the body is decided on";
            error(
                &self.wasm,
                "config.allow_on_headers_stop_iteration",
                what,
                "write `allow_on_headers_stop_iteration: true`",
            );
        }
        if self.wasm.text("config.failure_policy") != Some("FAIL_RELOAD") {
            let what = "a module that trapped is not made anew";
            error(&self.wasm, "config.failure_policy", what, "write `failure_policy: FAIL_RELOAD`");
        }
        if is(&self.wasm, "config.fail_open", true) {
            error(
                &self.wasm,
                "config.fail_open",
                "calls go on unguarded when the module fails",
                "take `fail_open` away",
            );
        }
        if is(&self.entry, "is_optional", true) {
            error(&self.entry, "is_optional", "Envoy starts without the filter", "take `is_optional` away");
        }
        if is(&self.entry, "disabled", true) {
            error(&self.entry, "disabled", "the filter is switched off", "take `disabled` away");
        }
        if self.wasm.get("config.configuration").is_some_and(|typed| !typed.is_a("StringValue")) {
            let what = "Envoy does not hand this to the module as JSON";
            error(&self.wasm, "config.configuration", what, "write the configuration as JSON in a StringValue");
        }
        let vm = self.wasm.text("config.vm_config.vm_id").unwrap_or_default();
        if vm.is_empty() {
            let what = "shared memory is keyed by `vm_id` alone, and there is none";
            error(&self.wasm, "config.vm_config.vm_id", what, "write a `vm_id` that no other module has");
        } else if all.others.iter().any(|other| other.wasm.text("config.vm_config.vm_id") == Some(vm)) {
            let what = format!("another module has the `vm_id` `{vm}` too, and so can write this one's memory");
            error(&self.wasm, "config.vm_config.vm_id", &what, "write one that no other module has");
        }
        told
    }

    fn capabilities(&self) -> Option<(Severity, Flaw)> {
        let path = "config.vm_config.capability_restriction_config.allowed_capabilities";
        let allowed =
            self.wasm.get(path).filter(|allowed| allowed.value.as_object().is_some_and(|all| !all.is_empty()));
        let Some(allowed) = allowed else {
            let flaw = Flaw::new(self.wasm.place("config.vm_config"), "the module may call every host function");
            return Some((Warning, flaw.hint("write `capability_restriction_config`, as envoy/minimal.yaml has it")));
        };
        let lacking: Vec<&str> =
            CAPABILITIES.into_iter().filter(|capability| allowed.value.get(capability).is_none()).collect();
        let what = format!("the module needs more capabilities: {}", lacking.join(", "));
        let hint = "add them: an event that is left out never reaches the module";
        if lacking.is_empty() { None } else { Some((Error, Flaw::new(allowed.place, what).hint(hint))) }
    }

    fn environment(&self, plugin: &Value) -> Vec<(Severity, Flaw)> {
        let path = "config.vm_config.environment_variables.host_env_keys";
        let listed =
            self.wasm.get(path).and_then(|at| at.value.as_array()).into_iter().flatten().filter_map(Value::as_str);
        let listed: BTreeSet<&str> = listed.collect();
        let written = self.wasm.get("config.vm_config.environment_variables.key_values");
        let credentials = plugin.get("credentials").and_then(Value::as_object);
        let wanted = credentials.into_iter().flat_map(|all| all.values().map(|credential| credential.get("env")));
        let wanted = wanted.chain([plugin.get("audit").and_then(|audit| audit.get("digest_key_env"))]).flatten();
        let wanted: BTreeSet<&str> = wanted.filter_map(Value::as_str).collect();
        let judge = |name: &str| match written.as_ref().and_then(|written| written.get(name)) {
            Some(at) => {
                let what = format!("the secret `{name}` stands in the configuration, which Envoy shows");
                Some((
                    Error,
                    Flaw::new(at.place, what).hint("list it in `host_env_keys` and take it from Envoy's environment"),
                ))
            }
            None if !listed.contains(name) => {
                let flaw = Flaw::new(self.wasm.place(path), format!("`{name}` never reaches the module"));
                Some((Error, flaw.hint("add it to `host_env_keys`")))
            }
            None => None,
        };
        wanted.into_iter().filter_map(judge).collect()
    }

    fn records(&self, manager: &At<'v>) -> Vec<(Severity, Flaw)> {
        let logs = manager.get("access_log").map(|logs| logs.inner()).unwrap_or_default();
        let mut told = Vec::new();
        let mut is_recorded = false;
        for log in &logs {
            let texts = log.texts();
            let plain = format!("%FILTER_STATE({RECORD}:PLAIN)%");
            if texts.iter().any(|(_, text)| *text == RECORD || text.contains(&plain)) {
                match log.get("filter") {
                    None => is_recorded = true,
                    Some(filter) => told.push((
                        Error,
                        Flaw::new(filter.place, "the record is only logged of some calls").hint("take `filter` away"),
                    )),
                }
            }
            for (at, text) in texts {
                if let Some(word) = CALLERS_WORDS.into_iter().find(|word| text.contains(word)) {
                    let what = format!("the access log repeats what the caller sent: `{}`", word.trim_end_matches('('));
                    told.push((Error, Flaw::new(at.place, what).hint("take it out: the record says what may be said")));
                }
            }
            let formats = ["log_format", "format", "json_format", "typed_json_format"];
            let typed = log.get("typed_config");
            if let Some(typed) = typed.filter(|typed| {
                ["FileAccessLog", "StdoutAccessLog", "StderrAccessLog"].iter().any(|name| typed.is_a(name))
                    && formats.iter().all(|name| typed.get(name).is_none())
            }) {
                let flaw = Flaw::new(typed.place, "Envoy's default format repeats the caller's path and headers");
                told.push((Error, flaw.hint("write `log_format`, as envoy/minimal.yaml has it")));
            }
        }
        if !is_recorded {
            let flaw = Flaw::new(manager.place("access_log"), "no access log has the record of every call");
            told.push((Error, flaw.hint(format!("write `%FILTER_STATE({RECORD}:PLAIN)%` into its format"))));
        }
        told
    }

    /// Routes, and the whole virtual host, can switch a filter off by its name.
    fn switched_off(&self, manager: &At<'v>) -> Vec<(Severity, Flaw)> {
        let mut left = vec![manager.clone()];
        let mut told = Vec::new();
        while let Some(at) = left.pop() {
            let own = at.get("typed_per_filter_config").and_then(|all| {
                let value = all.value.get(self.name())?;
                Some(At { value, place: all.place.name(self.name()) })
            });
            if let Some(off) = own.and_then(|own| own.get("disabled")).filter(|off| *off.value == Value::Bool(true)) {
                let flaw = Flaw::new(off.place, "the filter is switched off for these calls");
                told.push((Error, flaw.hint("list what may pass unguarded under `pass` of the plugin configuration")));
            }
            left.extend(at.inner());
        }
        told
    }
}

fn timeouts(manager: &At<'_>) -> Vec<(Severity, Flaw)> {
    let judge = |(name, severity, without): (&str, Severity, &str)| {
        let flaw = |what: &str| Flaw::new(manager.place(name), what).hint(format!("write `{name}: 60s`"));
        let span = manager.get(name);
        let seconds = span.as_ref().map(|at| {
            at.value.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse::<f64>().ok())
        });
        match seconds {
            None => Some((severity, flaw(without))),
            Some(Some(seconds)) if seconds > 0.0 => None,
            Some(_) => Some((Error, flaw("a call that is held may hang for ever"))),
        }
    };
    let both = [
        ("request_timeout", Error, "a call that is held has no end"),
        ("stream_idle_timeout", Warning, "a call that is held ends after Envoy's own five minutes"),
    ];
    both.into_iter().filter_map(judge).collect()
}

fn buffers(listener: &At<'_>, plugin: &Value) -> Option<(Severity, Flaw)> {
    const ENVOYS_OWN: u64 = 1 << 20;
    let name = "per_connection_buffer_limit_bytes";
    let limit = listener.get(name).map_or(Some(ENVOYS_OWN), |at| at.value.as_u64()).unwrap_or(0);
    // Limits that cannot be read are told as the plugin's own flaw.
    let limits: Limits =
        plugin.get("limits").and_then(|own| serde_json::from_value(own.clone()).ok()).unwrap_or_default();
    let largest = limits.buffer_bytes();
    if usize::try_from(limit).is_ok_and(|limit| limit <= largest) {
        let what =
            format!("Envoy's buffer of {limit} bytes is full before a body of `limits` ({largest} bytes) is there");
        return Some((Error, Flaw::new(listener.place(name), what).hint(format!("write `{name}` above {largest}"))));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    /// What the module needs is what the shipped configurations allow it.
    #[test]
    fn capabilities_are_those_that_ship() {
        for file in ["minimal", "full"] {
            let path = format!("{}/../envoy/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
            let document = Document::yaml(&std::fs::read_to_string(path).unwrap()).unwrap();
            let filters = Filters::of(&document.value);
            assert_eq!((filters.ours.len(), filters.others.len()), (1, 0));
            let path = "config.vm_config.capability_restriction_config.allowed_capabilities";
            let mut shipped: Vec<String> =
                filters.ours[0].wasm.get(path).unwrap().value.as_object().unwrap().keys().cloned().collect();
            shipped.sort();
            assert_eq!(shipped, CAPABILITIES, "{file}");
        }
    }

    #[test]
    fn names_have_two_forms() {
        assert_eq!(camel("allow_on_headers_stop_iteration"), "allowOnHeadersStopIteration");
        assert_eq!(camel("name"), "name");
    }
}

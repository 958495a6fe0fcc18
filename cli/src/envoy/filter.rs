//! The filter itself: its options, its sandbox, its secrets, and its place among other filters.

use super::at::At;
use super::notes::Notes;
use super::{Around, held, neighbours, routes};
use rerank_guard::config::Config;
use rerank_guard::diagnostic::Step;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the module needs to be allowed: the events it hears, and the host functions it calls.
const CAPABILITIES: [&str; 38] = [
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
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

/// A Wasm filter and what is around it.
#[derive(Debug)]
pub(crate) struct Filter<'v> {
    pub(super) entry: At<'v>,
    /// Holds `config`.
    pub(super) wasm: At<'v>,
    pub(super) around: Around<'v>,
}

/// The filter's own configuration, also in the wrapping for what the sender does not know.
pub(super) fn wasm<'v>(typed: &At<'v>) -> Option<At<'v>> {
    if typed.type_name()? == "envoy.extensions.filters.http.wasm.v3.Wasm" { typed.content() } else { None }
}

impl<'v> Filter<'v> {
    pub(super) fn new(entry: At<'v>, wasm: At<'v>, around: Around<'v>) -> Self {
        Self { entry, wasm, around }
    }

    /// The plugin configuration: a text of JSON. An object is looked at too, though Envoy hands it on in another form.
    pub(crate) fn plugin(&self) -> Option<At<'v>> {
        self.wasm.get("config.configuration")?.get("value")
    }

    /// Where to point for the filter as a whole.
    pub(crate) fn place(&self) -> rerank_guard::diagnostic::Place {
        self.wasm.place("config.configuration")
    }

    /// What its shared memory is keyed by.
    pub(crate) fn vm_id(&self) -> &'v str {
        self.wasm.text("config.vm_config.vm_id").unwrap_or_default()
    }

    /// Where that stands.
    pub(crate) fn vm_place(&self) -> rerank_guard::diagnostic::Place {
        self.wasm.place("config.vm_config.vm_id")
    }

    pub(crate) fn name(&self) -> &'v str {
        self.entry.text("name").unwrap_or("without a name")
    }

    /// Ours by its name, or by what its configuration says.
    pub(super) fn is_ours(&self) -> bool {
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

    pub(super) fn check(&self, config: Option<&Config>, others: &[At<'v>], notes: &mut Notes) {
        self.options(notes);
        self.machine(others, notes);
        self.capabilities(notes);
        if let Some(config) = config {
            self.environment(config, notes);
        }
    }

    fn options(&self, notes: &mut Notes) {
        let (entry, wasm) = (&self.entry, &self.wasm);
        let mut error = |at: &At<'v>, path: &str, what: &str, hint: &str| notes.error(at.place(path), what, hint);
        let option = "config.allow_on_headers_stop_iteration";
        if !wasm.is_on(option) {
            let what = "headers are not held until the body is decided on";
            error(wasm, option, what, "write `allow_on_headers_stop_iteration: true`");
        }
        if !wasm.is_enum("config.failure_policy", "FAIL_RELOAD", 1) {
            let what = "a module that trapped is not made anew";
            error(wasm, "config.failure_policy", what, "write `failure_policy: FAIL_RELOAD`");
        }
        if wasm.is_on("config.fail_open") {
            let what = "calls go on unguarded when the module fails";
            error(wasm, "config.fail_open", what, "take `fail_open` away");
        }
        if entry.is_on("is_optional") {
            error(entry, "is_optional", "Envoy starts without the filter", "take `is_optional` away");
        }
        if entry.is_on("disabled") {
            error(entry, "disabled", "the filter is switched off", "take `disabled` away");
        }
        if wasm.get("config.configuration").is_some_and(|typed| typed.message("StringValue").is_none()) {
            let what = "Envoy does not hand this to the module as JSON";
            error(wasm, "config.configuration", what, "write the configuration as JSON in a StringValue");
        }
    }

    /// The VM it runs in, and whether others are in there too.
    fn machine(&self, others: &[At<'v>], notes: &mut Notes) {
        let (place, vm) = (self.vm_place(), self.vm_id());
        if vm.is_empty() {
            let what = "shared memory is keyed by `vm_id` alone, and there is none";
            notes.error(place, what, "write a `vm_id` that no other module has");
        } else if others.iter().any(|other| other.text("vm_config.vm_id").unwrap_or_default() == vm) {
            let what = format!("another module has the `vm_id` `{vm}` too, and so can write this one's memory");
            notes.error(place, what, "write one that no other module has");
        }
        let path = "config.vm_config.runtime";
        match self.wasm.text(path) {
            Some("envoy.wasm.runtime.v8") => {}
            Some("envoy.wasm.runtime.null") => {
                let what = "no module runs: this runtime is for what was compiled into Envoy";
                notes.error(self.wasm.place(path), what, "write `runtime: envoy.wasm.runtime.v8`");
            }
            _ => {
                let what = "the module is tried with V8, and nothing says that it runs there";
                notes.warning(self.wasm.place(path), what, "write `runtime: envoy.wasm.runtime.v8`");
            }
        }
        if self
            .wasm
            .get("config.vm_config.code.remote")
            .is_some_and(|remote| remote.text("sha256").is_none_or(str::is_empty))
        {
            let place = self.wasm.place("config.vm_config.code.remote.sha256");
            notes.error(place, "whoever serves the module chooses which one runs", "write its `sha256`");
        }
    }

    fn capabilities(&self, notes: &mut Notes) {
        let path = "capability_restriction_config.allowed_capabilities";
        let allowed = ["config.vm_config", "config"].iter().find_map(|at| self.wasm.get(&format!("{at}.{path}")));
        let Some(allowed) = allowed.filter(|allowed| !allowed.inner().is_empty()) else {
            let what = "the module may call every host function";
            let hint = "write `capability_restriction_config`, as envoy/minimal.yaml has it";
            notes.warning(self.wasm.place("config.vm_config"), what, hint);
            return;
        };
        let more = allowed.inner().into_iter().filter(|at| {
            let name = at.place.steps().last();
            !matches!(name, Some(Step::Name(name)) if CAPABILITIES.contains(&name.as_str()))
        });
        for at in more {
            notes.warning(at.place, "the module needs this capability for nothing", "take it out");
        }
        let lacking: Vec<&str> =
            CAPABILITIES.into_iter().filter(|capability| allowed.value.get(capability).is_none()).collect();
        if !lacking.is_empty() {
            let what = format!("the module needs more capabilities: {}", lacking.join(", "));
            notes.error(allowed.place, what, "add them: an event that is left out never reaches the module");
        }
    }

    fn environment(&self, config: &Config, notes: &mut Notes) {
        let path = "config.vm_config.environment_variables.host_env_keys";
        let listed = self.wasm.items(path);
        let names: BTreeSet<&str> = listed.iter().filter_map(|at| at.value.as_str()).collect();
        let written = self.wasm.get("config.vm_config.environment_variables.key_values");
        let wanted = config.environment();
        for name in &wanted {
            if let Some(at) = written.as_ref().and_then(|written| written.member(name)) {
                let what = format!("the secret `{name}` stands in the configuration, which Envoy shows");
                notes.error(at.place, what, "list it in `host_env_keys` and take it from Envoy's environment");
            } else if !names.contains(name) {
                notes.error(
                    self.wasm.place(path),
                    format!("`{name}` never reaches the module"),
                    "add it to `host_env_keys`",
                );
            }
        }
        for at in listed {
            if let Some(name) = at.value.as_str().filter(|name| !wanted.contains(name)) {
                let what = format!("the module gets `{name}` of Envoy's environment, and needs it for nothing");
                notes.warning(at.place, what, "take it out of `host_env_keys`");
            }
        }
    }

    /// Its place in the connection manager's list, and what stands behind it.
    pub(super) fn among_others(&self, manager: &At<'v>, ours: &[Self], notes: &mut Notes) {
        let list = manager.items("http_filters");
        let Some(at) = list.iter().position(|entry| entry.place == self.entry.place) else {
            let what = "only some calls reach the filter: it does not stand in the connection manager's own list";
            notes.error(self.entry.place.clone(), what, "put it into `http_filters`, before the router");
            return;
        };
        for entry in list.iter().take(at) {
            neighbours::before(entry, notes);
        }
        let is_ours = |entry: &At<'v>| ours.iter().any(|filter| filter.entry.place == entry.place);
        if !list.iter().skip(at.saturating_add(1)).any(|entry| neighbours::kind(entry) == "router") {
            let what = "the router does not stand behind the filter";
            notes.error(self.entry.place.clone(), what, "put the filter before `envoy.filters.http.router`");
        }
        let mut behind_us =
            list.iter().skip(at.saturating_add(1)).take_while(|&entry| neighbours::kind(entry) != "router");
        let held = behind_us.find(|entry| held::is_it(entry));
        self.held(manager, held, notes);
        for entry in list.iter().skip(at.saturating_add(1)) {
            if held.is_some_and(|held| held.place == entry.place) {
                continue;
            }
            let kind = neighbours::kind(entry);
            if is_ours(entry) {
                let what =
                    "a call is guarded twice: the second guard takes the upstream's credential for the caller's token";
                notes.error(entry.place.clone(), what, "take one of them out");
            } else if kind == "router" {
                if !entry.is_on("typed_config.suppress_envoy_headers")
                    && !entry.is_on("typed_config.value.suppress_envoy_headers")
                {
                    let what = "Envoy's own headers tell the upstream the caller's path (`x-envoy-original-path`), and with it the dataset";
                    notes.warning(
                        entry.place("typed_config.suppress_envoy_headers"),
                        what,
                        "write `suppress_envoy_headers: true`",
                    );
                }
                for inside in entry
                    .get("typed_config")
                    .iter()
                    .flat_map(|typed| typed.content())
                    .flat_map(|typed| typed.items("upstream_http_filters"))
                {
                    neighbours::behind(&inside, notes);
                }
            } else if !neighbours::HARMLESS_BEHIND.contains(&kind) {
                neighbours::behind(entry, notes);
            }
        }
    }

    /// Whether Envoy's route is held behind the filter.
    fn held(&self, manager: &At<'v>, held: Option<&At<'v>>, notes: &mut Notes) {
        let hint = "write the `envoy.filters.http.rbac` filter of envoy/minimal.yaml right before the router";
        match held {
            None if routes::is_choosy(manager) => {
                let what =
                    "Envoy chooses its route anew after the filter, and may choose another cluster for the credential";
                notes.error(self.entry.place.clone(), what, hint);
            }
            None => {
                let what = "Envoy chooses its route anew after the filter, and nothing holds it to the first choice";
                notes.warning(self.entry.place.clone(), what, hint);
            }
            Some(held) => {
                let name = held.text("name").unwrap_or_default();
                let own = |at: &At<'v>| at.get("typed_per_filter_config").and_then(|all| all.member(name));
                for own in manager.all().iter().filter_map(own) {
                    let what = "the filter that holds Envoy's route is changed for these calls";
                    notes.error(own.place, what, format!("take `{name}` out of `typed_per_filter_config`"));
                }
            }
        }
    }

    /// Routes, and the whole virtual host, can switch a filter off by its name.
    pub(super) fn switched_off(&self, manager: &At<'v>, notes: &mut Notes) {
        for at in manager.all() {
            let own = at.get("typed_per_filter_config").and_then(|all| all.member(self.name()));
            let Some(own) = own else { continue };
            if let Some(off) = own.all().into_iter().find(|inner| inner.is_on("disabled")) {
                let hint = "list what may pass unguarded under `pass` of the plugin configuration";
                notes.error(off.place("disabled"), "the filter is switched off for these calls", hint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::envoy::Filters;

    /// What the module needs is what the shipped configurations allow it.
    #[test]
    fn capabilities_are_those_that_ship() {
        for file in ["minimal", "full"] {
            let path = format!("{}/../envoy/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
            let document = Document::yaml(&std::fs::read_to_string(path).unwrap()).unwrap();
            let filters = Filters::of(&document.value);
            let path = "config.vm_config.capability_restriction_config.allowed_capabilities";
            let mut shipped: Vec<String> =
                filters.ours[0].wasm.get(path).unwrap().value.as_object().unwrap().keys().cloned().collect();
            shipped.sort();
            assert_eq!(shipped, CAPABILITIES, "{file}");
        }
    }
}

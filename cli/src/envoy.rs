//! An Envoy configuration: the filters in it that are ours, and whether what stands around them leaves them safe.

mod address;
mod at;
mod clusters;
mod copies;
mod filter;
mod held;
mod listener;
mod manager;
mod neighbours;
mod notes;
mod paths;
mod process;
mod retries;
mod routes;
mod version;
mod words;

pub(crate) use at::At;
pub(crate) use filter::Filter;
pub(crate) use notes::Note;
pub(crate) use version::Version;

use clusters::Clusters;
use notes::Notes;
use rerank_guard::config::Config;
use serde_json::Value;

/// The Wasm filters of a configuration, and what they share.
#[derive(Debug)]
pub(crate) struct Filters<'v> {
    pub(crate) ours: Vec<Filter<'v>>,
    /// Whatever else runs in a Wasm VM: messages that hold a `vm_config`.
    others: Vec<At<'v>>,
    root: At<'v>,
    clusters: Clusters<'v>,
}

/// What a value stands in.
#[derive(Debug, Clone, Default)]
struct Around<'v> {
    listener: Option<At<'v>>,
    chain: Option<At<'v>>,
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
        let root = At::root(document);
        let clusters = Clusters::of(&root);
        let mut filters = Self { ours: Vec::new(), others: Vec::new(), root: root.clone(), clusters };
        filters.look(&root, &Around::default());
        filters
    }

    fn look(&mut self, at: &At<'v>, around: &Around<'v>) {
        let mut around = around.clone();
        if ["filter_chains", "default_filter_chain", "api_listener"].iter().any(|name| at.get(name).is_some()) {
            around = Around { listener: Some(at.clone()), ..Around::default() };
        }
        if at.get("filters").is_some() && around.manager.is_none() && around.listener.is_some() {
            around.chain = Some(at.clone());
        }
        if let Some(manager) = at.message("HttpConnectionManager") {
            around.manager = Some(manager);
        }
        if let Some(wasm) = at.get("typed_config").and_then(|typed| filter::wasm(&typed)) {
            let filter = Filter::new(at.clone(), wasm, around.clone());
            if filter.is_ours() {
                self.ours.push(filter);
                return;
            }
        }
        if at.get("vm_config").is_some() {
            self.others.push(at.clone());
        }
        for inner in at.inner() {
            self.look(&inner, &around);
        }
    }

    /// What around a filter is not as it must be. Without the plugin's own configuration, what depends on it is not looked at.
    pub(crate) fn around(&self, filter: &Filter<'v>, config: Option<&Config>, version: Option<Version>) -> Vec<Note> {
        let mut notes = Notes::default();
        filter.check(config, &self.others, &mut notes);
        if let Some(version) = version {
            version::check(version, &filter.entry, &filter.wasm, &mut notes);
        }
        process::check(&self.root, config, &mut notes);
        for tap in self.root.all().iter().filter_map(|at| at.message("Tap")) {
            let what = "whatever is tapped has credentials and personal data in it, and goes where nobody masks it";
            notes.error(tap.place, what, "take the tap away");
        }
        if let Some(config) = config {
            clusters::check(config, &self.clusters, &mut notes);
        }
        let Around { listener: Some(listener), manager: Some(manager), chain } = &filter.around else {
            let what = "the filter's listener is not here";
            let hint = "timeouts, buffers, routes and access logs are not checked: check the whole configuration";
            notes.warning(filter.entry.place.clone(), what, hint);
            return notes.0;
        };
        filter.among_others(manager, &self.ours, &mut notes);
        neighbours::processors(manager, &mut notes);
        neighbours::discovered(listener, &manager.items("http_filters"), &mut notes);
        manager::check(manager, config, &mut notes);
        words::check(manager, listener, config, &mut notes);
        listener::check(listener, chain.as_ref(), &mut notes);
        filter.switched_off(manager, &mut notes);
        if let Some(config) = config {
            listener::buffers(listener, manager, config, &mut notes);
            routes::check(manager, config, &self.clusters, &mut notes);
            let guarded: Vec<_> = self.ours.iter().filter_map(|filter| filter.around.manager.as_ref()).collect();
            routes::unguarded(&self.root, &guarded, config, &self.clusters, &mut notes);
            copies::check(manager, config, &mut notes);
        }
        notes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    #[test]
    fn what_ships_has_one_filter_and_it_is_ours() {
        for file in ["minimal", "full"] {
            let path = format!("{}/../envoy/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
            let document = Document::yaml(&std::fs::read_to_string(path).unwrap()).unwrap();
            let filters = Filters::of(&document.value);
            assert_eq!((filters.ours.len(), filters.others.len()), (1, 0), "{file}");
            let around = &filters.ours[0].around;
            assert!(around.listener.is_some() && around.chain.is_some() && around.manager.is_some(), "{file}");
        }
    }
}

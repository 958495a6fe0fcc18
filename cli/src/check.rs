//! `rerank-guard check`: is this a bundle or a configuration, and if not, what is wrong with it and where?

use crate::bundle::{self, Loaded};
use crate::config::{self, Checked};
use crate::document::{Document, Malformed};
use crate::envoy::{self, At, Filters};
use crate::inner::Inner;
use crate::report::{Finding, Severity, Source, say, say_json};
use crate::{End, Output};
use rerank_guard::policy::{Flaw, Part, Place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Bundles in YAML or JSON; `-` is standard input.
    #[arg(required_unless_present = "configs")]
    bundles: Vec<PathBuf>,
    /// A plugin configuration in YAML or JSON, or a whole Envoy configuration: then every filter of ours in it, and whether what
    /// is around them leaves them safe. Once for each.
    #[arg(long = "config", value_name = "FILE")]
    configs: Vec<PathBuf>,
    /// The bundle that is built into the module, for configurations that ask for it with `bundle: {embedded: true}`.
    #[arg(long, value_name = "FILE", requires = "configs")]
    bundle: Option<PathBuf>,
    /// Take warnings for findings.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let mut end = End::Well;
    let mut files = Vec::new();
    let mut tell = |(how, value): (End, Value)| {
        end = end.max(how);
        files.push(value);
    };
    for path in &arguments.bundles {
        tell(match bundle::load(path) {
            Ok(loaded) => tell_bundle(path, &loaded, arguments.strict, output),
            Err(refused) => refused.tell(path, output),
        });
    }
    let mut embedded = None;
    if let Some(path) = &arguments.bundle {
        match bundle::load(path) {
            Ok(loaded) => embedded = Some(loaded.value.to_string()),
            Err(refused) => tell(refused.tell(path, output)),
        }
    }
    for path in &arguments.configs {
        tell(match bundle::read(path) {
            Ok((source, document, _)) => {
                let told = look(&source, &document, embedded.as_deref().map(str::as_bytes));
                tell_config(path, &source, &told, arguments.strict, output)
            }
            Err(refused) => refused.tell(path, output),
        });
    }
    if output == Output::Json {
        say_json(&json!({"ok": end == End::Well, "files": files}));
    }
    end
}

fn tell_bundle(path: &Path, loaded: &Loaded, strict: bool, output: Output) -> (End, Value) {
    let Loaded { policy, warnings, source, .. } = loaded;
    let (name, rules) = (path.display().to_string(), policy.rules().count());
    if output == Output::Text {
        source.print(Severity::Warning, warnings);
        say(&format!("{name}: ok, bundle `{}`, serial {}, {rules} rules\n", policy.id(), policy.serial()));
    }
    let warnings: Vec<Value> = warnings.iter().map(|warning| source.json(warning)).collect();
    let end = if strict && !warnings.is_empty() { End::Found } else { End::Well };
    let value = json!({"file": name, "ok": true, "bundle": policy.id(), "serial": policy.serial(), "rules": rules,
        "findings": [], "warnings": warnings});
    (end, value)
}

/// What was seen in the file of a configuration.
#[derive(Default)]
struct Told {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    gateways: Vec<Gateway>,
}

/// A configuration that the filter takes.
struct Gateway {
    name: String,
    bundle: Bundle,
}

/// The bundle that a gateway starts with.
enum Bundle {
    /// Its id and serial.
    Known(String, u64),
    /// It is in the module, and not at hand.
    InModule,
    /// There is none: calls are answered 503 until one with this id is fetched.
    Fetched(String),
}

fn tell_config(path: &Path, source: &Source, told: &Told, strict: bool, output: Output) -> (End, Value) {
    let name = path.display().to_string();
    let ok = told.errors.is_empty();
    if output == Output::Text {
        source.print(Severity::Error, &told.errors);
        source.print(Severity::Warning, &told.warnings);
        for Gateway { name: gateway, bundle } in told.gateways.iter().filter(|_| ok) {
            say(&match bundle {
                Bundle::Known(id, serial) => {
                    format!("{name}: ok, gateway `{gateway}`, bundle `{id}`, serial {serial}\n")
                }
                Bundle::Fetched(id) => format!("{name}: ok, gateway `{gateway}`, bundle `{id}` once it is fetched\n"),
                Bundle::InModule => format!(
                    "{name}: ok, gateway `{gateway}`; its bundle is in the module and not checked with it: name it with `--bundle`\n"
                ),
            });
        }
    }
    let list = |findings: &[Finding]| findings.iter().map(|finding| source.json(finding)).collect::<Vec<_>>();
    let gateways: Vec<Value> = told
        .gateways
        .iter()
        .map(|Gateway { name, bundle }| {
            let (id, serial) = match bundle {
                Bundle::Known(id, serial) => (Some(id), Some(serial)),
                Bundle::Fetched(id) => (Some(id), None),
                Bundle::InModule => (None, None),
            };
            json!({"gateway": name, "bundle": id, "serial": serial})
        })
        .collect();
    let end = if ok && (told.warnings.is_empty() || !strict) { End::Well } else { End::Found };
    let value = json!({"file": name, "ok": ok, "gateways": gateways, "findings": list(&told.errors),
        "warnings": list(&told.warnings)});
    (end, value)
}

fn look(source: &Source, document: &Document, embedded: Option<&[u8]>) -> Told {
    let mut told = Told::default();
    let filters = Filters::of(&document.value);
    let locate = |flaw: &Flaw| document.locate(&source.text, &flaw.place, flaw.part);
    if filters.ours.is_empty() && !envoy::is_envoys(&document.value) {
        let checked = config::check(&document.value, embedded);
        told.take(&checked, |flaw| (Some(flaw.place.to_string()), locate(flaw)));
    } else if filters.ours.is_empty() {
        let flaw = Flaw::new(Place::root(), "no filter of rerank-guard is in this Envoy configuration");
        told.errors.push(finding(&flaw, None, locate(&flaw)));
    }
    for filter in &filters.ours {
        let own = match filter.plugin() {
            Some(plugin) => told.look_inside(source, document, &plugin, embedded),
            None => {
                let what = format!("the filter `{}` has no configuration that can be read", filter.name());
                let flaw = Flaw::new(filter.place(), what).hint("write JSON in a StringValue");
                told.errors.push(finding(&flaw, None, locate(&flaw)));
                None
            }
        };
        for (severity, flaw) in filter.around(own.as_ref(), &filters) {
            let place = flaw.place.steps();
            let last = place.get(place.len().saturating_sub(2)..).unwrap_or_default();
            let last = config::join(&Place::root(), last).to_string();
            let list = if severity == Severity::Error { &mut told.errors } else { &mut told.warnings };
            list.push(finding(&flaw, Some(last), locate(&flaw)));
        }
    }
    told.errors.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
    told.warnings.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
    told
}

impl Told {
    /// Checks the plugin's configuration inside of Envoy's; gives it back if it can be read.
    fn look_inside(
        &mut self,
        source: &Source,
        document: &Document,
        plugin: &At<'_>,
        embedded: Option<&[u8]>,
    ) -> Option<Value> {
        let outer = document.locate(&source.text, &plugin.place, Part::Value);
        let Some(text) = plugin.value.as_str() else {
            let checked = config::check(plugin.value, embedded);
            self.take(&checked, |flaw| {
                let place = config::join(&plugin.place, flaw.place.steps());
                (Some(flaw.place.to_string()), document.locate(&source.text, &place, flaw.part))
            });
            return Some(plugin.value.clone());
        };
        let inner = outer.as_ref().and_then(|at| Inner::find(&source.text, at, text));
        // Where the text is written with escapes, the whole of it is pointed to.
        let outside = |at| match (&inner, at) {
            (Some(inner), Some(at)) => inner.outside(&at),
            _ => outer.clone(),
        };
        match Document::json(text) {
            Ok(read) => {
                let checked = config::check(&read.value, embedded);
                self.take(&checked, |flaw| {
                    (Some(flaw.place.to_string()), outside(read.locate(text, &flaw.place, flaw.part)))
                });
                Some(read.value)
            }
            Err(Malformed { what, hint, at }) => {
                self.errors.push(Finding { what, hint, place: None, at: outside(at) });
                None
            }
        }
    }

    fn take(&mut self, checked: &Checked, locate: impl Fn(&Flaw) -> (Option<String>, Option<std::ops::Range<usize>>)) {
        for flaw in &checked.flaws {
            let (place, at) = locate(flaw);
            self.errors.push(finding(flaw, place.filter(|_| !flaw.place.steps().is_empty()), at));
        }
        if let Some(config) = &checked.config {
            let fetched = || config.bundle.fetched.as_ref().and_then(|fetched| fetched.id.clone()).unwrap_or_default();
            let bundle = match &config.bundle.start {
                _ if checked.bundle_missing => Bundle::InModule,
                Some(policy) => Bundle::Known(policy.id().to_owned(), policy.serial()),
                None => Bundle::Fetched(fetched()),
            };
            self.gateways.push(Gateway { name: config.gateway.clone(), bundle });
        }
    }
}

fn finding(flaw: &Flaw, place: Option<String>, at: Option<std::ops::Range<usize>>) -> Finding {
    Finding { what: flaw.what.clone(), hint: flaw.hint.clone(), place, at }
}

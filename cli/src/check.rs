//! `rerank-guard check`: is this a bundle or a configuration, and if not, what is wrong with it and where?

use crate::bundle::{self, Loaded};
use crate::config::{self, Checked};
use crate::document::{Document, Malformed};
use crate::envoy::{self, At, Filters, Note, Version};
use crate::inner::Inner;
use crate::kind;
use crate::report::{Finding, Severity, Source, say, say_json};
use crate::{End, Output};
use rerank_guard::diagnostic::{Flaw, Part, Place, Step};
use serde_json::{Value, json};
use std::ops::Range;
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
    /// The version of Envoy that is to run the configurations, such as 1.37: what it cannot read is refused.
    #[arg(long, value_name = "VERSION", requires = "configs", value_parser = Version::read)]
    envoy: Option<Version>,
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
                let told = look(&source, &document, embedded.as_deref().map(str::as_bytes), arguments.envoy);
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

fn look(source: &Source, document: &Document, embedded: Option<&[u8]>, version: Option<Version>) -> Told {
    let mut told = Told::default();
    if let Some(other) = kind::no_config(&document.value) {
        told.add(Severity::Error, other);
        return told;
    }
    let filters = Filters::of(&document.value);
    let locate = |flaw: &Flaw| document.locate(&source.text, &flaw.place, flaw.part);
    if filters.ours.is_empty() && !envoy::is_envoys(&document.value) {
        let checked = config::check(&document.value, embedded);
        told.take(&checked, locate);
    } else if filters.ours.is_empty() {
        let flaw = Flaw::new(Place::root(), "no filter of rerank-guard is in this Envoy configuration");
        told.add(Severity::Error, finding(&flaw, None, locate(&flaw)));
    }
    let mut machines: Vec<(String, &str)> = Vec::new();
    for filter in &filters.ours {
        let inside = filter.plugin().map(|plugin| Inside::of(source, document, &plugin));
        let checked = match &inside {
            Some(Ok(inside)) => {
                let checked = config::check(inside.value(), embedded);
                told.take(&checked, |flaw| inside.locate(source, document, flaw));
                checked.config
            }
            Some(Err(malformed)) => {
                let Finding { what, hint, at, .. } = malformed;
                let (what, hint, at) = (what.clone(), hint.clone(), at.clone());
                told.add(Severity::Error, Finding { what, hint, place: None, at });
                None
            }
            None => {
                let what = format!("the filter `{}` has no configuration that can be read", filter.name());
                let flaw = Flaw::new(filter.place(), what).hint("write JSON in a StringValue");
                told.add(Severity::Error, finding(&flaw, None, locate(&flaw)));
                None
            }
        };
        if let Some(config) = &checked {
            let vm = filter.vm_id();
            if machines.iter().any(|(gateway, other)| *gateway == config.gateway && *other != vm) {
                let what = format!(
                    "another filter serves the gateway `{}` under another `vm_id`: each takes every approval and proof once",
                    config.gateway
                );
                let flaw = Flaw::new(filter.vm_place(), what).hint("write one `vm_id` for all filters of a gateway");
                told.add(Severity::Error, finding(&flaw, Some("vm_config.vm_id".to_owned()), locate(&flaw)));
            }
            machines.push((config.gateway.clone(), vm));
        }
        for Note { severity, flaw, is_inside } in filters.around(filter, checked.as_ref(), version) {
            let found = match &inside {
                Some(Ok(inside)) if is_inside => {
                    finding(&flaw, Some(flaw.place.to_string()), inside.locate(source, document, &flaw))
                }
                _ => {
                    let place = flaw.place.steps();
                    // The last name or two, and the number of an item with what it is an item of.
                    let from = place.len().saturating_sub(2);
                    let of_item = matches!(place.get(from), Some(Step::Item(_)));
                    let last = place.get(from.saturating_sub(usize::from(of_item))..).unwrap_or_default();
                    let last = last.iter().cloned().collect::<Place>().to_string();
                    finding(&flaw, Some(last), locate(&flaw))
                }
            };
            told.add(severity, found);
        }
    }
    told.errors.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
    told.warnings.sort_by_key(|finding| finding.at.as_ref().map(|at| at.start));
    told
}

/// The plugin's own document, inside of Envoy's.
enum Inside<'t> {
    /// A text of JSON.
    Text { read: Document, text: &'t str, inner: Option<Inner<'t>>, whole: Option<Range<usize>> },
    /// An object, which Envoy hands on in another form; it is looked at all the same.
    Object { value: &'t Value, place: Place },
}

impl<'t> Inside<'t> {
    fn of(source: &Source, document: &Document, plugin: &At<'t>) -> Result<Self, Finding> {
        let whole = document.locate(&source.text, &plugin.place, Part::Value);
        let Some(text) = plugin.value.as_str() else {
            return Ok(Self::Object { value: plugin.value, place: plugin.place.clone() });
        };
        let inner = whole.as_ref().and_then(|at| Inner::find(&source.text, at, text));
        match Document::json(text) {
            Ok(read) => Ok(Self::Text { read, text, inner, whole }),
            Err(Malformed { what, hint, at }) => {
                let at = outside(inner.as_ref(), whole.as_ref(), at);
                Err(Finding { what, hint, place: None, at })
            }
        }
    }

    fn value(&self) -> &Value {
        match self {
            Self::Text { read, .. } => &read.value,
            Self::Object { value, .. } => value,
        }
    }

    fn locate(&self, source: &Source, document: &Document, flaw: &Flaw) -> Option<Range<usize>> {
        match self {
            Self::Text { read, text, inner, whole } => {
                outside(inner.as_ref(), whole.as_ref(), read.locate(text, &flaw.place, flaw.part))
            }
            Self::Object { place, .. } => document.locate(&source.text, &place.join(flaw.place.clone()), flaw.part),
        }
    }
}

/// Where the text is written with escapes, the whole of it is pointed to.
fn outside(inner: Option<&Inner<'_>>, whole: Option<&Range<usize>>, at: Option<Range<usize>>) -> Option<Range<usize>> {
    match (inner, at) {
        (Some(inner), Some(at)) => inner.outside(&at),
        _ => whole.cloned(),
    }
}

impl Told {
    /// Two filters in one configuration have much around them in common; it is told once.
    fn add(&mut self, severity: Severity, finding: Finding) {
        let list = if severity == Severity::Error { &mut self.errors } else { &mut self.warnings };
        if !list.contains(&finding) {
            list.push(finding);
        }
    }

    fn take(&mut self, checked: &Checked, locate: impl Fn(&Flaw) -> Option<Range<usize>>) {
        for flaw in &checked.flaws {
            let place = Some(flaw.place.to_string()).filter(|_| !flaw.place.steps().is_empty());
            self.add(Severity::Error, finding(flaw, place, locate(flaw)));
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

fn finding(flaw: &Flaw, place: Option<String>, at: Option<Range<usize>>) -> Finding {
    Finding { what: flaw.what.clone(), hint: flaw.hint.clone(), place, at }
}

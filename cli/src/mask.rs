//! `rerank-guard mask`: personal data out of JSON, NDJSON or text, as the filter takes it out of answers.

use crate::bundle;
use crate::progress::Progress;
use crate::report::{complain, say_json, unable};
use crate::{End, Output};
use rerank_guard::mask::{
    Finding, Found, Kept, Kind, Masked, Masks, Refused, Rule, Unmaskable, mask_json, mask_json_and_tell, mask_text,
    mask_text_and_tell,
};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files with one JSON value each; standard input without any, or as `-`. What is masked goes to standard output.
    #[arg(default_value = "-")]
    files: Vec<PathBuf>,
    /// Each line is a JSON value.
    #[arg(long, conflicts_with = "text")]
    lines: bool,
    /// The files are text, not JSON.
    #[arg(long)]
    text: bool,
    /// Kinds to find, such as `email,phone`; all of them where neither this nor `--fields` is said.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    detect: Vec<Kind>,
    /// Field rules: places in which everything is masked, such as `ssn,customer.name,/results/*/document/address`.
    #[arg(long, value_delimiter = ',', value_name = "RULES", conflicts_with = "text")]
    fields: Vec<String>,
    /// What stands in the place of a finding; `{kind}` becomes its kind.
    #[arg(long, default_value = "[{kind}]")]
    replace: String,
    /// Masks of this bundle instead, with their fields, patterns and denials.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["detect", "fields", "replace"])]
    bundle: Option<PathBuf>,
    /// Which masks of the bundle; all of them where it is not said.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", requires = "bundle")]
    mask: Vec<String>,
    /// The key of pseudonyms, as `NAME=VARIABLE`: it is read from that environment variable. Can be given more than once.
    #[arg(long, value_name = "NAME=VARIABLE", value_parser = pseudonym_key)]
    pseudonym_key: Vec<(String, String)>,
    /// Places whose numbers are left as they are, as JSON pointers with `*` for one step and a last `**` for the rest:
    /// `/results/*/index,/usage/**`.
    #[arg(long, value_delimiter = ',', value_name = "POINTERS", conflicts_with = "text")]
    keep: Vec<String>,
    /// Tell what was found, as JSON on standard error, never a value: kinds and counts, and for each finding its JSON pointer, where
    /// it starts and ends in the decoded string or text (in Unicode code points), what speaks for it and what it was checked with.
    /// With `--output json` it is on standard output together with what is masked.
    #[arg(long)]
    report: bool,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("no such kind; there are {}", all.join(", "))
    })
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let masks = match masks(arguments, output) {
        Ok(masks) => masks,
        Err(end) => return end,
    };
    let kept = match Kept::compile(&arguments.keep.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(kept) => kept,
        Err(refused) => return unable(&refused.to_string(), output),
    };
    let form = match (arguments.lines, arguments.text) {
        (true, _) => Form::Lines,
        (_, true) => Form::Text,
        _ => Form::Json,
    };
    let mut work = Work { form, masks, kept, report: arguments.report, output, told: Vec::new(), end: End::Well };
    for path in &arguments.files {
        if let Err(why) = work.file(path) {
            return unable(&why, output);
        }
    }
    if output == Output::Json {
        say_json(&json!({"ok": work.end == End::Well, "masked": work.told}));
    } else if arguments.report {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(std::io::stderr().lock(), "{}", json!({"ok": work.end == End::Well, "masked": work.told}));
    }
    work.end
}

/// `NAME=VARIABLE`, and what stands in the variable.
fn pseudonym_key(text: &str) -> Result<(String, String), String> {
    let (name, variable) = text.split_once('=').ok_or("write `NAME=VARIABLE`")?;
    let key = std::env::var(variable).map_err(|_| format!("there is no environment variable `{variable}`"))?;
    Ok((name.to_owned(), key))
}

/// The masks that are asked for: those of the bundle, or one made of the arguments.
fn masks(arguments: &Arguments, output: Output) -> Result<Masks, End> {
    let own;
    let loaded;
    let rules: Vec<(&str, &Rule)> = match &arguments.bundle {
        None => {
            let all = arguments.detect.is_empty() && arguments.fields.is_empty();
            let detect = if all { Kind::ALL } else { &arguments.detect };
            own = Rule { fields: arguments.fields.clone(), ..Rule::detecting(detect, &arguments.replace) };
            if let Some(flaw) = own.flaws().into_iter().find(|flaw| flaw.member == "fields") {
                return Err(unable(&format!("--fields: {}: {}", flaw.what, flaw.hint), output));
            }
            vec![("--replace", &own)]
        }
        Some(path) => {
            loaded = bundle::load(path).map_err(|refused| refused.end(path, output).max(End::Unable))?;
            let masks = &loaded.bundle.masks;
            if masks.is_empty() {
                return Err(unable(&format!("`{}` has no masks", path.display()), output));
            }
            if let Some(unknown) = arguments.mask.iter().find(|name| !masks.contains_key(*name)) {
                let there: Vec<_> = masks.keys().map(|name| format!("`{name}`")).collect();
                let why = format!("`{}` has no mask `{unknown}`; there are {}", path.display(), there.join(", "));
                return Err(unable(&why, output));
            }
            let is_asked = |name: &str| arguments.mask.is_empty() || arguments.mask.iter().any(|asked| asked == name);
            masks.iter().map(|(name, rule)| (name.as_str(), rule)).filter(|(name, _)| is_asked(name)).collect()
        }
    };
    let keys: Vec<_> = arguments.pseudonym_key.iter().map(|(name, key)| (name.as_str(), key.as_bytes())).collect();
    Masks::compile_with_keys(&rules, &keys).map_err(|refused| {
        let hint = if matches!(refused, Refused::NoKey { .. }) { ": name it with `--pseudonym-key`" } else { "" };
        unable(&format!("{refused}{hint}"), output)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    Text,
}

/// What is to be done, and what was.
struct Work {
    form: Form,
    masks: Masks,
    kept: Kept,
    report: bool,
    output: Output,
    told: Vec<Value>,
    end: End,
}

impl Work {
    fn file(&mut self, path: &Path) -> Result<(), String> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| format!("cannot read `{name}`: {error}");
        let (reader, size): (Box<dyn Read>, u64) = if name == "-" {
            (Box::new(std::io::stdin().lock()), 0)
        } else {
            let file = File::open(path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            (Box::new(file), size)
        };
        let mut progress = Progress::new(&name, size);
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut body = Vec::new();
        if self.form != Form::Lines {
            read_whole(&mut reader, &mut body, &mut progress).map_err(failed)?;
            self.one(&name, None, &body, &mut out);
            return flushed(out);
        }
        let mut number = 0_u64;
        loop {
            body.clear();
            let length = reader.read_until(b'\n', &mut body).map_err(failed)?;
            if length == 0 {
                progress.clear();
                return flushed(out);
            }
            number = number.saturating_add(1);
            progress.advance(length);
            let line = body.strip_suffix(b"\n").unwrap_or(&body);
            let is_written = if line.trim_ascii().is_empty() {
                self.output == Output::Text && out.write_all(line).is_ok()
            } else {
                self.one(&name, Some(number), line, &mut out)
            };
            if is_written && line.len() < body.len() {
                // A reader that has gone is noticed when all is flushed.
                let _ = out.write_all(b"\n");
            }
        }
    }

    /// Masks one value or text whole, or gives nothing of it out. True if it was written.
    fn one(&mut self, file: &str, line: Option<u64>, body: &[u8], out: &mut impl Write) -> bool {
        let (masks, kept) = (&self.masks, &self.kept);
        let masked = match (self.form, self.report) {
            (Form::Text, true) => mask_text_and_tell(body, masks, &[]),
            (Form::Text, false) => mask_text(body, masks, &[]).map(|masked| (masked, Vec::new())),
            (_, true) => mask_json_and_tell(body, masks, kept, &[]),
            (_, false) => mask_json(body, masks, kept, &[]).map(|masked| (masked, Vec::new())),
        };
        match masked {
            Err(unmaskable) => {
                self.withhold(file, line, body, unmaskable);
                false
            }
            Ok((masked, findings)) if self.output == Output::Json => {
                let findings = self.report.then_some(findings.as_slice());
                self.told.push(told(file, line, &masked, findings, Some(masked.body().unwrap_or(body))));
                false
            }
            Ok((masked, findings)) => {
                if self.report && !(line.is_some() && masked.found().is_empty()) {
                    self.told.push(told(file, line, &masked, Some(&findings), None));
                }
                out.write_all(masked.body().unwrap_or(body)).is_ok()
            }
        }
    }

    fn withhold(&mut self, file: &str, line: Option<u64>, body: &[u8], unmaskable: Unmaskable) {
        self.end = self.end.max(End::Found);
        // `not-json` rather than `response-not-json`: here it is no response.
        let reason = unmaskable.reason().trim_start_matches("response-");
        let (line, column) = match unmaskable.at() {
            Some(at) => {
                let (more, column) = position(body, at);
                (Some(line.unwrap_or(1).saturating_add(more)), Some(column))
            }
            None => (line, None),
        };
        let why = unmaskable.to_string();
        self.told.push(json!({"file": file, "line": line, "column": column, "withheld": reason, "why": why}));
        if self.output == Output::Text {
            let place = match (line, column) {
                (Some(line), Some(column)) => format!(", line {line}, column {column},"),
                (Some(line), None) => format!(", line {line},"),
                _ => String::new(),
            };
            complain(&format!("`{file}`{place} is withheld: {unmaskable}"));
        }
    }
}

/// How many lines stand before byte `at`, and in which column of its line it is, from 1, in characters.
fn position(body: &[u8], at: usize) -> (u64, u64) {
    let before = body.get(..at).unwrap_or(body);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(line).chars().count().saturating_add(1);
    (u64::try_from(lines).unwrap_or(u64::MAX), u64::try_from(column).unwrap_or(u64::MAX))
}

/// Reads to the end, and says how far that is.
fn read_whole(reader: &mut impl BufRead, body: &mut Vec<u8>, progress: &mut Progress) -> std::io::Result<()> {
    loop {
        let part = match reader.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            part => part?,
        };
        if part.is_empty() {
            progress.clear();
            return Ok(());
        }
        body.extend_from_slice(part);
        let length = part.len();
        progress.advance(length);
        reader.consume(length);
    }
}

fn flushed(mut out: impl Write) -> Result<(), String> {
    match out.flush() {
        // A reader that has gone, such as `head`, wants no more.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

fn told(file: &str, line: Option<u64>, masked: &Masked, findings: Option<&[Finding]>, body: Option<&[u8]>) -> Value {
    let found = |one: &Found| json!({"kind": one.kind.name(), "count": one.count, "pointers": one.pointers, "truncated": one.truncated});
    let mut told = json!({"file": file, "line": line, "found": masked.found().iter().map(found).collect::<Vec<_>>()});
    if let Some(members) = told.as_object_mut() {
        if let Some(findings) = findings {
            members.insert("findings".to_owned(), findings.iter().map(finding).collect());
        }
        if let Some(body) = body {
            // What could be masked is UTF-8.
            members.insert("body".to_owned(), String::from_utf8_lossy(body).into());
        }
    }
    told
}

fn finding(finding: &Finding) -> Value {
    let mut told = json!({
        "kind": finding.kind.name(),
        "pointer": finding.pointer,
        "start": finding.place.as_ref().map(|place| place.start),
        "end": finding.place.as_ref().map(|place| place.end),
        "proof": finding.proof,
        "validator": finding.validator,
    });
    if let Some(members) = told.as_object_mut() {
        if finding.in_name {
            members.insert("in".to_owned(), "name".into());
        }
        if !finding.inside.is_empty() {
            members.insert("inside".to_owned(), finding.inside.clone().into());
        }
    }
    told
}

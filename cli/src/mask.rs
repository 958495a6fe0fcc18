//! `rerank-guard mask`: personal data out of JSON, NDJSON or text, as the filter takes it out of answers.

use crate::progress::Progress;
use crate::report::{complain, say_json, unable};
use crate::{End, Output};
use rerank_guard::mask::{Found, Kept, Kind, Masked, Masks, Rule, Unmaskable, mask_json, mask_text};
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
    /// Kinds to find, such as `email,phone`; all of them where it is not said.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    detect: Vec<Kind>,
    /// What stands in the place of a finding; `{kind}` becomes its kind.
    #[arg(long, default_value = "[{kind}]")]
    replace: String,
    /// Places whose numbers are left as they are, as JSON pointers with `*` for one step and a last `**` for the rest:
    /// `/results/*/index,/usage/**`.
    #[arg(long, value_delimiter = ',', value_name = "POINTERS", conflicts_with = "text")]
    keep: Vec<String>,
    /// Tell what was found, as JSON on standard error: kinds, counts and JSON pointers, never values. With `--output json` it is
    /// on standard output together with what is masked.
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
    let detect = if arguments.detect.is_empty() { Kind::ALL.to_vec() } else { arguments.detect.clone() };
    let rule = Rule::detecting(&detect, &arguments.replace);
    let masks = match Masks::compile(&[("--replace", &rule)]) {
        Ok(masks) => masks,
        Err(refused) => return unable(&refused.to_string(), output),
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
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut body = Vec::new();
        if self.form != Form::Lines {
            reader.read_to_end(&mut body).map_err(failed)?;
            self.one(&name, None, &body, &mut out);
            return flushed(out);
        }
        let mut progress = Progress::new(&name, size);
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
        let masked = match self.form {
            Form::Text => mask_text(body, &self.masks, &[]),
            Form::Json | Form::Lines => mask_json(body, &self.masks, &self.kept, &[]),
        };
        match masked {
            Err(unmaskable) => {
                self.withhold(file, line, unmaskable);
                false
            }
            Ok(masked) if self.output == Output::Json => {
                self.told.push(told(file, line, &masked, Some(masked.body().unwrap_or(body))));
                false
            }
            Ok(masked) => {
                if self.report && !(line.is_some() && masked.found().is_empty()) {
                    self.told.push(told(file, line, &masked, None));
                }
                out.write_all(masked.body().unwrap_or(body)).is_ok()
            }
        }
    }

    fn withhold(&mut self, file: &str, line: Option<u64>, unmaskable: Unmaskable) {
        self.end = self.end.max(End::Found);
        // `not-json` rather than `response-not-json`: here it is no response.
        let reason = unmaskable.reason().trim_start_matches("response-");
        self.told.push(json!({"file": file, "line": line, "withheld": reason, "why": unmaskable.to_string()}));
        if self.output == Output::Text {
            let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
            complain(&format!("`{file}`{line} is withheld: {unmaskable}"));
        }
    }
}

fn flushed(mut out: impl Write) -> Result<(), String> {
    match out.flush() {
        // A reader that has gone, such as `head`, wants no more.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

fn told(file: &str, line: Option<u64>, masked: &Masked, body: Option<&[u8]>) -> Value {
    let found = |one: &Found| json!({"kind": one.kind.name(), "count": one.count, "pointers": one.pointers, "truncated": one.truncated});
    let mut told = json!({"file": file, "line": line, "found": masked.found().iter().map(found).collect::<Vec<_>>()});
    if let (Some(body), Some(members)) = (body, told.as_object_mut()) {
        // What could be masked is UTF-8.
        members.insert("body".to_owned(), String::from_utf8_lossy(body).into());
    }
    told
}

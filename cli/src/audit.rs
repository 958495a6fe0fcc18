//! `rerank-guard audit verify`: are the records what the gateways wrote, all of them, and in their order?

use crate::chains::{Chain, Chains, Found, Spot};
use crate::progress::Progress;
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Verify that records were neither edited, taken out, doubled, moved nor put in. Exits 1 when anything was found, and where there
    /// is no record at all.
    ///
    /// Records of one worker form a chain, in which each names the hash of the one before. What is cut off at the end of a chain,
    /// or a whole chain that is gone, does not show in it: for that, compare the tips printed here with those of an earlier run,
    /// or with checkpoints. Nor is the hash a signature: who can rewrite all of a chain behind a point can seal it anew.
    Verify(Arguments),
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Envoy's access logs with the records, oldest first, or files of bare records; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A chain begins here behind a record that an earlier run verified: its name and the tip that run printed. Once for each.
    #[arg(long, value_name = "CHAIN=HASH")]
    after: Vec<String>,
}

pub(crate) fn run(command: &Command, output: Output) -> End {
    let Command::Verify(arguments) = command;
    let mut chains = Chains::default();
    for after in &arguments.after {
        match after.rsplit_once('=').filter(|(_, hash)| hash.starts_with("sha256:") && hash.len() == 71) {
            Some((chain, hash)) => chains.resume(chain, hash),
            None => {
                return unable(
                    "`--after` is no tip: write the chain's name, `=` and its hash as it was printed",
                    output,
                );
            }
        }
    }
    let mut findings: Vec<Found> = Vec::new();
    let mut lines = 0_u64;
    for (file, path) in arguments.files.iter().enumerate() {
        let take = |chains: &mut Chains, line: u64, text: &[u8]| chains.line(text, Spot { file, line });
        match read(path, &mut chains, &mut findings, take) {
            Ok(read) => lines = lines.saturating_add(read),
            Err(why) => return unable(&why, output),
        }
    }
    findings.extend(chains.end());
    findings.sort_by_key(|found| found.at.map(|at| (at.file, at.line)));
    let file = |found: &Found| {
        let path = found.at.and_then(|at| arguments.files.get(at.file));
        path.map(|path| path.display().to_string()).unwrap_or_default()
    };
    match output {
        Output::Text => say(&text(&chains, &findings, lines, &file)),
        Output::Json => {
            let found = |one: &Found| {
                json!({"file": file(one), "line": one.at.map(|at| at.line), "kind": one.kind.as_str(), "chain": one.chain,
                    "seq": one.seq, "what": one.what})
            };
            let listed: Vec<Value> = chains.chains.iter().map(|(name, chain)| described(name, chain)).collect();
            say_json(
                &json!({"ok": findings.is_empty() && chains.records > 0, "lines": lines, "records": chains.records, "chains": listed,
                "findings": findings.iter().map(found).collect::<Vec<_>>()}),
            );
        }
    }
    // What holds no record proves nothing: it is the wrong file, or all of them were taken away.
    if findings.is_empty() && chains.records > 0 { End::Well } else { End::Found }
}

fn described(name: &str, chain: &Chain) -> Value {
    json!({"chain": name, "records": chain.records, "first": chain.first, "last": chain.last, "tip": chain.tip})
}

fn text(chains: &Chains, findings: &[Found], lines: u64, file: &dyn Fn(&Found) -> String) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail. What stands in records may be anything, and is escaped for the terminal.
    for one in findings {
        let line = one.at.map(|at| format!(":{}", at.line)).unwrap_or_default();
        let of = match (&one.chain, one.seq) {
            (Some(chain), Some(seq)) => format!(" ({} number {seq})", chain.escape_debug()),
            _ => String::new(),
        };
        let _ = writeln!(text, "{}{line}: {}: {}{of}", file(one), one.kind.as_str(), one.what);
    }
    for (name, chain) in &chains.chains {
        let time =
            |time: Option<_>| time.map_or_else(|| "?".to_owned(), |time: rerank_guard::time::Time| time.to_string());
        let _ = writeln!(
            text,
            "{}: {} records, {} to {}, tip {}",
            name.escape_debug(),
            chain.records,
            time(chain.first),
            time(chain.last),
            chain.tip.as_deref().unwrap_or("none").escape_debug()
        );
    }
    let (count, records) = (chains.chains.len(), chains.records);
    if records == 0 {
        let _ =
            writeln!(text, "no record: nothing was verified; give the whole access log that Envoy writes records to");
    }
    let _ = writeln!(text, "{lines} lines, {records} records, {count} chains, {} findings", findings.len());
    text
}

/// Reads a file line by line; gives their number.
fn read(
    path: &Path,
    chains: &mut Chains,
    findings: &mut Vec<Found>,
    take: impl Fn(&mut Chains, u64, &[u8]) -> Vec<Found>,
) -> Result<u64, String> {
    let name = path.display();
    let failed = |error: std::io::Error| format!("cannot read `{name}`: {error}");
    let (reader, size): (Box<dyn Read>, u64) = if path.as_os_str() == "-" {
        (Box::new(std::io::stdin().lock()), 0)
    } else {
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        (Box::new(file), size)
    };
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut progress = Progress::new(&name.to_string(), size);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            progress.clear();
            return Ok(number);
        }
        number = number.saturating_add(1);
        findings.extend(take(chains, number, &line));
        progress.advance(length);
    }
}

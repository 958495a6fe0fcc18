//! How fast an engine finds an operator's patterns in a text, for `bench/mask.mjs`, which runs it in V8.
//!
//! `patterns ENGINE SIZE`, the text on standard input; a JSON object with the figures goes to standard output. Each engine looks for
//! the patterns one by one, as they are compiled one by one when a bundle loads. Ours masks what it finds as well.

use rerank_guard::mask::{Masks, Rule, mask_text};
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

/// What operators have of their own: staff numbers, matters, articles, hosts.
const PATTERNS: [&str; 4] = [
    r"\bEMP-\d{6}\b",
    r"(?i)\bmatter no[.:]? ?\d{4,8}\b",
    r"\b[A-Z]{2}\d{4}-[A-Z0-9]{3}\b",
    r"\b[a-z]{1,20}\d{1,3}\.corp\.example\b",
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let engine = arguments.next().expect("the engine");
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("a text");
    let begun = Instant::now();
    let count = match engine.as_str() {
        "ours" => ours(),
        "regex-lite" => lite(),
        "regex" => regex(),
        "dense DFA" => dense(),
        other => panic!("no engine `{other}`"),
    };
    let load = begun.elapsed();
    let found = count(&text);
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) || times.len() < 3 {
        let start = Instant::now();
        black_box(count(black_box(&text)));
        times.push(start.elapsed().as_nanos());
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "{}",
        serde_json::json!({"bytes": text.len(), "found": found, "median_ns": median, "load_us": load.as_micros()})
    );
}

fn ours() -> Box<dyn Fn(&str) -> usize> {
    let patterns: serde_json::Map<_, _> =
        (0..).zip(PATTERNS).map(|(at, regex)| (format!("p{at}"), serde_json::json!({"regex": regex}))).collect();
    let rule: Rule = serde_json::from_value(serde_json::json!({"patterns": patterns})).expect("a rule");
    let masks = Masks::compile(&[("own", &rule)]).expect("masks");
    Box::new(move |text| {
        let masked = mask_text(text.as_bytes(), &masks, &[]).expect("a text that can be masked");
        masked.found().iter().map(|found| found.count as usize).sum()
    })
}

fn lite() -> Box<dyn Fn(&str) -> usize> {
    let all = PATTERNS.map(|pattern| regex_lite::Regex::new(pattern).expect("an expression"));
    Box::new(move |text| all.iter().map(|one| one.find_iter(text).count()).sum())
}

fn regex() -> Box<dyn Fn(&str) -> usize> {
    let all = PATTERNS
        .map(|pattern| ::regex::bytes::RegexBuilder::new(pattern).unicode(false).build().expect("an expression"));
    Box::new(move |text| all.iter().map(|one| one.find_iter(text.as_bytes()).count()).sum())
}

/// Tables as large as they come: what a precomputed automaton could do at best.
fn dense() -> Box<dyn Fn(&str) -> usize> {
    let syntax = regex_automata::util::syntax::Config::new().unicode(false).utf8(false);
    let all = PATTERNS.map(|pattern| {
        regex_automata::dfa::regex::Regex::builder().syntax(syntax).build(pattern).expect("an expression")
    });
    Box::new(move |text| all.iter().map(|one| one.find_iter(text).count()).sum())
}

//! How fast a body is masked with every kind there is, and how much memory that takes: for `bench/mask.mjs`, which runs it in V8.
//!
//! The body comes on standard input; a JSON object with the figures goes to standard output. With `units` as the first argument, a JSON
//! array of short texts comes instead, each is masked repeated up to so many bytes, and the time of each goes out.

#![allow(clippy::expect_used, reason = "a measuring program")]

use rerank_guard::mask::{Kept, Kind, Masks, Rule, mask_json};
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

fn main() {
    let rule: Rule = serde_json::from_value(serde_json::json!({
        "detect": Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
    }))
    .expect("a rule");
    let masks = Masks::compile(&[("all", &rule)]).expect("masks");
    let kept = Kept::compile(&["/results/*/index", "/results/*/relevance_score", "/meta/**"]).expect("places");
    if std::env::args().nth(1).is_some_and(|mode| mode == "units") {
        return units(&masks, &kept);
    }
    // Of the exact size, so that reading leaves no spare memory for the masking to use unseen.
    let size = std::env::args().nth(1).and_then(|size| size.parse().ok()).expect("the size of the body");
    let mut body = Vec::with_capacity(size);
    // In small parts: what WASI hosts make of larger ones differs.
    let mut part = [0_u8; 1 << 12];
    loop {
        match std::io::stdin().read(&mut part).expect("a body") {
            0 => break,
            length => body.extend_from_slice(part.get(..length).unwrap_or_default()),
        }
    }
    // With a second argument it is masked once and not timed, to count instructions, which do not depend on what else runs.
    let once = std::env::args().nth(2).is_some();
    let before = memory();
    let found: u32 = {
        let masked = mask_json(&body, &masks, &kept, &[]).expect("a body that can be masked");
        masked.found().iter().map(|found| found.count).sum()
    };
    let peak = memory() - before + body.len();
    if once {
        println!("{}", serde_json::json!({"bytes": body.len(), "found": found}));
        return;
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1200) || times.len() < 5 {
        let start = Instant::now();
        black_box(mask_json(black_box(&body), &masks, &kept, &[]).is_ok());
        times.push(start.elapsed().as_nanos());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).expect("a time");
    let best = times.first().expect("a time");
    println!(
        "{}",
        serde_json::json!({"bytes": body.len(), "found": found, "median_ns": median, "best_ns": best, "peak_bytes": peak})
    );
}

/// How long it takes to mask each of the texts on standard input, repeated: the best of three times.
fn units(masks: &Masks, kept: &Kept) {
    let size: usize = std::env::args().nth(2).and_then(|size| size.parse().ok()).expect("the size of each text");
    let mut given = String::new();
    std::io::stdin().read_to_string(&mut given).expect("the texts");
    let units: Vec<String> = serde_json::from_str(&given).expect("a JSON array");
    let mut told = Vec::new();
    for unit in units {
        let text = unit.repeat(size / unit.len().max(1));
        let body = serde_json::to_vec(&serde_json::json!({ "t": text })).expect("a body");
        let time = || {
            let start = Instant::now();
            black_box(mask_json(black_box(&body), masks, kept, &[]).expect("a body that can be masked"));
            start.elapsed().as_nanos()
        };
        let best = (0..3).map(|_| time()).min().expect("a time");
        told.push(serde_json::json!({"unit": unit, "bytes": body.len(), "ns": best}));
    }
    println!("{}", serde_json::Value::from(told));
}

/// Bytes of linear memory, which never shrinks.
#[cfg(target_arch = "wasm32")]
fn memory() -> usize {
    core::arch::wasm32::memory_size::<0>() << 16
}

#[cfg(not(target_arch = "wasm32"))]
fn memory() -> usize {
    0
}

//! How fast a body is masked with every kind there is, and how much memory that takes: for `bench/mask.mjs`, which runs it in V8.
//!
//! The body comes on standard input; a JSON object with the figures goes to standard output.

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

/// Bytes of linear memory, which never shrinks.
#[cfg(target_arch = "wasm32")]
fn memory() -> usize {
    core::arch::wasm32::memory_size::<0>() << 16
}

#[cfg(not(target_arch = "wasm32"))]
fn memory() -> usize {
    0
}

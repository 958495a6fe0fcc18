//! How long a decision takes, and the same decision in other engines. One run measures one engine on one bundle and prints one
//! line of JSON; `bench/decisions.py` runs them all and prints the table.
//!
//! ```text
//! decisions bundle RULES LAYOUT                  the bundle, on standard output
//! decisions ENGINE RULES LAYOUT [BUNDLE]         ours (which needs the file BUNDLE), scan, cedar, rego
//! ```

#[cfg(feature = "others")]
mod cedar;
mod ours;
#[cfg(feature = "others")]
mod rego;
mod scan;
mod world;

use serde_json::json;
use std::env;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};
use world::{Layout, World};

/// Calls that take turns, so that none is decided twice in a row.
const CALLS: usize = 1_000;
/// The calls by which engines are compared, from the first on; slow engines decide fewer in the time there is.
const COMPARED: usize = 200;
const COMPARING: Duration = Duration::from_secs(5);
/// How long is measured, in rounds over all calls; one round at least, of which as many calls as fit.
const LONG: Duration = Duration::from_secs(2);

/// What comes out of a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Allow,
    Ask,
    Deny,
}

impl Outcome {
    /// By the rules that match: whether any denies, whether any allows, and the guards' points.
    pub fn of(denied: bool, granted: bool, risk: usize) -> Self {
        match (denied || !granted, risk >= 20) {
            (true, _) => Self::Deny,
            (false, true) => Self::Ask,
            (false, false) => Self::Allow,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Allow => 'a',
            Self::Ask => 'q',
            Self::Deny => 'd',
        }
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let named = |number: usize| arguments.get(number).map(String::as_str);
    let (Some(what), Some(rules), Some(layout)) =
        (named(0), named(1).and_then(|rules| rules.parse().ok()), named(2).and_then(Layout::read))
    else {
        panic!("write: bundle|ours|scan|cedar|rego RULES spread|crowded [BUNDLE]");
    };
    let world = World::new(rules, CALLS, layout);
    match what {
        "bundle" => println!("{}", world.bundle()),
        "ours" => {
            let before = memory();
            let bundle = fs::read_to_string(named(3).expect("the bundle's file")).expect("a bundle");
            let text = memory() - before;
            let (load, ours) = timed(|| ours::Ours::load(&bundle));
            let memory = memory() - before;
            measure(&world.calls, load, &[("memory", memory), ("text", text)], |call| ours.decide(call));
        }
        "scan" => {
            let (load, scan) = timed(|| scan::Scan::load(&world));
            measure(&world.calls, load, &[], |call| scan.decide(call));
        }
        #[cfg(feature = "others")]
        "cedar" => {
            let text = cedar::text(&world);
            let (load, cedar) = timed(|| cedar::Cedar::load(&text));
            let asked: Vec<_> = world.calls.iter().map(cedar::Asked::new).collect();
            measure(&asked, load, &[], |asked| cedar.decide(asked));
        }
        #[cfg(feature = "others")]
        "rego" => {
            let data = rego::data(&world);
            let (load, mut rego) = timed(|| rego::Rego::load(&data));
            let asked: Vec<_> = world.calls.iter().map(rego::asked).collect();
            measure(&asked, load, &[], |asked| rego.decide(asked));
        }
        _ => panic!("no engine `{what}` here"),
    }
}

fn timed<T>(load: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let loaded = load();
    (begun.elapsed(), loaded)
}

fn measure<C>(calls: &[C], load: Duration, sizes: &[(&str, usize)], mut decide: impl FnMut(&C) -> Outcome) {
    let begun = Instant::now();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for call in calls.iter().take(COMPARED) {
        outcomes.push(decide(call));
        if begun.elapsed() > COMPARING {
            break;
        }
    }
    // By what comes of them: what is granted and what is refused take different ways.
    let mut all: Vec<(&C, Outcome)> = Vec::new();
    let begun = Instant::now();
    for call in calls {
        all.push((call, decide(call)));
        if begun.elapsed() > LONG {
            break;
        }
    }
    let mut mean = |wanted: &dyn Fn(Outcome) -> bool| {
        let chosen: Vec<&C> = all.iter().filter(|(_, outcome)| wanted(*outcome)).map(|(call, _)| *call).collect();
        if chosen.is_empty() {
            return None;
        }
        let (begun, mut rounds) = (Instant::now(), Vec::new());
        while begun.elapsed() < LONG {
            let round = Instant::now();
            for call in &chosen {
                black_box(decide(black_box(call)));
            }
            rounds.push(round.elapsed().as_secs_f64() * 1e6 / chosen.len() as f64);
        }
        rounds.sort_by(f64::total_cmp);
        Some(rounds[rounds.len() / 2])
    };
    let (each, granted, refused) =
        (mean(&|_| true), mean(&|one| one != Outcome::Deny), mean(&|one| one == Outcome::Deny));
    // One by one, the clock's own cost included.
    let mut single: Vec<f64> = Vec::new();
    for (call, _) in &all {
        let begun = Instant::now();
        black_box(decide(black_box(call)));
        single.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    single.sort_by(f64::total_cmp);
    let count = |wanted: Outcome| all.iter().filter(|(_, outcome)| *outcome == wanted).count();
    let mut said = json!({
        "load_ms": load.as_secs_f64() * 1e3,
        "us": each, "granted_us": granted, "refused_us": refused,
        "p99_us": single[(single.len() - 1) * 99 / 100],
        "calls": all.len(),
        "outcomes": {"allow": count(Outcome::Allow), "ask": count(Outcome::Ask), "deny": count(Outcome::Deny)},
        "compared": outcomes.iter().map(|one| one.letter()).collect::<String>(),
    });
    for (name, bytes) in sizes {
        said[*name] = json!(bytes);
    }
    println!("{said}");
}

/// Bytes of the VM's memory. It never shrinks, so this is also the most that was ever used.
fn memory() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) << 16;
    #[cfg(not(target_arch = "wasm32"))]
    0
}

//! An upstream for the bench: answers every POST at once with a rerank answer of a given size, made once per size and
//! the same on every machine.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::server::{self, Answer, Asked};

const LIMIT: usize = 16 << 20;
/// The smallest answer: one short document.
const SMALLEST: usize = 1000;
const LARGEST: usize = 16 << 20;
/// How many sizes are kept.
const SIZES: usize = 32;

/// Command line of the bench's upstream.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to serve; port 0 means a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Whose answer it is
    #[arg(long, value_enum, default_value = "cohere")]
    kind: Kind,
    /// The exact size of an answer, unless the header `x-size` or a number as the path's last segment says otherwise
    #[arg(long, default_value_t = 5000)]
    bytes: usize,
    /// Another seed makes other documents
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Cohere,
    Jina,
}

/// Serves until told to stop.
pub(crate) async fn run(args: Args) -> Result<(), server::Failure> {
    let (listener, at) = server::bind(args.listen).await?;
    let sized = Arc::new(Upstream::new(args.kind, args.bytes, args.seed));
    let serving = server::serve(listener, LIMIT, move |asked| {
        let answer = sized.answer(&asked);
        async { answer }
    });
    server::say_ready(&json!({ "ready": at.to_string() }))?;
    server::until_stopped(serving).await
}

struct Upstream {
    kind: Kind,
    bytes: usize,
    seed: u64,
    prepared: Mutex<HashMap<usize, Bytes>>,
}

impl Upstream {
    fn new(kind: Kind, bytes: usize, seed: u64) -> Self {
        Self { kind, bytes, seed, prepared: Mutex::default() }
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if asked.method != Method::POST {
            return server::empty(if asked.path == "/healthz" {
                StatusCode::OK
            } else {
                StatusCode::METHOD_NOT_ALLOWED
            });
        }
        let header = asked.headers.get("x-size").and_then(|value| value.to_str().ok());
        let wished = match header {
            Some(size) => size.parse().ok(),
            None => Some(last_number(&asked.path).unwrap_or(self.bytes)),
        };
        match wished {
            Some(size) if (SMALLEST..=LARGEST).contains(&size) => {
                server::answer(StatusCode::OK, "application/json", self.body(size))
            }
            _ => server::refusal(StatusCode::BAD_REQUEST, "a size is a number of bytes from 1000 to 16777216"),
        }
    }

    fn body(&self, size: usize) -> Bytes {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = prepared.get(&size) {
            return body.clone();
        }
        if prepared.len() >= SIZES {
            prepared.clear();
        }
        let body = Bytes::from(rerank_answer(self.kind, size, self.seed));
        prepared.insert(size, body.clone());
        body
    }
}

fn last_number(path: &str) -> Option<usize> {
    path.rsplit('/').next()?.parse().ok()
}

/// A rerank answer of exactly `size` bytes. Written by hand, because its size counts.
fn rerank_answer(kind: Kind, size: usize, seed: u64) -> String {
    let (head, tail) = match kind {
        Kind::Cohere => (
            r#"{"id":"7f1d3c52-9d7e-4f0a-8a55-3f6c1b0e9a11","results":["#,
            r#"],"meta":{"api_version":{"version":"1"},"billed_units":{"search_units":1}}}"#,
        ),
        Kind::Jina => {
            (r#"{"model":"jina-reranker-v2-base-multilingual","usage":{"total_tokens":4096},"results":["#, "]}")
        }
    };
    let mut random = Random(seed);
    let mut body = String::with_capacity(size);
    body.push_str(head);
    let mut number = 0usize;
    loop {
        let mut text = document(&mut random, number);
        let left = size.saturating_sub(body.len() + tail.len());
        let open = format!(
            r#"{}{{"index":{number},"relevance_score":{:.8},"document":{{"text":""#,
            if number == 0 { "" } else { "," },
            0.98 / (1.0 + number as f64 / 7.0),
        );
        let close = "\"}}";
        let around = open.len() + close.len();
        // The last document takes up what is left, because another one might not fit.
        let last = left < around + text.len() + 700;
        if last {
            fill(&mut text, left.saturating_sub(around), &mut random);
        }
        body.push_str(&open);
        body.push_str(&text);
        body.push_str(close);
        if last {
            body.push_str(tail);
            return body;
        }
        number += 1;
    }
}

/// Makes a text exactly `room` bytes long.
fn fill(text: &mut String, room: usize, random: &mut Random) {
    while text.len() < room {
        text.push(' ');
        text.push_str(&document(random, 0));
    }
    while text.len() > room {
        text.pop();
    }
    // A cut inside an escape would leave a lone backslash.
    text.truncate(text.trim_end_matches('\\').len());
    while text.len() < room {
        text.push('x');
    }
}

/// About 350 bytes of the text a support desk has, already in JSON's escaping. Every second one holds an e-mail
/// address, a telephone number or a card number, all of them reserved for examples and tests.
fn document(random: &mut Random, number: usize) -> String {
    let mut text = String::new();
    for sentence in 0..5 {
        let (who, what, thing, when) = (random.pick(&WHO), random.pick(&WHAT), random.pick(&THING), random.pick(&WHEN));
        let _ = write!(text, "{who} {what} {thing} {when}. ");
        if sentence == 2 {
            let digits = random.next() % 100;
            let _ = match number % 10 {
                1 | 6 => write!(
                    text,
                    "Please write to {}.{}{digits}@example.org. ",
                    random.pick(&NAMES),
                    random.pick(&NAMES)
                ),
                3 | 8 => write!(text, "Call +1 202-555-01{digits:02} in the morning. "),
                5 => write!(text, "It was paid with {}. ", random.pick(&CARDS)),
                9 => write!(text, "They said: \\\"no, thank you\\\".\\n"),
                _ => Ok(()),
            };
        }
    }
    text.truncate(text.trim_end().len());
    text
}

const WHO: [&str; 8] = [
    "The customer",
    "Our warehouse in Graz",
    "A colleague from the second line",
    "The supplier",
    "Someone at the café",
    "The field engineer",
    "Accounting",
    "The night shift",
];
const WHAT: [&str; 8] = [
    "reported a fault in",
    "asked for a replacement of",
    "returned",
    "has not yet received",
    "confirmed the delivery of",
    "complained about the noise of",
    "wants to cancel the order for",
    "measured the temperature of",
];
const THING: [&str; 8] = [
    "the pump, model P-220",
    "two sets of bearings",
    "the heat exchanger",
    "the blue valve (DN 40)",
    "twelve sensors",
    "the control cabinet",
    "invoice 20-3318",
    "the spare gasket",
];
const WHEN: [&str; 8] = [
    "on Tuesday",
    "after the last update",
    "in week 42",
    "before the audit",
    "during the night",
    "without further notice",
    "for the third time",
    "since the move to hall 7",
];
const NAMES: [&str; 8] = ["ada", "grace", "alan", "edsger", "barbara", "donald", "frances", "niklaus"];
/// Test numbers of the card schemes.
const CARDS: [&str; 4] = ["4111 1111 1111 1111", "5555 5555 5555 4444", "4012888888881881", "3782 822463 10005"];

/// SplitMix64: the same numbers everywhere, and nothing depends on their being hard to guess.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        let count = u64::try_from(among.len()).unwrap_or(1).max(1);
        let index = usize::try_from(self.next() % count).unwrap_or_default();
        among.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::server::client::{any_port, ask};

    #[test]
    fn answers_are_json_of_exactly_the_size_and_always_the_same() {
        for kind in [Kind::Cohere, Kind::Jina] {
            for size in (SMALLEST..4000).chain([5000, 12_345, 100_000, 1_000_000]) {
                let body = rerank_answer(kind, size, 1);
                assert_eq!(body.len(), size);
                let parsed: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{size}: {error}"));
                for (index, result) in parsed["results"].as_array().unwrap().iter().enumerate() {
                    assert_eq!(result["index"], index);
                    assert!(result["relevance_score"].is_f64());
                    assert!(!result["document"]["text"].as_str().unwrap().is_empty());
                }
            }
        }
        assert_eq!(rerank_answer(Kind::Jina, 20_000, 7), rerank_answer(Kind::Jina, 20_000, 7));
        assert_ne!(rerank_answer(Kind::Jina, 20_000, 7), rerank_answer(Kind::Jina, 20_000, 8));
    }

    /// The first outputs for seed 0 that the authors of SplitMix64's successors print.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random(0);
        assert_eq!([random.next(), random.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn there_is_something_to_mask_in_every_five_thousand_bytes() {
        for (size, times) in [(5000, 1), (100_000, 18)] {
            let body = rerank_answer(Kind::Cohere, size, 1);
            let count = |what: &str| body.matches(what).count();
            let found = [count("@example.org"), count("+1 202-555-01"), count("paid with")];
            assert!(found[0] >= 2 * times && found[1] >= times && found[2] >= times, "{found:?} in {size}");
        }
    }

    #[tokio::test]
    async fn the_size_comes_from_the_header_the_path_or_the_command_line() {
        let (listener, at) = server::bind(any_port()).await.unwrap();
        let sized = Arc::new(Upstream::new(Kind::Cohere, 1500, 1));
        let task = tokio::spawn(server::serve(listener, LIMIT, move |asked| {
            let answer = sized.answer(&asked);
            async { answer }
        }));
        let table = [
            ("POST /v1/rerank", None, (200, 1500)),
            ("POST /v1/rerank/2500", None, (200, 2500)),
            ("POST /v1/rerank/2500", Some(("x-size", "3500")), (200, 3500)),
            ("GET /healthz", None, (200, 0)),
        ];
        for (line, header, expected) in table {
            let (status, body) = ask(at, line, header.as_slice(), "{}").await;
            assert_eq!((status, body.len()), expected, "{line}");
        }
        for size in ["10", "many", "99999999999"] {
            assert_eq!(ask(at, "POST /", &[("x-size", size)], "").await.0, 400, "{size}");
        }
        task.abort();
    }
}

//! JSON bodies.

use rerank_guard::mask::{Kept, Unmaskable, mask_json};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// The first byte chooses the replacement, the rest is the body. Exactly JSON is masked, JSON comes out, it has no finding, and the
/// numbers the dialect keeps are the same bytes in the same order. No text can keep a body from being masked.
pub fn check(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let masks = crate::masks(*choice);
    let kept = Kept::compile(&["/results/*/index", "/results/*/relevance_score", "/usage/**"]).expect("patterns");
    let masked = match mask_json(body, &masks, &kept, &[]) {
        Ok(masked) => masked,
        Err(Unmaskable::Malformed { at }) => {
            assert!(serde_json::from_slice::<Value>(body).is_err(), "JSON is refused at byte {at}");
            return;
        }
        Err(why) => return assert!(!matches!(why, Unmaskable::Unsettled { .. }), "a text keeps a body from leaving"),
    };
    assert!(is_json(body), "what is no JSON leaves");
    assert_eq!(masked.body().is_none(), masked.found().is_empty(), "a finding that was not replaced, or the reverse");
    let Some(once) = masked.body() else { return };
    assert!(is_json(once), "what leaves is no JSON: {}", String::from_utf8_lossy(once));
    let twice = mask_json(once, &masks, &kept, &[]).expect("what was masked can be masked");
    let left = String::from_utf8_lossy(once);
    assert!(twice.found().is_empty() && twice.body().is_none(), "a finding is left: {:?} in {left}", twice.found());
    assert_eq!(kept_numbers(body), kept_numbers(once), "a kept number has changed");
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The numbers at `/results/*/index` and `/results/*/relevance_score`, as they are written, in order.
fn kept_numbers(body: &[u8]) -> Vec<String> {
    let mut numbers = Vec::new();
    for (_, results) in members(body).into_iter().filter(|(name, _)| name == "results") {
        let items: Vec<Box<RawValue>> = serde_json::from_str(results.get()).unwrap_or_default();
        for (name, value) in items.iter().flat_map(|item| members(item.get().as_bytes())) {
            let number = value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
            // Longer ones are none that a dialect has there.
            let short = value.get().len() <= 9 && !value.get().contains(['e', 'E']);
            if number && short && (name == "index" || name == "relevance_score") {
                numbers.push(value.get().to_owned());
            }
        }
    }
    numbers
}

/// The members of an object, repeated ones too; none of anything else.
fn members(body: &[u8]) -> Vec<(String, Box<RawValue>)> {
    serde_json::from_slice(body).map_or_else(|_| Vec::new(), |Members(members)| members)
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        reader.deserialize_map(All)
    }
}

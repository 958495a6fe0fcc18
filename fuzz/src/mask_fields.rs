//! Field rules over JSON bodies.

use rerank_guard::mask::{Kept, Masks, Unmaskable, mask_json, mask_text};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// The first byte chooses the replacement, whether anything else is looked for, and whether numbers are kept; the first line is field
/// rules with commas between, the rest the body. JSON comes out, masked twice it has no finding, and where the rule is a name alone
/// nothing stands under that name but what the replacement puts there.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some(at) = rest.iter().position(|byte| *byte == b'\n') else { return };
    let (rules, body) = rest.split_at(at);
    let Ok(rules) = std::str::from_utf8(rules) else { return };
    let rules: Vec<&str> = rules.split(',').filter(|rule| !rule.is_empty()).collect();
    let body = &body[1..];
    let detect: &[&str] = if choice & 4 == 0 { &[] } else { &["email", "phone", "us_ssn", "credit_card"] };
    let rule = json!({"fields": rules, "detect": detect, "replace": crate::replace(*choice)});
    let rule = serde_json::from_value(rule).expect("a rule");
    let Ok(masks) = Masks::compile(&[("fields", &rule)]) else { return };
    let kept: &[&str] = if choice & 8 == 0 { &[] } else { &["/results/*/index", "/usage/**"] };
    let kept = Kept::compile(kept).expect("patterns");
    // As a text. (Where nothing stands in a value's place, the next line can be taken for it; and a label can have a rule's name.)
    if let Ok(masked) = mask_text(body, &masks, &[]) {
        let once = masked.body().unwrap_or(body);
        let again = mask_text(once, &masks, &[]).is_ok_and(|twice| twice.body().is_some());
        assert!(!again || crate::replace(*choice).is_empty(), "something is left in {}", String::from_utf8_lossy(once));
    }
    let masked = match mask_json(body, &masks, &kept, &[]) {
        Ok(masked) => masked,
        Err(why) => return assert!(!matches!(why, Unmaskable::Unsettled { .. }), "a text keeps a body from leaving"),
    };
    assert_eq!(masked.body().is_none(), masked.found().is_empty(), "a finding that was not replaced, or the reverse");
    let once = masked.body().unwrap_or(body);
    let left = || String::from_utf8_lossy(once);
    assert!(serde_json::from_slice::<IgnoredAny>(once).is_ok(), "what leaves is no JSON: {}", left());
    let twice = mask_json(once, &masks, &kept, &[]).expect("what was masked can be masked");
    assert!(twice.found().is_empty() && twice.body().is_none(), "a finding is left: {:?} in {}", twice.found(), left());
    let names: Vec<&str> = rules.into_iter().filter(|rule| rule.chars().all(|one| one.is_ascii_lowercase())).collect();
    if choice & 8 == 0
        && let Ok(value) = serde_json::from_slice(once)
    {
        nothing_under(&names, &value, crate::replace(*choice));
    }
}

/// Nothing stands under one of `names`, in objects and in strings that are objects or arrays, but a replacement.
fn nothing_under(names: &[&str], value: &Value, replace: &str) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| nothing_under(names, item, replace)),
        Value::Object(members) => {
            for (name, value) in members {
                let plain: String = name.chars().filter(|one| !matches!(one, '_' | '-' | ' ')).collect();
                if names.contains(&plain.to_ascii_lowercase().as_str()) {
                    let is_masked = match (value, replace) {
                        (Value::Null, _) => true,
                        (_, "{drop}") => false,
                        (Value::String(text), "{same_length}") => text.chars().all(|one| one == '*') || is_label(text),
                        (Value::String(text), "") => text.is_empty(),
                        (Value::String(text), _) => is_label(text),
                        _ => false,
                    };
                    assert!(is_masked, "`{name}` has {value}");
                } else {
                    nothing_under(names, value, replace);
                }
            }
        }
        Value::String(text) => {
            if let Ok(inner @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(text) {
                nothing_under(names, &inner, replace);
            }
        }
        _ => {}
    }
}

fn is_label(text: &str) -> bool {
    text == "[field]"
}

use super::*;
use crate::detect;
use crate::{Found, Kind, Rule};
use proptest::prelude::*;
use serde_json::Value;

fn everything() -> Masks {
    let rule = Rule::detecting(Kind::ALL, "[{kind}]");
    Masks::compile(&[("all", &rule)]).unwrap()
}

fn rerank() -> Kept {
    Kept::compile(&["/results/*/index", "/results/*/relevance_score", "/usage/**"]).unwrap()
}

fn mask(body: &str) -> Result<(Option<String>, Vec<Found>), Unmaskable> {
    let (body, found) = mask_json(body.as_bytes(), &everything(), &rerank(), &[])?.into_parts();
    Ok((body.map(|body| String::from_utf8(body).unwrap()), found))
}

/// Each row: a body and what becomes of it.
fn check(rows: &[(&str, &str)]) {
    for (body, wanted) in rows {
        let (masked, _) = mask(body).unwrap();
        assert_eq!(masked.as_deref().unwrap_or(body), *wanted, "{body}");
        assert_eq!(masked.is_none(), body == wanted, "{body}");
    }
}

#[test]
fn strings_are_masked_wherever_they_stand_and_all_else_is_copied() {
    check(&[
        (r#""ann@example.org""#, r#""[email]""#),
        (r#" { "a" : [ "x" , "mail ann@example.org" ] } "#, r#" { "a" : [ "x" , "mail [email]" ] } "#),
        (r#"{"ann@example.org":{"b":1.50e+2}}"#, r#"{"[email]":{"b":1.50e+2}}"#),
        (r#"{"usage":{"note":"ann@example.org"}}"#, r#"{"usage":{"note":"[email]"}}"#),
        (r#"{"results":[{"index":"ann@example.org"}]}"#, r#"{"results":[{"index":"[email]"}]}"#),
        ("[[],{},\"\",null,true,false,0,-0.0,1E5]", "[[],{},\"\",null,true,false,0,-0.0,1E5]"),
    ]);
}

#[test]
fn escapes_are_decoded_before_looking_and_never_cut() {
    check(&[
        (r#""ann\u0040example.org""#, r#""[email]""#),
        (r#""\n\u0061nn@example\u002eorg\n""#, r#""\n[email]\n""#),
        (r#""http:\/\/192.168.0.1\/x""#, r#""http:\/\/[ip_address]\/x""#),
        (r#""\ud83d\ude00 \uff14111111111111111\ud83d\ude00""#, r#""\ud83d\ude00 [credit_card]\ud83d\ude00""#),
        (r#""41111111\u200b11111111""#, r#""[credit_card]""#),
        (r#"{"a\u0040b.de":"\"c@d.de\""}"#, r#"{"[email]":"\"[email]\""}"#),
    ]);
}

#[test]
fn numbers_that_are_findings_become_strings_except_where_they_are_kept() {
    check(&[
        (r#"{"card":4111111111111111}"#, r#"{"card":"[credit_card]"}"#),
        (
            r#"[-4111111111111111,4.111111111111111E15,4111111111111111.0]"#,
            r#"["[credit_card]","[credit_card]","[credit_card]"]"#,
        ),
        (r#"{"phone":4155550132}"#, r#"{"phone":"[phone]"}"#),
        (r#"{"ssn":219456789,"n":219456789}"#, r#"{"ssn":"[us_ssn]","n":219456789}"#),
        (r#"{"results":[{"index":415555013}]}"#, r#"{"results":[{"index":415555013}]}"#),
        (r#"{"usage":{"a":{"phone":4155550.13}}}"#, r#"{"usage":{"a":{"phone":4155550.13}}}"#),
        (r#"{"results":[{"index":4111111111111111}]}"#, r#"{"results":[{"index":"[credit_card]"}]}"#),
        (r#"{"usage":{"a":{"b":4111111111111111}}}"#, r#"{"usage":{"a":{"b":"[credit_card]"}}}"#),
        (
            r#"{"results":[{"relevance_score":0.4111111111111111}]}"#,
            r#"{"results":[{"relevance_score":0.4111111111111111}]}"#,
        ),
        (
            r#"[1e999,4111111111111111e99999999999,4111111111111111e-60,0.4111111111111111,4.111111111111111e-05]"#,
            r#"[1e999,"[credit_card]","[credit_card]",0.4111111111111111,4.111111111111111e-05]"#,
        ),
    ]);
}

#[test]
fn dropped_findings_take_their_member_along_and_leave_null_in_arrays() {
    let rule = Rule::detecting(&[Kind::Email, Kind::CreditCard], "{drop}");
    let masks = Masks::compile(&[("m", &rule)]).unwrap();
    for (body, wanted) in [
        (r#"{"a":"x@y.de"}"#, r#"{}"#),
        (r#"{ "a" : "x@y.de" , "b":1}"#, r#"{ "b":1}"#),
        (r#"{"b":1, "a":"x@y.de"}"#, r#"{"b":1}"#),
        (r#"{"b":1,"a":"x@y.de","c":2}"#, r#"{"b":1,"c":2}"#),
        (r#"{"a":"x@y.de","b":4111111111111111,"c":2}"#, r#"{"c":2}"#),
        (r#"{"a":"x@y.de","b":4111111111111111}"#, r#"{}"#),
        (r#"{"z":0,"a":"x@y.de","b":4111111111111111}"#, r#"{"z":0}"#),
        (r#"["x@y.de",4111111111111111,"z"]"#, r#"[null,null,"z"]"#),
        (r#""x@y.de""#, "null"),
        (r#"{"x@y.de":1}"#, r#"{"[email]":1}"#),
        (r#"{"x@y.de":"u@v.de","b":{"c":"x@y.de","d":["x@y.de"]}}"#, r#"{"b":{"d":[null]}}"#),
    ] {
        let masked = mask_json(body.as_bytes(), &masks, &rerank(), &[]).unwrap();
        let masked = std::str::from_utf8(masked.body().unwrap()).unwrap();
        assert_eq!(
            masked.split_whitespace().collect::<String>(),
            wanted.split_whitespace().collect::<String>(),
            "{body}"
        );
        assert!(serde_json::from_str::<Value>(masked).is_ok(), "{masked}");
    }
}

#[test]
fn json_in_strings_is_masked_as_json() {
    let nested = |value: &str| serde_json::Value::from(value).to_string();
    let twice = |value: &str| nested(&nested(value));
    check(&[
        (&nested(r#"{"phone":"12345678"}"#), &nested(r#"{"phone":"[phone]"}"#)),
        (&nested(r#"{"card":4111111111111111}"#), &nested(r#"{"card":"[credit_card]"}"#)),
        (&nested(r#"["a\u0040b.de"]"#), &nested(r#"["[email]"]"#)),
        (
            &format!(r#"{{"a":{}}}"#, nested(&format!(r#"[{}]"#, nested(r#"{"ssn":219456789}"#)))),
            &format!(r#"{{"a":{}}}"#, nested(&format!(r#"[{}]"#, nested(r#"{"ssn":"[us_ssn]"}"#)))),
        ),
        (r#"{"phone":"{\"home\":12345678}"}"#, r#"{"phone":"{\"home\":\"[phone]\"}"}"#),
        (r#""{a@b.de}""#, r#""{[email]}""#),
        (r#""[1,2,a@b.de]""#, r#""[1,2,[email]]""#),
        (r#""{\"a\":\"\/\"}""#, r#""{\"a\":\"\/\"}""#),
        (&twice("x"), &twice("x")),
    ]);
    let (_, found) = mask(&format!(r#"{{"d":{}}}"#, nested(r#"{"a":["b@c.de","d@e.de"]}"#))).unwrap();
    assert_eq!((found[0].count, found[0].pointers.join(" ")), (2, "/d".to_owned()));
    let secret: &[&[u8]] = &[b"sk-1"];
    let body = nested(r#"{"a":"s\u006b-1"}"#);
    assert_eq!(mask_json(body.as_bytes(), &everything(), &rerank(), secret), Err(Unmaskable::Secret));
}

#[test]
fn the_two_nearest_names_give_context() {
    check(&[
        (r#"{"phone":{"home":"12345678"}}"#, r#"{"phone":{"home":"[phone]"}}"#),
        (r#"{"phones":["12345678",["12345679"]]}"#, r#"{"phones":["[phone]",["[phone]"]]}"#),
        (r#"{"phones":[{"value":12345678}]}"#, r#"{"phones":[{"value":"[phone]"}]}"#),
        (r#"{"phones":{"a":{"b":"12345678"}}}"#, r#"{"phones":{"a":{"b":"12345678"}}}"#),
        (r#"{"phone":"x","other":"12345678"}"#, r#"{"phone":"x","other":"12345678"}"#),
        (r#"{"home\u0050hone":"12345678"}"#, r#"{"home\u0050hone":"[phone]"}"#),
        (r#"{"phones":{"12345678":1}}"#, r#"{"phones":{"[phone]":1}}"#),
    ]);
}

#[test]
fn what_names_say_is_known_however_many_there_are_and_in_whatever_is_still_open() {
    // A telephone number only where a name says so, and a social security number only where no pattern keeps it.
    let members =
        |number: &str, card: &str| format!(r#""phone":{number},"order":"4155550132","ssn":219456789,"userSsn":{card}"#);
    let body = |number: &str, card: &str| {
        let many = |depth: u32| -> String {
            (0..700).map(|n| format!(r#""n{depth}_{n}":{{{}}},"#, members(number, card))).collect()
        };
        let inner = (0..4).fold("{}".to_owned(), |inner, depth| {
            format!(r#"{{{}"in":[{inner},{{{}}}],{}}}"#, many(depth), members(number, card), members(number, card))
        });
        format!(r#"{{"results":[{inner},{{{}}}]}}"#, members(number, card))
    };
    let kept = Kept::compile(&["/results/**"]).unwrap();
    let masked = |kept| mask_json(body(r#""4155550132""#, "219456789").as_bytes(), &everything(), kept, &[]).unwrap();
    let text = |masked: Masked| String::from_utf8(masked.into_parts().0.unwrap()).unwrap();
    assert_eq!(text(masked(&kept)), body(r#""[phone]""#, "219456789"));
    let all = body(r#""[phone]""#, r#""[us_ssn]""#);
    let scores = Kept::compile(&["/results/*/ssn"]).unwrap();
    // Those deeper down are in no kept place.
    let wanted = all.replace(r#""ssn":219456789"#, r#""ssn":"[us_ssn]""#);
    for (number, kept) in [(0, &scores), (1, &Kept::compile(&["/results/1/ssn"]).unwrap())] {
        let masked = text(masked(kept));
        let (deeper, last) = masked.rsplit_once(r#""ssn":"#).unwrap();
        assert!(last.starts_with("219456789,"), "{number}");
        assert_eq!(deeper.matches(r#""ssn":219456789"#).count(), usize::from(number == 0));
        assert_eq!(masked.replace(r#":219456789"#, r#":"[us_ssn]""#), wanted);
    }
}

#[test]
fn words_that_own_patterns_ask_for_are_read_off_the_two_nearest_names() {
    let context = vec!["badge".to_owned(), "staff".to_owned()];
    let pattern = crate::Pattern { regex: r"\b\d{7}\b".to_owned(), check: None, context };
    let rule = Rule { patterns: [("badge".to_owned(), pattern)].into(), ..Rule::detecting(&[], "[{kind}]") };
    let masks = Masks::compile(&[("m", &rule)]).unwrap();
    for (body, wanted) in [
        (r#"{"badge":"7654321","n":"7654321"}"#, r#"{"badge":"[custom_badge]","n":"7654321"}"#),
        (r#"{"staffBadgeNo":7654321,"n":7654321}"#, r#"{"staffBadgeNo":"[custom_badge]","n":7654321}"#),
        (r#"{"staff":[{"no":7654321}]}"#, r#"{"staff":[{"no":"[custom_badge]"}]}"#),
        (r#"{"staff":{"a":{"no":7654321}}}"#, r#"{"staff":{"a":{"no":7654321}}}"#),
        (r#"{"b\u0061dge":"x 7654321"}"#, r#"{"b\u0061dge":"x [custom_badge]"}"#),
        (r#"{"badge":{"7654321":1}}"#, r#"{"badge":{"[custom_badge]":1}}"#),
        (r#"{"a":"{\"badge\":7654321}"}"#, r#"{"a":"{\"badge\":\"[custom_badge]\"}"}"#),
        (r#"["badge\u003a 7654321","7654321"]"#, r#"["badge\u003a [custom_badge]","7654321"]"#),
        (r#"{"results":[{"index":7654321,"staff":1}]}"#, r#"{"results":[{"index":7654321,"staff":1}]}"#),
    ] {
        let masked = mask_json(body.as_bytes(), &masks, &rerank(), &[]).unwrap();
        assert_eq!(masked.body().map_or(body, |body| std::str::from_utf8(body).unwrap()), wanted);
        let twice = mask_json(wanted.as_bytes(), &masks, &rerank(), &[]).unwrap();
        assert!(twice.found().is_empty(), "{wanted}");
    }
    let parts = br#"{"staff":["7654321"],"query":"7654321"}"#;
    let masked = mask_parts(parts, &["/staff", "/query"], &masks).unwrap();
    assert_eq!(masked.body(), Some(&br#"{"staff":["[custom_badge]"],"query":"7654321"}"#[..]));
}

#[test]
fn places_are_told_with_masked_names_and_at_most_sixteen_of_a_kind() {
    let (_, found) = mask(r#"{"a/~":[0,"a@b.de c@d.de"],"a@b.de":{"x":"1.2.3.4"},"n":4111111111111111}"#).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.kind.clone(), found.count, found.pointers.join(" "), found.truncated))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::CreditCard.into(), 1, "/n".to_owned(), false),
            (Kind::Email.into(), 3, "/a~1~0/1 /[email]".to_owned(), false),
            (Kind::IpAddress.into(), 1, "/[email]/x".to_owned(), false),
        ]
    );
    let (_, found) = mask(&format!("[{}\"a@b.de\"]", "\"a@b.de\",".repeat(16))).unwrap();
    assert_eq!((found[0].count, found[0].pointers.len(), found[0].truncated), (17, 16, true));
    let deep = format!("{{\"{}\":", "x".repeat(60)).repeat(9) + "\"a@b.de\"" + &"}".repeat(9);
    let (_, found) = mask(&deep).unwrap();
    assert_eq!(found[0].pointers[0].chars().count(), 257);
}

#[test]
fn what_is_not_one_whole_json_value_does_not_leave() {
    for body in [
        "",
        " ",
        "{",
        "[",
        "\"",
        "\"\\",
        "\"\\u00",
        "{}{}",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "01",
        "1.",
        ".1",
        "-",
        "+1",
        "1e",
        "nul",
        "truex",
        "[1 2]",
        "[1]]",
        "{]",
        "[}",
        "\u{feff}{}",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "'a'",
        "[1}",
        "{\"a\":1]",
        "0x10",
        "NaN",
    ] {
        assert!(matches!(mask(body), Err(Unmaskable::Malformed { .. })), "{body}: {:?}", mask(body));
    }
    assert_eq!(mask(r#""a\ud800b""#), Err(Unmaskable::LoneSurrogate { at: 1 }));
    assert_eq!(mask_json(b"\"\xa1\"", &everything(), &rerank(), &[]), Err(Unmaskable::NotUtf8 { at: 1 }));
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(mask(&deep(129)), Err(Unmaskable::TooDeep { at: 128 }));
    assert!(mask(&deep(128)).is_ok());
}

#[test]
fn a_body_that_repeats_a_credential_does_not_leave() {
    let secrets: &[&[u8]] = &[b"", b"sk/123"];
    for body in [
        r#"{"error":"bad key sk/123"}"#,
        r#"{"sk/123":1}"#,
        r#""sk\/123""#,
        r#""\u0073k/123""#,
        r#"{"s\u200bk/123":1}"#,
    ] {
        assert_eq!(
            mask_json(body.as_bytes(), &Masks::default(), &rerank(), secrets),
            Err(Unmaskable::Secret),
            "{body}"
        );
    }
    assert!(mask_json(br#""sk/12""#, &Masks::default(), &rerank(), secrets).is_ok());
}

/// The same thing done simply: a tree, every string and number on its own, the same detectors.
fn naive(value: Value, context: (&str, &str), path: &[&str], masks: &Masks) -> Value {
    let words = Context::of(context.0.as_bytes()) | Context::of(context.1.as_bytes());
    let text = |text: &str, words: Context| {
        let mut text = text.to_owned();
        loop {
            let spans = detect::find(text.as_bytes(), words, masks.kinds());
            for span in spans.iter().rev() {
                text.replace_range(span.start..span.end, &format!("[{}]", span.kind.name()));
            }
            if spans.is_empty() {
                return text;
            }
        }
    };
    let inner = |name: &str| path.iter().map(|step| (*step).to_owned()).chain([name.to_owned()]).collect::<Vec<_>>();
    match value {
        Value::String(string) => Value::String(text(&string, words)),
        Value::Number(number) => {
            let kept = matches!(path, ["results", _, "index" | "relevance_score"] | ["usage", _, ..]);
            let digits = number.to_string();
            let kept = kept && digits.trim_start_matches('-').len() <= 9;
            let spans = detect::find(digits.trim_start_matches('-').as_bytes(), words, masks.kinds());
            match spans.first() {
                Some(span) if !kept => Value::String(format!("[{}]", span.kind.name())),
                _ => Value::Number(number),
            }
        }
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    let inner = inner(&index.to_string());
                    naive(item, context, &inner.iter().map(String::as_str).collect::<Vec<_>>(), masks)
                })
                .collect(),
        ),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, member)| {
                    let name = text(&name, words);
                    let inner = inner(&name);
                    let path: Vec<&str> = inner.iter().map(String::as_str).collect();
                    let member = naive(member, (&name, context.0), &path, masks);
                    (name, member)
                })
                .collect(),
        ),
        other => other,
    }
}

/// How many members there are, in all objects.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(all) => all.len() + all.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Whether `part` is `whole` without some members, with null for some values, and with labels in names.
fn is_part_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part_of(part, whole))
        }
        (Value::Object(part), Value::Object(whole)) => part.iter().all(|(name, part)| match whole.get(name) {
            Some(whole) => is_part_of(part, whole),
            None => name.contains('[') && whole.values().any(|whole| is_part_of(part, whole)),
        }),
        (Value::Null, Value::String(_) | Value::Number(_)) => true,
        (part, whole) => part == whole,
    }
}

fn words() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            "[a-z ]{1,5}",
            Just("a@b.de".to_owned()),
            Just("4111111111111111".to_owned()),
            Just("\u{ff14}111 1111\u{a0}1111 1111".to_owned()),
            Just("219-45-6789".to_owned()),
            Just("+49 30 901820".to_owned()),
            Just("12345678".to_owned()),
            Just("phone ".to_owned()),
            Just("::1 ".to_owned()),
            Just("\"\\/\n\u{1}é日😀".to_owned()),
            "[0-9]{1,9}[-. ]",
        ],
        0..5,
    )
    .prop_map(|words| words.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("results".to_owned()),
        Just("index".to_owned()),
        Just("usage".to_owned()),
        Just("phone".to_owned()),
        words()
    ];
    let leaf = prop_oneof![
        words().prop_map(Value::String),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| number.into()),
        Just(4_111_111_111_111_111_u64.into()),
        Just(4_155_550_132_u64.into()),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes every character of every string as an escape.
fn escaped(value: &Value) -> String {
    let string = |text: &str| {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{units}\"")
    };
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(escaped).collect::<Vec<_>>().join(" , ")),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, member)| format!("{}:{}", string(name), escaped(member))).collect();
            format!("{{{}}}", members.join(",\n"))
        }
        other => other.to_string(),
    }
}

/// As the detectors see text: what is compared must not differ in folding.
fn folded(value: &Value) -> Value {
    let raw = value.to_string().replace('\u{ff14}', "4").replace('\u{a0}', " ");
    serde_json::from_str(&raw).unwrap()
}

proptest! {
    #[test]
    fn a_tree_masked_simply_is_the_same(value in values(), escape in any::<bool>()) {
        let masks = everything();
        let body = if escape { escaped(&value) } else { value.to_string() };
        let (masked, found) = mask(&body).unwrap();
        let after: Value = serde_json::from_str(masked.as_deref().unwrap_or(&body)).unwrap();
        let wanted = naive(folded(&value), ("", ""), &[], &masks);
        // Of two names that become the same label a tree keeps one member, and which depends on their order.
        prop_assume!(members(&wanted) == members(&value));
        prop_assert_eq!(folded(&after), wanted);
        prop_assert_eq!(found.is_empty(), masked.is_none());
        if let Some(masked) = masked {
            let (twice, found) = mask(&masked).unwrap();
            prop_assert_eq!(twice, None);
            prop_assert!(found.is_empty());
        }
    }

    #[test]
    fn what_is_dropped_is_gone_and_the_rest_is_the_same(value in values(), escape in any::<bool>()) {
        let rule = Rule::detecting(Kind::ALL, "{drop}");
        let masks = Masks::compile(&[("all", &rule)]).unwrap();
        let body = if escape { escaped(&value) } else { value.to_string() };
        let masked = mask_json(body.as_bytes(), &masks, &rerank(), &[]).unwrap();
        let body = masked.body().unwrap_or(body.as_bytes());
        let after: Value = serde_json::from_slice(body).unwrap();
        prop_assert!(is_part_of(&after, &value), "{} of {}", after, value);
        let twice = mask_json(body, &masks, &rerank(), &[]).unwrap();
        prop_assert_eq!(twice.body(), None);
    }

    #[test]
    fn a_body_cut_anywhere_does_not_leave(value in values(), cut in any::<prop::sample::Index>()) {
        let body = Value::Array(vec![value]).to_string();
        let cut = cut.index(body.len());
        prop_assert!(mask_json(&body.as_bytes()[..cut], &everything(), &rerank(), &[]).is_err());
    }

    #[test]
    fn exactly_what_is_json_is_masked(body in r#"([\[\]{}:, "0-9eE.+\-]|true|null|"a"|\\u[d0][8c]00|\\n|\\x){0,12}"#) {
        let ours = mask_json(body.as_bytes(), &Masks::default(), &Kept::default(), &[]).is_ok();
        // Theirs refuses numbers it cannot hold, or, where it does not look, accepts lone surrogates.
        let held = serde_json::from_str::<Value>(&body).is_ok();
        let skipped = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert!(ours || !held, "{}", body);
        prop_assert!(!ours || skipped, "{}", body);
    }

    #[test]
    fn nothing_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = mask_json(&body, &everything(), &rerank(), &[b"x"]);
    }
}

mod fields {
    use super::*;

    fn masks(fields: &[&str], replace: &str) -> Masks {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let rule = Rule { fields, ..Rule::detecting(&[Kind::Email], replace) };
        Masks::compile_with_keys(&[("m", &rule)], &[("k", &[7; 32])]).unwrap()
    }

    fn mask(body: &str, masks: &Masks) -> String {
        let masked = mask_json(body.as_bytes(), masks, &rerank(), &[]).unwrap();
        masked.body().map_or(body.to_owned(), |body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn whatever_stands_where_a_rule_says_is_masked() {
        let masks = masks(&["ssn", "/results/*/document/address", "customer.name"], "[{kind}]");
        for (body, wanted) in [
            (r#"{"ssn":"1","a":"x"}"#, r#"{"ssn":"[field]","a":"x"}"#),
            (
                r#"{"SSN": 12 , "a":[{"s_sn":true},{"ssn":null}]}"#,
                r#"{"SSN": "[field]" , "a":[{"s_sn":"[field]"},{"ssn":null}]}"#,
            ),
            (r#"{"ssn":{"a":["\ud800",{}]},"b":"x@y.de"}"#, r#"{"ssn":"[field]","b":"[email]"}"#),
            (r#"{"ssn": [ [ 1 ] , "]" ] }"#, r#"{"ssn": "[field]" }"#),
            (r#"{"s\u0073n":"1","ssn ":"2"}"#, r#"{"s\u0073n":"[field]","ssn ":"[field]"}"#),
            (
                r#"{"results":[{"document":{"address":{"street":"x"},"b":1}},{"document":{"Address":"x"}}]}"#,
                r#"{"results":[{"document":{"address":"[field]","b":1}},{"document":{"Address":"x"}}]}"#,
            ),
            (
                r#"{"customer":[{"name":"Ann","x":{"name":"y"}}],"name":"z"}"#,
                r#"{"customer":[{"name":"[field]","x":{"name":"y"}}],"name":"z"}"#,
            ),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
        ] {
            assert_eq!(mask(body, &masks), wanted, "{body}");
            assert_eq!(mask(wanted, &masks), wanted, "masked twice: {body}");
        }
    }

    #[test]
    fn rules_go_on_into_strings_that_are_json() {
        let masks = masks(&["ssn", "/results/*/document/text/address"], "[{kind}]");
        let nested = |value: &str| Value::from(value).to_string();
        for (inner, wanted) in [
            (r#"{"ssn":1}"#, r#"{"ssn":"[field]"}"#),
            (r#" {"a":{"address":1},"address":"x"}"#, r#" {"a":{"address":1},"address":"[field]"}"#),
            ("\n[{\"ssn\":\"x\"}]\t", "\n[{\"ssn\":\"[field]\"}]\t"),
            (r#"{"a":"{\"ssn\":2}"}"#, r#"{"a":"{\"ssn\":\"[field]\"}"}"#),
            // Whoever reads it in spite of its end reads the field.
            (r#"{"ssn":1"#, "[field]"),
            (r#"{"sn":1"#, r#"{"sn":1"#),
        ] {
            let body = |inner: &str| format!(r#"{{"results":[{{"document":{{"text":{}}}}}]}}"#, nested(inner));
            assert_eq!(mask(&body(inner), &masks), body(wanted), "{inner}");
        }
        assert_eq!(mask(r#"["\u007b\u0022ssn\u0022:1\u007d"]"#, &masks), r#"["{\"ssn\":\"[field]\"}"]"#);
        let (deep, half) = ("[".repeat(200) + &"]".repeat(200), r#"{"ssn":"\ud800"}"#);
        let four = format!(r#"{{"b":{}}}"#, nested(&format!(r#"{{"c":{}}}"#, nested(r#"{"ssn":1}"#))));
        for inner in [four.as_str(), deep.as_str(), half] {
            let body = nested(&format!(r#"{{"a":{}}}"#, nested(inner)));
            let left = mask_json(body.as_bytes(), &masks, &rerank(), &[]);
            assert!(!left.is_ok_and(|masked| masked.body().is_none()), "{inner}");
        }
    }

    #[test]
    fn what_the_dialect_keeps_stays_whatever_a_rule_says() {
        let body =
            r#"{"results":[{"index":3,"relevance_score":0.5,"document":{"index":4}}],"usage":{"total":7,"by":"Ann"}}"#;
        for (rule, wanted) in [
            (
                "index",
                r#"{"results":[{"index":3,"relevance_score":0.5,"document":{"index":"[field]"}}],"usage":{"total":7,"by":"Ann"}}"#,
            ),
            (
                "usage",
                r#"{"results":[{"index":3,"relevance_score":0.5,"document":{"index":4}}],"usage":{"total":7,"by":"[field]"}}"#,
            ),
            (
                "/*",
                r#"{"results":[{"index":3,"relevance_score":0.5,"document":"[field]"}],"usage":{"total":7,"by":"[field]"}}"#,
            ),
            ("/results/*/relevance_score", body),
        ] {
            assert_eq!(mask(body, &masks(&[rule], "[{kind}]")), wanted, "{rule}");
        }
    }

    #[test]
    fn of_what_is_no_text_nothing_is_kept() {
        let body = r#"{"ssn":"219-45-6789","n":{"ssn":219456789},"o":{"ssn":{"x":"6789"}},"t":{"ssn":true}}"#;
        for (replace, wanted) in [
            ("{same_length}", r#"{"ssn":"***********","n":{"ssn":"*********"},"o":{"ssn":""},"t":{"ssn":""}}"#),
            ("#{last:4}", r##"{"ssn":"#6789","n":{"ssn":"#6789"},"o":{"ssn":"#"},"t":{"ssn":"#"}}"##),
            ("{drop}", r#"{"n":{},"o":{},"t":{}}"#),
        ] {
            assert_eq!(mask(body, &masks(&["ssn"], replace)), wanted);
        }
        // Nor is what stands there masked again, where JSON in strings is looked at until nothing is found.
        let nested = |value: &str| {
            mask(&Value::from(format!(r#"{{"ssn":{value},"a":"b@c.de"}}"#)).to_string(), &masks(&["ssn"], "#{last:4}"))
        };
        assert_eq!(nested(r#""219-45-6789""#), r###""{\"ssn\":\"#6789\",\"a\":\"#de\"}""###);
        let pseudonyms = masks(&["ssn"], "{pseudonym:k}");
        assert!(mask(&Value::from(r#"{"ssn":"x"}"#).to_string(), &pseudonyms).starts_with(r#""{\"ssn\":\"k:"#));
        let of = |value: &str| mask(&format!(r#"[{{"ssn":{value}}}]"#), &pseudonyms);
        assert_eq!(of(r#""Ann""#), of(r#""\u0041nn ""#));
        assert_ne!(of(r#""Ann""#), of(r#""Bob""#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
    }

    #[test]
    fn findings_are_told_as_fields_with_their_places() {
        let body = br#"{"results":[{"document":{"ssn":"1","Ann Lee":{"ssn":"2"}}}]}"#;
        let masked = mask_json(body, &masks(&["ssn"], "[{kind}]"), &rerank(), &[]).unwrap();
        let found = &masked.found()[0];
        assert_eq!((found.kind.name(), found.count), ("field", 2));
        assert_eq!(found.pointers, ["/results/0/document/ssn", "/results/0/document/*/ssn"]);
    }

    #[test]
    fn each_field_is_told_with_its_place_in_code_points() {
        let body = r#"{"ssn":"\ud83d\ude00\n\u00e9x","a":[{"ssn":-1.50,"b":"ann@example.org"},{"ssn":[1]}],
            "n":"{\"ssn\": \"\\u0041b\"}","ssn ":"[field]","c":{"ssn":null}}"#;
        let told = mask_json_and_tell(body.as_bytes(), &masks(&["ssn"], "[{kind}]"), &rerank(), &[]).unwrap().1;
        let told: Vec<_> = told
            .into_iter()
            .map(|one| (one.kind.name().to_owned(), one.pointer.unwrap(), one.inside.join(" "), one.place, one.proof))
            .collect();
        let field = |pointer: &str, inside: &str, place| {
            ("field".to_owned(), pointer.to_owned(), inside.to_owned(), place, "rule")
        };
        assert_eq!(
            told,
            [
                field("/ssn", "", Some(0..4)),
                field("/a/0/ssn", "", Some(0..5)),
                ("email".to_owned(), "/a/0/b".to_owned(), String::new(), Some(0..15), "check"),
                field("/a/1/ssn", "", None),
                field("/n", "/ssn", Some(0..2)),
            ],
            "a value that was masked before, and null, are no findings"
        );
        let drop = masks(&["ssn"], "{drop}");
        let told = mask_json_and_tell(br#"[{"ssn":"abc"},{"ssn":true}]"#, &drop, &rerank(), &[]).unwrap().1;
        let told: Vec<_> = told.into_iter().map(|one| (one.pointer.unwrap(), one.place)).collect();
        assert_eq!(told, [("/0/ssn".to_owned(), Some(0..3)), ("/1/ssn".to_owned(), None)]);
    }

    #[test]
    fn more_findings_than_may_leave_refuse_the_body() {
        let deny = |above, kinds: Option<&[&str]>| {
            let kinds = kinds.map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect());
            let deny = Some(crate::Deny { above, kinds });
            let rule =
                Rule { fields: vec!["ssn".to_owned()], deny, ..Rule::detecting(&[Kind::Email, Kind::IpAddress], "x") };
            Masks::compile(&[("m", &rule)])
        };
        let body = br#"{"a":"a@b.de and c@d.de","ssn":1}"#;
        for (above, kinds, leaves) in [
            (2, None, false),
            (3, None, true),
            (0, Some(&["ip_address"][..]), true),
            (0, Some(&["field"]), false),
            (1, Some(&["field", "ip_address"]), true),
            (1, Some(&["email"]), false),
            (2, Some(&["email"]), true),
        ] {
            let masked = mask_json(body, &deny(above, kinds).unwrap(), &rerank(), &[]);
            assert_eq!(masked.is_ok(), leaves, "{above} {kinds:?}");
            if let Err(Unmaskable::Denied(found)) = masked {
                assert_eq!(found.iter().map(|one| one.count).sum::<u32>(), 3);
            }
        }
        assert!(deny(0, Some(&["phone"])).is_err());
    }

    /// The same thing done simply: a tree, and the two kinds of rule in `names` and `pointer`.
    fn naive(value: Value, way: &[String], hit: bool) -> Value {
        let hit = hit
            || way.last().is_some_and(|name| name.to_lowercase().replace('_', "") == "ab")
            || matches!(way, [a, _, c] if a == "p" && c == "q");
        match value {
            Value::Null => Value::Null,
            _ if hit => Value::from("[field]"),
            Value::Array(items) => {
                // Items are no names, but steps of a pointer.
                let items = items.into_iter().enumerate();
                items.map(|(at, item)| naive(item, &[way, &[at.to_string()]].concat(), false)).collect()
            }
            Value::Object(members) => {
                let members = members.into_iter();
                members.map(|(name, value)| (name.clone(), naive(value, &[way, &[name]].concat(), false))).collect()
            }
            Value::String(text) => match serde_json::from_str::<Value>(&text) {
                // Blanks around and in it stay where nothing is masked; where something is, they are few enough here to go.
                Ok(inner @ (Value::Array(_) | Value::Object(_))) if naive(inner.clone(), way, false) != inner => {
                    Value::from(naive(inner, way, false).to_string())
                }
                _ => Value::from(text),
            },
            other => other,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "[a-z {}\\[\\]]{0,4}".prop_map(Value::from),
            (0u32..50).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let members = proptest::collection::btree_map("a|ab|AB|a_b|p|q|x", inner.clone(), 0..4);
            let object = members.prop_map(|members| members.into_iter().collect::<Value>());
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                object.clone(),
                // Twice at most: deeper than three is refused.
                object.prop_map(|value| if value.to_string().contains('\\') {
                    value
                } else {
                    Value::from(value.to_string())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn fields_are_masked_as_in_a_tree(value in value()) {
            let rule = Rule { fields: vec!["ab".to_owned(), "/p/*/q".to_owned()], ..Rule::detecting(&[], "[{kind}]") };
            let masks = Masks::compile(&[("m", &rule)]).unwrap();
            let body = value.to_string();
            let masked = mask_json(body.as_bytes(), &masks, &Kept::default(), &[]).unwrap();
            let masked: Value = serde_json::from_slice(masked.body().unwrap_or(body.as_bytes())).unwrap();
            prop_assert_eq!(masked, naive(value, &[], false));
        }
    }
}

/// What comes out is bounded while it is made.
mod room {
    use super::*;
    use crate::{Masked, mask_parts, mask_parts_within, mask_text, mask_text_within};

    #[test]
    fn masking_stops_as_soon_as_more_would_come_out_than_may() {
        let pseudonyms = Rule::detecting(&[Kind::IpAddress], "[{kind} {pseudonym:k}]");
        let masks = Masks::compile_with_keys(&[("m", &pseudonyms)], &[("k", &[1; 32])]).unwrap();
        let (kept, many) = (Kept::default(), "::1 ".repeat(1_000));
        for body in [
            format!("\"{many}\""),
            format!("[{}0]", "\"::1\",".repeat(1_000)),
            format!("{{{}\"z\":0}}", "\"::1\":1,".repeat(1_000)),
            format!("\"{{\\\"a\\\":\\\"{many}\\\"}}\""),
        ] {
            let refused = mask_json_within(body.as_bytes(), &masks, &kept, &[], 10_000);
            assert_eq!(refused.map(|_| ()), Err(Unmaskable::Grows { most: 10_000 }), "{body}");
            assert!(mask_json(body.as_bytes(), &masks, &kept, &[]).unwrap().body().unwrap().len() > 20_000);
        }
        let refused = mask_text_within(many.as_bytes(), &masks, &[], 10_000);
        assert_eq!(refused.map(|_| ()), Err(Unmaskable::Grows { most: 10_000 }));
        let body = format!(r#"{{"query":"{many}"}}"#);
        let refused = mask_parts_within(body.as_bytes(), &["/query"], &masks, 10_000);
        assert_eq!(refused.map(|_| ()), Err(Unmaskable::Grows { most: 10_000 }));
    }

    proptest! {
        #[test]
        fn with_room_enough_it_is_masked_as_without_a_limit_and_else_not_at_all(
            texts in proptest::collection::vec("(::1|ann@example\\.org|[a-z ]{1,6}|\"|\\{\"a\":\"::1\"\\}){0,6}", 0..5),
            most in 0..160_usize,
        ) {
            let (masks, kept) = (everything(), Kept::default());
            let check = |within: Result<Masked, Unmaskable>, without: Result<Masked, Unmaskable>| {
                match (within, without) {
                    (Ok(within), Ok(without)) => {
                        assert!(within.body().is_none_or(|body| body.len() <= most));
                        assert_eq!(within, without);
                    }
                    (Err(Unmaskable::Grows { .. }), Ok(without)) => {
                        assert!(without.body().is_some_and(|body| body.len() > most));
                    }
                    (within, without) => assert_eq!(within, without),
                }
            };
            let body = serde_json::json!({"query": texts.join(" "), "documents": texts}).to_string();
            let parts = ["/query", "/documents"];
            check(
                mask_json_within(body.as_bytes(), &masks, &kept, &[], most),
                mask_json(body.as_bytes(), &masks, &kept, &[]),
            );
            check(mask_text_within(body.as_bytes(), &masks, &[], most), mask_text(body.as_bytes(), &masks, &[]));
            check(mask_parts_within(body.as_bytes(), &parts, &masks, most), mask_parts(body.as_bytes(), &parts, &masks));
        }
    }
}

//! What is wrong with a document, in words for people. serde speaks of maps, sequences and types of Rust; whoever writes a bundle
//! or a configuration knows objects, lists and numbers.

use serde::de::Unexpected;

/// The one of `known` that `name` was probably meant to be: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let longest = 64;
    if name.len() > longest {
        return None;
    }
    known
        .into_iter()
        .filter(|other| other.len() <= longest)
        .map(|other| (distance(name, other), other))
        .filter(|(distance, other)| distance.saturating_mul(3) <= name.len().max(other.len()))
        .min()
        .map(|(_, other)| other)
}

/// What can stand where `name` is unknown.
pub fn known(name: &str, known: &[&str]) -> String {
    match (nearest(name, known.iter().copied()), known) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, []) => "nothing can stand here".to_owned(),
        (None, known) => format!("known here: {}", known.join(", ")),
    }
}

/// What was found, without texts: some of them are secrets.
pub fn found(what: &Unexpected<'_>) -> String {
    match what {
        Unexpected::Bool(yes) => format!("`{yes}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a text".to_owned(),
        _ => "a name with a value".to_owned(),
    }
}

/// What serde expects, in the words of a document's author.
pub fn expected(serde: &str) -> String {
    let plain = match serde {
        "u64" | "usize" | "u128" => "a whole number from 0 on",
        "u32" => "a whole number from 0 to 4294967295",
        "u16" => "a whole number from 0 to 65535",
        "u8" => "a whole number from 0 to 255",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "a character" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "nothing",
        "string or map" => "a name, or one name with its value",
        _ if serde.starts_with("struct ") || serde.starts_with("tuple variant") => "an object",
        _ if serde.starts_with("enum ") || serde.starts_with("variant ") => "a name",
        own => own,
    };
    plain.to_owned()
}

/// What serde_json says of a text, with its position at the end as it was. Names of members may stand in it, values never.
pub fn malformed(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let (what, position) = match said.rfind(" at line ") {
        Some(at) => said.split_at(at),
        None => (said.as_str(), ""),
    };
    format!("{}{position}", told(what))
}

/// What serde_json says of a text that is JSON, but not the document it should be. What it then calls a slip of JSON is a choice
/// of forms, of which one is written `name: value`, with something else in its place.
pub fn misfit(error: &serde_json::Error) -> String {
    if !error.is_syntax() {
        return malformed(error);
    }
    let (line, column) = (error.line(), error.column());
    format!("found another form, expected one name with its value at line {line} column {column}")
}

fn told(what: &str) -> String {
    let misfit = ["invalid type: ", "invalid value: "].iter().find_map(|kind| what.strip_prefix(kind));
    if let Some((found, wanted)) = misfit.and_then(|misfit| misfit.rsplit_once(", expected ")) {
        return format!("found {}, expected {}", found_again(found), expected(wanted));
    }
    if let Some((length, wanted)) = what.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("found {length} items, expected {}", expected(wanted));
    }
    for (kind, ours) in [("unknown field ", "unknown field"), ("unknown variant ", "unknown value")] {
        if let Some((name, choice)) = what.strip_prefix(kind).and_then(quoted) {
            return format!("{ours} `{}`: {}", shorten(name), known(name, &all_quoted(choice)));
        }
    }
    if let Some((name, _)) = what.strip_prefix("duplicate field ").and_then(quoted) {
        return format!("`{name}` is there twice");
    }
    let syntax = match what {
        "EOF while parsing a list" => "the text ends inside a list",
        "EOF while parsing an object" => "the text ends inside an object",
        "EOF while parsing a string" => "the text ends inside a quoted text",
        "EOF while parsing a value" => "the text ends where a value must be",
        "expected value" | "expected ident" => "no value of JSON",
        "trailing characters" => "something stands behind the end",
        "key must be a string" => "a name without quotes",
        "recursion limit exceeded" => "nested too deep",
        "lone leading surrogate in hex escape" => "half of a surrogate pair as an escape",
        control if control.starts_with("control character ") => {
            "a control character in a quoted text: write it as an escape"
        }
        other => other,
    };
    syntax.to_owned()
}

/// What serde_json found, out of its words for it.
fn found_again(what: &str) -> String {
    for number in ["integer `", "floating point `"] {
        if let Some(number) = what.strip_prefix(number) {
            return format!("the number {}", number.trim_end_matches('`'));
        }
    }
    match what.split(' ').next() {
        Some("boolean") => what.trim_start_matches("boolean ").to_owned(),
        Some("null" | "unit" | "Option") => "nothing".to_owned(),
        Some("map") => "an object".to_owned(),
        Some("sequence") => "a list".to_owned(),
        Some("string" | "character" | "byte") => "a text".to_owned(),
        _ => "a name with a value".to_owned(),
    }
}

/// What stands between the first two backticks, and what follows. A name that is unknown may hold some itself: it ends at the last
/// one before what was expected.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('`')?;
    rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no ")).or_else(|| rest.rsplit_once('`'))
}

/// Every name in backticks.
fn all_quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What fits in a line, and does nothing to a terminal.
pub fn shorten(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

/// The edit distance of Levenshtein, by bytes.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.bytes().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let above = *cell;
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn a_slip_of_the_pen_finds_the_name_that_was_meant() {
        for (name, meant) in [
            ("dataset", Some("datasets")),
            ("grops", Some("groups")),
            ("databases", Some("datasets")),
            ("x", None),
            ("", None),
            ("operator", None),
        ] {
            assert_eq!(nearest(name, ["groups", "datasets", "models"]), meant, "{name}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read into")]
    struct Sample {
        serial: u32,
        name: Option<String>,
        list: Option<Vec<bool>>,
        form: Option<Form>,
        inner: Option<Box<Sample>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only read into")]
    enum Form {
        Fixed(String),
        Header(String),
    }

    #[test]
    fn people_are_told_in_their_words_and_never_a_value() {
        for (text, said) in [
            (r#"{"serial":"hunter2"}"#, "found a text, expected a whole number from 0 to 4294967295"),
            (r#"{"serial":-1}"#, "found the number -1, expected a whole number from 0 to 4294967295"),
            (r#"{"serial":1.5}"#, "found the number 1.5, expected a whole number from 0 to 4294967295"),
            (r#"{"serial":1,"name":{}}"#, "found an object, expected a text"),
            (r#"{"serial":1,"list":true}"#, "found `true`, expected a list"),
            (r#"{"serial":1,"list":[null]}"#, "found nothing, expected true or false"),
            (r#"{"serial":1,"inner":"hunter2, expected x"}"#, "found a text, expected an object"),
            (r#"{"serail":1}"#, "unknown field `serail`: did you mean `serial`?"),
            (r#"{"x":1}"#, "unknown field `x`: known here: serial, name, list, form, inner"),
            (
                r#"{"a`, expected `b":1}"#,
                "unknown field `a`, expected `b`: known here: serial, name, list, form, inner",
            ),
            (r#"{"serial":1,"form":{"fixd":"x"}}"#, "unknown value `fixd`: did you mean `fixed`?"),
            (r#"{"serial":1,"form":5}"#, "found another form, expected one name with its value"),
            (
                r#"{"serial":1,"form":{"fixed":"x","header":"y"}}"#,
                "found another form, expected one name with its value",
            ),
            (r"{}", "missing field `serial`"),
        ] {
            let told = misfit(&serde_json::from_str::<Sample>(text).unwrap_err());
            assert_eq!(told.split(" at line ").next(), Some(said), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn slips_of_json_are_told_in_plain_words() {
        for (text, said) in [
            ("[", "the text ends inside a list at line 1 column 1"),
            ("{", "the text ends inside an object at line 1 column 1"),
            ("\"", "the text ends inside a quoted text at line 1 column 1"),
            ("", "the text ends where a value must be at line 1 column 0"),
            ("oops", "no value of JSON at line 1 column 1"),
            ("{1:2}", "a name without quotes at line 1 column 2"),
            ("{} {}", "something stands behind the end at line 1 column 4"),
            ("\"\n\"", "a control character in a quoted text: write it as an escape at line 2 column 0"),
            ("[1 2]", "expected `,` or `]` at line 1 column 4"),
        ] {
            assert_eq!(malformed(&serde_json::from_str::<serde_json::Value>(text).unwrap_err()), said, "{text}");
        }
    }
}

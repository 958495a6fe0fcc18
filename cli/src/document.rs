//! A YAML or JSON file with the position of every value.
//!
//! Only the part of YAML that reads the same everywhere: no anchors, aliases, tags or merge keys, no repeated names, names are
//! text, one document a file. A plain scalar is `true`, `false`, `null` or a number as JSON writes it; all else is text, so that
//! `on`, `no`, `010` and `2027-01-31` mean what is written.

use rerank_guard::diagnostic::{Part, Place, Step};
use rerank_guard::json;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value};
use std::ops::Range;

/// What was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// The value, as the module would read it.
    pub(crate) value: Value,
    /// Where everything stands; None where only the value is known.
    root: Option<Node>,
}

/// Why a text is no document, and where.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
    /// Bytes of the text.
    pub(crate) at: Option<Range<usize>>,
}

impl Document {
    /// Reads JSON.
    pub(crate) fn json(text: &str) -> Result<Self, Malformed> {
        let malformed = |what: String, at| Malformed { what, hint: None, at };
        let value = json::read(text.as_bytes()).map_err(|refused| {
            let at = serde_json::from_str::<Value>(text).err().and_then(|error| {
                let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
                let at = line.saturating_add(error.column().saturating_sub(1));
                text.get(at..).and_then(|rest| rest.chars().next()).map(|first| at..at.saturating_add(first.len_utf8()))
            });
            malformed(refused.to_string(), at)
        })?;
        // JSON is YAML but for some escapes; where those stand, there are no positions.
        Ok(Self { value, root: Builder::read(text).ok() })
    }

    /// Reads YAML.
    pub(crate) fn yaml(text: &str) -> Result<Self, Malformed> {
        let root = Builder::read(text)?;
        Ok(Self { value: root.value(), root: Some(root) })
    }

    /// Where in the text to point for a flaw at `place`: the place itself, or the nearest one around it that exists.
    pub(crate) fn locate(&self, text: &str, place: &Place, part: Part) -> Option<Range<usize>> {
        let mut node = self.root.as_ref()?;
        let mut name = None;
        for step in place.steps() {
            match (&node.what, step) {
                (What::Object(members), Step::Name(wanted)) => {
                    let Some(member) = members.iter().find(|member| member.name == *wanted) else { break };
                    (node, name) = (&member.value, Some(member.at.clone()));
                }
                (What::List(items), Step::Item(number)) => {
                    let Some(item) = items.get(*number) else { break };
                    (node, name) = (item, None);
                }
                _ => break,
            }
        }
        match (part, name, &node.what) {
            (Part::Name, Some(name), _) => Some(name),
            // An empty value has no place of its own.
            (_, Some(name), What::Scalar(Value::Null)) if node.at.is_empty() => Some(name),
            (_, _, What::Scalar(_)) => Some(node.at.clone()),
            _ => Some(first_line(text, &node.at)),
        }
    }
}

/// The part of a range on its first line: what spans many lines is pointed to where it begins.
fn first_line(text: &str, at: &Range<usize>) -> Range<usize> {
    let rest = text.get(at.start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default().trim_end();
    at.start..at.start.saturating_add(line.len()).min(at.end.max(at.start))
}

#[derive(Debug)]
struct Node {
    at: Range<usize>,
    what: What,
}

#[derive(Debug)]
enum What {
    Scalar(Value),
    List(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug)]
struct Member {
    name: String,
    at: Range<usize>,
    value: Node,
}

impl Node {
    fn value(&self) -> Value {
        match &self.what {
            What::Scalar(value) => value.clone(),
            What::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            What::Object(members) => Value::Object(
                members.iter().map(|member| (member.name.clone(), member.value.value())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Builds nodes from the parser's events.
struct Builder<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// The byte at which each character starts, since the parser counts characters.
    starts: Vec<usize>,
    depth: usize,
}

const DEEPEST: usize = 64;

impl<'t> Builder<'t> {
    fn read(text: &'t str) -> Result<Node, Malformed> {
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut builder = Self { events: Parser::new_from_str(text), starts, depth: 0 };
        loop {
            match builder.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, span) => return Err(builder.malformed("an empty document", span)),
                (event, span) => {
                    let root = builder.node(event, span)?;
                    builder.finish()?;
                    return Ok(root);
                }
            }
        }
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (_, span) => return Err(self.malformed("a second document in the file", span)),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Malformed> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Err(Malformed { what: "the document ends too early".to_owned(), hint: None, at: None }),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Malformed> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plainly(anchor, tag.is_some(), span)?;
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::String(text.into_owned()) };
                Ok(Node { at: self.range(span), what: What::Scalar(value) })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plainly(anchor, tag.is_some(), span)?;
                self.deeper(span)?;
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => break end,
                        (event, span) => items.push(self.node(event, span)?),
                    }
                };
                self.depth = self.depth.saturating_sub(1);
                Ok(Node { at: self.range(Span::new(span.start, end.end)), what: What::List(items) })
            }
            Event::MappingStart(anchor, tag) => {
                self.plainly(anchor, tag.is_some(), span)?;
                self.deeper(span)?;
                let (members, end) = self.members()?;
                self.depth = self.depth.saturating_sub(1);
                Ok(Node { at: self.range(Span::new(span.start, end.end)), what: What::Object(members) })
            }
            Event::Alias(_) => Err(self.malformed("an alias", span).hint("write the value out")),
            _ => Err(self.malformed("no value", span)),
        }
    }

    fn members(&mut self) -> Result<(Vec<Member>, Span), Malformed> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let (name, at) = match self.next()? {
                (Event::MappingEnd, end) => return Ok((members, end)),
                (Event::Scalar(name, style, anchor, tag), span) => {
                    self.plainly(anchor, tag.is_some(), span)?;
                    if style == ScalarStyle::Plain && !matches!(plain(&name), Value::String(_)) {
                        return Err(self.malformed("a name that is no text", span).hint("put it in quotes"));
                    }
                    if name == "<<" {
                        return Err(self.malformed("a merge", span).hint("write the members out"));
                    }
                    (name.into_owned(), span)
                }
                (_, span) => return Err(self.malformed("a name that is no text", span)),
            };
            if !seen.insert(name.clone()) {
                return Err(self.malformed(&format!("`{}` is there twice", name.escape_debug()), at));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            members.push(Member { name, at: self.range(at), value });
        }
    }

    /// Refuses what makes a value mean something else than it says.
    fn plainly(&self, anchor: usize, tagged: bool, span: Span) -> Result<(), Malformed> {
        if anchor != 0 {
            return Err(self.malformed("an anchor", span).hint("write the value out where it is needed"));
        }
        if tagged {
            return Err(self.malformed("a tag", span).hint("write the value without it"));
        }
        Ok(())
    }

    fn deeper(&mut self, span: Span) -> Result<(), Malformed> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST { Err(self.malformed("nested too deep", span)) } else { Ok(()) }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let byte = |character: usize| self.starts.get(character).or(self.starts.last()).copied().unwrap_or(0);
        byte(span.start.index())..byte(span.end.index())
    }

    fn malformed(&self, what: &str, span: Span) -> Malformed {
        Malformed { what: what.to_owned(), hint: None, at: Some(self.range(span)) }
    }

    fn scan_error(&self, error: &ScanError) -> Malformed {
        self.malformed(error.info(), Span::empty(*error.marker()))
    }
}

impl Malformed {
    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => serde_json::from_str(text).map_or_else(|_| Value::String(text.to_owned()), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_is_written() {
        let text =
            "a: on\nb: no\nc: 010\nd: 2027-01-31\ne: 12\nf: '12'\ng: true\nh: True\ni: 0x1f\nj: 1_000\nk: -3\nl: 1.5";
        assert_eq!(
            Document::yaml(text).unwrap().value,
            json!({"a": "on", "b": "no", "c": "010", "d": "2027-01-31", "e": 12, "f": "12", "g": true, "h": "True",
                   "i": "0x1f", "j": "1_000", "k": -3, "l": 1.5})
        );
        assert_eq!(Document::yaml("a:\nb: ~\nc: null").unwrap().value, json!({"a": null, "b": null, "c": null}));
    }

    #[test]
    fn what_readers_disagree_on_is_refused_where_it_stands() {
        for (text, what, at) in [
            ("a: 1\nb: 2\na: 3", "`a` is there twice", "a"),
            ("a: &x 1\nb: *x", "an anchor", "&x 1"),
            ("a: !!str 1", "a tag", "!!str 1"),
            ("<<: {a: 1}", "a merge", "<<"),
            ("1: 2", "a name that is no text", "1"),
            ("? [a]\n: 1", "a name that is no text", "["),
            ("a: 1\n---\nb: 2", "a second document in the file", "---"),
        ] {
            let malformed = Document::yaml(text).unwrap_err();
            assert_eq!((malformed.what.as_str(), text.get(malformed.at.unwrap()).unwrap()), (what, at), "{text}");
        }
        for text in ["", "a: [", "a: b: c", "a:\n\tb: 1", &format!("{}1{}", "[".repeat(70), "]".repeat(70))] {
            assert!(Document::yaml(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_found_in_the_text() {
        let text = "é: 1\nrules:\n- {id: a}\n- id: bé\n  allow:\n    groups: [x, y]\n  empty:\n";
        let document = Document::yaml(text).unwrap();
        let rule = Place::root().name("rules").item(1);
        for (place, part, at) in [
            (rule.name("id"), Part::Value, "bé"),
            (rule.name("id"), Part::Name, "id"),
            (rule.name("allow").name("groups").item(1), Part::Value, "y"),
            (rule.name("allow").name("groups"), Part::Value, "[x, y]"),
            (rule.name("allow").name("datasets"), Part::Value, "groups: [x, y]"),
            (rule.name("empty"), Part::Value, "empty"),
            (rule.clone(), Part::Value, "id: bé"),
            (Place::root().name("rules").item(0), Part::Value, "{id: a}"),
        ] {
            assert_eq!(text.get(document.locate(text, &place, part).unwrap()), Some(at), "{place}");
        }
    }

    #[test]
    fn json_keeps_its_own_rules() {
        assert_eq!(Document::json("{\"a\": \"\\ud83d\\ude00\"}").unwrap().value, json!({"a": "\u{1f600}"}));
        for text in ["{a: 1}", "{\"a\": 1, \"a\": 2}", "{'a': 1}", "{} # so", ""] {
            assert!(Document::json(text).is_err(), "{text}");
        }
        let text = "{\n  \"a\": ]\n}";
        assert_eq!(text.get(Document::json(text).unwrap_err().at.unwrap()), Some("]"));
    }
}

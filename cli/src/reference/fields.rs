//! Tables of a document's fields, out of its JSON Schema, which is made of the types that read it: what a page says is what is read.

use super::wrapped;
use rerank_guard::schema::FORMS;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Definitions that have a page of their own, and its address.
pub(super) type Elsewhere = (&'static str, &'static str);

/// A page of a document: one section for each object, headed by the way to it, its parts right behind it; then the values that have
/// a name, each with what it means.
pub(super) fn sections(schema: &Value, elsewhere: &[Elsewhere]) -> String {
    let mut page = Page::new(schema, elsewhere, Heads::Fields);
    page.table("", schema);
    page.values();
    page.text
}

/// The same of records, each kind of them by itself.
pub(super) fn of_records(schema: &Value) -> String {
    let mut page = Page::new(schema, &[], Heads::Members);
    for kind in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let (_, meant) = page.resolved(kind);
        let word = meant.get("properties").and_then(|members| members.get("type")?.get("const")?.as_str());
        let about = meant.get("description").and_then(Value::as_str).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(page.text, "\n## Type `{}`\n\n{}", word.unwrap_or_default(), wrapped(about));
        page.table("", meant);
    }
    page.values();
    page.text
}

/// What the columns of a page tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// What is written, and what holds where it is not.
    Fields,
    /// What is read, and who chose it.
    Members,
}

struct Page<'s> {
    schema: &'s Value,
    elsewhere: &'s [Elsewhere],
    heads: Heads,
    /// Where each definition was told first.
    told: BTreeMap<&'s str, String>,
    /// What is told of the values that have a name, by it.
    values: BTreeMap<&'s str, String>,
    text: String,
}

/// A line of a table.
struct Field<'s> {
    name: &'s str,
    schema: &'s Value,
    is_required: bool,
    /// What the form means that this field makes, where there are several.
    about: Option<&'s str>,
}

/// What gets a section of its own.
type Inner<'s> = Vec<(String, &'s Value)>;

impl<'s> Page<'s> {
    fn new(schema: &'s Value, elsewhere: &'s [Elsewhere], heads: Heads) -> Self {
        Self { schema, elsewhere, heads, told: BTreeMap::new(), values: BTreeMap::new(), text: String::new() }
    }

    /// What a schema refers to, and its name.
    fn resolved(&self, schema: &'s Value) -> (Option<&'s str>, &'s Value) {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
        let found = name.and_then(|name| Some((name, self.schema.get("$defs")?.get(name)?)));
        found.map_or((None, schema), |(name, found)| (Some(name), found))
    }

    /// Tells of the object at `way`, then of those in it.
    fn section(&mut self, way: &str, schema: &'s Value) {
        let is_part = self.heads == Heads::Members || way.trim_end_matches(".NAME").contains('.');
        let level = if is_part { "###" } else { "##" };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "\n{level} `{way}`\n");
        if let Some(about) = schema.get("description").and_then(Value::as_str) {
            let _ = write!(self.text, "\n{}", wrapped(about));
        }
        self.table(way, schema);
    }

    fn table(&mut self, way: &str, schema: &'s Value) {
        let rules = rules(schema);
        if !rules.is_empty() {
            let _ = write!(self.text, "\n{}", wrapped(&rules.join(" ")));
        }
        let fields = fields(schema);
        if fields.is_empty() {
            return;
        }
        self.text.push_str(match self.heads {
            Heads::Fields => "\n| field | value | if left out | what it says |\n|---|---|---|---|\n",
            Heads::Members => "\n| member | value | when | what it says | who chose it |\n|---|---|---|---|---|\n",
        });
        let mut inner = Vec::new();
        for field in fields {
            let path = if way.is_empty() { field.name.to_owned() } else { format!("{way}.{}", field.name) };
            let (_, meant) = self.resolved(field.schema);
            let own = field.schema.get("description").or_else(|| meant.get("description")).and_then(Value::as_str);
            let about: Vec<&str> = match field.about {
                // What the form means says enough of the one field it has.
                Some(about) if field.is_required && field.schema.get("description").is_none() => vec![about],
                Some(about) => [Some(about), own].into_iter().flatten().collect(),
                None => own.into_iter().collect(),
            };
            let form = self.form(&path, field.schema, &mut inner);
            let default = field.schema.get("default").filter(|default| !is_nothing(default));
            let without = match (field.is_required, default) {
                (true, _) if self.heads == Heads::Members => "always".to_owned(),
                (false, _) if self.heads == Heads::Members => "at times".to_owned(),
                (true, _) if field.about.is_some() => "one form is required".to_owned(),
                (true, _) => "required".to_owned(),
                (false, Some(default)) => code(&as_written(default)),
                (false, None) => "–".to_owned(),
            };
            let mut about = cell(&about.join(" "));
            for rule in rules_beside(field.schema) {
                let _ = write!(about, " {rule}");
            }
            let _ = write!(self.text, "| `{}` | {form} | {without} | {about} |", field.name);
            if self.heads == Heads::Members {
                let chosen_by = field.schema.get("x-chosen-by").and_then(Value::as_str).unwrap_or("–");
                let _ = write!(self.text, " {chosen_by} |");
            }
            self.text.push('\n');
        }
        for (path, schema) in inner {
            self.section(&path, schema);
        }
    }

    /// The form of a value in a few words; what has sections of its own goes to `inner`.
    fn form(&mut self, path: &str, schema: &'s Value, inner: &mut Inner<'s>) -> String {
        let (name, meant) = self.resolved(schema);
        if let Some((_, page)) = self.elsewhere.iter().find(|(one, _)| Some(*one) == name) {
            return format!("[an object of its own]({page})");
        }
        if let Some(value) = but_null(meant) {
            // What stands beside the choice holds for what is not null.
            let bounds = bounds(meant);
            let form = self.form(path, value, inner);
            return if bounds.is_empty() {
                format!("{form}, or `null`")
            } else {
                format!("{form}; {bounds}; or `null`")
            };
        }
        if !fields(meant).is_empty() {
            return self.link(path, name, meant, inner);
        }
        let words = words(meant);
        match name {
            Some(name) if is_told_apart(meant) => {
                self.values.entry(name).or_insert_with(|| value(meant));
                let link = link_to(name);
                return match words.len() {
                    0 | 13.. => link,
                    _ => format!("{} ({link})", listed(&words)),
                };
            }
            _ if !words.is_empty() => return listed(&words),
            _ => {}
        }
        let pattern = meant.get("pattern").and_then(Value::as_str);
        if let Some((name, pattern, about)) = FORMS.iter().find(|(_, form, _)| Some(*form) == pattern) {
            self.values.entry(name).or_insert_with(|| of_pattern(about, pattern));
            return link_to(name);
        }
        let entries = meant.get("additionalProperties").filter(|entries| entries.is_object());
        let form = match (meant.get("type").and_then(Value::as_str), meant.get("items"), entries) {
            (Some("array"), Some(items), _) => {
                let of = self.form(&format!("{path}[]"), items, inner);
                format!("list: {of}")
            }
            (Some("object"), _, Some(entries)) => {
                let of = self.form(&format!("{path}.NAME"), entries, inner);
                let names = meant.get("propertyNames").and_then(|names| names.get("pattern")).and_then(Value::as_str);
                match FORMS.iter().find(|(_, form, _)| Some(*form) == names) {
                    Some((name, pattern, about)) => {
                        self.values.entry(name).or_insert_with(|| of_pattern(about, pattern));
                        format!("by {}: {of}", link_to(name))
                    }
                    None => format!("by name: {of}"),
                }
            }
            (Some("string"), ..) => "text".to_owned(),
            (Some("boolean"), ..) => "`true` or `false`".to_owned(),
            (Some("integer"), ..) => "whole number".to_owned(),
            (Some("number"), ..) => "number".to_owned(),
            (Some("object"), ..) if meant.get("additionalProperties") == Some(&Value::Bool(false)) => "`{}`".to_owned(),
            (Some("object"), ..) => "object".to_owned(),
            _ => "any".to_owned(),
        };
        match bounds(meant) {
            none if none.is_empty() => form,
            bounds => format!("{form}; {bounds}"),
        }
    }

    /// To a section of its own, or to where there is one already.
    fn link(&mut self, path: &str, name: Option<&'s str>, meant: &'s Value, inner: &mut Inner<'s>) -> String {
        if let Some(told) = name.and_then(|name| self.told.get(name)) {
            return format!("as [`{told}`](#{})", anchor(told));
        }
        if let Some(name) = name {
            self.told.insert(name, path.to_owned());
        }
        inner.push((path.to_owned(), meant));
        format!("[`{path}`](#{})", anchor(path))
    }

    /// Tells of the values that have a name.
    fn values(&mut self) {
        if !self.values.is_empty() {
            self.text.push_str("\n## Values\n");
        }
        for (name, told) in &self.values {
            let _ = write!(self.text, "\n### {name}\n\n{told}");
        }
    }
}

/// What there is to tell of a value that has a name.
fn value(meant: &Value) -> String {
    let mut told = wrapped(meant.get("description").and_then(Value::as_str).unwrap_or_default());
    let forms: Vec<_> = alternatives(meant).iter().filter_map(|one| Some((word(one)?, one))).collect();
    if forms.is_empty() {
        let about = meant.get("description").and_then(Value::as_str).unwrap_or_default();
        return match meant.get("pattern").and_then(Value::as_str) {
            Some(pattern) => of_pattern(about, pattern),
            None => format!("{told}\n{}\n", listed(&words(meant))),
        };
    }
    told.push_str("\n| value | what it says |\n|---|---|\n");
    for (word, one) in forms {
        let about = one.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(told, "| {} | {} |", code(&word), cell(about));
    }
    told
}

/// In a table, where nothing in a pattern is Markdown, and no line is too long.
fn of_pattern(about: &str, pattern: &str) -> String {
    format!("{}\n| pattern |\n|---|\n| {} |\n", wrapped(about), code(pattern))
}

fn link_to(name: &str) -> String {
    format!("[{}](#{})", name.to_lowercase(), anchor(name))
}

/// The fields of an object, those that must be there first; of a choice of objects, those of each.
fn fields(schema: &Value) -> Vec<Field<'_>> {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let required = texts(schema.get("required"));
        let (first, rest): (Vec<_>, Vec<_>) =
            properties.iter().partition(|(name, _)| required.contains(&name.as_str()));
        let in_order = required.iter().filter_map(|name| first.iter().find(|(one, _)| one == name));
        let mut all: Vec<Field<'_>> = in_order
            .map(|(name, schema)| Field { name: name.as_str(), schema, is_required: true, about: None })
            .collect();
        all.extend(rest.into_iter().map(|(name, schema)| Field {
            name: name.as_str(),
            schema,
            is_required: false,
            about: None,
        }));
        return all;
    }
    let mut all = Vec::new();
    for one in alternatives(schema) {
        let about = one.get("description").and_then(Value::as_str);
        all.extend(fields(one).into_iter().map(|field| Field { about, ..field }));
    }
    all
}

/// What a value is where it is not null, if it may be.
fn but_null(schema: &Value) -> Option<&Value> {
    let choices = schema.get("anyOf").and_then(Value::as_array)?;
    let is_null = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("null");
    choices.iter().find(is_null)?;
    choices.iter().find(|one| !is_null(one))
}

/// What a schema may be one of. Conditions on which fields are there are none.
fn alternatives(schema: &Value) -> &[Value] {
    let all = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    all.map(Vec::as_slice).filter(|all| all.iter().any(|one| one.get("type").is_some())).unwrap_or_default()
}

/// The words that a value may be one of.
fn words(schema: &Value) -> Vec<String> {
    match word(schema) {
        Some(word) => vec![word],
        None => match schema.get("enum").and_then(Value::as_array) {
            Some(all) => all.iter().map(as_written).collect(),
            None => alternatives(schema).iter().flat_map(words).collect(),
        },
    }
}

fn word(schema: &Value) -> Option<String> {
    schema.get("const").map(as_written)
}

/// Whether a value says more of itself than fits beside a field.
fn is_told_apart(schema: &Value) -> bool {
    let is_text = schema.get("pattern").is_some() && schema.get("description").is_some();
    is_text || !words(schema).is_empty()
}

/// What must hold between the fields of an object.
fn rules(schema: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    if alternatives(schema).iter().any(|one| one.get("properties").is_some()) {
        rules.push("Exactly one of these forms.".to_owned());
    }
    rules.extend(one_of_them("Exactly one of", schema.get("oneOf")));
    rules.extend(one_of_them("At least one of", schema.get("anyOf")));
    if schema.get("minProperties").is_some() {
        rules.push("At least one field has to be there.".to_owned());
    }
    match &texts(schema.get("not").and_then(|not| not.get("required")))[..] {
        [] => {}
        [one] => rules.push(format!("Never `{one}`.")),
        several => rules.push(format!("Not {} together.", and(several))),
    }
    let mut needs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (field, needed) in schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten() {
        needs.entry(and(&texts(Some(needed)))).or_default().push(field);
    }
    for (needed, fields) in needs {
        let need = if fields.len() == 1 { "needs" } else { "need" };
        rules.push(format!("{} {need} {needed}.", and(&fields)));
    }
    for (field, then) in schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten() {
        let never = texts(then.get("not").and_then(|not| not.get("required")));
        if !never.is_empty() {
            rules.push(format!("`{field}` does not go with {}.", and(&never)));
        }
    }
    rules
}

/// What a field asks of the object in it, beyond what such an object has to be everywhere.
fn rules_beside(schema: &Value) -> Vec<String> {
    if schema.get("$ref").is_none() {
        return Vec::new();
    }
    let mut rules = Vec::new();
    let required = texts(schema.get("required"));
    if !required.is_empty() {
        rules.push(format!("Here {} have to be there.", and(&required)));
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        rules.extend(one_of_them("Here at least one of", part.get("anyOf")));
    }
    rules
}

/// `[{"required": [a]}, {"required": [b]}]` in words.
fn one_of_them(how: &str, choices: Option<&Value>) -> Option<String> {
    let choices = choices?.as_array()?;
    let names: Vec<&str> =
        choices.iter().filter(|one| one.get("type").is_none()).flat_map(|one| texts(one.get("required"))).collect();
    (!names.is_empty()).then(|| format!("{how} {} has to be there.", and(&names)))
}

/// Bounds of a value, where it has any.
fn bounds(schema: &Value) -> String {
    let number = |name: &str| schema.get(name).and_then(Value::as_u64);
    let mut bounds = Vec::new();
    let mut between = |least: Option<u64>, most: Option<u64>, one: &str, several: &str| {
        bounds.push(match (least.filter(|least| *least > 0), most) {
            (Some(least), Some(most)) => format!("{least} to {most}{several}"),
            (Some(1), None) => format!("1{one} or more"),
            (Some(least), None) => format!("{least}{several} or more"),
            (None, Some(most)) => format!("{most}{several} at most"),
            (None, None) => return,
        });
    };
    between(number("minimum"), number("maximum"), "", "");
    between(number("minLength"), number("maxLength"), " character", " characters");
    between(number("minItems"), number("maxItems"), " entry", " entries");
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        bounds.push(code(pattern));
    }
    bounds.join(", ")
}

fn as_written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn and(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn listed(words: &[String]) -> String {
    words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", ")
}

fn is_nothing(default: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        // Objects say their defaults field by field.
        Value::Object(_) => true,
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// As Markdown renderers make the address of a heading.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Code in a cell of a table, whatever it has in it.
pub(super) fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// What fits in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace("\n\n", " ").replace('\n', " ").replace('|', "\\|")
}

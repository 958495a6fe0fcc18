//! `rerank-guard reference`: pages of the reference, out of the code that they tell about. `rerank-guard why`: one word of them.

mod fields;

use crate::report::{say, say_json, unable};
use crate::{End, Output};
use clap::ValueEnum;
use rerank_guard::exchange::reason::{Chapter, chapters};
use rerank_guard::reason::{Answer, Entry};
use rerank_guard::schema;
use serde_json::{Value, json};
use std::fmt::Write as _;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which page.
    #[arg(value_enum)]
    page: Page,
}

/// The pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// Every outcome and reason that records, counters and log lines have.
    Reasons,
    /// Every field of the plugin configuration.
    Configuration,
    /// Every field of policy bundles.
    Bundle,
}

#[derive(clap::Args)]
pub(crate) struct WhyArguments {
    /// A word out of a record, a counter or a log line, such as `no-rule`.
    word: String,
}

/// Markdown for people, the same tables for programs.
pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    match (arguments.page, output) {
        (Page::Reasons, Output::Text) => say(&reasons()),
        (Page::Reasons, Output::Json) => {
            let chapter = |chapter: &Chapter| {
                let entries: Vec<Value> = chapter.entries.iter().map(described).collect();
                json!({"title": chapter.title, "about": chapter.about, "entries": entries})
            };
            say_json(&Value::Array(chapters().iter().map(chapter).collect()));
        }
        (Page::Configuration, Output::Text) => say(&configuration()),
        (Page::Configuration, Output::Json) => say_json(&schema::config()),
        (Page::Bundle, Output::Text) => say(&bundle()),
        (Page::Bundle, Output::Json) => say_json(&schema::bundle()),
    }
    End::Well
}

/// Where each page is told of in sentences, and what each column means.
const OF_TABLES: &str = "Unknown fields are errors. “If left out” says what holds then: `–` stands for nothing, or \
                         for what the line itself tells; the parts of an object hold each by itself. `[]` in a path stands for each entry of a list, `NAME` for each name.";

fn configuration() -> String {
    let about = wrapped(&format!(
        "Every field of the plugin configuration: its form, what holds without it, what it says. [Configuration](../configuration.md) \
         tells how to write one, and [`schema/config.schema.json`](../../schema/config.schema.json) says the same to editors. {OF_TABLES} \
         `make reference` writes this page out of the types that read the configuration."
    ));
    let elsewhere = [("Bundle", "bundle.md")];
    format!("# Configuration, field by field\n\n{about}{}", fields::sections(&schema::config(), &elsewhere))
}

fn bundle() -> String {
    let about = wrapped(&format!(
        "Every field of policy bundles: its form, what holds without it, what it says. [Bundles by example](../bundles.md) tells how to \
         write one, and [`schema/bundle.schema.json`](../../schema/bundle.schema.json) says the same to editors. {OF_TABLES} `make \
         reference` writes this page out of the types that read bundles."
    ));
    format!("# Bundle, field by field\n\n{about}{}", fields::sections(&schema::bundle(), &[]))
}

/// What a word means, in every chapter that has it.
pub(crate) fn why(arguments: &WhyArguments, output: Output) -> End {
    let all = chapters();
    let mut found: Vec<(&str, Entry)> = Vec::new();
    for chapter in &all {
        let meant = chapter.entries.iter().filter(|entry| entry.word == arguments.word);
        found.extend(meant.map(|entry| (chapter.title, *entry)));
    }
    if found.is_empty() {
        let answers: Vec<&str> = all
            .iter()
            .flat_map(|chapter| &chapter.entries)
            .flat_map(|entry| entry.answers)
            .map(|answer| answer.code())
            .collect();
        let what = if answers.contains(&arguments.word.as_str()) {
            "is the outcome of a refused call: ask for its reason, which stands beside it"
        } else {
            "is no reason: `rerank-guard reference reasons` lists all"
        };
        return unable(&format!("`{}` {what}", arguments.word.escape_debug()), output);
    }
    match output {
        Output::Text => {
            let told = |(chapter, entry): &(&str, Entry)| {
                let answer =
                    if entry.answers.is_empty() { String::new() } else { format!("answer   {}\n", answer(entry)) };
                format!(
                    "{}\nchapter  {chapter}\n{answer}means    {}\nto do    {}\n",
                    entry.word, entry.means, entry.remedy
                )
            };
            say(&found.iter().map(told).collect::<Vec<_>>().join("\n"));
        }
        Output::Json => {
            let told = |(chapter, entry): &(&str, Entry)| {
                let mut value = described(entry);
                if let Some(members) = value.as_object_mut() {
                    members.insert("chapter".to_owned(), json!(chapter));
                }
                value
            };
            say_json(&Value::Array(found.iter().map(told).collect()));
        }
    }
    End::Well
}

fn described(entry: &Entry) -> Value {
    let answer = |answer: &Answer| json!({"status": answer.status(), "problem": answer.code()});
    let answers: Vec<Value> = entry.answers.iter().map(answer).collect();
    json!({"word": entry.word, "answers": answers, "means": entry.means, "remedy": entry.remedy})
}

/// What callers get, in one cell.
fn answer(entry: &Entry) -> String {
    let one = |answer: &Answer| {
        // RFC 7240: the caller may rather have it so.
        let or = if *answer == Answer::ApprovalRequired { " (202 with `Prefer: respond-async`)" } else { "" };
        format!("{} `{}`{or}", answer.status(), answer.code())
    };
    entry.answers.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn reasons() -> String {
    let mut page = format!(
        "# Reasons\n\n{}",
        wrapped(
            "Every outcome and every reason that audit records, counters and log lines have, what it means and what to do about it. \
             Callers are told the status and the problem's `type` alone: the reason is for who runs the gateway. \
             `rerank-guard why no-rule` tells of one. `make reference` writes this page out of the tables that every refusal is made \
             from."
        )
    );
    for Chapter { title, about, entries } in chapters() {
        let refuses = entries.iter().any(|entry| !entry.answers.is_empty());
        let (names, line) = if refuses { ("| what callers get ", "|---") } else { ("", "") };
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## {title}\n\n{}\n| word {names}| what happened | what to do |\n|---{line}|---|---|\n",
            wrapped(about)
        );
        for entry in &entries {
            let answer = match (refuses, entry.answers.is_empty()) {
                (true, false) => format!("| {} ", answer(entry)),
                (true, true) => "| – ".to_owned(),
                (false, _) => String::new(),
            };
            let _ = writeln!(page, "| `{}` {answer}| {} | {} |", entry.word, entry.means, entry.remedy);
        }
    }
    page
}

/// A paragraph in lines that are read without scrolling.
fn wrapped(text: &str) -> String {
    let (mut paragraph, mut width) = (String::new(), 0_usize);
    for word in text.split_whitespace() {
        let long = word.chars().count();
        match width.saturating_add(long) {
            _ if width == 0 => {}
            ..100 => {
                paragraph.push(' ');
                width = width.saturating_add(1);
            }
            _ => {
                paragraph.push('\n');
                width = 0;
            }
        }
        paragraph.push_str(word);
        width = width.saturating_add(long);
    }
    paragraph.push('\n');
    paragraph
}

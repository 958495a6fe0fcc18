//! `rerank-guard reference`: pages of the reference, out of the code that they tell about. `rerank-guard why`: one word of them.

mod fields;

use crate::report::{say, say_json, unable};
use crate::{End, Output};
use clap::ValueEnum;
use rerank_guard::exchange::reason::{Chapter, chapters};
use rerank_guard::metrics::{self, Label, Metric, Values};
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
    /// Every counter in Envoy's stats.
    Metrics,
    /// Every member of audit records.
    Record,
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
        (Page::Metrics, Output::Text) => say(&metrics()),
        (Page::Metrics, Output::Json) => {
            let label = |label: &Label| json!({"name": label.name, "values": label.values.words()});
            let described = |metric: &Metric| {
                let labels: Vec<Value> = metric.labels.iter().map(label).collect();
                json!({"name": metric.name, "labels": labels, "means": metric.means, "remedy": metric.remedy})
            };
            say_json(&Value::Array(metrics::ALL.iter().map(described).collect()));
        }
        (Page::Record, Output::Text) => say(&record()),
        (Page::Record, Output::Json) => say_json(&schema::record()),
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

fn metrics() -> String {
    let mut page = format!(
        "# Metrics\n\n{}\n| counter | what it counts | what to do |\n|---|---|---|\n",
        wrapped(
            "Every counter of the module. They stand in Envoy's stats as `wasmcustom.` and the name (`/stats?filter=rerank_guard`); there \
             are no gauges and no histograms. A name is there once it has counted. It is made of fixed words, each behind the label it \
             is the value of, never of what a caller sent. `make reference` writes this page out of the table that the module's \
             counters are made from."
        )
    );
    let whole = |metric: &Metric| {
        let labels: Vec<String> =
            metric.labels.iter().map(|label| format!(".{}.{}", label.name, label.name.to_uppercase())).collect();
        format!("{}{}", metric.name, labels.concat())
    };
    for metric in metrics::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{}` | {} | {} |", whole(metric), metric.means, metric.remedy);
    }
    page.push_str("\n## Labels\n");
    for metric in metrics::ALL {
        let _ = write!(page, "\n### `{}`\n\n| label | values |\n|---|---|\n", metric.name);
        for label in metric.labels {
            let _ = writeln!(page, "| `{}` | {} |", label.name, values(label.values));
        }
    }
    page
}

/// What a label can be, and where it is told what that means.
fn values(values: Values) -> String {
    let words = values.words().iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match values {
        Values::Outcomes => format!("{words}: see [outcomes](reasons.md#outcomes)"),
        Values::Reasons => "the words of [reasons](reasons.md) that calls have".to_owned(),
        Values::Kinds => {
            format!("{words}, and `custom_` with the name of a pattern of the bundle's, 16 in a call at most")
        }
        Values::KeyEvents => format!("{words}: see [keys](reasons.md#keys-that-are-asked-for)"),
        Values::Roles => format!("{words}: the bundle that decides, or the one that is asked beside it"),
        Values::BundleEvents => format!("{words}: see [bundles](reasons.md#bundles-that-are-asked-for)"),
        Values::FetchReasons => {
            format!("{words}: see [bundles that are not taken](reasons.md#bundles-that-are-not-taken)")
        }
    }
}

fn record() -> String {
    let about = wrapped(
        "Every member of the audit records, in the array `record` of a line of the access log. [Records](../records.md) tells how to read \
         and verify them, and [`schema/record.schema.json`](../../schema/record.schema.json) says the same to programs. “When” says \
         where a member stands: `always` may be `null` where the value says so, `at times` is left out otherwise. “Who chose it” tells \
         whose words can be in it: what a caller chose stands masked for every kind of personal data and secret. `make reference` writes \
         this page out of the types that every record of the tests is read back as.",
    );
    format!("# Records, member by member\n\n{about}{}", fields::of_records(&schema::record()))
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

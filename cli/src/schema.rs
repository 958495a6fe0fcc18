//! `rerank-guard schema`: what bundles, configurations and records may say, for editors and other programs.

use crate::report::say;
use crate::{End, Output};
use clap::ValueEnum;
use rerank_guard::schema;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Of which document.
    #[arg(value_enum, default_value_t = Document::Bundle)]
    document: Document,
}

/// The documents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Document {
    /// The policy bundle.
    Bundle,
    /// The plugin configuration.
    Config,
    /// Audit records.
    Record,
}

/// It is JSON either way; for people it has lines.
pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let schema = match arguments.document {
        Document::Bundle => schema::bundle(),
        Document::Config => schema::config(),
        Document::Record => schema::record(),
    };
    say(&match output {
        Output::Text => format!("{schema:#}\n"),
        Output::Json => format!("{schema}\n"),
    });
    End::Well
}

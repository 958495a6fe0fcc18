//! `rerank-guard`, the operator's tool: bundles and configurations, tokens, masks and audit records, judged by the same code as in
//! the filter.
//!
//! Exit codes: 0 when all is well, 1 when something was found, denied or failed, 2 when the tool was called wrongly or could
//! not read or write a file.

mod audit;
mod bundle;
mod chains;
mod check;
mod compile;
mod config;
mod diff;
mod document;
mod envoy;
mod explain;
mod inner;
mod kind;
mod mask;
mod progress;
mod reference;
mod report;
mod schema;
mod sign;
mod test;
mod token;
mod why;

use clap::{Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "rerank-guard", version, about = "The operator's tool of rerank-guard", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How to print what comes out.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// Check bundles and configurations: every flaw at once, with file, line and column.
    Check(check::Arguments),
    /// Run the tests that bundles bring along, and tell which rules they cover.
    Test(test::Arguments),
    /// Decide on one call, and tell why. Exits 0 only when the call is allowed as it is.
    Explain(Box<explain::Arguments>),
    /// Tell what a bundle widens and narrows, held against another one. Exits 1 when it widens anything.
    Diff(diff::Arguments),
    /// Write the JSON Schema of bundles, configurations or records, for editors and other programs.
    Schema(schema::Arguments),
    /// Write a page of the reference, out of the code that it tells about.
    Reference(reference::Arguments),
    /// Tell what a reason in a record, a counter or a log line means, and what to do about it.
    Why(reference::WhyArguments),
    /// Write a bundle as the JSON that the module reads.
    Compile(compile::Arguments),
    /// Sign a bundle with an Ed25519 key, for gateways that fetch it.
    Sign(sign::SignArguments),
    /// Verify a signed bundle, and write out what was signed.
    Verify(sign::VerifyArguments),
    /// Write a public key in PEM as the JWK that a gateway's configuration takes.
    Jwk(sign::JwkArguments),
    /// Tell whom a token proves, or the one reason why it is refused. Never prints the token.
    Token(token::Arguments),
    /// Mask personal data in JSON or text, as the filter does in answers.
    Mask(mask::Arguments),
    /// Look at audit records.
    #[command(subcommand)]
    Audit(audit::Command),
}

/// How to print what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: one JSON value.
    Json,
}

/// How a run ends; the greater one wins where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// All is well.
    Well,
    /// Something was found, denied or failed.
    Found,
    /// A file could not be read or written.
    Unable,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let end = match arguments.command {
        Command::Check(own) => check::run(&own, arguments.output),
        Command::Test(own) => test::run(&own, arguments.output),
        Command::Explain(own) => explain::run(&own, arguments.output),
        Command::Diff(own) => diff::run(&own, arguments.output),
        Command::Schema(own) => schema::run(&own, arguments.output),
        Command::Reference(own) => reference::run(&own, arguments.output),
        Command::Why(own) => reference::why(&own, arguments.output),
        Command::Compile(own) => compile::run(&own, arguments.output),
        Command::Sign(own) => sign::sign(&own, arguments.output),
        Command::Verify(own) => sign::verify(&own, arguments.output),
        Command::Jwk(own) => sign::jwk(&own, arguments.output),
        Command::Token(own) => token::run(&own, arguments.output),
        Command::Mask(own) => mask::run(&own, arguments.output),
        Command::Audit(own) => audit::run(&own, arguments.output),
    };
    match end {
        End::Well => ExitCode::SUCCESS,
        End::Found => ExitCode::from(1),
        End::Unable => ExitCode::from(2),
    }
}

//! What the demo, the end-to-end tests and the bench need around the gateway: an upstream that really reranks, an issuer
//! of tokens, an approver, a load generator, and an upstream that answers at once.
//!
//! Every server takes `--listen 127.0.0.1:0`, prints one JSON line on stdout when it is ready
//! (`{"ready":"127.0.0.1:PORT"}`), serves until SIGTERM or SIGINT, and exits 0. None of this is meant for production:
//! the issuer gives a token to whoever asks, and the approver believes who a person says they are.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod approver;
mod id;
mod issuer;
mod keys;
mod load;
mod server;
mod signer;
mod sized;
mod upstream;

#[derive(Parser)]
#[command(name = "rerank-guard-demo", about = "What the demo, the tests and the bench of rerank-guard need", version)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// A reranker that really reranks (BM25), in the dialects Cohere v1 and v2, Jina, TEI and vLLM
    Upstream(upstream::Args),
    /// An OIDC issuer: discovery, JWKS, tokens for the asking, key rotation
    Issuer(issuer::Args),
    /// An approver: holds calls until people decide, hands out signed receipts once
    Approver(approver::Args),
    /// A closed-loop load generator; prints one JSON line
    Load(load::Args),
    /// An upstream for the bench: answers every POST at once with a prepared body of a given size
    Sized(sized::Args),
}

fn main() -> ExitCode {
    match Cli::parse().part.run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("rerank-guard-demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

impl Part {
    fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        // One thread: each part is its own process, and the two servers on the bench's path do next to nothing per call.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Upstream(args) => upstream::run(args).await?,
                Self::Issuer(args) => issuer::run(args).await?,
                Self::Approver(args) => approver::run(args).await?,
                Self::Sized(args) => sized::run(args).await?,
                Self::Load(args) => return Ok(load::run(args).await?),
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

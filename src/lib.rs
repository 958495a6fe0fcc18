//! rerank-guard: zero trust in front of reranking services, as one WebAssembly module in Envoy's HTTP filter chain.
//!
//! One room for each question a call must answer: [`caller`] (who?), [`call`] (what?), [`policy`] (may they?),
//! [`approval`] (has a human agreed?), [`credential`] (as whom upstream?), [`mask`] (what may leave?), [`audit`] (what will be
//! remembered?). [`exchange`] tells the story of one call as a state machine over them; [`config`] is the platform team's
//! document. Only `envoy`, compiled for wasm alone, knows proxy-wasm: everything else is plain Rust that takes time,
//! randomness and answers as arguments.

pub mod approval;
pub mod audit;
pub mod call;
pub mod caller;
pub mod config;
pub mod credential;
pub mod diagnostic;
#[cfg(any(target_arch = "wasm32", test))]
mod envoy;
pub mod exchange;
mod fetch;
mod hexadecimal;
pub mod media;
pub mod metrics;
pub mod origin;
pub mod policy;
pub mod reason;
#[cfg(feature = "schema")]
pub mod schema;
pub mod shared;
pub mod time;

pub use rerank_guard_mask as mask;
pub use rerank_guard_strict_json as json;
use rerank_guard_strict_json::wording;
use rerank_guard_text::{escapes, fold, visible};

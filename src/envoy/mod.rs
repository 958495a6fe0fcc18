//! The only code that knows proxy-wasm: it carries events to the exchange, and its steps to the host.
//!
//! Needs the plugin option `allow_on_headers_stop_iteration: true` (Envoy 1.35), so that headers are held while bodies arrive.
//! Without it a call hangs until Envoy's own time-out, and nothing goes upstream.

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod dispatch;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod metrics;
mod pairs;
#[cfg(target_arch = "wasm32")]
mod root;
#[cfg(target_arch = "wasm32")]
mod stream;

//! The only code that knows proxy-wasm: it carries events to the exchange, and its steps to the host.
//!
//! Needs the plugin option `allow_on_headers_stop_iteration: true` (Envoy 1.35), so that headers are held while bodies arrive.
//! Without it a call hangs until Envoy's own time-out, and nothing goes upstream.

mod host;
mod metrics;
mod root;
mod stream;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(root::Root::default()) });
}}

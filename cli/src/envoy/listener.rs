//! The listener that the filter stands in: who can reach it, and who can read along.

use super::address;
use super::at::At;
use super::clusters;
use super::notes::Notes;
use rerank_guard::config::Config;

/// `chain` is the one of its filter chains that the filter is in.
pub(super) fn check(listener: &At<'_>, chain: Option<&At<'_>>, notes: &mut Notes) {
    let addresses = listener.items("additional_addresses");
    let addresses = addresses.iter().filter_map(|more| more.get("address")).chain(listener.get("address"));
    let open: Vec<At<'_>> = addresses.filter(|address| !address::is_local(address)).collect();
    if let (Some(address), Some(chain)) = (open.first(), chain) {
        let speaks_tls = chain.get("transport_socket.typed_config").is_some_and(|socket| {
            ["DownstreamTlsContext", "QuicDownstreamTransport"].iter().any(|name| clusters::holds(&socket, name))
        });
        if !speaks_tls {
            let told = address::told(address);
            let what = format!("tokens, documents and answers go over plain HTTP on {told}, to whoever listens");
            let hint =
                "write a `transport_socket` with a DownstreamTlsContext into the filter chain, or listen on 127.0.0.1";
            notes.warning(address.place.clone(), what, hint);
        }
    }
    if listener.is_on("bypass_overload_manager") {
        let what = "the overload manager cannot stop calls here, and so not save the process";
        notes.warning(listener.place("bypass_overload_manager"), what, "take `bypass_overload_manager` away");
    }
    if let Some(log) = chain.and_then(|chain| {
        let socket = chain.get("transport_socket")?;
        socket.all().into_iter().find_map(|at| at.get("key_log"))
    }) {
        let what = "the keys of TLS connections are written down: who reads the file reads every call";
        notes.warning(log.place, what, "take `key_log` away");
    }
}

/// Envoy's buffers have to hold what the filter may hold or hand over, or Envoy answers first.
pub(super) fn buffers(listener: &At<'_>, manager: &At<'_>, config: &Config, notes: &mut Notes) {
    const ENVOYS_OWN: u64 = 1 << 20;
    const ENVOYS_OWN_STREAM: u64 = 16 << 20;
    let largest = config.buffer_bytes() as u64;
    let name = "per_connection_buffer_limit_bytes";
    let limit = listener.number(name).unwrap_or(Some(ENVOYS_OWN)).unwrap_or(0);
    if limit < largest {
        let what =
            format!("Envoy's buffer of {limit} bytes is full before a body of `limits` ({largest} bytes) is there");
        notes.error(listener.place(name), what, format!("write `{name}` of {largest} or more"));
    }
    // A stream of HTTP/2 or 3 has a buffer of the size of its window.
    for path in [
        "http2_protocol_options.initial_stream_window_size",
        "http3_protocol_options.quic_protocol_options.initial_stream_window_size",
    ] {
        let limit = manager.number(path).unwrap_or(Some(ENVOYS_OWN_STREAM)).unwrap_or_default();
        if limit < largest {
            let what = format!(
                "a stream's buffer of {limit} bytes is full before a body of `limits` ({largest} bytes) is there"
            );
            notes.error(manager.place(path), what, format!("write `initial_stream_window_size` of {largest} or more"));
        }
    }
    for filter in manager.items("http_filters") {
        let Some(buffer) = filter.get("typed_config").and_then(|typed| typed.message("Buffer")) else { continue };
        let limit = buffer.number("max_request_bytes").flatten().unwrap_or(0);
        if limit < largest {
            let what = format!(
                "this buffer of {limit} bytes is Envoy's for the filter too, and full before a body of `limits` ({largest} bytes) is there"
            );
            notes.error(
                buffer.place("max_request_bytes"),
                what,
                format!("write `max_request_bytes` of {largest} or more, or take the filter out"),
            );
        }
    }
}

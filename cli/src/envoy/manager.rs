//! The HTTP connection manager that the filter stands in: what lets bytes past the filter, or shows it another request than callers
//! sent.

use super::at::At;
use super::notes::Notes;
use crate::report::Severity::{self, Error, Warning};
use rerank_guard::config::Config;

/// Settings that have to be off: the path, how bad it is, what happens.
const OFF: [(&str, Severity, &str); 6] = [
    ("proxy_100_continue", Error, "interim answers (100, 103) pass without the filter, their headers unmasked"),
    ("http2_protocol_options.allow_metadata", Error, "metadata frames pass without the filter, both ways"),
    ("http3_protocol_options.allow_metadata", Error, "metadata frames pass without the filter, both ways"),
    (
        "http_protocol_options.allow_chunked_length",
        Warning,
        "requests may tell two lengths, and what stands before Envoy may believe the other one",
    ),
    (
        "http_protocol_options.accept_http_10",
        Warning,
        "a caller of HTTP/1.0 cannot tell a stream that broke off from one that ended",
    ),
    ("merge_slashes", Warning, "doubled slashes are merged before the filter, which would refuse them"),
];

pub(super) fn check(manager: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    timeouts(manager, notes);
    if let Some(config) = config {
        for path in ["stream_idle_timeout", "common_http_protocol_options.max_stream_duration"] {
            waits(manager, path, config, notes);
        }
    }
    streams(manager, notes);
    for (path, severity, what) in OFF {
        if manager.is_on(path) {
            let name = path.rsplit('.').next().unwrap_or(path);
            let told = if severity == Error { Notes::error } else { Notes::warning };
            told(notes, manager.place(path), what, format!("take `{name}` away"));
        }
    }
    paths(manager, notes);
    addresses(manager, notes);
    upgrades(manager, notes);
    local_replies(manager, notes);
}

fn timeouts(manager: &At<'_>, notes: &mut Notes) {
    for (name, severity, without) in [
        ("request_timeout", Error, "a call that is held has no end"),
        ("stream_idle_timeout", Warning, "a call that is held ends after Envoy's own five minutes"),
    ] {
        let hint = format!("write `{name}: 60s`");
        match manager.get(name).map(|at| seconds(&at)) {
            None if severity == Error => notes.error(manager.place(name), without, hint),
            None => notes.warning(manager.place(name), without, hint),
            Some(Some(seconds)) if seconds > 0.0 => {}
            Some(_) => notes.error(manager.place(name), "a call that is held may hang for ever", hint),
        }
    }
}

/// A call that waits for the approver sends and gets nothing meanwhile: what ends it has to be longer.
pub(super) fn waits(at: &At<'_>, path: &str, config: &Config, notes: &mut Notes) {
    let Some(longest) = config.approver.as_ref().map(|approver| approver.timeout.duration().as_secs_f64()) else {
        return;
    };
    let Some(ends) = at.get(path) else { return };
    if let Some(seconds) = seconds(&ends).filter(|seconds| *seconds > 0.0 && *seconds <= longest) {
        let what = format!("a call ends after {seconds} s, while `approver.timeout` lets it wait for {longest} s");
        notes.warning(ends.place, what, "write more than `approver.timeout` and the upstream's own time");
    }
}

/// Each stream of a connection may hold a body.
fn streams(manager: &At<'_>, notes: &mut Notes) {
    let path = "http2_protocol_options.max_concurrent_streams";
    if !manager.is_enum("codec_type", "HTTP1", 1) && manager.number(path).is_none() {
        let what = "one connection of HTTP/2 may have a thousand calls at once, and more in an older Envoy";
        notes.warning(manager.place(path), what, "write `http2_protocol_options: {max_concurrent_streams: 100}`");
    }
}

/// A span as protobuf writes it in JSON: `1.5s`.
pub(super) fn seconds(at: &At<'_>) -> Option<f64> {
    at.value.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse().ok())
}

fn paths(manager: &At<'_>, notes: &mut Notes) {
    if !manager.is_on("normalize_path") {
        let what = "paths reach Envoy's routes as callers wrote them, dots and escapes included";
        notes.warning(manager.place("normalize_path"), what, "write `normalize_path: true`");
    }
    let action = "path_with_escaped_slashes_action";
    if !manager.is_enum(action, "REJECT_REQUEST", 2) {
        let what = "upstreams may read `%2F` in a path as a slash, Envoy's routes do not";
        notes.warning(manager.place(action), what, format!("write `{action}: REJECT_REQUEST`"));
    }
    let action = "common_http_protocol_options.headers_with_underscores_action";
    if !manager.is_enum(action, "REJECT_REQUEST", 1) && !manager.is_enum(action, "DROP_HEADER", 2) {
        let what = "a header `api_key` is `api-key` to upstreams of CGI's and WSGI's kind";
        let hint = "write `common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}`";
        notes.warning(manager.place(action), what, hint);
    }
}

/// The filter limits bad signatures by the address that a request comes from.
fn addresses(manager: &At<'_>, notes: &mut Notes) {
    let says =
        ["use_remote_address", "original_ip_detection_extensions"].iter().any(|name| manager.get(name).is_some());
    if !says {
        let what = "callers choose the address that they are counted under, by `x-forwarded-for`";
        let hint = "write `use_remote_address: true`, with `xff_num_trusted_hops` behind proxies of your own; `false` where \
                    only trusted proxies reach this listener";
        notes.warning(manager.place("use_remote_address"), what, hint);
    }
}

fn upgrades(manager: &At<'_>, notes: &mut Notes) {
    for upgrade in manager.items("upgrade_configs") {
        if !upgrade.items("filters").is_empty() {
            let what = "upgraded requests go through filters of their own, without the guard";
            notes.error(upgrade.place("filters"), what, "take `filters` away");
        } else if upgrade.get("enabled").is_none() || upgrade.is_on("enabled") {
            let kind = upgrade.text("upgrade_type").unwrap_or_default();
            let what = format!("no call is upgraded: the filter refuses `{kind}`");
            notes.warning(upgrade.place, what, "take it out of `upgrade_configs`");
        }
    }
}

fn local_replies(manager: &At<'_>, notes: &mut Notes) {
    if let Some(replies) = manager.get("local_reply_config").filter(|at| !at.inner().is_empty()) {
        let what = "Envoy writes the filter's own refusals anew";
        notes.warning(replies.place, what, "take `local_reply_config` away, or filter it so that it leaves them alone");
    }
}

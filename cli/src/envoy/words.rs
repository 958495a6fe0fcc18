//! What access logs, traces and the like may print: `%…%` operators that repeat nothing that a caller or an upstream chose.

use super::at::At;
use super::notes::Notes;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rerank_guard::config::Config;
use rerank_guard::diagnostic::Step;

/// The filter state that holds a call's record.
const RECORD: &str = "wasm.rerank_guard_record";

/// A caller chose what these print, or it is the credential by now.
const CALLERS: [&str; 11] = [
    // What these come to is said in their arguments, in languages of their own.
    "CEL",
    "COALESCE",
    "REQ",
    "REQUEST_HEADER",
    "REQ_WITHOUT_QUERY",
    "PATH",
    "QUERY_PARAM",
    "QUERY_PARAMS",
    "STREAM_ID",
    "COOKIE",
    "REQUESTED_SERVER_NAME",
];

/// The upstream chose what these print, before it was masked.
const UPSTREAMS: [&str; 4] = ["RESP", "RESPONSE_HEADER", "TRAILER", "RESPONSE_TRAILER"];

/// What these print is Envoy's own word.
const HARMLESS: [&str; 28] = [
    "ACCESS_LOG_TYPE",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "EMIT_TIME",
    "EMIT_TIME_LOCAL",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "LOCAL_REPLY_BODY",
    "PROTOCOL",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "ROUTE_NAME",
    "START_TIME",
    "START_TIME_LOCAL",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
];

/// Names of members that hold what is printed for others.
const PRINTED: [&str; 12] = [
    "access_log",
    "upstream_log",
    "tracing",
    "custom_tags",
    "local_reply_config",
    "body_format",
    "response_headers_to_add",
    "response_trailers_to_add",
    "response_mutations",
    "response_trailers_mutations",
    "headers_to_add",
    "log_format",
];

/// Loggers that print what a format in the configuration says, or what is told of them here.
const LOGGERS: [&str; 7] = [
    "FileAccessLog",
    "FluentdAccessLogConfig",
    "HttpGrpcAccessLogConfig",
    "OpenTelemetryAccessLogConfig",
    "StderrAccessLog",
    "StdoutAccessLog",
    "TcpGrpcAccessLogConfig",
];

/// Names of lists of loggers.
const LOGS: [&str; 2] = ["access_log", "upstream_log"];

/// Headers that prove who calls, whatever the configuration's own credentials are.
const CREDENTIALS: [&str; 5] = ["authorization", "cookie", "dpop", "proxy-authorization", "x-api-key"];

/// Whether a header with this name, in lower case, holds a credential: the caller's, or the upstream's by now.
pub(super) fn is_credential(name: &str, config: &Config) -> bool {
    CREDENTIALS.contains(&name) || config.credentials.values().any(|credential| credential.header == name)
}

/// Whether a text with operators repeats what a caller or an upstream sent, or may.
pub(super) fn repeats(text: &str) -> bool {
    Operators(text).any(|operator| operator.name != "ENVIRONMENT" && !is_harmless(operator.name, operator.argument))
}

/// The headers of the request that a text with operators repeats, in lower case.
pub(super) fn headers(text: &str) -> Vec<String> {
    Operators(text)
        .filter(|operator| ["REQ", "REQUEST_HEADER", "REQ_WITHOUT_QUERY"].contains(&operator.name))
        .flat_map(|operator| operator.argument.split(['?', ',']).map(|name| name.trim().to_ascii_lowercase()))
        .collect()
}

/// Secrets of the filter's that something else than a log takes out of the environment.
pub(super) fn secrets(at: &At<'_>, config: &Config, notes: &mut Notes) {
    for (at, text) in at.texts() {
        for operator in Operators(text).filter(|operator| operator.name == "ENVIRONMENT") {
            environment(&at, operator.argument, Some(config), notes);
        }
    }
}

/// Holds what `manager` and the listener around it print against what may be printed.
pub(super) fn check(manager: &At<'_>, listener: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    let mut printed = Vec::new();
    collect(manager, &mut printed);
    printed.extend(listener.get("access_log"));
    for at in &printed {
        for (at, text) in at.texts() {
            operators(&at, text, config, notes);
        }
        for source in at.all() {
            sources(&source, config, notes);
        }
        for inner in at.all() {
            loggers(&inner, notes);
            tags(&inner, config, notes);
        }
    }
    let lists = manager.all().into_iter().chain([listener.clone()]);
    for logger in lists.flat_map(|at| LOGS.iter().flat_map(|name| at.items(name)).collect::<Vec<_>>()) {
        known(&logger, notes);
    }
    if let Some(tracing) = manager.get("tracing") {
        let what = "spans repeat the path, the user agent and the request id, which callers choose";
        notes.warning(tracing.place, what, "take `tracing` away, or keep its collector as you keep callers' requests");
    }
    records(manager, notes);
}

/// The outermost values whose names say that they are printed. The plugin's own document is a text, and not looked into.
fn collect<'v>(at: &At<'v>, printed: &mut Vec<At<'v>>) {
    for name in PRINTED {
        printed.extend(at.get(name));
    }
    let is_printed = |inner: &At<'_>| PRINTED.iter().any(|name| at.get(name).is_some_and(|at| at.place == inner.place));
    for inner in at.inner().iter().filter(|inner| !is_printed(inner)) {
        collect(inner, printed);
    }
}

/// Every call must leave its record in one access log at least.
fn records(manager: &At<'_>, notes: &mut Notes) {
    let mut is_recorded = false;
    let plain = format!("%FILTER_STATE({RECORD}:PLAIN)%");
    for log in manager.items("access_log") {
        let bytes = log.all().into_iter().filter_map(|at| decoded(&at));
        let says = |text: &str| text == RECORD || text.contains(&plain);
        if log.texts().iter().any(|(_, text)| says(text)) || bytes.flatten().any(|text| says(&text)) {
            match log.get("filter") {
                None => is_recorded = true,
                Some(filter) => {
                    notes.error(filter.place, "the record is only logged of some calls", "take `filter` away");
                }
            }
        }
    }
    if !is_recorded {
        let hint = format!("write `{plain}` into its format");
        notes.error(manager.place("access_log"), "no access log has the record of every call", hint);
    }
}

fn operators(at: &At<'_>, text: &str, config: Option<&Config>, notes: &mut Notes) {
    const HINT: &str = "take it out: the record says what may be said";
    let is_log = |step: &Step| matches!(step, Step::Name(name) if ["access_log", "accessLog", "upstream_log", "upstreamLog"].contains(&name.as_str()));
    let who = if at.place.steps().iter().any(is_log) { "the access log" } else { "this" };
    let mut told = Vec::new();
    for operator in Operators(text) {
        let Operator { name, written, argument } = operator;
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        if CALLERS.contains(&name) {
            let what = format!("{who} repeats what the caller sent: `{written}`");
            notes.error(at.place.clone(), what, HINT);
        } else if UPSTREAMS.contains(&name) {
            let what = format!("{who} repeats what the upstream sent: `{written}`");
            notes.error(at.place.clone(), what, HINT);
        } else if name == "ENVIRONMENT" {
            environment(at, argument, config, notes);
        } else if !is_harmless(name, argument) {
            let what = format!("`{written}` may repeat what a caller or an upstream sent");
            notes.warning(at.place.clone(), what, HINT);
        }
    }
}

/// Formats that stand elsewhere, or in another writing.
fn sources(at: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    let Some(source) = ["text_format_source", "json_format_source"].iter().find_map(|name| at.get(name)) else {
        return;
    };
    const HINT: &str = "write the format here, as `inline_string`";
    match decoded(&source) {
        Some(Some(text)) => operators(&source, &text, config, notes),
        Some(None) => notes.error(source.place("inline_bytes"), "this is no base64 of UTF-8, and so not checked", HINT),
        None => {}
    }
    if let Some(variable) = source.get("environment_variable") {
        let what = "what is printed stands in an environment variable, and can be whatever anybody sets it to";
        notes.error(variable.place, what, HINT);
    }
    if let Some(file) = source.get("filename") {
        notes.warning(file.place, "what is printed stands in a file, and is not checked here", HINT);
    }
}

/// The text in `inline_bytes`, if there are any. `Some(None)` is none that Envoy would read.
fn decoded(source: &At<'_>) -> Option<Option<String>> {
    let written = source.get("inline_bytes")?;
    let bytes = written.value.as_str().and_then(|text| {
        let text = text.trim_end_matches('=');
        STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
    });
    Some(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// A logger of which nobody here knows what it prints gets all there is: the upstream's credential too.
fn known(logger: &At<'_>, notes: &mut Notes) {
    let kind = logger.get("typed_config").and_then(|typed| typed.type_name()).unwrap_or_default();
    let last = kind.rsplit('.').next().unwrap_or(kind);
    if !LOGGERS.contains(&last) && !kind.contains(".access_loggers.stats.") {
        let name = logger.text("name").unwrap_or("without a name");
        let what =
            format!("what the logger `{name}` writes cannot be seen here, and it sees the upstream's credential");
        notes.error(
            logger.place.clone(),
            what,
            "use the file, the stdout or the OpenTelemetry logger, whose format you write",
        );
    }
}

fn environment(at: &At<'_>, variable: &str, config: Option<&Config>, notes: &mut Notes) {
    let is_secret = config.is_none_or(|config| config.environment().contains(&variable));
    if is_secret {
        let what = format!("the secret in `{variable}` is printed");
        notes.error(at.place.clone(), what, "take it out");
    }
}

fn is_harmless(name: &str, argument: &str) -> bool {
    let about = |ends: &str| name.ends_with(ends) || name.contains(&format!("{ends}_"));
    HARMLESS.contains(&name)
        || ["_DURATION", "_BYTES", "_ADDRESS", "_PORT"].into_iter().any(about)
        || name == "DURATION"
        || name.starts_with("BYTES_")
        || name.starts_with("UPSTREAM_HOST")
        || name == "VIRTUAL_CLUSTER_NAME"
        || (name == "FILTER_STATE" && argument.split(':').next() == Some(RECORD))
}

/// Loggers that print what no format says.
fn loggers(at: &At<'_>, notes: &mut Notes) {
    let formats = ["log_format", "format", "json_format", "typed_json_format"];
    let is_text = ["FileAccessLog", "StdoutAccessLog", "StderrAccessLog"].iter().any(|name| at.message(name).is_some());
    let content = at.content().filter(|content| formats.iter().all(|name| content.get(name).is_none()));
    if is_text && content.is_some() {
        let what = "Envoy's default format repeats the caller's path and headers";
        notes.error(at.place.clone(), what, "write `log_format`, as envoy/minimal.yaml has it");
    }
    let Some(grpc) = at.message("HttpGrpcAccessLogConfig") else { return };
    let mut listed = false;
    for name in [
        "additional_request_headers_to_log",
        "additional_response_headers_to_log",
        "additional_response_trailers_to_log",
    ] {
        if let Some(headers) = grpc.get(name).filter(|headers| !headers.inner().is_empty()) {
            let what = "the access log repeats headers of the caller or the upstream";
            notes.error(headers.place, what, format!("take `{name}` away: the record says what may be said"));
            listed = true;
        }
    }
    if !listed {
        let what = "this logger sends the path, the user agent and the request id too, which callers choose";
        notes.warning(at.place.clone(), what, "use the OpenTelemetry logger, whose format you write");
    }
}

/// Tags of spans and of logs.
fn tags(at: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    if at.get("tag").is_none() {
        return;
    }
    if let Some(header) = at.get("request_header") {
        notes.error(header.place, "the tag repeats a header that the caller sent", "take the tag out");
    }
    if let Some(variable) = at.get("environment.name")
        && let Some(name) = variable.value.as_str()
    {
        environment(&variable, name, config, notes);
    }
}

/// An operator in a format string.
struct Operator<'t> {
    name: &'t str,
    /// As it is told: `%STREAM_ID%`, `%REQ`.
    written: &'t str,
    /// What stands in parentheses.
    argument: &'t str,
}

/// The operators in a format string, in order.
struct Operators<'t>(&'t str);

impl<'t> Iterator for Operators<'t> {
    type Item = Operator<'t>;

    fn next(&mut self) -> Option<Operator<'t>> {
        loop {
            let at = self.0.find('%')?;
            let rest = self.0.get(at..)?;
            let inside = rest.get(1..)?;
            let end =
                inside.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_' && !letter.is_ascii_digit());
            let end = end.unwrap_or(inside.len());
            let (name, behind) = (inside.get(..end)?, inside.get(end..)?);
            // `%%` is a per cent sign, and anything else is none of ours.
            self.0 = if name.is_empty() { inside.strip_prefix('%').unwrap_or(inside) } else { behind };
            if name.is_empty() {
                continue;
            }
            if let Some(after) = behind.strip_prefix('%') {
                self.0 = after;
                return Some(Operator { name, written: rest.get(..end.saturating_add(2))?, argument: "" });
            }
            if let Some(after) = behind.strip_prefix('(') {
                let argument = after.split_once(')').map_or(after, |(argument, _)| argument);
                return Some(Operator { name, written: rest.get(..end.saturating_add(1))?, argument });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<&str> {
        Operators(text).map(|operator| operator.written).collect()
    }

    #[test]
    fn operators_are_found_wherever_they_stand() {
        assert_eq!(
            told("a %REQ(X?Y):5% b%STREAM_ID%c %%PATH% 100% %START_TIME(%s)%"),
            ["%REQ", "%STREAM_ID%", "%START_TIME"]
        );
        assert_eq!(told("%%%REQ(:path)%"), ["%REQ"]);
        assert_eq!(told("50 % of %RESP(x)%"), ["%RESP"]);
        assert_eq!(told(""), Vec::<&str>::new());
    }

    #[test]
    fn headers_are_told_by_the_names_that_envoy_looks_for() {
        for (text, names) in [
            ("%REQ(Authorization)%", &["authorization"][..]),
            ("Bearer %REQ(x-a?Cookie):20%", &["x-a", "cookie"]),
            ("%REQUEST_HEADER(x-b)% %RESP(x-c)%", &["x-b"]),
            ("%PATH%", &[]),
        ] {
            assert_eq!(headers(text), names, "{text}");
        }
    }

    #[test]
    fn what_ships_is_harmless() {
        for (operator, harmless) in [
            ("%RESPONSE_CODE%", true),
            ("%FILTER_STATE(wasm.rerank_guard_record:PLAIN)%", true),
            ("%FILTER_STATE(other:PLAIN)%", false),
            ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", true),
            ("%DOWNSTREAM_PEER_SUBJECT%", false),
            ("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%", false),
            ("%CEL(request.headers['authorization'])%", false),
            ("%UPSTREAM_WIRE_BYTES_SENT%", true),
        ] {
            let Operator { name, argument, .. } = Operators(operator).next().unwrap();
            assert_eq!(is_harmless(name, argument), harmless, "{operator}");
        }
    }
}

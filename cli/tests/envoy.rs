//! `rerank-guard check` on Envoy configurations: each thing that leaves the filter unsafe is told where it stands.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "all of it is tests"
)]

mod common;

use common::{EXAMPLE, Scratch, example, root, run, run_with};
use serde_json::{Value, json};

fn minimal() -> String {
    std::fs::read_to_string(root().join("envoy/minimal.yaml")).unwrap()
}

/// What is told of a configuration: the kind, what it says, and the line that it points to.
fn told(text: &str) -> Vec<(&'static str, String, String)> {
    let ran = run_with(&["check", "--config", "-", "--output", "json"], text);
    let report = ran.json();
    let file = &report["files"][0];
    let lines: Vec<&str> = text.lines().collect();
    let mut told = Vec::new();
    for (kind, list) in [("error", "findings"), ("warning", "warnings")] {
        for one in file[list].as_array().unwrap() {
            let line = one["line"].as_u64().map_or("", |line| lines[usize::try_from(line).unwrap() - 1]);
            told.push((kind, one["what"].as_str().unwrap().to_owned(), line.to_owned()));
        }
    }
    assert_eq!(ran.code, i32::from(told.iter().any(|(kind, ..)| *kind == "error")), "{told:?}");
    told
}

/// Each case changes one thing in a good file: what is there, what is written instead, what is told of it then (the beginning), and what
/// stands on the line that is pointed to. It is told once, and nothing that is not told of the good file is warned of beside it.
fn expect_in<R: AsRef<str>, W: AsRef<str>>(good: &str, kind: &str, cases: &[(R, W, &str, &str)]) {
    let before = told(good);
    for (right, wrong, what, at) in cases {
        let (right, wrong) = (right.as_ref(), wrong.as_ref());
        assert!(good.contains(right), "{right}");
        let told = told(&good.replacen(right, wrong, 1));
        let fitting: Vec<_> = told.iter().filter(|(_, said, _)| said.starts_with(what)).collect();
        assert_eq!(fitting.len(), 1, "{wrong}: {what}: {told:?}");
        assert_eq!(fitting[0].0, kind, "{wrong}: {told:?}");
        assert!(fitting[0].2.contains(at), "{wrong}: {told:?}");
        let said = |said: &str| before.iter().any(|(_, had, _)| had == said);
        let others: Vec<_> =
            told.iter().filter(|(_, what_else, _)| !what_else.starts_with(what) && !said(what_else)).collect();
        assert!(kind == "error" || others.is_empty(), "{wrong}: {others:?}");
    }
}

/// As [`expect_in`], of minimal.yaml.
fn expect<R: AsRef<str>, W: AsRef<str>>(kind: &str, cases: &[(R, W, &str, &str)]) {
    expect_in(&minimal(), kind, cases);
}

/// Each change of minimal.yaml is as good as what it replaces.
fn expect_nothing<R: AsRef<str>, W: AsRef<str>>(cases: &[(R, W)]) {
    let minimal = minimal();
    for (right, other) in cases {
        let (right, other) = (right.as_ref(), other.as_ref());
        assert!(minimal.contains(right), "{right}");
        assert_eq!(told(&minimal.replacen(right, other, 1)), [], "{other}");
    }
}

#[test]
fn check_takes_the_configurations_that_ship() {
    assert_eq!(run(&["check", "--strict", "--config", "envoy/minimal.yaml"]).err, "");
    let ran = run(&["check", "--config", "envoy/minimal.yaml", "--config", "envoy/full.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.out,
        "envoy/minimal.yaml: ok, gateway `demo/minimal`, bundle `minimal`, serial 1\n\
         envoy/full.yaml: ok, gateway `demo/full`; its bundle is in the module and not checked with it: name it with `--bundle`\n"
    );
    let with = |bundle| run(&["check", "--config", "envoy/full.yaml", "--bundle", bundle]);
    assert_eq!(with(EXAMPLE).out, "envoy/full.yaml: ok, gateway `demo/full`, bundle `search`, serial 1\n");
    // A bundle with a credential that the configuration does not have.
    let other = Scratch::new("other.yaml", &example().replace("jina-prod", "voyage-prod"));
    let ran = with(other.path());
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("error: the bundle uses `voyage-prod`, which is not here: add it"), "{}", ran.err);
    assert_eq!(with("policies/none.yaml").code, 2);
}

/// What the demo's file leaves open is told, and the file says why.
#[test]
fn the_demo_is_told_to_speak_plain_http() {
    let full = std::fs::read_to_string(root().join("envoy/full.yaml")).unwrap();
    let mut said: Vec<_> = told(&full).into_iter().map(|(kind, what, _)| (kind, what)).collect();
    said.sort();
    said.dedup();
    let said: Vec<_> = said.iter().map(|(kind, what)| (*kind, what.split(" over ").next().unwrap())).collect();
    assert_eq!(
        said,
        [
            ("warning", "credentials, documents and answers go"),
            ("warning", "keys come"),
            ("warning", "people are asked"),
            ("warning", "tokens, documents and answers go"),
        ]
    );
    assert!(full.contains("`rerank-guard check` warns"), "the file explains them");
}

const MANAGER: &str = "stat_prefix: rerank";
const ROUTER: &str = "- name: envoy.filters.http.router";
const LOG: &str = "- name: envoy.access_loggers.file";
const ROUTE: &str = "- match: {path: /rerank}\n                route: {cluster: upstream, timeout: 30s}";

/// An HTTP filter of a kind, with its settings.
fn filter(package: &str, message: &str, settings: &str) -> String {
    let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{package}.v3.{message}");
    format!("- {{name: other, typed_config: {{\"@type\": {kind}{settings}}}}}\n          ")
}

fn before_us(package: &str, message: &str, settings: &str) -> (&'static str, String) {
    ("- name: rerank-guard", format!("{}- name: rerank-guard", filter(package, message, settings)))
}

fn behind_us(package: &str, message: &str, settings: &str) -> (&'static str, String) {
    (ROUTER, format!("{}{ROUTER}", filter(package, message, settings)))
}

#[test]
fn filters_before_the_guard_are_harmless_or_told() {
    let mutation = |name: &str, value: &str| {
        format!(", mutations: {{{name}: [{{append: {{header: {{key: x-a, value: \"{value}\"}}}}}}]}}")
    };
    let case = |(right, wrong): (&'static str, String), what| (right, wrong, what, "name: other");
    expect(
        "warning",
        &[
            case(before_us("ext_authz", "ExtAuthz", ""), "the filter `other` sends every caller's token to another"),
            case(
                before_us("ext_proc", "ExternalProcessor", ""),
                "the filter `other` sends every caller's token, and what",
            ),
            case(before_us("lua", "Lua", ""), "the filter `other` runs code that sees callers' tokens"),
            case(before_us("wasm", "Wasm", ""), "the filter `other` runs code that sees callers' tokens"),
            case(before_us("dynamic_modules", "DynamicModuleFilter", ""), "the filter `other` runs code"),
            case(
                before_us("credential_injector", "CredentialInjector", ""),
                "the filter `other` gives calls a credential",
            ),
            case(before_us("composite", "Composite", ""), "what the filter `other` does with callers' tokens"),
            case(before_us("made_up", "MadeUp", ""), "what the filter `other` does with callers' tokens"),
        ],
    );
    expect(
        "error",
        &[
            case(before_us("cache", "CacheConfig", ""), "the filter `other` gives one caller's answers to others"),
            case(before_us("kill_request", "KillRequest", ""), "callers end Envoy by a header"),
            case(
                before_us("ext_proc", "ExternalProcessor", ", response_attributes: [request.headers]"),
                "the processor is shown the request with its answer",
            ),
            case(before_us("tap", "Tap", ""), "whatever is tapped has credentials"),
            case(
                before_us("header_mutation", "HeaderMutation", &mutation("response_mutations", "%REQ(authorization)%")),
                "this repeats what the caller sent",
            ),
            case(
                before_us("header_mutation", "HeaderMutation", &mutation("request_mutations", "%REQ(Authorization)%")),
                "`x-a` repeats `authorization` under another name",
            ),
            case(
                before_us("header_to_metadata", "Config", ", request_rules: [{header: authorization}]"),
                "the caller's credential is kept as metadata",
            ),
            case(
                before_us(
                    "local_ratelimit",
                    "LocalRateLimit",
                    ", request_headers_to_add_when_not_enforced: [{header: {key: x-a, value: \"%REQ(cookie)%\"}}]",
                ),
                "`x-a` repeats `cookie` under another name",
            ),
        ],
    );
    let per_route = format!(
        "- typed_per_filter_config: {{m: {{\"@type\": a.HeaderMutationPerRoute{}}}}}\n                {}",
        mutation("response_mutations", "%RESP(x)%"),
        &ROUTE[2..]
    );
    expect("error", &[(ROUTE, per_route, "this repeats what the upstream sent", "HeaderMutationPerRoute")]);
    expect_nothing(
        &["cors", "csrf", "fault", "health_check", "jwt_authn", "local_ratelimit", "rbac", "compressor", "ratelimit"]
            .map(|kind| before_us(kind, "Any", "")),
    );
}

#[test]
fn filters_behind_the_guard_are_harmless_or_told() {
    expect(
        "warning",
        &["credential_injector", "local_ratelimit", "ratelimit", "ext_authz", "rbac", "header_mutation", "made_up"]
            .map(|kind| {
                let (right, wrong) = behind_us(kind, "Any", "");
                (right, wrong, "the filter `other` can change the call that was decided", "name: other")
            }),
    );
    expect_nothing(
        &["adaptive_concurrency", "admission_control", "bandwidth_limit", "fault", "grpc_stats"]
            .map(|kind| behind_us(kind, "Any", "")),
    );
}

#[test]
fn what_copies_a_credential_elsewhere_is_told() {
    let counts = "rate_limits: [{actions: [{request_headers: {header_name: Authorization, descriptor_key: a}}]}]";
    let at_route = ROUTE.replace("timeout: 30s", counts);
    let at_host = (r#"domains: ["*"]"#, format!("domains: [\"*\"]\n              {counts}"));
    let counted = "calls are counted by `authorization`";
    expect(
        "warning",
        &[
            (ROUTE, at_route.clone(), counted, "Authorization"),
            (at_host.0, at_host.1.clone(), counted, "Authorization"),
        ],
    );
    let (right, wrong) = before_us("ratelimit", "RateLimit", "");
    let limited = minimal().replacen(right, &wrong, 1);
    let sent = "`authorization` goes to the rate limit service";
    expect_in(
        &limited,
        "error",
        &[(ROUTE, at_route, sent, "Authorization"), (at_host.0, at_host.1, sent, "Authorization")],
    );
    expect_in(
        &limited,
        "warning",
        &[(
            ROUTE,
            ROUTE.replace(
                "timeout: 30s",
                "rate_limits: [{actions: [{remote_address: {}}], apply_on_stream_done: true}]",
            ),
            "what is counted is taken from the call as it went upstream",
            "apply_on_stream_done",
        )],
    );
    let adds = |key: &str, value: &str| {
        format!("{ROUTE}\n                request_headers_to_add: [{{header: {{key: {key}, value: \"{value}\"}}}}]")
    };
    expect(
        "error",
        &[
            (ROUTE, adds("x-a", "%REQ(authorization)%"), "`x-a` repeats `authorization` under another name", "x-a"),
            (ROUTE, adds("x-a", "%REQUEST_HEADER(x?cookie)%"), "`x-a` repeats `cookie` under another name", "x-a"),
            (
                ROUTE,
                adds("x-a", "%ENVIRONMENT(UPSTREAM_API_KEY)%"),
                "the secret in `UPSTREAM_API_KEY` is printed",
                "x-a",
            ),
        ],
    );
    expect(
        "warning",
        &[
            (ROUTE, adds("x-a", "%REQUEST_HEADER(x-b)%"), "`x-a` repeats what a caller sent", "x-a"),
            (ROUTE, adds("x-a", "%PATH%"), "`x-a` repeats what a caller sent", "x-a"),
            (ROUTE, adds("x-envoy-retry-on", "5xx"), "`x-envoy-retry-on` tells Envoy's router", "x-envoy-retry-on"),
        ],
    );
    expect_nothing(&[(ROUTE, adds("x-a", "%UPSTREAM_CLUSTER%")), (ROUTE, adds("x-a", "b"))]);
}

#[test]
fn loggers_print_what_a_format_says_that_can_be_read() {
    let logger = |kind: &str, settings: &str| {
        format!(
            "- {{name: l, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.access_loggers.{kind}{settings}}}}}\n          {LOG}"
        )
    };
    let file = |source: &str| {
        logger("file.v3.FileAccessLog", &format!(", path: /l, log_format: {{text_format_source: {{{source}}}}}"))
    };
    let line = |text: &str| file(&format!("inline_string: \"{text}\""));
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let unseen = "what the logger `l` writes cannot be seen here";
    let callers = "the access log repeats what the caller sent";
    expect(
        "error",
        &[
            (LOG, logger("wasm.v3.WasmAccessLog", ""), unseen, "name: l"),
            (LOG, logger("dynamic_modules.v3.DynamicModuleAccessLog", ""), unseen, "name: l"),
            (LOG, logger("made_up.v3.MadeUp", ""), unseen, "name: l"),
            (LOG, file("environment_variable: FORMAT"), "what is printed stands in an environment variable", "FORMAT"),
            (LOG, file(&format!("inline_bytes: {}", encoded("%REQ(authorization)%"))), callers, "inline_bytes"),
            (LOG, file("inline_bytes: \"?\""), "this is no base64 of UTF-8", "inline_bytes"),
            (LOG, line("%CEL(request.headers['authorization'])%"), callers, "%CEL"),
            (LOG, line("%COALESCE({\\\"operators\\\": [\\\"REQ(authorization)\\\"]})%"), callers, "%COALESCE"),
            (LOG, line("%PATH%"), callers, "%PATH%"),
            (LOG, line("%PATH(NQ:ORIG)%"), callers, "%PATH"),
            (LOG, line("%QUERY_PARAM(q)%"), callers, "%QUERY_PARAM"),
            (LOG, line("%REQUEST_HEADER(authorization)%"), callers, "%REQUEST_HEADER"),
            (LOG, line("%RESPONSE_HEADER(x)%"), "the access log repeats what the upstream sent", "%RESPONSE_HEADER"),
            (
                LOG,
                logger("fluentd.v3.FluentdAccessLogConfig", ", record: {a: \"%REQ(authorization)%\"}"),
                callers,
                "%REQ",
            ),
            (
                LOG,
                logger("open_telemetry.v3.OpenTelemetryAccessLogConfig", ", body: {string_value: \"%REQ(cookie)%\"}"),
                callers,
                "%REQ",
            ),
        ],
    );
    expect(
        "warning",
        &[
            (LOG, file("filename: /etc/format"), "what is printed stands in a file", "/etc/format"),
            (LOG, line("%DYNAMIC_METADATA(a)%"), "`%DYNAMIC_METADATA` may repeat what a caller", "%DYNAMIC_METADATA"),
            (LOG, line("%MADE_UP%"), "`%MADE_UP%` may repeat what a caller", "%MADE_UP%"),
        ],
    );
    expect_nothing(&[
        (LOG, line("%RESPONSE_CODE%")),
        (LOG, file(&format!("inline_bytes: {}", encoded("%RESPONSE_CODE% %DURATION%")))),
        (LOG, logger("fluentd.v3.FluentdAccessLogConfig", ", record: {a: \"%RESPONSE_CODE%\"}")),
    ]);
}

#[test]
fn enums_written_as_numbers_are_read_as_their_names() {
    const ESCAPED: &str = "path_with_escaped_slashes_action: REJECT_REQUEST";
    const UNDERSCORES: &str = "headers_with_underscores_action: REJECT_REQUEST";
    const POLICY: &str = "failure_policy: FAIL_RELOAD";
    const KIND: &str = "name: upstream\n    connect_timeout: 2s\n    type: STRICT_DNS";
    expect(
        "error",
        &[
            (
                KIND,
                KIND.replace("STRICT_DNS", "4"),
                "the credential goes to the address that the caller chose",
                "type: 4",
            ),
            (POLICY, "failure_policy: 3".to_owned(), "a module that trapped is not made anew", "failure_policy: 3"),
        ],
    );
    expect(
        "warning",
        &[
            (ESCAPED, "path_with_escaped_slashes_action: 4", "upstreams may read `%2F`", "4"),
            (UNDERSCORES, "headers_with_underscores_action: 0", "a header `api_key` is `api-key`", "0"),
        ],
    );
    expect_nothing(&[
        (KIND, KIND.replace("STRICT_DNS", "1")),
        (POLICY, "failure_policy: 1".to_owned()),
        (ESCAPED, "path_with_escaped_slashes_action: 2".to_owned()),
        (UNDERSCORES, "headers_with_underscores_action: 1".to_owned()),
        (UNDERSCORES, "headers_with_underscores_action: 2".to_owned()),
        ("action: ALLOW", "action: 0".to_owned()),
    ]);
    // A filter that denies holds no route, and is one more behind the guard.
    let denies = told(&minimal().replacen("action: ALLOW", "action: 1", 1));
    for what in ["the filter `envoy.filters.http.rbac` can change", "Envoy chooses its route anew after the filter"] {
        assert!(denies.iter().any(|(kind, said, _)| *kind == "warning" && said.starts_with(what)), "{denies:?}");
    }
}

#[test]
fn calls_that_envoy_repeats_are_told() {
    let again = |policy: &str| ROUTE.replace("timeout: 30s", policy);
    const SERVED: &str = "Envoy sends a call again that an upstream may have served";
    expect(
        "warning",
        &[
            (ROUTE, again("retry_policy: {retry_on: \"connect-failure,5xx\"}"), SERVED, "5xx"),
            (ROUTE, again("retryPolicy: {retryOn: reset}"), SERVED, "retryOn"),
            (
                r#"domains: ["*"]"#,
                "domains: [\"*\"]\n              retry_policy: {retry_on: retriable-status-codes}".to_owned(),
                SERVED,
                "retry_on",
            ),
            (
                ROUTE,
                again("hedge_policy: {hedge_on_per_try_timeout: true}"),
                "Envoy sends a call twice at once",
                "hedge",
            ),
            (
                ROUTE,
                again("hedge_policy: {initial_requests: 2}"),
                "Envoy sends a call twice at once",
                "initial_requests",
            ),
        ],
    );
    expect_nothing(&[
        (ROUTE, again("retry_policy: {retry_on: \"connect-failure, refused-stream,reset-before-request\"}")),
        (ROUTE, again("retry_policy: {retry_on: 5xx, num_retries: 0}")),
        (ROUTE, again("retry_policy: {num_retries: 3}")),
        (ROUTE, again("hedge_policy: {hedge_on_per_try_timeout: false}")),
    ]);
    // What people approved is approved once.
    let full = std::fs::read_to_string(root().join("envoy/full.yaml")).unwrap();
    let tei = "- match: {prefix: /tei/}\n                route: {cluster: tei, ";
    let once = |policy: &str| format!("{tei}{policy}, ");
    expect_in(
        &full,
        "error",
        &[
            (tei, once("retry_policy: {retry_on: 5xx}"), SERVED, "5xx"),
            (tei, once("hedge_policy: {initial_requests: 3}"), "Envoy sends a call twice at once", "initial_requests"),
        ],
    );
    expect_in(
        &full,
        "warning",
        &[
            ("stream_idle_timeout: 35s", "stream_idle_timeout: 5s", "a call ends after 5 s", "5s"),
            (tei, &once("idle_timeout: 2s"), "a call ends after 2 s", "idle_timeout"),
            (
                tei,
                &once("max_stream_duration: {max_stream_duration: 3s}"),
                "a call ends after 3 s",
                "max_stream_duration",
            ),
        ],
    );
}

#[test]
fn the_module_runs_in_one_sandbox_of_its_own() {
    const RUNTIME: &str = "runtime: envoy.wasm.runtime.v8";
    expect("error", &[(RUNTIME, "runtime: envoy.wasm.runtime.null", "no module runs", "runtime.null")]);
    expect(
        "warning",
        &[
            (RUNTIME, "runtime: envoy.wasm.runtime.wasmtime", "the module is tried with V8", "wasmtime"),
            (RUNTIME, "runtime: null", "the module is tried with V8", "runtime: null"),
            (
                "proc_exit: {}",
                "proc_exit: {}\n                      proxy_grpc_call: {}",
                "the module needs this capability for nothing",
                "grpc",
            ),
            (
                "            max_concurrent_streams: 100\n",
                "",
                "one connection of HTTP/2 may have a thousand calls at once",
                "initial_stream_window_size",
            ),
        ],
    );
    // The same filter in two listeners is one gateway.
    let minimal = minimal();
    let begin = minimal.find("  - name: rerank\n    address").unwrap();
    let end = minimal.find("  clusters:\n  - name: upstream").unwrap();
    let listener = minimal[begin..end].replace("name: rerank\n    address", "name: second\n    address");
    let twice = |vm: &str| {
        let second = listener.replace("vm_id: rerank-guard", &format!("vm_id: {vm}"));
        told(&format!("{}{second}{}", &minimal[..end], &minimal[end..]))
    };
    assert_eq!(twice("rerank-guard"), []);
    let told = twice("another");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].0 == "error"
            && told[0].1.starts_with("another filter serves the gateway `demo/minimal` under another `vm_id`")
    );
    assert!(told[0].2.contains("vm_id: another"), "{told:?}");
}

#[test]
fn certificates_count_where_a_route_verified_them() {
    const CALLERS: &str = "\"callers\": {\n";
    let peers = "\"verified_routes\": [\"verified\"], \"peers\": [{\"dns\": {\"issuer\": \"https://ca.example\", \"names\": {\"ui.internal\": [\"ui\"]}}}],";
    let good = minimal().replacen(CALLERS, &format!("{CALLERS}                        {peers}\n"), 1);
    let verified = |wanted: &str| {
        format!("{{name: verified, match: {{path: /rerank{wanted}}}, route: {{cluster: upstream, timeout: 30s}}}}")
    };
    let tls = ", tls_context: {presented: true, validated: true}";
    let before = |wanted: &str| format!("- {}\n              {ROUTE}", verified(wanted));
    let said: Vec<_> = told(&good.replacen(ROUTE, &before(tls), 1));
    assert_eq!(said, []);
    let nobody = "certificates count on this route, and nothing says that anybody verified them";
    expect_in(
        &good,
        "error",
        &[
            (ROUTE, before(""), nobody, "name: verified"),
            (ROUTE, before(", tls_context: {presented: true}"), nobody, "name: verified"),
        ],
    );
    let behind = told(&good.replacen(ROUTE, &format!("{ROUTE}\n              - {}", verified(tls)), 1));
    assert_eq!(behind.len(), 1, "{behind:?}");
    assert!(behind[0].1.starts_with("no call comes to this route, on which certificates count"), "{behind:?}");
    let none = told(&good);
    assert_eq!(none.len(), 1, "{none:?}");
    assert!(none[0].0 == "warning" && none[0].1.starts_with("no route is called `verified`"), "{none:?}");
    assert!(none[0].2.contains("verified_routes"), "{none:?}");
}

#[test]
fn what_is_tapped_is_refused_wherever_it_is() {
    let tap = "type.googleapis.com/envoy.extensions.transport_sockets.tap.v3.Tap";
    const NAME: &str = "- name: upstream\n    connect_timeout: 2s\n";
    let socket = format!("{NAME}    transport_socket: {{name: tap, typed_config: {{\"@type\": {tap}}}}}\n");
    expect("error", &[(NAME, socket, "whatever is tapped has credentials", "tap.v3.Tap")]);
}

#[test]
fn secrets_in_health_checks_and_names_given_twice_are_refused() {
    const NAME: &str = "- name: upstream\n    connect_timeout: 2s\n";
    let probe = |value: &str| {
        format!(
            "{NAME}    health_checks: [{{http_health_check: {{path: /, request_headers_to_add: [{{header: {{key: Authorization, value: \"{value}\"}}}}]}}}}]\n"
        )
    };
    expect(
        "error",
        &[
            (
                NAME,
                probe("Bearer %ENVIRONMENT(UPSTREAM_API_KEY)%"),
                "the secret in `UPSTREAM_API_KEY` is printed",
                "health_checks",
            ),
            (NAME, probe("Bearer abc"), "the secret in `authorization` stands in the configuration", "health_checks"),
            (
                "- name: issuer\n",
                "- {name: upstream, type: STATIC}\n  - name: issuer\n".to_owned(),
                "another cluster has this name too",
                "STATIC",
            ),
        ],
    );
}

#[test]
fn what_opens_a_way_past_the_filter_is_refused() {
    expect(
        "error",
        &[
            (MANAGER, "proxy_100_continue: true", "interim answers", "proxy_100_continue"),
            (MANAGER, "proxy_100_continue: yes", "interim answers", "proxy_100_continue"),
            (MANAGER, "proxy100Continue: True", "interim answers", "proxy100Continue"),
            (MANAGER, "http3_protocol_options: {allow_metadata: true}", "metadata frames", "allow_metadata"),
            (
                MANAGER,
                "upgrade_configs: [{upgrade_type: websocket, filters: [{name: envoy.filters.http.router}]}]",
                "upgraded requests go through filters of their own",
                "upgrade_configs",
            ),
            (
                "http_filters:\n",
                "http_filters: [{name: composite}]\n          other_filters:\n",
                "only some calls reach the filter",
                "name: rerank-guard",
            ),
            (
                "- match: {path: /rerank}",
                "- typed_per_filter_config: {rerank-guard: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, \
             disabled: on}}\n                match: {path: /rerank}",
                "the filter is switched off for these calls",
                "disabled: on",
            ),
            (
                "- match: {path: /rerank}",
                "- typed_per_filter_config: {envoy.filters.http.rbac: {}}\n                match: {path: /rerank}",
                "the filter that holds Envoy's route is changed",
                "envoy.filters.http.rbac: {}",
            ),
            (
                "code: {local: {filename: target/wasm32-wasip1/release/rerank_guard.wasm}}",
                "code: {remote: {http_uri: {uri: a, cluster: upstream, timeout: 1s}}}",
                "whoever serves the module chooses which one runs",
                "remote",
            ),
            (
                "initial_stream_window_size: 8388608",
                "initial_stream_window_size: 65536",
                "a stream's buffer of 65536 bytes is full",
                "initial_stream_window_size",
            ),
            (
                "max_heap_size_bytes: 2147483648",
                "max_heap_size_bytes: 268435456",
                "a heap of 268435456 bytes is full before one worker holds",
                "max_heap_size_bytes",
            ),
            (
                "- name: rerank-guard",
                "- name: buffer\n            typed_config: {\"@type\": \
             type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 5000}\n          \
             - name: rerank-guard",
                "this buffer of 5000 bytes is Envoy's for the filter too",
                "max_request_bytes",
            ),
        ],
    );
}

#[test]
fn where_a_call_can_go_besides_its_clusters_is_refused() {
    const CAN_GO: &str = "calls to `/rerank` can go to `issuer`, which is none of the clusters of `routes[0]`";
    let before = |route: &str| format!("- {route}\n              {ROUTE}");
    let minimal = minimal();
    let cases = [
        (before("{match: {prefix: /}, route: {cluster: issuer}}"), CAN_GO, "issuer"),
        (
            before("{match: {prefix: /re, headers: [{name: x-team, present_match: true}]}, route: {cluster: issuer}}"),
            CAN_GO,
            "x-team",
        ),
        (before("{match: {path: /RERANK, case_sensitive: false}, route: {cluster: issuer}}"), CAN_GO, "RERANK"),
        (before("{match: {path_separated_prefix: /rerank}, route: {cluster: issuer}}"), CAN_GO, "issuer"),
        (before("{match: {safe_regex: {regex: \"/re.*\"}}, route: {cluster: issuer}}"), CAN_GO, "issuer"),
        (before("{match: {prefix: /, query_parameters: [{name: a}]}, route: {cluster: issuer}}"), CAN_GO, "issuer"),
        (
            before("{match: {prefix: /, runtime_fraction: {default_value: {numerator: 1}}}, route: {cluster: issuer}}"),
            CAN_GO,
            "issuer",
        ),
        (
            before(
                "{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: upstream, weight: 9}, {name: issuer, weight: 1}]}}}",
            ),
            CAN_GO,
            "weighted",
        ),
        (
            before("{match: {prefix: /}, route: {cluster_header: x-cluster}}"),
            "who can be seen nowhere chooses the cluster",
            "x-cluster",
        ),
        (
            before("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{cluster_header: x, weight: 1}]}}}"),
            "who can be seen nowhere chooses the cluster",
            "cluster_header",
        ),
        (
            before("{match: {prefix: /}, route: {cluster_specifier_plugin: lua}}"),
            "who can be seen nowhere chooses the cluster",
            "lua",
        ),
        (
            before("{match: {prefix: /}, route: {inline_cluster_specifier_plugin: {extension: {name: a}}}}"),
            "who can be seen nowhere chooses the cluster",
            "inline_cluster",
        ),
        (
            ROUTE.replace("timeout: 30s", "request_mirror_policies: [{cluster: issuer}]"),
            "a copy of every call goes to another cluster",
            "mirror",
        ),
        (
            ROUTE.replace("timeout: 30s", "requestMirrorPolicies: [{cluster: upstream}]"),
            "a copy of every call goes to another cluster",
            "Mirror",
        ),
        (
            ROUTE.replace("timeout: 30s", "retry_policy: {retry_on: 5xx, refresh_cluster_on_retry: true}"),
            "a call that is tried again may go to another cluster",
            "refresh_cluster",
        ),
        (
            ROUTE.replace("timeout: 30s", "internal_redirect_policy: {max_internal_redirects: 1}"),
            "the upstream says where the call goes next",
            "internal_redirect_policy",
        ),
        (
            ROUTE.replace("timeout: 30s", "host_rewrite_header: x-host"),
            "what a caller sent decides",
            "host_rewrite_header",
        ),
        (
            ROUTE.replace("timeout: 30s", "path_rewrite: \"/%REQ(accept)%\""),
            "what a caller sent decides",
            "path_rewrite",
        ),
        (ROUTE.replace("timeout: 30s", "idle_timeout: 0s"), "a call that is held may hang for ever", "idle_timeout"),
        (
            format!(
                "{ROUTE}\n                request_headers_to_add: [{{header: {{key: Content-Type, value: text/plain}}}}]"
            ),
            "`content-type` is written anew after the call was decided",
            "Content-Type",
        ),
        (
            format!("{ROUTE}\n                per_request_buffer_limit_bytes: 1000"),
            "Envoy's buffer of 1000 bytes is full",
            "per_request_buffer_limit_bytes",
        ),
    ];
    expect("error", &cases.map(|(routes, what, at)| (ROUTE, routes, what, at)));
    // Routes that such a call cannot fall into, or only where they may.
    for routes in [
        before("{match: {prefix: /other}, route: {cluster: issuer}}"),
        before("{match: {path: /rerank/}, route: {cluster: issuer}}"),
        before("{match: {prefix: /rerank/}, route: {cluster: issuer}}"),
        before("{match: {prefix: /}, route: {cluster: upstream}}"),
        format!("{ROUTE}\n              - {{match: {{prefix: /}}, route: {{cluster: issuer}}}}"),
    ] {
        let told = told(&minimal.replacen(ROUTE, &routes, 1));
        assert!(
            !told.iter().any(|(kind, said, _)| *kind == "error" || said.starts_with("calls to")),
            "{routes}: {told:?}"
        );
    }
}

#[test]
fn virtual_hosts_count_where_calls_can_be_addressed_to_them() {
    let minimal = minimal();
    let second = |domain: &str| {
        let host = format!(
            "- name: second\n              domains: [\"{domain}\"]\n              routes:\n              \
             - {{match: {{prefix: /}}, route: {{cluster: issuer}}}}\n            - name: rerank"
        );
        minimal.replacen("- name: rerank\n              domains", &format!("{host}\n              domains"), 1)
    };
    // `origins` are 127.0.0.1 and localhost; `host`, by which Envoy chooses anew, is tei.internal.
    for (domain, leads) in [
        ("localhost", true),
        ("LOCALHOST:*", true),
        ("127.0.0.1:10000", true),
        ("*.internal", true),
        ("tei.*", true),
        ("tei.internal", true),
        ("second.example", false),
    ] {
        let told = told(&second(domain));
        let is_told = told
            .iter()
            .any(|(kind, said, _)| *kind == "error" && said.starts_with("calls to `/rerank` can go to `issuer`"));
        assert_eq!(is_told, leads, "{domain}: {told:?}");
    }
    // The port counts as Envoy counts it.
    let origins = "\"http://127.0.0.1:*\", \"http://localhost:*\"";
    for (settings, domain, leads) in [
        ("", "a.example:8443", true),
        ("", "a.example:*", true),
        ("", "*:8443", true),
        ("", "a.example", false),
        ("", "a.example:443", false),
        ("strip_any_host_port: true", "a.example", true),
        ("strip_any_host_port: true", "a.example:8443", false),
        ("strip_matching_host_port: true", "a.example", true),
        ("strip_matching_host_port: true", "a.example:8443", true),
    ] {
        let text = second(domain).replace(origins, "\"https://a.example:8443\"").replacen(
            MANAGER,
            &format!("{MANAGER}\n          {settings}"),
            1,
        );
        let told = told(&text);
        let is_told = told
            .iter()
            .any(|(kind, said, _)| *kind == "error" && said.starts_with("calls to `/rerank` can go to `issuer`"));
        assert_eq!(is_told, leads, "{settings} {domain}: {told:?}");
    }
    // A copy in the virtual host that calls come to, whatever the other one would do.
    let mirrored = second("127.0.0.1:10000").replacen(
        "route: {cluster: issuer}",
        "route: {cluster: upstream, request_mirror_policies: [{cluster: issuer}]}",
        1,
    );
    assert!(told(&mirrored).iter().any(|(kind, said, _)| *kind == "error" && said.starts_with("a copy of every call")));
    // Any host will do where the plugin names none.
    let any = second("second.example").replace("\"origins\": [\"http://127.0.0.1:*\", \"http://localhost:*\"],\n", "");
    assert!(
        told(&any).iter().any(|(kind, said, _)| *kind == "error" && said.starts_with("calls to `/rerank` can go to"))
    );
}

#[test]
fn clusters_that_are_not_what_they_are_for_are_told() {
    let upstream = "- name: upstream\n    connect_timeout: 2s\n    type: STRICT_DNS\n";
    let custom = |kind: &str, more: &str| {
        let package = format!("envoy.extensions.clusters.{kind}.v3.ClusterConfig");
        format!(
            "- name: upstream\n    connect_timeout: 2s\n    cluster_type: {{name: envoy.clusters.{kind}, typed_config: {{\"@type\": \
             type.googleapis.com/{package}{more}}}}}\n"
        )
    };
    let options = |options: &str| {
        format!(
            "{upstream}    typed_extension_protocol_options: {{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{\"@type\": \
             type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, {options}}}}}\n"
        )
    };
    let (error, warning): (Vec<_>, Vec<_>) = [
        ("error", custom("dynamic_forward_proxy", ""), "whoever names a host sends the credential there", "dynamic_forward_proxy"),
        (
            "error",
            upstream.replace("STRICT_DNS", "ORIGINAL_DST"),
            "the credential goes to the address that the caller chose",
            "type: ORIGINAL_DST",
        ),
        ("error", custom("aggregate", ", clusters: [issuer]"), "calls to `/rerank` can go to `issuer`", "cluster: upstream, timeout"),
        ("error", custom("composite", ", clusters: [{name: issuer}]"), "calls to `/rerank` can go to `issuer`", "cluster: upstream, timeout"),
        ("warning", custom("reverse_connection", ""), "where calls to this cluster go cannot be seen here", "reverse_connection"),
        (
            "error",
            options("request_mirror_policies: [{cluster: issuer}]"),
            "a copy of every call goes to another cluster",
            "request_mirror_policies",
        ),
        (
            "error",
            options("explicit_http_config: {http2_protocol_options: {allow_metadata: true}}"),
            "metadata frames pass",
            "allow_metadata",
        ),
        (
            "warning",
            options(
                "explicit_http_config: {http_protocol_options: {}}, http_filters: [{name: lua, typed_config: {\"@type\": a.Lua}}]",
            ),
            "the filter `lua` can change the call",
            "lua",
        ),
        ("error", upstream.replace("name: upstream", "name: elsewhere"), "there is no cluster `upstream`", "\"clusters\": [\"upstream\"]"),
    ]
    .into_iter()
    .partition(|(kind, ..)| *kind == "error");
    for (kind, cases) in [("error", error), ("warning", warning)] {
        let cases: Vec<_> = cases.into_iter().map(|(_, cluster, what, at)| (upstream, cluster, what, at)).collect();
        expect(kind, &cases);
    }
}

#[test]
fn what_anybody_can_read_or_forge_is_warned_of() {
    expect(
        "warning",
        &[
            (
                "address: 127.0.0.1, port_value: 10000",
                "address: 0.0.0.0, port_value: 10000",
                "tokens, documents and answers go over plain HTTP on 0.0.0.0",
                "0.0.0.0",
            ),
            (
                "address: 127.0.0.1, port_value: 10000",
                "address: \"::\", port_value: 10000",
                "tokens, documents and answers go over plain HTTP on ::",
                "::",
            ),
            (
                "address: 127.0.0.1, port_value: 10002",
                "address: idp.example, port_value: 80",
                "keys come over plain HTTP",
                "- name: issuer",
            ),
            (
                "address: 127.0.0.1, port_value: 10001",
                "address: tei.internal, port_value: 80",
                "credentials, documents and answers go over plain HTTP",
                "- name: upstream",
            ),
            (
                "address: 127.0.0.1, port_value: 9901",
                "address: 10.0.0.1, port_value: 9901",
                "who reaches 10.0.0.1 can read",
                "10.0.0.1",
            ),
            (MANAGER, "tracing: {random_sampling: {value: 1}}", "spans repeat the path", "tracing"),
        ],
    );
}

#[test]
fn tls_that_verifies_nothing_is_warned_of() {
    const LOCAL: &str = "endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 10002}}}}]}]";
    const ANY: &str = "any certificate of these authorities will do";
    const OTHERS: &str = "certificates of others will do";
    let tls = |context: &str| {
        let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        let remote = LOCAL.replace("127.0.0.1", "idp.example");
        format!("{remote}\n    transport_socket: {{name: tls, typed_config: {{\"@type\": {kind}, {context}}}}}")
    };
    let validation =
        |more: &str| format!("common_tls_context: {{validation_context: {{trusted_ca: {{filename: /ca.pem}}{more}}}}}");
    let names = |matcher: &str| format!(", match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{{matcher}}}}}]");
    let exact = names("exact: idp.example");
    let good = validation(&exact);
    let logs = good.replace("{validation", "{key_log: {path: /k}, validation");
    let cases = [
        ("sni: idp.example".to_owned(), "the server may show any certificate", "UpstreamTlsContext"),
        (
            "common_tls_context: {validation_context: {}}".to_owned(),
            "the server may show any certificate",
            "validation",
        ),
        (validation(""), ANY, "validation_context"),
        (validation(", match_typed_subject_alt_names: []"), ANY, "validation_context"),
        (validation(&names("safe_regex: {regex: \".*\"}")), OTHERS, "safe_regex"),
        (validation(&names("safe_regex: {regex: \"^[^ ]+$\"}")), OTHERS, "safe_regex"),
        (validation(&names("prefix: \"\"")), OTHERS, "prefix"),
        (validation(&names("contains: \"\"")), OTHERS, "contains"),
        (validation(&names("suffix: .com")), OTHERS, "suffix"),
        (
            validation(&format!("{exact}, trust_chain_verification: ACCEPT_UNTRUSTED")),
            "certificates are looked at and believed",
            "ACCEPT_UNTRUSTED",
        ),
        (
            validation(&format!("{exact}, trust_chain_verification: 1")),
            "certificates are looked at and believed",
            "trust_chain_verification: 1",
        ),
        (logs, "the keys of TLS connections are written down", "key_log"),
    ];
    expect("warning", &cases.map(|(context, what, at)| (LOCAL, tls(&context), what, at)));
    expect_nothing(
        &[
            format!("sni: idp.example, {good}"),
            format!("sni: idp.example, auto_sni_san_validation: true, {}", validation("")),
            validation(&names("safe_regex: {regex: \"idp[.]example\"}")),
            validation(&names("suffix: .idp.example")),
            validation(&format!("{exact}, trust_chain_verification: 0")),
            "common_tls_context: {validation_context: {verify_certificate_spki: [a]}}".to_owned(),
            "common_tls_context: {validation_context_sds_secret_config: {name: ca}}".to_owned(),
        ]
        .map(|context| (LOCAL, tls(&context))),
    );
}

#[test]
fn settings_that_are_probably_not_meant_are_warned_of() {
    let lua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua";
    let behind =
        format!("- {{name: lua, typed_config: {{\"@type\": {lua}}}}}\n          - name: envoy.filters.http.router");
    let behind: &'static str = behind.leak();
    expect(
        "warning",
        &[
            ("normalize_path: true", "", "paths reach Envoy's routes as callers wrote them", ""),
            ("path_with_escaped_slashes_action: REJECT_REQUEST", "", "upstreams may read `%2F`", ""),
            (
                "path_with_escaped_slashes_action: REJECT_REQUEST",
                "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD",
                "upstreams may read `%2F`",
                "UNESCAPE",
            ),
            ("merge_slashes: false", "merge_slashes: true", "doubled slashes are merged", "merge_slashes"),
            (
                "headers_with_underscores_action: REJECT_REQUEST",
                "max_headers_count: 50",
                "a header `api_key` is `api-key`",
                "",
            ),
            ("use_remote_address: true", "", "callers choose the address", ""),
            (
                MANAGER,
                "http_protocol_options: {allow_chunked_length: true}",
                "requests may tell two lengths",
                "allow_chunked_length",
            ),
            (
                MANAGER,
                "http_protocol_options: {accept_http_10: true}",
                "a caller of HTTP/1.0 cannot tell",
                "accept_http_10",
            ),
            (MANAGER, "upgrade_configs: [{upgrade_type: websocket}]", "no call is upgraded", "websocket"),
            (
                MANAGER,
                "local_reply_config: {mappers: [{status_code: 400}]}",
                "Envoy writes the filter's own refusals anew",
                "local_reply",
            ),
            (
                "suppress_envoy_headers: true",
                "suppress_envoy_headers: false",
                "Envoy's own headers tell the upstream",
                "suppress",
            ),
            (
                "- name: envoy.filters.http.router",
                behind,
                "the filter `lua` can change the call that was decided",
                "lua",
            ),
            (
                "- match: {path: /rerank}",
                "- {match: {path: /rank/}, route: {cluster: upstream}}\n              - match: {path: /rerank}",
                "no call comes here",
                "/rank/",
            ),
            ("[UPSTREAM_API_KEY]", "[UPSTREAM_API_KEY, HOME]", "the module gets `HOME`", "HOME"),
            ("stream_idle_timeout: 35s", "", "a call that is held ends after Envoy's own five minutes", ""),
            ("overload_manager:", "layered_runtime: {}\nunknown_manager:", "nothing stops Envoy from taking calls", ""),
        ],
    );
}

/// By its cluster, by one that passes calls on to it, or by one with its endpoint.
#[test]
fn another_way_to_the_upstream_is_warned_of() {
    let proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    let aggregate = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig";
    let endpoint = |port: u16| {
        format!(
            "load_assignment: {{endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}"
        )
    };
    for (settings, leads) in [
        (endpoint(10_001), true),
        (endpoint(10_003), false),
        (format!("cluster_type: {{typed_config: {{\"@type\": {aggregate}, clusters: [upstream]}}}}"), true),
    ] {
        let with = format!("  - {{name: side, {settings}}}\n  - name: issuer\n");
        let listener = format!(
            "listeners:\n  - name: other\n    filter_chains: [{{filters: [{{name: tcp, typed_config: {{\"@type\": {proxy}, cluster: side}}}}]}}]"
        );
        let told = told(&minimal().replacen("listeners:", &listener, 1).replacen("  - name: issuer\n", &with, 1));
        assert_eq!(told.len(), usize::from(leads), "{settings}: {told:?}");
        assert!(!leads || told[0].1.starts_with("another way to `upstream`"), "{told:?}");
    }
    let listener = format!(
        "listeners:\n  - name: other\n    filter_chains: [{{filters: [{{name: tcp, typed_config: {{\"@type\": {proxy}, cluster: upstream}}}}]}}]"
    );
    expect("warning", &[("listeners:", listener, "another way to `upstream`", "TcpProxy")]);
}

#[test]
fn routes_and_clusters_that_come_from_elsewhere_are_told_to_be_unseen() {
    let minimal = minimal();
    let (before, rest) = minimal.split_once("          route_config:").unwrap();
    let (_, after) = rest.split_once("  clusters:\n").unwrap();
    let rds =
        format!("{before}          rds: {{route_config_name: a, config_source: {{ads: {{}}}}}}\n  clusters:\n{after}");
    let unseen = told(&rds);
    assert!(
        unseen.iter().any(|(kind, said, _)| *kind == "warning" && said.starts_with("routes that come from elsewhere")),
        "{unseen:?}"
    );
    let cds = minimal.replacen("static_resources:", "dynamic_resources: {cds_config: {ads: {}}}\nstatic_resources:", 1);
    let (before, after) = cds.split_once("  - name: issuer\n").unwrap();
    let (_, after) = after.split_once("overload_manager:").unwrap();
    let unseen = told(&format!("{before}overload_manager:{after}"));
    assert_eq!(unseen.len(), 2, "{unseen:?}");
    assert!(unseen[0].1.starts_with("clusters that come from elsewhere are not checked here"), "{unseen:?}");
    assert!(unseen[1].1.starts_with("not here, and so not checked: the clusters `issuer`"), "{unseen:?}");
    expect(
        "warning",
        &[
            (
                "static_resources:",
                "dynamic_resources: {lds_config: {ads: {}}}\nstatic_resources:",
                "listeners that come from elsewhere are not checked here",
                "lds_config",
            ),
            (
                "- name: rerank-guard",
                "- {name: before, config_discovery: {config_source: {ads: {}}, type_urls: [a.b.Lua]}}\n          - name: rerank-guard",
                "what the filter `before` is comes from elsewhere",
                "config_discovery",
            ),
            (
                ROUTER,
                "- {name: behind, config_discovery: {config_source: {ads: {}}, type_urls: [a.b.Lua]}}\n          - name: envoy.filters.http.router",
                "what the filter `behind` is comes from elsewhere",
                "config_discovery",
            ),
            (
                "    - filters:\n",
                "    - filters:\n      - {name: network, config_discovery: {config_source: {ads: {}}, type_urls: [a.b.C]}}\n",
                "what the filter `network` is comes from elsewhere",
                "config_discovery",
            ),
        ],
    );
}

#[test]
fn what_an_older_envoy_cannot_read_is_refused() {
    let with = |text: &str, version: &str| run_with(&["check", "--strict", "--config", "-", "--envoy", version], text);
    let minimal = minimal();
    assert_eq!(with(&minimal, "1.40").code, 0, "{}", with(&minimal, "1.40").err);
    for version in ["1.36", "v1.37.0", "1.39.3"] {
        let ran = with(&minimal, version);
        assert_eq!(ran.code, 1, "{version}");
        assert!(ran.err.contains("does not know `capability_restriction_config` in `vm_config`"), "{}", ran.err);
    }
    // The same list beside `vm_config`.
    let begin = minimal.find("                  # A sandbox:").unwrap();
    let end = minimal.find("                # The platform team's document").unwrap();
    let moved: String = minimal[begin..end].lines().map(|line| format!("{}\n", &line[2..])).collect();
    let moved = format!("{}{moved}{}", &minimal[..begin], &minimal[end..]);
    for version in ["1.36", "1.37", "1.39", "1.40"] {
        assert_eq!(with(&moved, version).code, 0, "{version}: {}", with(&moved, version).err);
    }
    assert!(with(&moved, "1.35").err.contains("may leave calls hanging"));
    assert_eq!(with(&minimal, "new").code, 2);
}

/// The key is for demos; a demo believes no issuer that anybody could have.
#[test]
fn keys_that_everybody_can_sign_with_are_refused_outside_the_demo() {
    let full = std::fs::read_to_string(root().join("envoy/full.yaml")).unwrap();
    let demo: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("demo/approver-key.json")).unwrap()).unwrap();
    let refused = |text: &str| {
        let told = told(text);
        told.iter()
            .filter(|(kind, said, _)| *kind == "error" && said.starts_with("everybody can sign with this key"))
            .count()
    };
    assert_eq!(refused(&full), 0);
    assert_eq!(refused(&full.replace("\"gateway\": \"demo/full\"", "\"gateway\": \"eu1/rerank\"")), 1);
    assert_eq!(
        refused(&full.replace("\"issuer\": \"https://idp.example\"", "\"issuer\": \"https://login.acme.com\"")),
        1
    );
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "mine", "x": demo["x"]});
    let minimal = minimal().replace("demo/minimal", "eu1/rerank");
    let issuer = "{\"jwks\": {\"cluster\": \"issuer\", \"authority\": \"idp.example\", \"path\": \"/jwks.json\"}}";
    assert!(minimal.contains(issuer));
    let inline = format!("{{\"inline\": {{\"keys\": [{key}]}}}}, \"algorithms\": [\"EdDSA\"]");
    assert_eq!(refused(&minimal.replacen(issuer, &inline, 1)), 1);
    let fetched = format!(
        "\"bundle\": {{\"fetched\": {{\"cluster\": \"issuer\", \"authority\": \"a\", \"path\": \"/b\", \"keys\": [{key}]}},"
    );
    assert_eq!(refused(&minimal.replacen("\"bundle\": {", &fetched, 1)), 1);
}

#[test]
fn check_refuses_an_envoy_configuration_that_leaves_the_filter_unsafe() {
    let minimal = minimal();
    let record = "%FILTER_STATE(wasm.rerank_guard_record:PLAIN)%";
    let limit = "per_connection_buffer_limit_bytes: 8388608";
    expect(
        "error",
        &[
            (
                "allow_on_headers_stop_iteration: true",
                "root_id: a",
                "headers are not held until the body is decided on",
                "name: rerank-guard",
            ),
            (
                "failure_policy: FAIL_RELOAD",
                "failure_policy: FAIL_CLOSED",
                "a module that trapped is not made anew",
                "FAIL_CLOSED",
            ),
            (
                "failure_policy: FAIL_RELOAD",
                "failure_policy: FAIL_OPEN",
                "a module that trapped is not made anew",
                "FAIL_OPEN",
            ),
            (
                "vm_id: rerank-guard",
                "vm_id: \"\"",
                "shared memory is keyed by `vm_id` alone, and there is none",
                "vm_id:",
            ),
            (
                "proxy_on_delete: {}",
                "proxy_on_new: {}",
                "the module needs more capabilities: proxy_on_delete",
                "proxy_on_vm_start",
            ),
            (
                "proxy_set_effective_context: {}",
                "",
                "the module needs more capabilities: proxy_set_effective_context",
                "proxy_on_vm_start",
            ),
            (
                "request_timeout: 60s",
                "request_timeout: 0s",
                "a call that is held may hang for ever",
                "request_timeout: 0s",
            ),
            ("request_timeout: 60s", "", "a call that is held has no end", "v3.HttpConnectionManager"),
            (
                "stream_idle_timeout: 35s",
                "stream_idle_timeout: 0s",
                "a call that is held may hang for ever",
                "stream_idle_timeout: 0s",
            ),
            ("[UPSTREAM_API_KEY]", "[OTHER]", "`UPSTREAM_API_KEY` never reaches the module", "[OTHER]"),
            (
                "{host_env_keys: [UPSTREAM_API_KEY]}",
                "{key_values: {UPSTREAM_API_KEY: a-secret}}",
                "the secret `UPSTREAM_API_KEY` stands in the configuration, which Envoy shows",
                "a-secret",
            ),
            ("%UNIQUE_ID%", "%STREAM_ID%", "the access log repeats what the caller sent: `%STREAM_ID%`", "%STREAM_ID%"),
            ("%UNIQUE_ID%", "%REQ(:path)%", "the access log repeats what the caller sent: `%REQ`", "%REQ(:path)%"),
            (
                "- name: envoy.access_loggers.file",
                "- filter: {duration_filter: {}}\n            name: envoy.access_loggers.file",
                "the record is only logged of some calls",
                "duration_filter",
            ),
            (
                "log_format:",
                "access_log_format:",
                "Envoy's default format repeats the caller's path and headers",
                "v3.FileAccessLog",
            ),
            (
                "- name: rerank-guard",
                "- is_optional: true\n            name: rerank-guard",
                "Envoy starts without the filter",
                "is_optional: true",
            ),
            (
                "failure_policy: FAIL_RELOAD",
                "fail_open: true",
                "calls go on unguarded when the module fails",
                "fail_open: true",
            ),
            (record, "", "no access log has the record of every call", "- name: envoy.access_loggers.file"),
            (
                limit,
                "per_connection_buffer_limit_bytes: 4194303",
                "Envoy's buffer of 4194303 bytes is full before a body of `limits` (4194304 bytes) is there",
                "bytes: 4194303",
            ),
            (
                limit,
                "",
                "Envoy's buffer of 1048576 bytes is full before a body of `limits` (4194304 bytes) is there",
                "- name: rerank",
            ),
            (
                "- name: rerank-guard",
                "- disabled: true\n            name: rerank-guard",
                "the filter is switched off",
                "disabled: true",
            ),
            (
                "- match: {path: /rerank}",
                "- typed_per_filter_config: {rerank-guard: {disabled: true}}\n                match: {path: /rerank}",
                "the filter is switched off for these calls",
                "typed_per_filter_config",
            ),
            ("\"dialect\": \"tei\"", "\"dialect\": \"tie\"", "`tie` is not known: write one of", "\"tie\""),
            (
                "\"audiences\": [",
                "\"audience\": [",
                "unknown field `audience`: did you mean `audiences`?",
                "\"audience\": [",
            ),
            ("\"rules\": [", "\"rule\": [", "unknown name `rule`", "\"rule\": ["),
            ("\"routes\": [", "\"routes\": ", "expected", "]"),
        ],
    );
    let none =
        minimal.replace("rerank-guard", "other").replace("rerank_guard", "other").replace("\"routes\"", "\"paths\"");
    let ran = run_with(&["check", "--config", "-"], &none);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: no filter of rerank-guard is in this Envoy configuration"), "{}", ran.err);
    let object = minimal.replace("google.protobuf.StringValue", "google.protobuf.Struct").replace("value: |", "value:");
    let ran = run_with(&["check", "--config", "-"], &object.replace("\"tei\",", "\"tie\","));
    assert_eq!(ran.code, 1);
    for what in ["error: Envoy does not hand this to the module as JSON", "^^^^^ routes[0].dialect"] {
        assert!(ran.err.contains(what), "{}", ran.err);
    }
    let wasm = |vm: &str| {
        let kind = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        format!("{{name: other, typed_config: {{\"@type\": {kind}, config: {{vm_config: {{vm_id: {vm}}}}}}}}}")
    };
    let router = "- name: envoy.filters.http.router";
    for (vm, code) in [("shared", 1), ("own", 0)] {
        let both = minimal
            .replace("vm_id: rerank-guard", "vm_id: shared")
            .replace(router, &format!("- {}\n          {router}", wasm(vm)));
        let ran = run_with(&["check", "--config", "-"], &both);
        let is_told = ran.err.contains("another module has the `vm_id` `shared` too");
        assert_eq!((ran.code, is_told), (code, code == 1), "{}", ran.err);
    }
    // A filter alone, as patches of larger configurations hold it.
    let (before, _) = minimal.split_once(router).unwrap();
    let (_, filter) = before.split_once("          - name: rerank-guard\n").unwrap();
    let patch = format!("filter_patches:\n          - name: rerank-guard\n{}", filter.trim_end());
    let ran = run_with(&["check", "--config", "-"], &patch);
    assert_eq!((ran.code, ran.err.starts_with("warning: the filter's listener is not here")), (0, true), "{}", ran.err);
    let idle = run_with(&["check", "--config", "-"], &minimal.replace("stream_idle_timeout: 35s", ""));
    assert_eq!((idle.code, idle.err.starts_with("warning: a call that is held ends after")), (0, true), "{}", idle.err);
}

#[test]
fn check_shows_the_flaws_of_a_plugin_configuration_where_they_stand() {
    let text = "gateway: eu1/rerank\nbundle: {embedded: true}\ncallers:\n  issuers:\n  - issuer: https://idp.example\n    \
                audiences: [rerank-guard]\n    keys: {jwks: {cluster: idp, authority: idp.example, path: /jwks.json}}\n\
                routes:\n- path: /{dataset}/rerank\n  dialect: tie\n  model: m\n  dataset: {segment: dataset}\n  \
                credentials: [other]\n  clusters: [tei]\n  host: tei.internal\ncredentials: {tei: {env: KEY}}\nlimits: {request_bytes: 0}\n";
    let ran = run_with(&["check", "--config", "-"], text);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    for line in [
        "10 |   dialect: tie",
        "   |            ^^^ routes[0].dialect",
        "   |         ^^^^^^^^^^^^^^^^^^ limits",
        "error: write sizes from 1 to 67108864 bytes",
    ] {
        assert!(ran.err.lines().any(|have| have.contains(line)), "no line `{line}` in\n{}", ran.err);
    }
    let good = text.replace("tie", "tei").replace("other", "tei").replace("limits: {request_bytes: 0}\n", "");
    let ran = run_with(&["check", "--config", "-", "--output", "json"], &good);
    assert_eq!((ran.code, &ran.json()["files"][0]["gateways"][0]["bundle"]), (0, &json!(null)), "{}", ran.out);
}

/// Whatever is wrong with a plugin's document: the tool refuses exactly what the module would not start with, given an environment
/// with the variables that `host_env_keys` lists.
#[test]
fn the_tool_and_the_module_refuse_the_same() {
    use rerank_guard::{config::Config, exchange::Guard};
    let minimal = minimal();
    let begin = minimal.find("value: |\n").unwrap() + "value: |\n".len();
    let end = begin + minimal[begin..].find("\n          # Envoy chooses the route anew").unwrap();
    let sound: Value = serde_json::from_str(&minimal[begin..end]).unwrap();
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([7; 32]));
    let x = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, *pair.pk);
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "alg": "EdDSA", "x": x});
    let approver = json!({"cluster": "issuer", "authority": "a", "issuer": "https://a.example", "key": key});
    let fetched = json!({"cluster": "issuer", "authority": "a", "path": "/b", "keys": [key]});
    type Change<'c> = Box<dyn Fn(&mut Value) + 'c>;
    let set = |pointer: &'static str, value: Value| -> Change<'_> {
        Box::new(move |document: &mut Value| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[name] = value.clone();
        })
    };
    let inline = "/bundle/inline";
    assert!(sound.pointer(inline).is_some());
    let changes: Vec<Change<'_>> = vec![
        Box::new(|_| {}),
        set("/gateway", json!("eu1/rerank")),
        set("/gateway", json!("a\nb")),
        set("/bundle/shadow", json!({"fetched": fetched})),
        set("/bundle/shadow", json!({"fetched": {"cluster": "issuer"}})),
        set("/bundle/shadow", json!({"shadow": {}})),
        set("/bundle/shadow", sound["bundle"].clone()),
        set("/bundle/fetched", fetched.clone()),
        set(
            "/bundle/fetched",
            json!({"cluster": "issuer", "authority": "a", "path": "/b", "id": "other", "keys": [key]}),
        ),
        set(
            "/bundle/fetched",
            json!({"cluster": "issuer", "authority": "a", "path": "/b", "min_serial": 2, "keys": [key]}),
        ),
        set("/bundle/fetched", json!({"cluster": "issuer", "authority": "a", "path": "/b", "keys": []})),
        set("/bundle/fetched", json!({"cluster": "", "authority": "a", "path": "/b", "keys": [key]})),
        set("/bundle/embedded", json!(true)),
        set("/bundle/inline/rules", json!([])),
        set("/bundle/inline/rules", json!(1)),
        set("/bundle/inline/approvals", json!({"desk": {"groups": ["leads"], "min": 1, "ttl": "10m"}})),
        Box::new(|document| {
            document["bundle"]["inline"]["approvals"] = json!({"desk": {"groups": ["leads"], "min": 1, "ttl": "10m"}});
            document["bundle"]["inline"]["rules"][0]["require"]["approval"] = json!("desk");
        }),
        set("/approver", approver.clone()),
        set("/approver", json!({"cluster": "", "authority": "a", "issuer": "https://a.example", "key": key})),
        set(
            "/approver",
            json!({"cluster": "issuer", "authority": "a", "issuer": "https://a.example", "key": key, "timeout": "1s"}),
        ),
        set(
            "/approver",
            json!({"cluster": "issuer", "authority": "a", "issuer": "https://a.example", "key": {"kty": "oct"}}),
        ),
        set(
            "/approver",
            json!({"cluster": "issuer", "authority": "a", "path": "x", "issuer": "https://a.example", "key": key}),
        ),
        set("/callers/issuers/0/audiences", json!([])),
        set("/callers/issuers/0/algorithms", json!(["HS256"])),
        set("/callers/issuers/0/clock_skew", json!("1h")),
        set("/callers/issuers/0/keys", json!({"inline": {"keys": [key]}})),
        set("/callers/issuers", json!([])),
        set(
            "/callers/issuers/0/keys",
            json!({"jwks": {"cluster": "issuer", "authority": "a", "path": "/k", "timeout": "1h"}}),
        ),
        set("/pseudonym_keys", json!({"k": {"env": "PSEUDONYMS"}})),
        set("/pseudonym_keys", json!({"k": {"env": "UPSTREAM_API_KEY"}})),
        set("/audit", json!({"digest_key_env": "DIGESTS"})),
        set("/audit", json!({"digest_key_env": "UPSTREAM_API_KEY"})),
        set("/credentials/tei-local/env", json!("OTHER")),
        set("/credentials/tei-local/header", json!("host")),
        set("/credentials", json!({})),
        set("/routes", json!([])),
        set("/routes/0/dialect", json!("tie")),
        set("/routes/0/clusters", json!([])),
        set("/routes/0/credentials", json!(["other"])),
        set("/routes/0/host", json!("https://a")),
        set("/limits", json!({"request_bytes": 0})),
        set("/limits", json!({"request_byte": 1})),
        set("/response_headers", json!(["X"])),
        set("/pass", json!([{"method": "GET", "path": "/healthz"}])),
        set("/pass", json!([{"method": "GET", "path": "/rerank"}])),
        set("/dialects", json!([{"name": "tei"}])),
        set("/origins", json!(["x"])),
        set("/typo", json!(1)),
    ];
    let (mut taken, mut refused) = (0, 0);
    for (number, change) in changes.iter().enumerate() {
        let mut document = sound.clone();
        change(&mut document);
        let text = document.to_string();
        let listed = |name: &str| (name == "UPSTREAM_API_KEY").then(|| "0123456789abcdef0123456789abcdef".to_owned());
        let module = Config::read(text.as_bytes(), None)
            .map_err(|flaws| flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            .and_then(|config| Guard::new(config, &listed, 1).map_err(|unready| unready.to_string()));
        let indented = format!("{}{text}", " ".repeat(20));
        let told = told(&format!("{}{indented}{}", &minimal[..begin], &minimal[end..]));
        let errors: Vec<_> = told.iter().filter(|(kind, ..)| *kind == "error").collect();
        assert_eq!(errors.is_empty(), module.is_ok(), "{number}: the module: {module:?}; the tool: {told:?}");
        if module.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken >= 8 && refused >= 25, "{taken} taken, {refused} refused");
}

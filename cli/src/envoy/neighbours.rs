//! The other filters of the connection manager, before and behind ours.

use super::at::At;
use super::notes::Notes;

/// Filters that leave calls as they are, or refuse them, and see nothing that they could give away.
pub(super) const HARMLESS_BEHIND: [&str; 8] = [
    "adaptive_concurrency",
    "admission_control",
    "alternate_protocols_cache",
    "bandwidth_limit",
    "bandwidth_share",
    "fault",
    "grpc_stats",
    "upstream_codec",
];

/// Filters that may stand before ours: they count, hold, refuse, answer what is no call, or change what the guard then judges, and give
/// nothing of a call to anybody. What they print is looked at with the rest of what is printed, what they count by likewise.
const HARMLESS_BEFORE: [&str; 27] = [
    "adaptive_concurrency",
    "admission_control",
    "alternate_protocols_cache",
    "api_key_auth",
    "bandwidth_limit",
    "bandwidth_share",
    "basic_auth",
    "body_size_limit",
    "buffer",
    "cdn_loop",
    "compressor",
    "cors",
    "csrf",
    "decompressor",
    "fault",
    "geoip",
    "grpc_stats",
    "header_mutation",
    "header_to_metadata",
    "health_check",
    "ip_tagging",
    "jwt_authn",
    "local_ratelimit",
    "original_src",
    "ratelimit",
    "rbac",
    "set_metadata",
];

/// What a filter is, by the type of its configuration: `rbac`.
pub(super) fn kind<'v>(entry: &At<'v>) -> &'v str {
    let typed = entry.get("typed_config").and_then(|typed| typed.type_name()).unwrap_or_default();
    typed.split(".http.").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default()
}

pub(super) fn behind(entry: &At<'_>, notes: &mut Notes) {
    if let Some(elsewhere) = entry.get("config_discovery") {
        unseen(&elsewhere, entry, notes);
        return;
    }
    let what = format!(
        "the filter `{}` can change the call that was decided, and sees its credential and the answer unmasked",
        name(entry)
    );
    notes.warning(entry.place.clone(), what, "put it before the guard");
}

/// What stands before the guard sees the caller's token, and on the way back the request as the guard left it.
pub(super) fn before(entry: &At<'_>, notes: &mut Notes) {
    let name = name(entry);
    if let Some(elsewhere) = entry.get("config_discovery") {
        unseen(&elsewhere, entry, notes);
        return;
    }
    let kind = kind(entry);
    match kind {
        "cache" | "cache_v2" => {
            let what = format!("the filter `{name}` gives one caller's answers to others, and nobody asks the guard");
            notes.error(entry.place.clone(), what, "take it out");
        }
        "kill_request" => {
            let what = format!("callers end Envoy by a header that the filter `{name}` obeys");
            notes.error(entry.place.clone(), what, "take it out");
        }
        "ext_authz" => {
            let what = format!("the filter `{name}` sends every caller's token to another service");
            let hint = "send it the headers that it needs (`allowed_headers`), and no more, or take it out: the guard verifies tokens";
            notes.warning(entry.place.clone(), what, hint);
        }
        "ext_proc" => {
            let what = format!(
                "the filter `{name}` sends every caller's token, and what else it asks for, to another service"
            );
            notes.warning(
                entry.place.clone(),
                what,
                "take it out, or let its `forward_rules` leave `authorization` away",
            );
        }
        "lua" | "wasm" | "dynamic_modules" | "golang" => {
            let what = format!(
                "the filter `{name}` runs code that sees callers' tokens, and may read the upstream's credential on the way back"
            );
            notes.warning(
                entry.place.clone(),
                what,
                "take it out, or let it run in a listener of its own before this one",
            );
        }
        "credential_injector" | "oauth2" | "gcp_authn" | "aws_request_signing" => {
            let what = format!("the filter `{name}` gives calls a credential before the guard asks who calls");
            notes.warning(entry.place.clone(), what, "let callers bring their own token");
        }
        // It is told wherever it stands.
        "tap" => {}
        _ if HARMLESS_BEFORE.contains(&kind) => {}
        _ => {
            let what =
                format!("what the filter `{name}` does with callers' tokens, calls and answers is not known here");
            notes.warning(entry.place.clone(), what, "take it out, or make sure that it gives nothing away");
        }
    }
}

/// Answers that are shown to a processor may have the request with them, as the guard left it: with the upstream's credential.
pub(super) fn processors(manager: &At<'_>, notes: &mut Notes) {
    for at in manager.all() {
        for attribute in at.items("response_attributes") {
            if attribute.value.as_str().is_some_and(|name| name.starts_with("request")) {
                let what = "the processor is shown the request with its answer: with the upstream's credential by then";
                notes.error(attribute.place, what, "take it out of `response_attributes`");
            }
        }
    }
}

/// Filters, of whatever kind, whose configuration is not in the file.
pub(super) fn discovered(listener: &At<'_>, list: &[At<'_>], notes: &mut Notes) {
    for entry in listener.all() {
        let Some(elsewhere) = entry.get("config_discovery") else { continue };
        // Those of the list are told by where they stand.
        if !list.iter().any(|own| own.place == entry.place) {
            unseen(&elsewhere, &entry, notes);
        }
    }
}

fn unseen(elsewhere: &At<'_>, entry: &At<'_>, notes: &mut Notes) {
    let what = format!("what the filter `{}` is comes from elsewhere, and is not checked here", name(entry));
    notes.warning(elsewhere.place.clone(), what, "write `typed_config`, which can be checked");
}

fn name<'v>(entry: &At<'v>) -> &'v str {
    entry.text("name").unwrap_or("without a name")
}

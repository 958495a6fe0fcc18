//! Copies of request headers that Envoy makes for others: limiters of rates, metadata, other headers.

use super::at::At;
use super::notes::Notes;
use super::words;
use rerank_guard::config::Config;

/// Filters that send what rates are counted by to a service.
const SENDERS: [&str; 2] = [".ratelimit.", ".rate_limit_quota."];

/// Holds all that `manager` copies against the headers that hold credentials. Other printed words are [`words::check`]'s.
pub(super) fn check(manager: &At<'_>, config: &Config, notes: &mut Notes) {
    let all = manager.all();
    let is_sent =
        all.iter().any(|at| at.type_name().is_some_and(|kind| SENDERS.iter().any(|sender| kind.contains(sender))));
    for at in &all {
        counted(at, is_sent, config, notes);
        for name in ["request_headers_to_add", "request_headers_to_add_when_not_enforced"] {
            for header in at.items(name) {
                repeated(&header, config, notes);
            }
        }
        for mutation in at.items("request_mutations") {
            if let Some(header) = mutation.get("append") {
                repeated(&header, config, notes);
            }
        }
        for rule in at.items("request_rules") {
            let header = rule.text("header").unwrap_or_default().to_ascii_lowercase();
            if words::is_credential(&header, config) || rule.get("cookie").is_some() {
                let what = "the caller's credential is kept as metadata, which loggers and other filters give away";
                notes.error(rule.place, what, "take the rule out");
            }
        }
    }
    for name in ["request_headers_to_add", "request_headers_to_add_when_not_enforced", "request_mutations"] {
        for added in all.iter().filter_map(|at| at.get(name)) {
            words::secrets(&added, config, notes);
        }
    }
}

/// What a rate limit's descriptors are made of.
fn counted(at: &At<'_>, is_sent: bool, config: &Config, notes: &mut Notes) {
    for action in at.items("actions") {
        let Some(copied) = action.get("request_headers") else { continue };
        let name = copied.text("header_name").unwrap_or_default().to_ascii_lowercase();
        if !words::is_credential(&name, config) {
            continue;
        }
        if is_sent {
            let what = format!("`{name}` goes to the rate limit service, with the credential in it");
            notes.error(copied.place, what, "count by something that is no secret, such as `remote_address`");
        } else {
            let what =
                format!("calls are counted by `{name}`, and whoever asks Envoy for descriptors sees the credential");
            notes.warning(copied.place, what, "count by something that is no secret, such as `remote_address`");
        }
    }
    if let Some(late) = at.get("apply_on_stream_done").filter(|_| at.is_on("apply_on_stream_done") && is_sent) {
        let what = "what is counted is taken from the call as it went upstream, with its credential";
        notes.warning(late.place, what, "take `apply_on_stream_done` away");
    }
}

/// A header that repeats a credential goes where nobody takes it for one.
fn repeated(header: &At<'_>, config: &Config, notes: &mut Notes) {
    let header = header.get("header").unwrap_or_else(|| header.clone());
    let copied = words::headers(header.text("value").unwrap_or_default());
    if let Some(copied) = copied.iter().find(|name| words::is_credential(name, config)) {
        let what = format!("`{}` repeats `{copied}` under another name", header.text("key").unwrap_or_default());
        notes.error(header.place, what, "take it out");
    }
}

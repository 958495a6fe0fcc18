//! What Envoy sends more than once: calls are decided, approved and recorded one by one.

use super::at::At;
use super::notes::Notes;
use rerank_guard::config::Config;

/// Conditions under which the upstream has not seen the first attempt.
const UNSEEN: [&str; 3] = ["connect-failure", "refused-stream", "reset-before-request"];

/// `at` has a `retry_policy` or a `hedge_policy`, or has not.
pub(super) fn check(at: &At<'_>, config: &Config, notes: &mut Notes) {
    let mut tell = |at: At<'_>, again: &str| {
        if config.approver.is_some() {
            let what = format!("{again}: one approval, several calls upstream");
            notes.error(at.place, what, "write `retry_on: connect-failure,refused-stream`, or take it away");
        } else {
            let what = format!("{again}: one record, several calls upstream");
            notes.warning(at.place, what, "write `retry_on: connect-failure,refused-stream`, or take it away");
        }
    };
    if let Some(policy) = at.get("retry_policy").filter(|policy| policy.number("num_retries") != Some(Some(0)))
        && let Some(on) = policy.get("retry_on")
    {
        let conditions = on.value.as_str().unwrap_or_default().split(',').map(str::trim);
        let repeated: Vec<_> =
            conditions.filter(|condition| !condition.is_empty() && !UNSEEN.contains(condition)).collect();
        if !repeated.is_empty() {
            tell(on, &format!("Envoy sends a call again that an upstream may have served (`{}`)", repeated.join(",")));
        }
    }
    if let Some(policy) = at.get("hedge_policy") {
        let many = policy.number("initial_requests").is_some_and(|number| number != Some(1));
        for (name, is_on) in [
            ("hedge_on_per_try_timeout", policy.is_on("hedge_on_per_try_timeout")),
            ("initial_requests", many),
            ("additional_request_chance", policy.get("additional_request_chance").is_some()),
        ] {
            if let Some(own) = policy.get(name).filter(|_| is_on) {
                tell(own, &format!("Envoy sends a call twice at once (`{name}`)"));
            }
        }
    }
}

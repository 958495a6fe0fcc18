//! How an answer came about, by what the host knows: what Envoy answers by itself looks like an upstream's answer and is none.

use super::reason::EndReason;

/// Who made an answer, or ended the stream without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// An upstream answered.
    Upstream,
    /// An upstream answered, and its answer broke off.
    BrokeOff,
    /// An upstream answered with a redirect that Envoy itself followed.
    Redirected,
    /// The caller, or the connection to it, is gone.
    Gone,
    /// Envoy, or another filter in it.
    Envoy(EndReason),
}

/// What is told of an answer of Envoy's own that has no reason of its own here.
const ENVOYS: EndReason = EndReason::AnsweredByEnvoy;

/// How Envoy's words begin (`%RESPONSE_CODE_DETAILS%`), and what records and metrics say, in a bounded number of words.
const WORDS: [(&str, Ending); 40] = [
    ("via_upstream", Ending::Upstream),
    ("upstream_reset_after_response_started", Ending::BrokeOff),
    ("late_upstream_reset", Ending::BrokeOff),
    ("internal_redirect", Ending::Redirected),
    ("downstream_remote_disconnect", Ending::Gone),
    ("http2.remote_re", Ending::Gone),
    ("http3.remote_re", Ending::Gone),
    ("downstream_local_disconnect", Ending::Envoy(EndReason::ConnectionClosed)),
    ("duration_timeout", Ending::Envoy(EndReason::ConnectionClosed)),
    ("http1.", Ending::Envoy(EndReason::MalformedRequest)),
    ("http2.", Ending::Envoy(EndReason::MalformedRequest)),
    ("http3.", Ending::Envoy(EndReason::MalformedRequest)),
    ("cluster_not_found", Ending::Envoy(EndReason::NoCluster)),
    ("no_healthy_upstream", Ending::Envoy(EndReason::NoHealthyUpstream)),
    ("maintenance_mode", Ending::Envoy(EndReason::NoHealthyUpstream)),
    ("response_timeout", Ending::Envoy(EndReason::UpstreamTimeout)),
    ("upstream_response_timeout", Ending::Envoy(EndReason::UpstreamTimeout)),
    ("upstream_per_try", Ending::Envoy(EndReason::UpstreamTimeout)),
    ("upstream_max_stream_duration_reached", Ending::Envoy(EndReason::UpstreamTimeout)),
    ("stream_idle_timeout", Ending::Envoy(EndReason::StreamTimeout)),
    ("max_duration_timeout", Ending::Envoy(EndReason::StreamTimeout)),
    ("request_overall_timeout", Ending::Envoy(EndReason::RequestTimeout)),
    ("request_header_timeout", Ending::Envoy(EndReason::RequestTimeout)),
    ("route_not_found", Ending::Envoy(EndReason::NoRoute)),
    ("direct_response", Ending::Envoy(EndReason::DirectResponse)),
    ("request_payload_too_large", Ending::Envoy(EndReason::RequestAboveBuffer)),
    ("request_headers_too_large", Ending::Envoy(EndReason::RequestAboveBuffer)),
    ("response_payload_too_large", Ending::Envoy(EndReason::ResponseAboveBuffer)),
    ("response_headers_too_large", Ending::Envoy(EndReason::ResponseAboveBuffer)),
    ("fault_filter", Ending::Envoy(EndReason::FaultInjected)),
    ("local_rate_limited", Ending::Envoy(EndReason::RateLimited)),
    ("request_rate_limited", Ending::Envoy(EndReason::RateLimited)),
    ("rate_limiter_error", Ending::Envoy(EndReason::RateLimited)),
    ("ext_authz", Ending::Envoy(EndReason::DeniedBehindGuard)),
    ("rbac_access_denied", Ending::Envoy(EndReason::DeniedBehindGuard)),
    ("jwt_authn_access_denied", Ending::Envoy(EndReason::DeniedBehindGuard)),
    ("overload", Ending::Envoy(EndReason::Overloaded)),
    ("overload_manager", Ending::Envoy(EndReason::Overloaded)),
    ("adaptive_concurrency", Ending::Envoy(EndReason::Overloaded)),
    ("admission_control", Ending::Envoy(EndReason::Overloaded)),
];

/// An upstream that gave no answer, and why: it stands in braces behind this.
const UNANSWERED: &str = "upstream_reset_before_response_started";

impl Ending {
    /// What Envoy's words say. Words that are not known, or none at all, are Envoy's: an upstream has to be told to be one.
    pub(super) fn of(details: Option<&str>) -> Self {
        let Some(details) = details else { return Self::Envoy(ENVOYS) };
        if let Some(why) = details.strip_prefix(UNANSWERED) {
            return Self::Envoy(unanswered(why));
        }
        let known = WORDS.iter().find(|(start, ending)| match ending {
            // These two are whole, and what an upstream did is not told by how a word begins.
            Self::Upstream | Self::Redirected => details == *start,
            _ => details.starts_with(start),
        });
        known.map_or(Self::Envoy(ENVOYS), |(_, ending)| *ending)
    }

    /// Whether an upstream answered.
    pub(super) const fn is_answered(self) -> bool {
        matches!(self, Self::Upstream | Self::BrokeOff | Self::Redirected)
    }
}

/// The reset of a request that has had no answer.
fn unanswered(why: &str) -> EndReason {
    if why.contains("connection_failure") || why.contains("connection_timeout") {
        EndReason::UpstreamUnreachable
    } else if why.contains("overflow") {
        EndReason::UpstreamOverflow
    } else if why.contains("protocol_error") {
        EndReason::UpstreamProtocolError
    } else {
        EndReason::UpstreamReset
    }
}

/// What metrics and records call an upstream's answer of this status that went on to the caller.
pub(super) const fn of_status(status: u16) -> EndReason {
    match status {
        200..300 => EndReason::Ok,
        300..400 => EndReason::Upstream3xx,
        400..500 => EndReason::Upstream4xx,
        500..600 => EndReason::Upstream5xx,
        _ => EndReason::UpstreamOddStatus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of Envoy 1.40, as it said them.
    #[test]
    fn only_an_upstream_is_taken_for_one() {
        for (details, ending) in [
            ("via_upstream", Ending::Upstream),
            ("via_upstream_or_so", Ending::Envoy(ENVOYS)),
            ("VIA_UPSTREAM", Ending::Envoy(ENVOYS)),
            ("", Ending::Envoy(ENVOYS)),
            ("-", Ending::Envoy(ENVOYS)),
            ("lua_response", Ending::Envoy(ENVOYS)),
            ("cache.response_from_cache_filter", Ending::Envoy(ENVOYS)),
            ("upstream_reset_after_response_started{protocol_error}", Ending::BrokeOff),
            ("internal_redirect", Ending::Redirected),
            ("downstream_remote_disconnect", Ending::Gone),
            ("http2.remote_reset", Ending::Gone),
            ("http2.inbound_empty_frames_flood", Ending::Envoy(EndReason::MalformedRequest)),
            ("http1.codec_error", Ending::Envoy(EndReason::MalformedRequest)),
            ("cluster_not_found", Ending::Envoy(EndReason::NoCluster)),
            (
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
                Ending::Envoy(EndReason::UpstreamUnreachable),
            ),
            ("upstream_reset_before_response_started{overflow}", Ending::Envoy(EndReason::UpstreamOverflow)),
            ("upstream_reset_before_response_started{protocol_error}", Ending::Envoy(EndReason::UpstreamProtocolError)),
            ("upstream_reset_before_response_started{connection_termination}", Ending::Envoy(EndReason::UpstreamReset)),
            ("upstream_per_try_timeout", Ending::Envoy(EndReason::UpstreamTimeout)),
            ("response_timeout", Ending::Envoy(EndReason::UpstreamTimeout)),
            ("fault_filter_abort", Ending::Envoy(EndReason::FaultInjected)),
            ("request_payload_too_large", Ending::Envoy(EndReason::RequestAboveBuffer)),
            ("direct_response", Ending::Envoy(EndReason::DirectResponse)),
        ] {
            assert_eq!(Ending::of(Some(details)), ending, "{details}");
            assert_eq!(
                ending.is_answered(),
                matches!(ending, Ending::Upstream | Ending::BrokeOff | Ending::Redirected)
            );
        }
        assert_eq!(Ending::of(None), Ending::Envoy(ENVOYS));
    }

    #[test]
    fn only_a_success_is_ok() {
        let ok: Vec<u16> = (0..=999).filter(|status| of_status(*status) == EndReason::Ok).collect();
        assert_eq!(ok, (200..300).collect::<Vec<_>>());
        assert_eq!(
            (of_status(302), of_status(429), of_status(503)),
            (EndReason::Upstream3xx, EndReason::Upstream4xx, EndReason::Upstream5xx)
        );
        assert_eq!(
            (of_status(199), of_status(600), of_status(999)),
            (EndReason::UpstreamOddStatus, EndReason::UpstreamOddStatus, EndReason::UpstreamOddStatus)
        );
    }
}

//! Why a call was refused, or what came of it: one table for each part of a call's story, and one list of all.

use crate::approval::Disbelief;
use crate::caller::{self, KeyEvent};
use crate::mask::Unmaskable;
use crate::policy::{self, FetchReason};
use crate::reason::{Answer, Entry, reasons};

reasons! {
    /// What refuses a request on its way in.
    pub enum RequestReason {
        HeadersUnreadable "headers-unreadable" [TooLarge]
            "Envoy gives no headers to the module, or a part of the first line is not text" =>
            "Look at the caller: a header of the request has bytes that are no UTF-8, or there are too many of them.",
        Upgrade "upgrade" [NotACall]
            "CONNECT, a web socket or another upgrade" =>
            "Nothing: only rerank calls pass. Give other traffic a listener of its own.",
        AuthorityMalformed "authority-malformed" [Misdirected]
            "`Host` or `:authority` is missing, doubled, or no host with a port" =>
            "Look at the caller or the proxy before the gateway: one plain host name, with a port where it is not the default.",
        WrongAuthority "wrong-authority" [Misdirected]
            "the request addresses a name that this gateway, or this route, does not go by" =>
            "Add the name to `origins`, or to `authorities` of the route, if callers may use it.",
        UnknownPath "unknown-path" [NoRoute]
            "no route of the configuration has this path" =>
            "Add the path to `routes`, or to `pass` if it is no call.",
        WrongMethod "wrong-method" [WrongMethod]
            "the path is a route's, and the method is not POST" =>
            "Look at the caller: calls are sent with POST.",
        RequestEncoded "request-encoded" [Uninspectable]
            "the body is compressed, or says so" =>
            "Have the caller send it without `content-encoding`.",
        RequestMediaType "request-media-type" [Uninspectable]
            "the media type is not the dialect's, or has a parameter that is not UTF-8's" =>
            "Have the caller send `content-type: application/json`.",
        CredentialInHeader "credential-in-header" [Malformed]
            "a header that goes upstream holds what looks like a credential" =>
            "Have the caller leave it out; only `authorization`, or what `callers.places` names, holds one.",
        TooLarge "request-too-large" [TooLarge]
            "the body is larger than `limits.request_bytes`, as it came or with its masks" =>
            "Raise the limit together with Envoy's buffer limits, or have the caller send fewer documents.",
        NoBody "no-body" [Malformed]
            "there is no body" =>
            "Look at the caller.",
        MalformedCall "malformed-call" [Malformed]
            "the body is no call of the route's dialect; the answer says where" =>
            "Look at the caller, and whether the route has the right `dialect`.",
        ForeignDocument "foreign-document" [Forbidden]
            "a document names another dataset or tenant than the call, or may do so" =>
            "Have the caller send documents of one dataset.",
        Denied "request-denied" [Forbidden]
            "the request has more findings than a mask's `deny` lets go up; the record has their kinds" =>
            "Look at the rule whose `request_masks` it is, and at what the caller sends.",
        Unmaskable "request-unmaskable" [Malformed]
            "a request mask cannot be carried out on the body's text" =>
            "Look at the caller: a text has half of a surrogate pair, or is nested deeper than 128.",
        UnknownMask "unknown-mask" [Forbidden]
            "the decision names a request mask that cannot be had" =>
            "Report it: bundles whose masks cannot be had are refused when they are loaded.",
        ForceImpossible "force-impossible" [Forbidden]
            "a rule forces a parameter that the dialect has no member for" =>
            "Look at `force` of the rules in the record, or give the call another dialect.",
        RouteClosed "route-closed" [NotReady]
            "an answer on this route came from a cluster that is not the route's, less than 60 seconds ago" =>
            "Find `wrong-cluster` in the records before: Envoy's routes lead elsewhere than `clusters` says.",
        NoCluster "no-cluster" [NotReady]
            "Envoy has no cluster for the request" =>
            "Look at Envoy's route and its cluster: `rerank-guard check --config` tells what does not fit.",
        ClusterNotForRoute "cluster-not-for-route" [Forbidden]
            "Envoy would send the call to a cluster that the route does not list" =>
            "Add it to `clusters` of the route, or lead Envoy's route to one that is there.",
        ClusterChanged "cluster-changed" [Forbidden]
            "Envoy chose another cluster after the request was edited; the filter behind held it back" =>
            "Look for Envoy routes that match on headers which are not sent upstream.",
        NoCredential "no-credential" [Forbidden]
            "the rule that allows names no credential, or one that the configuration does not have" =>
            "Write `use` in the rule, and the name under `credentials`.",
        CredentialNotForRoute "credential-not-for-route" [Forbidden]
            "the rule's credential is not for this route" =>
            "Add it to `credentials` of the route if its upstream may see it; else narrow the rule to its models.",
        NotAllowed "not-allowed" [Forbidden]
            "no permit: the decision does not allow" =>
            "Report it: a denied call is refused before it comes to this.",
        NotApproved "not-approved" [Forbidden]
            "no permit: an approval that the decision wants is missing" =>
            "Have the caller repeat the call: the bundle changed while people were asked.",
        HeldByCaller "held-bytes-per-caller" [Overloaded]
            "the caller's waiting calls hold as many bytes as one caller may" =>
            "Look for a caller that sends or reads slowly; or raise `limits.held_bytes_per_caller`.",
        Held "held-bytes" [Overloaded]
            "all waiting calls of the worker hold as many bytes as they may" =>
            "Look at the approver's and the upstream's speed; or raise `limits.held_bytes` if there is memory.",
        HostRefused "host-refused" [NotReady]
            "Envoy did not do what the module asked, so nothing went on" =>
            "Look at Envoy's log and version: the supported ones do it.",
        BufferTooSmall "buffer-too-small" [TooLarge Unmaskable]
            "Envoy's buffer has no room for the body, and Envoy answered by itself" =>
            "Raise `per_connection_buffer_limit_bytes`: `rerank-guard check --config` tells how much is needed.",
        Undecidable "undecidable" [Forbidden NotReady]
            "what the decision needs was not there" =>
            "Report it with the record: it stands for what cannot be.",
    }
}

reasons! {
    /// What refuses a call that people have to agree to.
    pub enum ApprovalReason {
        Pending "approval-pending" [ApprovalRequired]
            "people have not decided yet" =>
            "Nothing: the caller repeats the call after `Retry-After`.",
        Rejected "approval-rejected" [ApprovalRejected]
            "people said no" =>
            "Nothing: the record has the approval's id.",
        Silent "approver-silent" [ApprovalUnavailable]
            "the approver did not answer in time, or Envoy has no such cluster" =>
            "Look at `approver.cluster` and at the approver.",
        Unclear "approver-unclear" [ApprovalUnavailable]
            "the approver's answer is none that its protocol has" =>
            "Look at the approver's status and body; `approver.pages` must list the origin of the address it gives.",
        CallerUnnamed "caller-unnamed" [Forbidden ApprovalUnavailable]
            "the claim that names people is missing in the caller's token" =>
            "Have the issuer add the claim that `approver.person_claim` names.",
        BundleChanged "bundle-changed" [ApprovalUnavailable]
            "the bundle in force asks other people than those who agreed" =>
            "Have the caller repeat the call: the right people are asked then.",
        Undecidable "undecidable" [ApprovalUnavailable]
            "what the approval needs was not there" =>
            "Report it with the record: it stands for what cannot be.",
    }
}

reasons! {
    /// Why there is no bundle to decide by.
    pub enum BundleReason {
        NoBundleYet "no-bundle-yet" [NotReady]
            "no bundle was fetched yet, and there is none to start with" =>
            "Look at `rerank_guard.bundles` counters and the log for why; write `embedded` or `inline` to start with one.",
        Stale "bundle-stale" [NotReady]
            "the bundle server has confirmed none for longer than `max_stale`" =>
            "Look at the bundle server and its cluster.",
        Behind "bundle-behind" [NotReady]
            "another worker of the process has taken a newer bundle that this one cannot take" =>
            "Look at the log for why it cannot; the server must have the newest bundle.",
        MemoryUnavailable "bundle-memory-unavailable" [NotReady]
            "the memory that workers share cannot be read, so nobody knows whether a newer bundle was taken" =>
            "Look at Envoy's version and at the `vm_id`: the memory is the VM's.",
    }
}

reasons! {
    /// What keeps an upstream's answer from leaving.
    pub enum ResponseReason {
        HeadersUnreadable "response-headers-unreadable" [Unmaskable]
            "the answer has no status that can be read" =>
            "Look at the upstream.",
        LeaksCredential "response-leaks-credential" [Unmaskable]
            "the answer repeats the gateway's credential, in a header or in the body" =>
            "Look at the upstream at once, and replace the credential: it stands in what the upstream logs, too.",
        UpstreamRefusedCredential "upstream-refused-credential" [UpstreamRefused]
            "the upstream answered 401 or 407: it does not take the gateway's credential" =>
            "Look at the secret behind the record's `credential`.",
        RefusedBehindGuard "refused-behind-guard" [UpstreamRefused]
            "a filter behind this one answered 401 or 407" =>
            "Look at the filters after rerank-guard in Envoy's chain.",
        Encoded "response-encoded" [Unmaskable]
            "the answer is compressed, though `accept-encoding: identity` was sent" =>
            "Switch compression off at the upstream, or put Envoy's decompressor behind this filter.",
        Partial "response-partial" [Unmaskable]
            "the answer is a part of a body" =>
            "Look at the upstream: rerank services have no reason to send 206.",
        TooLarge "response-too-large" [Unmaskable]
            "the answer is larger than `limits.response_bytes`, as it came or with its masks" =>
            "Raise the limit together with Envoy's buffer limits, or force `return_documents: false` or a lower `top_n`.",
        MediaType "response-media-type" [Unmaskable]
            "the answer is neither the dialect's media type nor, as an error, plain text" =>
            "Look at the upstream; write `streams: true` in the route where its answers may be streams.",
        Empty "response-empty" [Unmaskable]
            "a success without a body" =>
            "Look at the upstream.",
        NotUtf8 "response-not-utf8" [Unmaskable]
            "the answer is not UTF-8" =>
            "Look at the upstream.",
        NotJson "response-not-json" [Unmaskable]
            "the answer is not one whole JSON value" =>
            "Look at the upstream: the answer was cut, or says to be JSON and is not.",
        LoneSurrogate "response-lone-surrogate" [Unmaskable]
            "a text has half of a surrogate pair, which readers read differently" =>
            "Look at the upstream, or at the documents it repeats.",
        TooDeep "response-too-deep" [Unmaskable]
            "the answer is nested more than 128 deep" =>
            "Look at the upstream.",
        Unsettled "response-unsettled" [Unmaskable]
            "a finding could not be replaced" =>
            "Report it with the bundle's masks.",
        FieldsUnreadable "response-fields-unreadable" [Unmaskable]
            "a text names a field of a mask, and where its value ends cannot be told" =>
            "Look at the upstream's error texts; have it answer in JSON.",
        RecordTooLarge "response-record-too-large" [Unmaskable]
            "a record of a stream is larger than `limits.record_bytes`" =>
            "Raise the limit, or look at the upstream.",
        CutOff "response-cut-off" [Unmaskable]
            "a stream ended within a record" =>
            "Look at the upstream.",
        Denied "response-denied" [Unmaskable]
            "the answer has more findings than a mask's `deny` lets leave; the record has their kinds" =>
            "Look at the mask, and at what the dataset holds.",
        UnknownMask "unknown-mask" [Unmaskable]
            "the decision names a mask that cannot be had" =>
            "Report it: bundles whose masks cannot be had are refused when they are loaded.",
        WrongCluster "wrong-cluster" [Unmaskable]
            "the answer came from a cluster that is not the route's: what was sent went there" =>
            "Replace the record's `credential`, and lead Envoy's route to what `clusters` says; the route is closed for 60 seconds.",
        Undecidable "undecidable" [Unmaskable]
            "what masking needs was not there" =>
            "Report it with the record: it stands for what cannot be.",
    }
}

reasons! {
    /// What came of a call that the gateway did not refuse.
    pub enum EndReason {
        Ok "ok" []
            "the upstream answered 2xx" => "Nothing.",
        Upstream3xx "upstream-3xx" []
            "the upstream answered 3xx" => "Look at the upstream's address: rerank services do not redirect.",
        Upstream4xx "upstream-4xx" []
            "the upstream answered 4xx" => "Look at the record's `upstream_status`: the call, its model, or the upstream's limits.",
        Upstream5xx "upstream-5xx" []
            "the upstream answered 5xx" => "Look at the upstream.",
        UpstreamOddStatus "upstream-odd-status" []
            "the upstream answered with a status outside 200 to 599" => "Look at the upstream.",
        Listed "listed" []
            "an upstream answered a request that `pass` lists" => "Nothing.",
        StreamEnded "stream-ended" []
            "the stream ended before it had an answer" => "Look at the access log's flags and details.",
        CallerGone "caller-gone" []
            "the caller closed the connection" => "Look at the caller's time-out, beside how long the upstream takes.",
        UpstreamBrokeOff "upstream-broke-off" []
            "the upstream's answer broke off" => "Look at the upstream.",
        InternalRedirect "internal-redirect" []
            "Envoy followed a redirect by itself" => "Take `internal_redirect_policy` out of Envoy's route.",
        AnsweredByEnvoy "answered-by-envoy" []
            "Envoy, or another filter in it, answered" => "Look at the access log's details for which.",
        ConnectionClosed "connection-closed" []
            "Envoy closed the connection, for its age or because it drains" => "Nothing, or raise the listener's time-outs.",
        MalformedRequest "malformed-request" []
            "Envoy could not read the request" => "Look at the caller.",
        NoCluster "no-cluster" []
            "Envoy has no such cluster" => "Look at Envoy's route and its cluster.",
        NoHealthyUpstream "no-healthy-upstream" []
            "no host of the cluster is healthy" => "Look at the upstream and its health checks.",
        UpstreamTimeout "upstream-timeout" []
            "the upstream did not answer in the route's time" => "Look at the upstream, or raise `timeout` of Envoy's route.",
        StreamTimeout "stream-timeout" []
            "nothing moved on the stream for too long, or it took too long" => "Look at `stream_idle_timeout` and `max_stream_duration`.",
        RequestTimeout "request-timeout" []
            "the request did not come whole in time" => "Look at the caller, or raise `request_timeout`.",
        NoRoute "no-route" []
            "Envoy has no route for the request" => "Add one to Envoy's routes.",
        DirectResponse "direct-response" []
            "Envoy's route answers by itself" => "Nothing, if it is meant.",
        RequestAboveBuffer "request-above-buffer" []
            "the request is larger than Envoy's buffer" => "Raise `per_connection_buffer_limit_bytes`.",
        ResponseAboveBuffer "response-above-buffer" []
            "the answer is larger than Envoy's buffer" => "Raise `per_connection_buffer_limit_bytes`.",
        FaultInjected "fault-injected" []
            "Envoy's fault filter answered" => "Nothing, if it is meant.",
        RateLimited "rate-limited" []
            "Envoy's rate limit answered" => "Look at the limits of Envoy.",
        DeniedBehindGuard "denied-behind-guard" []
            "a filter behind this one denied" => "Look at the filters after rerank-guard in Envoy's chain.",
        Overloaded "overloaded" []
            "Envoy sheds load" => "Look at Envoy's overload manager and its memory.",
        UpstreamUnreachable "upstream-unreachable" []
            "no connection to the upstream" => "Look at the upstream, its address and its TLS.",
        UpstreamOverflow "upstream-overflow" []
            "the cluster's circuit breaker is open" => "Look at the upstream's speed, or raise the breaker's thresholds.",
        UpstreamProtocolError "upstream-protocol-error" []
            "the upstream does not speak HTTP as Envoy expects it" => "Look at the cluster's protocol options.",
        UpstreamReset "upstream-reset" []
            "the upstream closed the connection without an answer" => "Look at the upstream.",
    }
}

reasons! {
    /// What came of a call, in one word. Where the gateway refused it, that is the refusal's.
    pub enum Outcome {
        Served "served" []
            "an upstream's answer went to the caller, masked" => "Nothing.",
        Passed "passed" []
            "a request that `pass` lists" => "Nothing.",
        Failed "failed" []
            "Envoy answered by itself after the call was let go, or before it was judged" => "Look at the reason.",
        Aborted "aborted" []
            "the stream ended before its answer was over" => "Look at the reason.",
    }
}

reasons! {
    /// What came of asking for a bundle.
    pub enum BundleEvent {
        Loaded "loaded" []
            "a bundle was taken, and decides from then on" => "Nothing: its record names it and the one before.",
        Unchanged "unchanged" []
            "the server has none but the one in force" => "Nothing.",
        Refused "refused" []
            "a bundle came and was not taken; the one in force stays" => "Look at the reason, and at Envoy's log, which says where.",
        Failed "failed" []
            "there was no answer, or none to use; the one in force stays until `max_stale`" =>
            "Look at Envoy's log, which says why, and at the cluster of `bundle.fetched`.",
        Behind "behind" []
            "another worker has taken a bundle that this one cannot take" =>
            "Look at the reason: until this worker can, it answers 503.",
        Unasked "unasked" []
            "an answer came that nobody waits for" => "Nothing: a configuration was pushed while it was under way.",
    }
}

/// The reason of one call. There is no other way to make one than out of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nobody is proved to call.
    Caller(caller::Reason),
    /// On the way in.
    Request(RequestReason),
    /// No bundle to decide by.
    Bundle(BundleReason),
    /// The policy says no.
    Policy(policy::Reason),
    /// People were asked.
    Approval(ApprovalReason),
    /// What people signed is not believed.
    Receipt(Disbelief),
    /// On the way back.
    Response(ResponseReason),
}

impl Reason {
    /// As records, counters and log lines write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller(reason) => reason.as_str(),
            Self::Request(reason) => reason.as_str(),
            Self::Bundle(reason) => reason.as_str(),
            Self::Policy(reason) => reason.as_str(),
            Self::Approval(reason) => reason.as_str(),
            Self::Receipt(reason) => reason.as_str(),
            Self::Response(reason) => reason.as_str(),
        }
    }

    /// Its line of the table.
    #[must_use]
    pub const fn entry(self) -> Entry {
        match self {
            Self::Caller(reason) => reason.entry(),
            Self::Request(reason) => reason.entry(),
            Self::Bundle(reason) => reason.entry(),
            Self::Policy(reason) => reason.entry(),
            Self::Approval(reason) => reason.entry(),
            Self::Receipt(reason) => reason.entry(),
            Self::Response(reason) => reason.entry(),
        }
    }

    /// Whether its table says that callers get this for it.
    #[must_use]
    pub fn is_answered_with(self, answer: Answer) -> bool {
        self.entry().answers.contains(&answer)
    }
}

macro_rules! into_reason {
    ($($room:ident($reason:ty),)+) => {
        $(impl From<$reason> for Reason {
            fn from(reason: $reason) -> Self {
                Self::$room(reason)
            }
        })+
    };
}

into_reason! {
    Caller(caller::Reason),
    Request(RequestReason),
    Bundle(BundleReason),
    Policy(policy::Reason),
    Approval(ApprovalReason),
    Receipt(Disbelief),
    Response(ResponseReason),
}

impl From<&Unmaskable> for ResponseReason {
    fn from(why: &Unmaskable) -> Self {
        match why {
            Unmaskable::NotUtf8 { .. } => Self::NotUtf8,
            Unmaskable::Malformed { .. } => Self::NotJson,
            Unmaskable::LoneSurrogate { .. } => Self::LoneSurrogate,
            Unmaskable::TooDeep { .. } => Self::TooDeep,
            Unmaskable::Secret => Self::LeaksCredential,
            Unmaskable::Unsettled { .. } => Self::Unsettled,
            Unmaskable::Unreadable { .. } => Self::FieldsUnreadable,
            Unmaskable::Grows { .. } => Self::TooLarge,
            Unmaskable::TooLarge { .. } => Self::RecordTooLarge,
            Unmaskable::CutOff => Self::CutOff,
            Unmaskable::Denied(_) => Self::Denied,
        }
    }
}

/// A table, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// What its words are about, and where they are seen.
    pub about: &'static str,
    /// Its lines.
    pub entries: Vec<Entry>,
}

/// Every word that records and counters give as an outcome, an event or a reason.
#[must_use]
pub fn chapters() -> Vec<Chapter> {
    let chapter = |title, about, entries| Chapter { title, about, entries };
    vec![
        chapter(
            "Outcomes",
            "`result.outcome` of a record, and `outcome` in the counter `rerank_guard.calls`. A call that the gateway refused has the \
             answer's code instead, the last part of the problem's `type`.",
            Outcome::ALL.map(Outcome::entry).to_vec(),
        ),
        chapter(
            "Who is calling?",
            "The credential proves no caller.",
            caller::Reason::ALL.map(caller::Reason::entry).to_vec(),
        ),
        chapter(
            "What do they ask for?",
            "The request is refused for what it is, or for where it would go.",
            RequestReason::ALL.map(RequestReason::entry).to_vec(),
        ),
        chapter(
            "May they?",
            "What the policy says. `granted` and `approval-required` are a decision's reasons, and refuse nothing.",
            policy::Reason::ALL.map(policy::Reason::entry).to_vec(),
        ),
        chapter(
            "No bundle",
            "There is none that a call could be judged by.",
            BundleReason::ALL.map(BundleReason::entry).to_vec(),
        ),
        chapter(
            "Has a human agreed?",
            "People have to agree, and did not, or cannot be asked.",
            ApprovalReason::ALL.map(ApprovalReason::entry).to_vec(),
        ),
        chapter(
            "Receipts",
            "What the approver gave as people's word is not believed.",
            Disbelief::ALL.map(Disbelief::entry).to_vec(),
        ),
        chapter(
            "What may leave?",
            "The upstream answered, and its answer does not leave.",
            ResponseReason::ALL.map(ResponseReason::entry).to_vec(),
        ),
        chapter(
            "How it ended",
            "The gateway refused nothing: the upstream, Envoy or the caller ended the call.",
            EndReason::ALL.map(EndReason::entry).to_vec(),
        ),
        chapter(
            "Bundles that are not taken",
            "The bundle in force stays. `reason` in records of type `bundle`, in the counter `rerank_guard.bundles`, and what \
             `rerank-guard verify` says.",
            FetchReason::ALL.map(FetchReason::entry).to_vec(),
        ),
        chapter(
            "Bundles that are asked for",
            "`event` in records of type `bundle`, and in the counter `rerank_guard.bundles`.",
            BundleEvent::ALL.map(BundleEvent::entry).to_vec(),
        ),
        chapter(
            "Keys that are asked for",
            "`fetch` in the counter `rerank_guard.keys`.",
            KeyEvent::ALL.map(KeyEvent::entry).to_vec(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_word_is_one_for_counters_and_is_there_once_in_its_chapter_with_a_sentence_for_both() {
        for chapter in chapters() {
            let mut seen = BTreeSet::new();
            for Entry { word, means, remedy, .. } in &chapter.entries {
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                assert!(word.bytes().all(is_plain), "{word}");
                assert!(seen.insert(*word), "`{word}` twice in {}", chapter.title);
                assert!(!means.is_empty() && !means.ends_with('.') && !means.contains('|'), "{word}: {means}");
                assert!(remedy.ends_with('.') && !remedy.contains('|'), "{word}: {remedy}");
            }
        }
    }

    #[test]
    fn only_what_refuses_a_call_has_an_answer() {
        for chapter in chapters() {
            let tells = [
                "Outcomes",
                "How it ended",
                "Bundles that are not taken",
                "Bundles that are asked for",
                "Keys that are asked for",
            ];
            let refuses = !tells.contains(&chapter.title);
            for entry in &chapter.entries {
                let is_refusal = refuses && !["granted", "approval-required"].contains(&entry.word);
                assert_eq!(entry.answers.is_empty(), !is_refusal, "{}", entry.word);
            }
        }
    }

    #[test]
    fn every_answer_is_on_the_list_of_answers() {
        for answer in chapters().iter().flat_map(|chapter| &chapter.entries).flat_map(|entry| entry.answers) {
            assert!(Answer::ALL.contains(answer), "{}", answer.code());
        }
    }

    #[test]
    fn masking_and_the_list_use_the_same_words() {
        for why in [
            Unmaskable::NotUtf8 { at: 0 },
            Unmaskable::Malformed { at: 0 },
            Unmaskable::LoneSurrogate { at: 0 },
            Unmaskable::TooDeep { at: 0 },
            Unmaskable::Secret,
            Unmaskable::Unsettled { at: 0 },
            Unmaskable::Unreadable { at: 0 },
            Unmaskable::Grows { most: 0 },
            Unmaskable::TooLarge { most: 0 },
            Unmaskable::CutOff,
            Unmaskable::Denied(Vec::new()),
        ] {
            assert_eq!(ResponseReason::from(&why).as_str(), why.reason());
        }
    }
}

//! The words for what the policy says, and for why a bundle is not taken.

use crate::reason::reasons;

reasons! {
    /// Why a decision is what it is: a bounded set, fit for metrics.
    #[derive(PartialOrd, Ord)]
    pub enum Reason {
        Granted "granted" []
            "an allow matched, and no guard asks for approval" => "Nothing.",
        ApprovalRequired "approval-required" []
            "an allow matched, and a guard asks for approval" => "Nothing: people are asked.",
        DeniedByRule "denied-by-rule" [Forbidden]
            "a deny matched; the record has its rule" => "Nothing, if it is meant.",
        NoRule "no-rule" [Forbidden]
            "no allow matched" => "Look at the record's near misses; `rerank-guard explain` tells what each lacked.",
        LimitExceeded "limit-exceeded" [Forbidden]
            "the limit of a guard that matches is exceeded" => "Look at the limits of the rules in the record, and at what the caller sends.",
        RiskTooHigh "risk-too-high" [Forbidden]
            "the risk is one that a guard which matches denies at" => "Look at `risk_reasons` in the record.",
        BundleExpired "bundle-expired" [Forbidden]
            "the bundle is past its `not_after`" => "Bring out one with a higher serial and a later end.",
    }
}

reasons! {
    /// Why a bundle that was fetched is not taken, or none came.
    pub enum FetchReason {
        TooLarge "too-large" []
            "the envelope has more bytes than `max_bytes`" => "Raise it under `bundle.fetched`, or make the bundle smaller.",
        NoEnvelope "no-envelope" []
            "it is no signed bundle" => "Serve what `rerank-guard sign` wrote, byte for byte.",
        Crowded "crowded" []
            "it has more than eight signatures, or two under one key's name" => "Sign it again, once with each key.",
        Unsigned "unsigned" []
            "no trusted key signed it" => "Sign it with the key whose public half is under `bundle.fetched.keys`.",
        Forged "forged" []
            "a signature under a trusted key's name is wrong" => "Look at who can write to the bundle server: it was changed after it was signed.",
        Flawed "flawed" []
            "what was signed is no valid bundle" => "Run `rerank-guard check` on it; the log has its flaws.",
        Foreign "foreign" []
            "it is another bundle" => "Look at `bundle.fetched.path` and `id`.",
        BelowFloor "below-floor" []
            "its serial is below `min_serial`, or below that of the bundle to start with" => "Give the new bundle a higher serial.",
        Older "older" []
            "its serial is below that of a bundle that was in force" => "Sign the old content with a higher serial, to go back on purpose.",
        Conflicting "conflicting" []
            "it has the serial of the bundle in force, and is another one" => "Give each bundle a serial of its own.",
        Endless "endless" []
            "it has no `not_after`" => "Give it an end, and sign it again.",
        Expired "expired" []
            "it is past its `not_after`" => "Bring out a new one.",
        Unfit "unfit" []
            "it asks for what the configuration cannot do; the log says what" => "Add it to the configuration, or take it out of the bundle.",
        NoMemory "no-memory" []
            "nobody knows whether the process has taken a newer one" => "Look at Envoy's version and at the `vm_id`: the memory is the VM's.",
        NoAnswer "no-answer" []
            "the bundle server did not answer" => "Look at its cluster.",
        Status "status" []
            "the bundle server answered neither 200 nor, where it may, 304" => "Look at the bundle server; the log has the status.",
    }
}

//! Every reason there is, in tables: a call is refused for one of them, or not at all. Records, counters and the page
//! `docs/reference/reasons.md` are written from the same lines, so that no word can be seen that no page explains.

/// What a caller gets for a refusal: the kind of its problem document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// No token, or one that proves nothing.
    Unauthenticated,
    /// The policy says no.
    Forbidden,
    /// A stream that is no call.
    NotACall,
    /// A human has to agree first; 202 where the caller prefers it.
    ApprovalRequired,
    /// A human said no.
    ApprovalRejected,
    /// The approver gave no answer to believe.
    ApprovalUnavailable,
    /// The request addresses somebody else.
    Misdirected,
    /// No route has this path.
    NoRoute,
    /// The route has another method.
    WrongMethod,
    /// The body is above the limit.
    TooLarge,
    /// A media type or encoding that cannot be inspected.
    Uninspectable,
    /// No call of this dialect.
    Malformed,
    /// The upstream's answer does not leave.
    Unmaskable,
    /// The upstream refused the gateway's credential.
    UpstreamRefused,
    /// No keys or no bundle yet.
    NotReady,
    /// Too much is held for calls that wait.
    Overloaded,
}

impl Answer {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotACall,
        Self::ApprovalRequired,
        Self::ApprovalRejected,
        Self::ApprovalUnavailable,
        Self::Misdirected,
        Self::NoRoute,
        Self::WrongMethod,
        Self::TooLarge,
        Self::Uninspectable,
        Self::Malformed,
        Self::Unmaskable,
        Self::UpstreamRefused,
        Self::NotReady,
        Self::Overloaded,
    ];

    /// The last part of the problem's `type`, also the outcome in records and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotACall => "not-a-call",
            Self::ApprovalRequired => "approval-required",
            Self::ApprovalRejected => "approval-rejected",
            Self::ApprovalUnavailable => "approval-unavailable",
            Self::Misdirected => "misdirected",
            Self::NoRoute => "no-route",
            Self::WrongMethod => "wrong-method",
            Self::TooLarge => "too-large",
            Self::Uninspectable => "uninspectable",
            Self::Malformed => "malformed-call",
            Self::Unmaskable => "unmaskable-response",
            Self::UpstreamRefused => "upstream-refused",
            Self::NotReady => "not-ready",
            Self::Overloaded => "overloaded",
        }
    }

    /// The answer's status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden
            | Self::NotACall
            | Self::ApprovalRequired
            | Self::ApprovalRejected
            | Self::ApprovalUnavailable => 403,
            Self::NoRoute => 404,
            Self::WrongMethod => 405,
            Self::TooLarge => 413,
            Self::Uninspectable => 415,
            Self::Misdirected => 421,
            Self::Malformed => 422,
            Self::Unmaskable | Self::UpstreamRefused => 502,
            Self::NotReady | Self::Overloaded => 503,
        }
    }
}

/// One line of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// As records, counters and log lines write it.
    pub word: &'static str,
    /// What callers get for it; nothing where it refuses none.
    pub answers: &'static [Answer],
    /// What happened.
    pub means: &'static str,
    /// What the operator does about it.
    pub remedy: &'static str,
}

/// Makes an enum of reasons out of a table: `Variant "word" [what callers get] "what happened" => "what to do about it"`.
macro_rules! reasons {
    ($(#[$about:meta])* $visible:vis enum $name:ident {
        $($variant:ident $word:literal [$($answer:ident)*] $means:literal => $remedy:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visible enum $name {
            $(#[doc = $means] $variant,)+
        }

        impl $name {
            /// All there are, in the order of their table.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// As records, counters and log lines write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Its line of the table.
            #[must_use]
            pub const fn entry(self) -> $crate::reason::Entry {
                match self {
                    $(Self::$variant => $crate::reason::Entry {
                        word: $word,
                        answers: &[$($crate::reason::Answer::$answer),*],
                        means: $means,
                        remedy: $remedy,
                    },)+
                }
            }
        }
    };
}
pub(crate) use reasons;

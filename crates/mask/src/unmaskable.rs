//! Why a body must not leave.

use super::found::Found;
use std::fmt;

/// Why a body could not be masked, and so must not leave. Positions are byte offsets; no variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmaskable {
    /// The body is not UTF-8 from this byte on.
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// The body is not one whole JSON value (RFC 8259): a syntax error, a truncation, or something behind the value.
    Malformed {
        /// Where.
        at: usize,
    },
    /// A string has half of a surrogate pair, which different readers read differently.
    LoneSurrogate {
        /// Where the string begins.
        at: usize,
    },
    /// Arrays and objects are nested more than 128 deep.
    TooDeep {
        /// Where.
        at: usize,
    },
    /// An upstream credential stands in the body.
    Secret,
    /// A finding could not be replaced. Nothing that stands in a body can bring this about.
    Unsettled {
        /// Where the string begins.
        at: usize,
    },
    /// There are field rules, and a text names such a field where its value cannot be told.
    Unreadable {
        /// Where.
        at: usize,
    },
    /// What would leave is larger than may be: replacements are longer than what they stand for.
    Grows {
        /// The most bytes.
        most: usize,
    },
    /// A record of a stream is larger than may be.
    TooLarge {
        /// The most bytes.
        most: usize,
    },
    /// A stream ended within a record.
    CutOff,
    /// There are more findings than a mask's `deny` lets leave. All of them, for the record.
    Denied(Vec<Found>),
}

impl Unmaskable {
    /// One word for records and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "response-not-utf8",
            Self::Malformed { .. } => "response-not-json",
            Self::LoneSurrogate { .. } => "response-lone-surrogate",
            Self::TooDeep { .. } => "response-too-deep",
            Self::Secret => "response-leaks-credential",
            Self::Unsettled { .. } => "response-unsettled",
            Self::Unreadable { .. } => "response-fields-unreadable",
            Self::Grows { .. } => "response-too-large",
            Self::TooLarge { .. } => "response-record-too-large",
            Self::CutOff => "response-cut-off",
            Self::Denied(_) => "response-denied",
        }
    }
}

impl Unmaskable {
    /// The byte of the body where it was noticed, if that is one place.
    #[must_use]
    pub const fn at(&self) -> Option<usize> {
        match self {
            Self::NotUtf8 { at }
            | Self::Malformed { at }
            | Self::LoneSurrogate { at }
            | Self::TooDeep { at }
            | Self::Unsettled { at }
            | Self::Unreadable { at } => Some(*at),
            Self::Secret | Self::Grows { .. } | Self::TooLarge { .. } | Self::CutOff | Self::Denied(_) => None,
        }
    }
}

impl fmt::Display for Unmaskable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(out, "the body is not UTF-8 at byte {at}"),
            Self::Malformed { at } => write!(out, "the body is not one whole JSON value at byte {at}"),
            Self::LoneSurrogate { at } => {
                write!(out, "the body has half of a surrogate pair in the string at byte {at}")
            }
            Self::TooDeep { at } => write!(out, "the body is nested more than 128 deep at byte {at}"),
            Self::Secret => out.write_str("the body repeats an upstream credential"),
            Self::Unsettled { at } => write!(out, "a finding in the string at byte {at} could not be replaced"),
            Self::Unreadable { at } => {
                write!(out, "the text names a field of a rule at byte {at}, where its value cannot be told")
            }
            Self::Grows { most } => write!(out, "masking makes more than {most} bytes of the body"),
            Self::TooLarge { most } => write!(out, "a record of the stream has more than {most} bytes"),
            Self::CutOff => out.write_str("the stream ends within a record"),
            Self::Denied(_) => out.write_str("the body has more findings than a mask lets leave"),
        }
    }
}

impl std::error::Error for Unmaskable {}

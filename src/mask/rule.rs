//! A mask as the policy bundle writes it.

use serde::{Deserialize, Serialize};

/// A mask of the bundle: what to look for, and what to put in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kinds to find.
    pub detect: Vec<Kind>,
    /// What stands in a finding's place; `{kind}` becomes the kind's name.
    #[serde(default = "label")]
    pub replace: String,
}

fn label() -> String {
    "[{kind}]".to_owned()
}

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An e-mail address (RFC 5321).
    Email,
    /// A telephone number (E.164, NANP).
    Phone,
    /// A payment card number (ISO/IEC 7812).
    CreditCard,
    /// An international bank account number (ISO 13616).
    Iban,
    /// A US social security number.
    UsSsn,
    /// An IPv4 or IPv6 address.
    IpAddress,
}

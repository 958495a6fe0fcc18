//! The kinds of personal data there are detectors for.

use serde::{Deserialize, Serialize};

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An international bank account number (ISO 13616).
    Iban,
    /// A payment card number (ISO/IEC 7812).
    CreditCard,
    /// A US social security number.
    UsSsn,
    /// An e-mail address (RFC 5321).
    Email,
    /// An IPv4 or IPv6 address (RFC 791, RFC 4291).
    IpAddress,
    /// A telephone number (E.164, NANP).
    Phone,
}

impl Kind {
    /// Every kind, in the order that decides between equally good findings in the same place: what a leak of costs most comes
    /// first, and telephone numbers, whose shape is the loosest, last.
    pub const ALL: [Self; 6] = [Self::Iban, Self::CreditCard, Self::UsSsn, Self::Email, Self::IpAddress, Self::Phone];

    /// The name in bundles, labels and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iban => "iban",
            Self::CreditCard => "credit_card",
            Self::UsSsn => "us_ssn",
            Self::Email => "email",
            Self::IpAddress => "ip_address",
            Self::Phone => "phone",
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u128);

impl Kinds {
    pub(super) fn all() -> Self {
        Kind::ALL.into_iter().collect()
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            set.add(kind);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_bundle_is_written_with_and_all_has_every_kind_once() {
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(kind as usize, position);
        }
    }
}

//! The kinds of personal data there are detectors for.

use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Writes the kinds down once: variant, name in bundles, labels and records.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A kind of personal data, or of secret.
        ///
        /// The order decides between equally good findings in the same place: what a leak of costs most comes first, and
        /// telephone numbers, whose form is the loosest, last.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Kind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in bundles, labels and records.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A private key in PEM (RFC 7468).
    PrivateKey = "private_key",
    /// A JSON web token (RFC 7519).
    Jwt = "jwt",
    /// A key of a cloud or vendor, known by its prefix.
    ApiKey = "api_key",
    /// A token or password behind `Bearer` or `Basic` (RFC 6750, RFC 7617).
    BearerToken = "bearer_token",
    /// A user name and password in a URL (RFC 3986).
    UrlCredentials = "url_credentials",
    /// An international bank account number (ISO 13616).
    Iban = "iban",
    /// A payment card number (ISO/IEC 7812).
    CreditCard = "credit_card",
    /// An address of a cryptocurrency: Base58Check, Bech32, Ethereum.
    CryptoAddress = "crypto_address",
    /// A US social security number.
    UsSsn = "us_ssn",
    /// A US individual taxpayer identification number.
    UsItin = "us_itin",
    /// A US bank routing number (ABA).
    UsAba = "us_aba",
    /// A US national provider identifier.
    UsNpi = "us_npi",
    /// A US Medicare beneficiary identifier.
    UsMbi = "us_mbi",
    /// A US Drug Enforcement Administration number.
    UsDea = "us_dea",
    /// A Canadian social insurance number.
    CaSin = "ca_sin",
    /// A Brazilian natural person's tax number.
    BrCpf = "br_cpf",
    /// A Brazilian legal person's tax number.
    BrCnpj = "br_cnpj",
    /// A UK National Health Service number.
    UkNhs = "uk_nhs",
    /// A UK national insurance number.
    UkNino = "uk_nino",
    /// A German tax identification number.
    DeTaxId = "de_tax_id",
    /// A German identity card or passport number (ICAO 9303).
    DeIdCard = "de_id_card",
    /// A French social security number (NIR).
    FrNir = "fr_nir",
    /// A Spanish tax or foreigner's number (NIF, NIE).
    EsNif = "es_nif",
    /// An Italian tax code.
    ItCodiceFiscale = "it_codice_fiscale",
    /// A Dutch citizen service number.
    NlBsn = "nl_bsn",
    /// A Belgian national register number.
    BeNationalNumber = "be_national_number",
    /// A Portuguese tax number.
    PtNif = "pt_nif",
    /// A Polish PESEL number.
    PlPesel = "pl_pesel",
    /// A Swedish personal identity number.
    SePersonnummer = "se_personnummer",
    /// A Finnish personal identity code.
    FiHetu = "fi_hetu",
    /// A Turkish identification number.
    TrKimlik = "tr_kimlik",
    /// An Australian tax file number.
    AuTfn = "au_tfn",
    /// An Australian business number.
    AuAbn = "au_abn",
    /// An Australian Medicare number.
    AuMedicare = "au_medicare",
    /// An Indian Aadhaar number.
    InAadhaar = "in_aadhaar",
    /// An Indian permanent account number.
    InPan = "in_pan",
    /// A Korean resident registration number.
    KrRrn = "kr_rrn",
    /// A Singaporean NRIC or FIN.
    SgNric = "sg_nric",
    /// A Thai national identification number.
    ThNationalId = "th_national_id",
    /// A South African identity number.
    ZaId = "za_id",
    /// A Nigerian national identification number.
    NgNin = "ng_nin",
    /// A passport number, where words say so.
    Passport = "passport",
    /// A driving licence number, where words say so.
    DrivingLicence = "driving_licence",
    /// An e-mail address (RFC 5321).
    Email = "email",
    /// An IPv4 or IPv6 address (RFC 791, RFC 4291).
    IpAddress = "ip_address",
    /// A hardware address (EUI-48).
    MacAddress = "mac_address",
    /// A vehicle identification number (ISO 3779).
    Vin = "vin",
    /// A mobile equipment identity (3GPP TS 23.003).
    Imei = "imei",
    /// A bank's identifier code (ISO 9362), where words say so.
    Bic = "bic",
    /// A date of birth, where words say so.
    DateOfBirth = "date_of_birth",
    /// A telephone number (E.164, NANP, national forms where words say so).
    Phone = "phone",
}

/// What a finding is told as, in labels, records and metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A kind that has a detector.
    Kind(Kind),
    /// Whatever stood where a field rule says.
    Field,
    /// A pattern of the operator's own, `custom_` and its name.
    Custom(Rc<str>),
}

impl What {
    /// What field rules' findings are told as.
    pub const FIELD: &'static str = "field";

    /// The name in labels, records and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.name(),
            Self::Field => Self::FIELD,
            Self::Custom(name) => name,
        }
    }
}

impl From<Kind> for What {
    fn from(kind: Kind) -> Self {
        Self::Kind(kind)
    }
}

impl PartialEq<Kind> for What {
    fn eq(&self, other: &Kind) -> bool {
        matches!(self, Self::Kind(kind) if kind == other)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u128);

impl Kinds {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn all() -> Self {
        Kind::ALL.iter().copied().collect()
    }

    pub(super) const fn has(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// Whether the sets have a kind in common.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn with(self, kind: Kind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn bit(kind: Kind) -> u128 {
        1 << kind as u32
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_bundle_is_written_with_and_all_has_every_kind_once() {
        for (position, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(*kind as usize, position);
        }
        // A set has 128 places, and the context some of its own above those of the kinds.
        assert!(Kind::ALL.len() <= 96);
    }
}

//! The words that say what a number next to them is.

use super::Context;
use crate::mask::kind::Kind;

/// What one word says, in whatever case.
pub(super) fn meaning(word: &[u8]) -> Context {
    // Most words are ruled out by their first letter and length.
    let first = word.first().map_or(0, u8::to_ascii_lowercase);
    let lengths = LENGTHS.get(usize::from(first)).copied().unwrap_or(0);
    if word.len() > LONGEST || lengths >> word.len() & 1 == 0 {
        return Context::NONE;
    }
    let mut lower = [0_u8; LONGEST];
    for (slot, byte) in lower.iter_mut().zip(word) {
        *slot = byte.to_ascii_lowercase();
    }
    known(lower.get(..word.len()).unwrap_or_default())
}

/// What one word, in lower case, says.
fn known(word: &[u8]) -> Context {
    let mut place = place(word);
    loop {
        match TABLE.get(place) {
            Some((known, says)) if *known == word => return *says,
            Some((known, _)) if !known.is_empty() => place = (place + 1) % PLACES,
            _ => return Context::NONE,
        }
    }
}

/// The longest word there is, in bytes.
pub(super) const LONGEST: usize = 60;

const fn of(kind: Kind) -> Context {
    Context::of_kind(kind)
}

/// A word in several rows says all of it.
const WORDS: &[(Context, &[&str])] = &[
    (
        of(Kind::Phone),
        &[
            "phone",
            "phones",
            "telephone",
            "telephones",
            "tel",
            "telno",
            "mobile",
            "mob",
            "cell",
            "cellphone",
            "cellular",
            "fax",
            "telefax",
            "landline",
            "hotline",
            "helpline",
            "voicemail",
            "whatsapp",
            "sms",
            "callback",
            "msisdn",
            "pager",
            "smartphone",
            "dial",
            "telefon",
            "telefonnummer",
            "telefonnr",
            "telefonu",
            "rufnummer",
            "handy",
            "handynummer",
            "handynr",
            "mobil",
            "mobilnummer",
            "mobiltelefon",
            "festnetz",
            "faxnummer",
            "durchwahl",
            "portable",
            "telefono",
            "teléfono",
            "móvil",
            "movil",
            "celular",
            "cellulare",
            "téléphone",
            "tél",
            "télécopie",
            "telefone",
            "telemóvel",
            "telemovel",
            "telefoon",
            "telefoonnummer",
            "mobiel",
            "puhelin",
            "puh",
            "matkapuhelin",
            "gsm",
            "cep",
            "komórka",
            "komorka",
            "telepono",
            "телефон",
            "тел",
        ],
    ),
    (
        Context::CALL,
        &[
            "call",
            "calls",
            "called",
            "calling",
            "ring",
            "reach",
            "reached",
            "contact",
            "texted",
            "answering",
            "anrufen",
            "erreichbar",
            "appeler",
            "appelez",
            "llamar",
            "llame",
            "chiamare",
            "ligar",
            "bellen",
        ],
    ),
    (Context::LINE, &["office", "home", "work", "main", "direct"]),
    (
        of(Kind::CreditCard),
        &[
            "card",
            "cards",
            "creditcard",
            "debitcard",
            "credit",
            "debit",
            "cc",
            "ccn",
            "ccnum",
            "visa",
            "mastercard",
            "maestro",
            "amex",
            "discover",
            "diners",
            "jcb",
            "unionpay",
            "rupay",
            "mir",
            "uatp",
            "pan",
            "kreditkarte",
            "kreditkartennummer",
            "kartennummer",
            "carte",
            "tarjeta",
            "cartão",
            "cartao",
            "carta",
            "kort",
            "kaart",
            "karta",
        ],
    ),
    (Context::SSN, &["ssn", "ssns", "social", "socialsecurity", "socialsecuritynumber"]),
    (
        Context::TAX,
        &[
            "tax",
            "taxes",
            "taxpayer",
            "taxid",
            "tin",
            "vat",
            "steuer",
            "steuernummer",
            "fiscal",
            "fiscale",
            "fiscaal",
            "fiscales",
            "nif",
            "impuesto",
            "contribuinte",
            "contribuente",
            "imposto",
            "podatek",
            "skatt",
            "vero",
            "vergi",
        ],
    ),
    (
        Context::NATIONAL,
        &[
            "national",
            "nationality",
            "citizen",
            "citizenship",
            "identity",
            "identification",
            "identitynumber",
            "nationalid",
            "idnumber",
            "personalausweis",
            "identidad",
            "identité",
            "identidade",
            "identità",
            "tożsamości",
            "kimlik",
        ],
    ),
    (
        of(Kind::IpAddress),
        &[
            "ip",
            "ips",
            "ipv",
            "ipaddress",
            "ipaddr",
            "addr",
            "subnet",
            "gateway",
            "loopback",
            "unspecified",
            "cidr",
            "dns",
            "src",
            "dst",
        ],
    ),
    (
        Context::VERSION,
        &[
            "version", "versions", "ver", "release", "released", "build", "firmware", "chrome", "chromium", "safari",
            "firefox", "edg", "edge", "opr", "opera", "upgrade", "upgraded", "oid",
        ],
    ),
    (Context::ARTICLE, &["ean", "gtin", "isbn", "issn", "upc", "barcode", "asin", "sku"]),
    (
        Context::THING,
        &[
            "ean",
            "gtin",
            "isbn",
            "issn",
            "upc",
            "barcode",
            "asin",
            "sku",
            "order",
            "orders",
            "ticket",
            "tickets",
            "case",
            "invoice",
            "ref",
            "reference",
            "account",
            "zip",
            "zipcode",
            "postcode",
            "code",
            "pin",
            "otp",
            "date",
            "year",
            "amount",
            "total",
            "price",
            "usd",
            "eur",
            "id",
            "ids",
            "uid",
            "timestamp",
            "since",
            "tracking",
            "serial",
            "suite",
            "apt",
            "room",
            "page",
            "pages",
            "count",
            "size",
            "bytes",
            "seq",
            "hash",
            "commit",
            "rev",
            "revision",
            "passport",
            "passports",
            "license",
            "licence",
        ],
    ),
    (Context::SECRET, &["secret", "secrets", "apikey", "accountkey", "accesskey", "password", "passwd", "pwd"]),
    (Context::KEY, &["key", "keys"]),
    (
        Context::VENDOR,
        &[
            "api",
            "account",
            "access",
            "auth",
            "cohere",
            "azure",
            "aws",
            "amazon",
            "voyage",
            "mistral",
            "openai",
            "anthropic",
            "signing",
            "client",
        ],
    ),
    (of(Kind::UsItin), &["itin", "itins"]),
    (of(Kind::UsAba), &["aba", "routing", "rtn"]),
    (of(Kind::UsNpi), &["npi", "npis", "provider"]),
    (of(Kind::UsMbi), &["mbi", "medicare"]),
    (of(Kind::UsDea), &["dea"]),
    (of(Kind::AuMedicare), &["medicare"]),
    (of(Kind::CaSin), &["sin", "nas"]),
    (of(Kind::BrCpf), &["cpf"]),
    (of(Kind::BrCnpj), &["cnpj"]),
    (of(Kind::UkNhs), &["nhs"]),
    (of(Kind::UkNino), &["nino", "insurance"]),
    (of(Kind::DeTaxId), &["steuerid", "idnr", "steueridentifikationsnummer", "identifikationsnummer", "tin"]),
    (
        of(Kind::DeIdCard),
        &[
            "ausweis",
            "ausweisnummer",
            "ausweisnr",
            "personalausweis",
            "personalausweisnummer",
            "reisepass",
            "passnummer",
        ],
    ),
    (of(Kind::FrNir), &["nir", "insee", "sécu", "sécurité", "securite"]),
    (of(Kind::EsNif), &["dni", "nie"]),
    (of(Kind::ItCodiceFiscale), &["codice", "codicefiscale"]),
    (of(Kind::NlBsn), &["bsn", "burgerservicenummer", "sofi", "sofinummer"]),
    (of(Kind::BeNationalNumber), &["rijksregister", "rijksregisternummer", "insz", "niss", "nrn", "registre"]),
    (of(Kind::PtNif), &["contribuinte", "nif"]),
    (of(Kind::PlPesel), &["pesel"]),
    (of(Kind::SePersonnummer), &["personnummer", "pnr", "personnr", "samordningsnummer"]),
    (of(Kind::FiHetu), &["hetu", "henkilötunnus", "henkilotunnus"]),
    (of(Kind::TrKimlik), &["tckn", "kimlik", "tc"]),
    (of(Kind::AuTfn), &["tfn"]),
    (of(Kind::AuAbn), &["abn"]),
    (of(Kind::InAadhaar), &["aadhaar", "aadhar", "uidai", "adhaar"]),
    (of(Kind::InPan), &["pan"]),
    (of(Kind::KrRrn), &["rrn", "jumin", "주민등록번호"]),
    (of(Kind::SgNric), &["nric", "fin"]),
    (of(Kind::ThNationalId), &["thai", "เลขประจำตัวประชาชน", "เลขบัตรประชาชน"]),
    (of(Kind::ZaId), &["rsa", "za"]),
    (of(Kind::NgNin), &["nin"]),
    (
        of(Kind::Passport),
        &[
            "passport",
            "passports",
            "passeport",
            "pasaporte",
            "passaporto",
            "passaporte",
            "reisepass",
            "paszport",
            "pass",
        ],
    ),
    (
        of(Kind::DrivingLicence),
        &[
            "license",
            "licence",
            "licenses",
            "licences",
            "driver",
            "drivers",
            "driving",
            "dl",
            "führerschein",
            "führerscheinnummer",
            "fuhrerschein",
            "permis",
            "conducir",
            "patente",
            "rijbewijs",
        ],
    ),
    (of(Kind::Vin), &["vin", "vehicle", "chassis", "fahrgestellnummer", "fin"]),
    (of(Kind::Imei), &["imei"]),
    (of(Kind::Bic), &["bic", "swift"]),
    (
        of(Kind::DateOfBirth),
        &[
            "birth",
            "birthday",
            "birthdate",
            "dob",
            "born",
            "dateofbirth",
            "geburtsdatum",
            "geboren",
            "geb",
            "naissance",
            "né",
            "née",
            "nacimiento",
            "nacido",
            "nascita",
            "nato",
            "nascimento",
            "geboortedatum",
            "födelsedatum",
        ],
    ),
];

/// Room for the words and as much again, so that a search ends soon.
const PLACES: usize = 1024;

/// For each first byte, the lengths of the words that begin with it: a bit for each.
static LENGTHS: [u64; 256] = {
    let mut all = [0_u64; 256];
    let mut first = 0_u8;
    let mut slots: &mut [u64] = &mut all;
    while let [slot, rest @ ..] = slots {
        let mut rows = WORDS;
        while let [(_, words), more @ ..] = rows {
            let mut words: &[&str] = words;
            while let [word, others @ ..] = words {
                if let [one, ..] = word.as_bytes()
                    && *one == first
                {
                    *slot |= 1 << word.len();
                }
                words = others;
            }
            rows = more;
        }
        first = first.wrapping_add(1);
        slots = rest;
    }
    all
};

/// The words by their hash, or the next free place behind it; a free place has the empty word.
static TABLE: [(&[u8], Context); PLACES] = {
    let mut table: [(&[u8], Context); PLACES] = [(&[], Context::NONE); PLACES];
    let mut rows = WORDS;
    while let [(says, words), more @ ..] = rows {
        let mut words: &[&str] = words;
        while let [word, others @ ..] = words {
            add(&mut table, word.as_bytes(), *says);
            words = others;
        }
        rows = more;
    }
    table
};

const fn add(table: &mut [(&'static [u8], Context); PLACES], word: &'static [u8], says: Context) {
    let mut from = place(word);
    loop {
        if let (_, [(known, means), ..]) = table.split_at_mut(from)
            && (known.is_empty() || same(known, word))
        {
            *known = word;
            *means = means.or(says);
            return;
        }
        from = (from + 1) % PLACES;
    }
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let (mut one, mut other) = (one, other);
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        one = rest;
        other = others;
    }
    one.is_empty() && other.is_empty()
}

const fn place(word: &[u8]) -> usize {
    let mut hash = word.len();
    let mut rest = word;
    while let [byte, more @ ..] = rest {
        hash = hash.wrapping_mul(31) ^ *byte as usize;
        rest = more;
    }
    (hash ^ (hash >> 10)) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_says_what_its_rows_say_and_others_nothing() {
        for (_, words) in WORDS {
            for word in *words {
                let rows = WORDS.iter().filter(|(_, words)| words.contains(word));
                let says = rows.fold(Context::NONE, |all, (says, _)| all | *says);
                assert_eq!(meaning(word.as_bytes()), says, "{word}");
                assert_eq!(word.to_lowercase(), *word);
                assert!(word.len() <= LONGEST);
            }
        }
        for other in ["", "phon", "phonee", "x", "telephonenumber"] {
            assert_eq!(meaning(other.as_bytes()), Context::NONE, "{other}");
        }
        assert!(TABLE.iter().filter(|(word, _)| !word.is_empty()).count() < PLACES / 2);
    }
}

//! The words that say what a number next to them is.

use super::Context;
use crate::bytes;
use crate::kind::Kind;

/// What one word says, in whatever case.
pub(super) fn meaning(word: &[u8]) -> Context {
    // Most words are ruled out by a hash of their length and their first eight letters.
    let head = head(word);
    let hash = bytes::hash(head, word.len());
    let (row, bit) = in_filter(hash);
    if FILTER.get(row).is_none_or(|row| row & bit == 0) {
        return Context::NONE;
    }
    let mut place = place(hash);
    loop {
        match TABLE.get(place) {
            Some(known) if known.head == head && known.length == word.len() => {
                // Of the few long ones, the rest is compared as well.
                let rest = known.word.get(8..).unwrap_or_default();
                if word.get(8..).unwrap_or_default().eq_ignore_ascii_case(rest) {
                    return known.says;
                }
            }
            Some(known) if known.length != 0 => {}
            _ => return Context::NONE,
        }
        place = (place + 1) % PLACES;
    }
}

/// The first eight letters of a word, those of ASCII as small ones.
fn head(word: &[u8]) -> u64 {
    let head = bytes::head(word);
    // The bit that capitals lack, for all bytes of ASCII that are there.
    let there = u64::MAX >> (64 - 8 * word.len().clamp(1, 8));
    head | (!head & 0x8080_8080_8080_8080) >> 2 & there
}

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
    (Context::NUMBER, &["number", "num", "no", "nr", "registered"]),
    (Context::OWN, &["my", "your", "his", "her", "our", "their"]),
    (Context::MESSAGE, &["message", "messages", "text", "texts"]),
    (
        Context::GOODS,
        &["order", "orders", "invoice", "invoices", "ticket", "tickets", "tracking", "sku", "isbn", "part"],
    ),
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
    (of(Kind::Iban), &["iban", "ibans"]),
    (of(Kind::UsItin), &["itin", "itins"]),
    (of(Kind::UsAba), &["aba", "routing", "rtn"]),
    (of(Kind::UsNpi), &["npi", "npis", "provider"]),
    (of(Kind::UsMbi), &["mbi", "medicare"]),
    (of(Kind::UsDea), &["dea"]),
    (of(Kind::AuMedicare), &["medicare"]),
    (of(Kind::CaSin), &["sin", "nas", "insurance", "assurance"]),
    (of(Kind::BrCpf), &["cpf"]),
    (of(Kind::BrCnpj), &["cnpj"]),
    (of(Kind::UkNhs), &["nhs"]),
    (of(Kind::UkNino), &["nino", "insurance"]),
    (
        of(Kind::DeTaxId),
        &["steuerid", "idnr", "steueridentifikationsnummer", "identifikationsnummer", "steuer", "steuernummer", "tin"],
    ),
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
    (of(Kind::EsNif), &["dni", "nie", "nif"]),
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
    (of(Kind::ZaId), &["rsa", "za", "sa"]),
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

/// A bit for the hash of each word.
static FILTER: [u64; 64] = {
    let mut filter = [0; 64];
    let mut known: &[Known] = &TABLE;
    while let [word, more @ ..] = known {
        let (row, bit) = in_filter(bytes::hash(word.head, word.length));
        if word.length > 0
            && let (_, [row, ..]) = filter.split_at_mut(row)
        {
            *row |= bit;
        }
        known = more;
    }
    filter
};

const fn in_filter(hash: u64) -> (usize, u64) {
    ((hash >> 58) as usize, 1 << (hash >> 52 & 63))
}

/// A word that says something.
#[derive(Clone, Copy)]
struct Known {
    head: u64,
    length: usize,
    word: &'static [u8],
    says: Context,
}

/// The words by their hash, or the next free place behind it; a free place has the empty word.
static TABLE: [Known; PLACES] = {
    let mut table = [Known { head: 0, length: 0, word: &[], says: Context::NONE }; PLACES];
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

const fn add(table: &mut [Known; PLACES], word: &'static [u8], says: Context) {
    let mut head = 0;
    let mut shift = 0;
    let mut rest = word;
    while let [byte, more @ ..] = rest
        && shift < 64
    {
        head |= (*byte as u64) << shift;
        shift += 8;
        rest = more;
    }
    let mut from = place(bytes::hash(head, word.len()));
    loop {
        if let (_, [slot, ..]) = table.split_at_mut(from)
            && (slot.length == 0 || same(slot.word, word))
        {
            *slot = Known { head, length: word.len(), word, says: slot.says.or(says) };
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

const fn place(hash: u64) -> usize {
    (hash >> 54) as usize % PLACES
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
                assert_eq!(meaning(word.to_ascii_uppercase().as_bytes()), says, "{word}");
            }
        }
        for other in ["", "phon", "phonee", "x", "telephonenumber", "socialsecuritynumbex", "PHON\0"] {
            assert_eq!(meaning(other.as_bytes()), Context::NONE, "{other}");
        }
        assert!(TABLE.iter().filter(|known| known.length > 0).count() < PLACES / 2);
    }
}

//! What words say about the numbers next to them.

use crate::mask::kind::Kind;
use std::ops::{BitOr, Range};

/// What words say, as a set: of kinds of numbers, and of other matters above those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::mask) struct Context(u128);

impl Context {
    pub(in crate::mask) const NONE: Self = Self(0);
    /// Somebody is called or reached; what follows can be the number, the time or the matter.
    pub(super) const CALL: Self = Self(1 << 100);
    /// Behind a number: which of somebody's numbers it is.
    pub(super) const LINE: Self = Self(1 << 101);
    /// A social security number, of whatever country.
    pub(super) const SSN: Self = Self(1 << 102);
    /// A tax number, of whatever country.
    pub(super) const TAX: Self = Self(1 << 103);
    /// A number that a state gives its citizens.
    pub(super) const NATIONAL: Self = Self(1 << 104);
    /// A version, which looks like an IPv4 address.
    pub(super) const VERSION: Self = Self(1 << 105);
    /// An article number, which looks like a payment card.
    pub(super) const ARTICLE: Self = Self(1 << 106);
    /// A number that names a thing or counts: no telephone number.
    pub(super) const THING: Self = Self(1 << 107);
    /// A passport or identity card.
    pub(super) const PASSPORT: Self = Self::of_kind(Kind::Passport);

    /// Numbers of this kind.
    pub(in crate::mask) const fn of_kind(kind: Kind) -> Self {
        Self(1 << kind as u32)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Everything that speaks for a finding.
    pub(in crate::mask) fn anything() -> Self {
        let kinds = Kind::ALL.iter().fold(Self::NONE, |all, kind| all | Self::of_kind(*kind));
        kinds | Self::CALL | Self::LINE | Self::SSN | Self::TAX | Self::NATIONAL
    }

    pub(super) fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// What the words of a name say together. Words end at anything but letters, and at `camelCase` humps.
    /// Words for calling are verbs of a sentence; as a name they say nothing about the number under it.
    pub(in crate::mask) fn of(name: &[u8]) -> Self {
        let mut all = Self::NONE;
        each_word(name, |word| all = all | meaning(word));
        Self(all.0 & !(Self::CALL.0 | Self::LINE.0))
    }

    /// As [`of`](Self::of), for running text: with what the last word says alone, and without the words in brackets that stand
    /// for what was masked, which must not make findings of the numbers next to them.
    pub(in crate::mask) fn of_text(text: &[u8]) -> (Self, Option<Self>) {
        let mut all = Self::NONE;
        let mut last = None;
        let mut rest = text;
        loop {
            let label = label_in(rest);
            let (words, behind) = match &label {
                Some(label) => (rest.get(..label.start), rest.get(label.end..)),
                None => (Some(rest), None),
            };
            each_word(words.unwrap_or_default(), |word| {
                let says = meaning(word);
                all = all | says;
                last = Some(says);
            });
            match behind {
                Some(behind) => rest = behind,
                None => return (all, last),
            }
        }
    }
}

impl BitOr for Context {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The first `[…]` or `<…>` in a text, unless it is glued to a word (`user[phone]`).
fn label_in(text: &[u8]) -> Option<Range<usize>> {
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' | b'<' => {
                let before = at.checked_sub(1).and_then(|before| text.get(before));
                start = Some(at).filter(|_| !before.is_some_and(u8::is_ascii_alphanumeric));
            }
            b']' | b'>' => {
                if let Some(start) = start {
                    return Some(start..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The longest word with a meaning.
const LONGEST: usize = 60;

/// Gives each word of `text` in lower case. A hump begins a word (`phoneNumber`), and so does the last capital of several
/// (`SSNNumber`).
fn each_word(text: &[u8], mut give: impl FnMut(&[u8])) {
    let mut word = [0_u8; LONGEST];
    let mut length = 0_usize;
    let mut before = 0_u8;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let letter = byte.is_ascii_alphabetic() || byte >= 0x80;
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || (before.is_ascii_uppercase() && bytes.peek().is_some_and(u8::is_ascii_lowercase)));
        if length > 0 && (!letter || hump) {
            give(word.get(..length).unwrap_or_default());
            length = 0;
        }
        if letter {
            if let Some(slot) = word.get_mut(length) {
                *slot = byte.to_ascii_lowercase();
            }
            length += 1;
        }
        before = byte;
    }
    if length > 0 {
        give(word.get(..length).unwrap_or_default());
    }
}

/// What one lower-case word says. Words that are not ASCII stand in their UTF-8 bytes.
fn meaning(word: &[u8]) -> Context {
    use Kind::*;
    const fn of(kind: Kind) -> Context {
        Context::of_kind(kind)
    }
    match word {
        b"phone" | b"phones" | b"telephone" | b"telephones" | b"tel" | b"telno" | b"mobile" | b"mob" | b"cell" | b"cellphone" | b"cellular" | b"fax" | b"telefax" | b"landline" | b"hotline" | b"helpline" | b"voicemail" | b"whatsapp" | b"sms" | b"callback" | b"msisdn" | b"pager" | b"smartphone" | b"dial" | b"telefon" | b"telefonnummer" | b"telefonnr" | b"telefonu" | b"rufnummer" | b"handy" | b"handynummer" | b"handynr" | b"mobil" | b"mobilnummer" | b"mobiltelefon" | b"festnetz" | b"faxnummer" | b"durchwahl" | b"portable" | b"telefono" | b"tel\xc3\xa9fono" | b"m\xc3\xb3vil" | b"movil" | b"celular" | b"cellulare" | b"t\xc3\xa9l\xc3\xa9phone" | b"t\xc3\xa9l" | b"t\xc3\xa9l\xc3\xa9copie" | b"telefone" | b"telem\xc3\xb3vel" | b"telemovel" | b"telefoon" | b"telefoonnummer" | b"mobiel" | b"puhelin" | b"puh" | b"matkapuhelin" | b"gsm" | b"cep" | b"kom\xc3\xb3rka" | b"komorka" | b"telepono" | b"\xd1\x82\xd0\xb5\xd0\xbb\xd0\xb5\xd1\x84\xd0\xbe\xd0\xbd" | b"\xd1\x82\xd0\xb5\xd0\xbb" => of(Phone),
        b"call" | b"calls" | b"called" | b"calling" | b"ring" | b"reach" | b"reached" | b"contact" | b"text" | b"texted" | b"answering" | b"anrufen" | b"erreichbar" | b"appeler" | b"appelez" | b"llamar" | b"llame" | b"chiamare" | b"ligar" | b"bellen" => Context::CALL,
        b"office" | b"home" | b"work" | b"main" | b"direct" => Context::LINE,
        b"card" | b"cards" | b"creditcard" | b"debitcard" | b"credit" | b"debit" | b"cc" | b"ccn" | b"ccnum" | b"visa" | b"mastercard" | b"maestro" | b"amex" | b"discover" | b"diners" | b"jcb" | b"unionpay" | b"rupay" | b"mir" | b"uatp" | b"kreditkarte" | b"kreditkartennummer" | b"kartennummer" | b"carte" | b"tarjeta" | b"cart\xc3\xa3o" | b"cartao" | b"carta" | b"kort" | b"kaart" | b"karta" => of(CreditCard),
        b"ssn" | b"ssns" | b"social" | b"socialsecurity" | b"socialsecuritynumber" => Context::SSN,
        b"tax" | b"taxes" | b"taxpayer" | b"taxid" | b"vat" | b"steuer" | b"steuernummer" | b"fiscal" | b"fiscale" | b"fiscaal" | b"fiscales" | b"impuesto" | b"contribuente" | b"imposto" | b"podatek" | b"skatt" | b"vero" | b"vergi" => Context::TAX,
        b"tin" => Context::TAX | of(DeTaxId),
        b"nif" | b"contribuinte" => Context::TAX | of(PtNif),
        b"national" | b"nationality" | b"citizen" | b"citizenship" | b"identity" | b"identification" | b"identitynumber" | b"nationalid" | b"idnumber" | b"identidad" | b"identit\xc3\xa9" | b"identidade" | b"identit\xc3\xa0" | b"to\xc5\xbcsamo\xc5\x9bci" => Context::NATIONAL,
        b"personalausweis" => Context::NATIONAL | of(DeIdCard),
        b"kimlik" => Context::NATIONAL | of(TrKimlik),
        b"ip" | b"ips" | b"ipv" | b"ipaddress" | b"ipaddr" | b"addr" | b"subnet" | b"gateway" | b"loopback" | b"unspecified" | b"cidr" | b"dns" | b"src" | b"dst" => of(IpAddress),
        b"version" | b"versions" | b"ver" | b"release" | b"released" | b"build" | b"firmware" | b"chrome" | b"chromium" | b"safari" | b"firefox" | b"edg" | b"edge" | b"opr" | b"opera" | b"upgrade" | b"upgraded" | b"oid" => Context::VERSION,
        b"ean" | b"gtin" | b"isbn" | b"issn" | b"upc" | b"barcode" | b"asin" | b"sku" => Context::ARTICLE | Context::THING,
        b"order" | b"orders" | b"ticket" | b"tickets" | b"case" | b"invoice" | b"ref" | b"reference" | b"account" | b"zip" | b"zipcode" | b"postcode" | b"code" | b"pin" | b"otp" | b"date" | b"year" | b"amount" | b"total" | b"price" | b"usd" | b"eur" | b"id" | b"ids" | b"uid" | b"timestamp" | b"since" | b"tracking" | b"serial" | b"suite" | b"apt" | b"room" | b"page" | b"pages" | b"count" | b"size" | b"bytes" | b"seq" | b"hash" | b"commit" | b"rev" | b"revision" => Context::THING,
        b"itin" | b"itins" => of(UsItin),
        b"aba" | b"routing" | b"rtn" => of(UsAba),
        b"npi" | b"npis" | b"provider" => of(UsNpi),
        b"mbi" => of(UsMbi),
        b"dea" => of(UsDea),
        b"medicare" => of(AuMedicare) | of(UsMbi),
        b"sin" | b"nas" => of(CaSin),
        b"cpf" => of(BrCpf),
        b"cnpj" => of(BrCnpj),
        b"nhs" => of(UkNhs),
        b"nino" | b"insurance" => of(UkNino),
        b"steuerid" | b"idnr" | b"steueridentifikationsnummer" | b"identifikationsnummer" => of(DeTaxId),
        b"ausweis" | b"ausweisnummer" | b"personalausweisnummer" | b"passnummer" | b"ausweisnr" => of(DeIdCard),
        b"reisepass" => of(DeIdCard) | of(Passport),
        b"nir" | b"insee" | b"s\xc3\xa9cu" | b"s\xc3\xa9curit\xc3\xa9" | b"securite" => of(FrNir),
        b"dni" | b"nie" => of(EsNif),
        b"codice" | b"codicefiscale" => of(ItCodiceFiscale),
        b"bsn" | b"burgerservicenummer" | b"sofi" | b"sofinummer" => of(NlBsn),
        b"rijksregister" | b"rijksregisternummer" | b"insz" | b"niss" | b"nrn" | b"registre" => of(BeNationalNumber),
        b"pesel" => of(PlPesel),
        b"personnummer" | b"pnr" | b"personnr" | b"samordningsnummer" => of(SePersonnummer),
        b"hetu" | b"henkil\xc3\xb6tunnus" | b"henkilotunnus" => of(FiHetu),
        b"tckn" | b"tc" => of(TrKimlik),
        b"tfn" => of(AuTfn),
        b"abn" => of(AuAbn),
        b"aadhaar" | b"aadhar" | b"uidai" | b"adhaar" => of(InAadhaar),
        b"pan" => of(InPan) | of(CreditCard),
        b"rrn" | b"jumin" | b"\xec\xa3\xbc\xeb\xaf\xbc\xeb\x93\xb1\xeb\xa1\x9d\xeb\xb2\x88\xed\x98\xb8" => of(KrRrn),
        b"nric" => of(SgNric),
        b"fin" => of(SgNric) | of(Vin),
        b"thai" | b"\xe0\xb9\x80\xe0\xb8\xa5\xe0\xb8\x82\xe0\xb8\x9b\xe0\xb8\xa3\xe0\xb8\xb0\xe0\xb8\x88\xe0\xb8\xb3\xe0\xb8\x95\xe0\xb8\xb1\xe0\xb8\xa7\xe0\xb8\x9b\xe0\xb8\xa3\xe0\xb8\xb0\xe0\xb8\x8a\xe0\xb8\xb2\xe0\xb8\x8a\xe0\xb8\x99" | b"\xe0\xb9\x80\xe0\xb8\xa5\xe0\xb8\x82\xe0\xb8\x9a\xe0\xb8\xb1\xe0\xb8\x95\xe0\xb8\xa3\xe0\xb8\x9b\xe0\xb8\xa3\xe0\xb8\xb0\xe0\xb8\x8a\xe0\xb8\xb2\xe0\xb8\x8a\xe0\xb8\x99" => of(ThNationalId),
        b"rsa" => of(ZaId),
        b"nin" => of(NgNin),
        b"passport" | b"passports" => of(Passport) | Context::THING,
        b"passeport" | b"pasaporte" | b"passaporto" | b"passaporte" | b"paszport" | b"pass" => of(Passport),
        b"license" | b"licence" => of(DrivingLicence) | Context::THING,
        b"licenses" | b"licences" | b"driver" | b"drivers" | b"driving" | b"dl" | b"f\xc3\xbchrerschein" | b"f\xc3\xbchrerscheinnummer" | b"fuhrerschein" | b"permis" | b"conducir" | b"patente" | b"rijbewijs" => of(DrivingLicence),
        b"vin" | b"vehicle" | b"chassis" | b"fahrgestellnummer" => of(Vin),
        b"imei" => of(Imei),
        b"bic" | b"swift" => of(Bic),
        b"birth" | b"birthday" | b"birthdate" | b"dob" | b"born" | b"dateofbirth" | b"geburtsdatum" | b"geboren" | b"geb" | b"naissance" | b"n\xc3\xa9" | b"n\xc3\xa9e" | b"nacimiento" | b"nacido" | b"nascita" | b"nato" | b"nascimento" | b"geboortedatum" | b"f\xc3\xb6delsedatum" => of(DateOfBirth),
        _ => Context::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_convention() {
        for name in
            ["phone", "homePhone", "phoneNumber", "PHONE_NUMBER", "home-phone", "user.phone", "phone2", "PHONENumber"]
        {
            assert!(Context::of(name.as_bytes()).has(Context::of_kind(Kind::Phone)), "{name}");
        }
        for name in ["phoney", "microphone", "", "telly", "dataphone1"] {
            assert!(!Context::of(name.as_bytes()).has(Context::of_kind(Kind::Phone)), "{name}");
        }
        assert!(Context::of(b"userSSN").has(Context::SSN));
        assert!(Context::of(b"SSNValue").has(Context::SSN));
        assert!(Context::of("votre Téléphone :".as_bytes()).has(Context::of_kind(Kind::Phone)));
    }

    #[test]
    fn labels_of_masked_numbers_say_nothing_in_text() {
        for text in ["[phone]", "x [phone], <ssn> ", "<phone> [x]", "[phone][ssn]"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::NONE, "{text}");
        }
        for text in ["phone [x]", "[x] phone", "user[phone]", "[phone", "phone]", "<[phone"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::of_kind(Kind::Phone), "{text}");
        }
    }

    #[test]
    fn the_last_word_is_told_apart() {
        let (all, last) = Context::of_text(b"call about ticket ");
        assert!(all.has(Context::CALL));
        assert_eq!(last, Some(Context::THING));
        assert_eq!(Context::of_text(b" 12 "), (Context::NONE, None));
        let long = "a".repeat(100) + "phone";
        assert_eq!(Context::of(long.as_bytes()), Context::NONE);
    }
}

//! What words say about the numbers next to them.

use std::ops::{BitOr, Range};

/// What words say, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::mask) struct Context(u64);

impl Context {
    pub(in crate::mask) const NONE: Self = Self(0);
    /// A telephone number follows.
    pub(super) const PHONE: Self = Self(1);
    /// Somebody is called or reached; what follows can be the number, the time or the matter.
    pub(super) const CALL: Self = Self(1 << 1);
    /// Behind a number: which of somebody's numbers it is.
    pub(super) const LINE: Self = Self(1 << 2);
    /// A payment card.
    pub(super) const CARD: Self = Self(1 << 3);
    /// A US social security number.
    pub(super) const SSN: Self = Self(1 << 4);
    /// A network address.
    pub(super) const IP: Self = Self(1 << 5);
    /// A version, which looks like an IPv4 address.
    pub(super) const VERSION: Self = Self(1 << 6);
    /// An article number, which looks like a payment card.
    pub(super) const ARTICLE: Self = Self(1 << 7);
    /// A number that names a thing or counts: no telephone number.
    pub(super) const THING: Self = Self(1 << 8);

    /// Everything that speaks for a finding.
    pub(in crate::mask) fn anything() -> Self {
        Self::PHONE | Self::CALL | Self::LINE | Self::CARD | Self::SSN | Self::IP
    }

    pub(super) fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// What the words of a text or name say together. Words end at anything but letters, and at `camelCase` humps.
    pub(in crate::mask) fn of(text: &[u8]) -> Self {
        let mut all = Self::NONE;
        each_word(text, |word| all = all | meaning(word));
        all
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
const LONGEST: usize = 24;

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

/// What one lower-case word says.
fn meaning(word: &[u8]) -> Context {
    match word {
        b"phone"
        | b"phones"
        | b"telephone"
        | b"tel"
        | b"telno"
        | b"mobile"
        | b"mob"
        | b"cell"
        | b"cellphone"
        | b"cellular"
        | b"fax"
        | b"telefax"
        | b"landline"
        | b"hotline"
        | b"helpline"
        | b"voicemail"
        | b"whatsapp"
        | b"sms"
        | b"callback"
        | b"msisdn"
        | b"pager"
        | b"smartphone"
        | b"dial"
        | b"telefon"
        | b"telefonnummer"
        | b"telefonnr"
        | b"rufnummer"
        | b"handy"
        | b"handynummer"
        | b"handynr"
        | b"mobil"
        | b"mobilnummer"
        | b"mobiltelefon"
        | b"festnetz"
        | b"faxnummer"
        | b"durchwahl"
        | b"telephones"
        | b"portable"
        | b"telefono"
        | b"tel\xc3\xa9fono"
        | b"m\xc3\xb3vil"
        | b"movil"
        | b"celular"
        | b"cellulare"
        | b"t\xc3\xa9l\xc3\xa9phone"
        | b"t\xc3\xa9l"
        | b"t\xc3\xa9l\xc3\xa9copie"
        | b"telefone"
        | b"telem\xc3\xb3vel"
        | b"telemovel"
        | b"telefoon"
        | b"telefoonnummer"
        | b"mobiel"
        | b"puhelin"
        | b"puh"
        | b"matkapuhelin"
        | b"telefonu"
        | b"telefonnum"
        | b"gsm"
        | b"cep"
        | b"kom\xc3\xb3rka"
        | b"komorka"
        | b"telepono"
        | b"\xd1\x82\xd0\xb5\xd0\xbb\xd0\xb5\xd1\x84\xd0\xbe\xd0\xbd"
        | b"\xd1\x82\xd0\xb5\xd0\xbb" => Context::PHONE,
        b"call" | b"calls" | b"called" | b"calling" | b"ring" | b"reach" | b"reached" | b"contact" | b"text"
        | b"texted" | b"answering" | b"anrufen" | b"erreichbar" | b"appeler" | b"appelez" | b"llamar" | b"llame"
        | b"chiamare" | b"ligar" | b"bellen" => Context::CALL,
        b"office" | b"home" | b"work" | b"main" | b"direct" => Context::LINE,
        b"card"
        | b"cards"
        | b"creditcard"
        | b"debitcard"
        | b"credit"
        | b"debit"
        | b"cc"
        | b"ccn"
        | b"ccnum"
        | b"visa"
        | b"mastercard"
        | b"maestro"
        | b"amex"
        | b"american"
        | b"express"
        | b"discover"
        | b"diners"
        | b"jcb"
        | b"unionpay"
        | b"rupay"
        | b"mir"
        | b"uatp"
        | b"pan"
        | b"kreditkarte"
        | b"kreditkartennummer"
        | b"kartennummer"
        | b"carte"
        | b"tarjeta"
        | b"cart\xc3\xa3o"
        | b"cartao"
        | b"carta"
        | b"kort"
        | b"kaart"
        | b"karta" => Context::CARD,
        b"ssn" | b"ssns" | b"social" | b"socialsecurity" | b"socialsecuritynumber" => Context::SSN,
        b"ip" | b"ips" | b"ipv" | b"ipaddress" | b"ipaddr" | b"addr" | b"subnet" | b"gateway" | b"loopback"
        | b"unspecified" | b"cidr" | b"dns" | b"src" | b"dst" => Context::IP,
        b"version" | b"versions" | b"ver" | b"release" | b"released" | b"build" | b"firmware" | b"chrome"
        | b"chromium" | b"safari" | b"firefox" | b"edg" | b"edge" | b"opr" | b"opera" | b"upgrade" | b"upgraded"
        | b"oid" => Context::VERSION,
        b"ean" | b"gtin" | b"isbn" | b"issn" | b"upc" | b"barcode" | b"asin" | b"sku" | b"imei" => {
            Context::ARTICLE | Context::THING
        }
        b"order" | b"orders" | b"ticket" | b"tickets" | b"case" | b"invoice" | b"ref" | b"reference" | b"account"
        | b"zip" | b"zipcode" | b"postcode" | b"code" | b"pin" | b"otp" | b"date" | b"born" | b"birthday" | b"year"
        | b"amount" | b"total" | b"price" | b"usd" | b"eur" | b"id" | b"ids" | b"uid" | b"timestamp" | b"since"
        | b"tracking" | b"serial" | b"license" | b"licence" | b"passport" | b"suite" | b"apt" | b"room" | b"page"
        | b"pages" | b"count" | b"size" | b"bytes" | b"seq" | b"hash" | b"commit" | b"rev" | b"revision" => {
            Context::THING
        }
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
            assert!(Context::of(name.as_bytes()).has(Context::PHONE), "{name}");
        }
        for name in ["phoney", "microphone", "", "telly", "dataphone1"] {
            assert!(!Context::of(name.as_bytes()).has(Context::PHONE), "{name}");
        }
        assert!(Context::of(b"userSSN").has(Context::SSN));
        assert!(Context::of(b"SSNValue").has(Context::SSN));
        assert!(Context::of("votre Téléphone :".as_bytes()).has(Context::PHONE));
    }

    #[test]
    fn labels_of_masked_numbers_say_nothing_in_text() {
        for text in ["[phone]", "x [phone], <ssn> ", "<phone> [x]", "[phone][ssn]"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::NONE, "{text}");
        }
        for text in ["phone [x]", "[x] phone", "user[phone]", "[phone", "phone]", "<[phone"] {
            assert_eq!(Context::of_text(text.as_bytes()).0, Context::PHONE, "{text}");
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

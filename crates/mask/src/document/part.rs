//! Masks some values of a JSON body and leaves all else byte for byte: the text of a request.

use super::cursor::Cursor;
use super::{Pass, Way};
use crate::found::{Masked, Tally};
use crate::kept::Kept;
use crate::kind::{Kind, Kinds};
use crate::masks::Masks;
use crate::unmaskable::Unmaskable;
use crate::view::unescaped;
use std::ops::Range;

/// Masks what stands at `parts` of a JSON object, which are JSON pointers (RFC 6901) to members of objects, without escapes, such
/// as `/query` and `/documents`. Nothing is taken out: what a mask would drop becomes a label, so that the items of an array, and
/// their number, stay what they are. Pointers in findings and field rules are from the top of the body.
///
/// # Errors
/// A body that is no JSON object in UTF-8, or whatever [`mask_json`](super::mask_json) refuses of one of the parts.
pub fn mask_parts(body: &[u8], parts: &[&str], masks: &Masks) -> Result<Masked, Unmaskable> {
    mask_parts_within(body, parts, masks, usize::MAX)
}

/// As [`mask_parts`], of which at most `most` bytes may come out. Masking stops as soon as more would.
///
/// # Errors
/// As [`mask_parts`], and where more than `most` bytes would come out.
pub fn mask_parts_within(body: &[u8], parts: &[&str], masks: &Masks, most: usize) -> Result<Masked, Unmaskable> {
    let text = std::str::from_utf8(body).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    let mut finder = Finder { cursor: Cursor { text, at: 0 }, parts, found: Vec::new() };
    finder.whole()?;
    // An item that is to be masked is masked by itself, and the array around it stays.
    let kept = Kept::compile(&["/*"]).unwrap_or_default();
    let mut tally = Tally::default();
    let mut written = Vec::new();
    let mut copied = 0;
    for (part, range) in finder.found {
        let value = text.get(range.clone()).ok_or(Unmaskable::Malformed { at: range.start })?;
        let mut pass = Pass::new(value, way(part, masks), masks, &kept, &[], most);
        pass.prefix = part;
        pass.keeps_shape = true;
        pass.tally = tally;
        pass.value_and_end()?;
        tally = pass.tally;
        if let Some(masked) = pass.output.finish()? {
            if written.is_empty() {
                written.reserve(body.len());
            }
            written.extend_from_slice(body.get(copied..range.start).unwrap_or_default());
            written.extend_from_slice(&masked);
            copied = range.end;
            if written.len() > most {
                return Err(Unmaskable::Grows { most });
            }
        }
    }
    masks.let_pass(&tally)?;
    if copied > 0 {
        written.extend_from_slice(body.get(copied..).unwrap_or_default());
        if written.len() > most {
            return Err(Unmaskable::Grows { most });
        }
    }
    Ok(Masked::new((copied > 0).then_some(written), tally))
}

/// Which of the kinds that `masks` finds stand in some parts of a JSON body, each as a look for it alone would tell: one look for all
/// of them, and few more where something is found that others could hide in. Fields and patterns are not asked.
///
/// # Errors
/// As [`mask_parts`].
pub fn kinds_in(body: &[u8], parts: &[&str], masks: &Masks) -> Result<Vec<Kind>, Unmaskable> {
    let text = std::str::from_utf8(body).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    let mut finder = Finder { cursor: Cursor { text, at: 0 }, parts, found: Vec::new() };
    finder.whole()?;
    let kept = Kept::default();
    let look = |kinds: Kinds| -> Result<Kinds, Unmaskable> {
        let mut seen = Kinds::default();
        for (part, range) in &finder.found {
            let value = text.get(range.clone()).ok_or(Unmaskable::Malformed { at: range.start })?;
            let mut pass = Pass::new(value, way(part, masks), masks, &kept, &[], usize::MAX);
            pass.prefix = part;
            pass.masker.only_looks = Some(kinds);
            pass.value_and_end()?;
            seen = seen.and(pass.masker.seen());
        }
        Ok(seen)
    };
    let wanted = masks.kinds();
    let hiding: Kinds = HIDING.into_iter().collect();
    let mut seen = Kinds::default();
    // Looked for without those that others could hide in, until none of these is new.
    loop {
        let left = wanted.without(seen);
        let new = if left.is_empty() { left } else { look(left)? };
        seen = seen.and(new);
        if !new.meets(hiding) {
            break;
        }
    }
    Ok(Kind::ALL.iter().copied().filter(|kind| seen.has(*kind)).collect())
}

/// The kinds whose findings the detectors of others do not look into.
const HIDING: [Kind; 22] = [
    Kind::Phone,
    Kind::Email,
    Kind::UrlCredentials,
    Kind::MacAddress,
    Kind::IpAddress,
    Kind::Iban,
    Kind::PrivateKey,
    Kind::Jwt,
    Kind::ApiKey,
    Kind::UsMbi,
    Kind::UsDea,
    Kind::UkNino,
    Kind::DeIdCard,
    Kind::FrNir,
    Kind::EsNif,
    Kind::BrCnpj,
    Kind::ItCodiceFiscale,
    Kind::SePersonnummer,
    Kind::FiHetu,
    Kind::InPan,
    Kind::SgNric,
    Kind::Vin,
];

/// What is known of the way to a part, but for its place.
fn way(part: &str, masks: &Masks) -> Way {
    part.split('/').skip(1).fold(Way::default(), |way, name| Way {
        field: masks.fields().map(|fields| fields.member(way.field, fields.class(name))).unwrap_or_default(),
        ..way.member(masks.context_of(name.as_bytes()))
    })
}

/// Looks for parts of a body, in the order they stand.
struct Finder<'a> {
    cursor: Cursor<'a>,
    parts: &'a [&'a str],
    found: Vec<(&'a str, Range<usize>)>,
}

impl Finder<'_> {
    fn whole(&mut self) -> Result<(), Unmaskable> {
        self.cursor.skip_space();
        self.object("")?;
        if self.cursor.skip_space().is_none() { Ok(()) } else { Err(self.cursor.malformed()) }
    }

    /// Reads an object on the way to a part: as deep as parts go.
    fn object(&mut self, way: &str) -> Result<(), Unmaskable> {
        self.expect(b'{')?;
        if self.cursor.skip_space() == Some(b'}') {
            self.cursor.at += 1;
            return Ok(());
        }
        loop {
            self.cursor.skip_space();
            if self.cursor.byte() != Some(b'"') {
                return Err(self.cursor.malformed());
            }
            let (name, _) = self.cursor.string_end()?;
            let way = format!("{way}/{}", unescaped(self.cursor.text.get(name).unwrap_or_default()));
            self.cursor.skip_space();
            self.expect(b':')?;
            self.cursor.skip_space();
            self.member(&way)?;
            match self.cursor.skip_space() {
                Some(b',') => self.cursor.at += 1,
                _ => return self.expect(b'}'),
            }
        }
    }

    fn member(&mut self, way: &str) -> Result<(), Unmaskable> {
        let leads_on = |part: &&str| part.strip_prefix(way).is_some_and(|rest| rest.starts_with('/'));
        if let Some(part) = self.parts.iter().copied().find(|part| *part == way) {
            let start = self.cursor.at;
            self.cursor.value_end()?;
            self.found.push((part, start..self.cursor.at));
            Ok(())
        } else if self.cursor.byte() == Some(b'{') && self.parts.iter().any(leads_on) {
            self.object(way)
        } else {
            self.cursor.value_end()
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unmaskable> {
        if self.cursor.byte() != Some(byte) {
            return Err(self.cursor.malformed());
        }
        self.cursor.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rule;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn kinds_are_told_of_findings_too_that_yield_to_others() {
        let body = br#"{"query":"phone 4111 1111 1111 1111","documents":[{"n":4111111111111111},"ann@example.org"]}"#;
        let masks = masks(Kind::ALL, &[], "[{kind}]");
        let found = kinds_in(body, &["/query", "/documents"], &masks).unwrap();
        assert!(found.contains(&Kind::CreditCard) && found.contains(&Kind::Email), "{found:?}");
        assert!(!found.contains(&Kind::Iban), "{found:?}");
        assert_eq!(kinds_in(body, &["/documents", "/user"], &self::masks(&[Kind::Iban], &[], "x")).unwrap(), []);
        assert!(kinds_in(b"{", &["/query"], &masks).is_err());
    }

    proptest! {
        /// What rules ask for is told of all kinds together, and nothing is missed that a look for one alone tells.
        #[test]
        fn kinds_sought_together_are_those_found_by_a_look_for_each(
            words in proptest::collection::vec(prop::sample::select(&[
                "4111 1111 1111 1111", "ann@example.org", "+49 30 901820", "219-45-6789", "DE89 3704 0044 0532 0130 00", "tel", "ssn",
                "192.168.10.21", "::1", "12/31/1999", "born", "4111111111111111", "phone", "536-22-8726", "415-555-0132", ",", "1:f:", "12 30",
                "AKIAIOSFODNN7EXAMPLE", "DEUTDEFF", "passport", "C01X00T47", "7f3a", "9",
            ][..]), 0..12),
            glue in prop::sample::select(&[" ", "-", ""][..]),
        ) {
            let body = json!({"query": words.join(glue), "documents": [{"ssn": words.first(), "t": words}]}).to_string();
            let parts = ["/query", "/documents"];
            let together = kinds_in(body.as_bytes(), &parts, &masks(Kind::ALL, &[], "[{kind}]")).unwrap();
            for kind in Kind::ALL {
                let alone = mask_parts(body.as_bytes(), &parts, &masks(&[*kind], &[], "[{kind}]"));
                let alone = alone.map_or(true, |masked| !masked.found().is_empty());
                prop_assert!(together.contains(kind) || !alone, "{:?} in {}", kind, &body);
            }
        }
    }

    fn masks(detect: &[Kind], fields: &[&str], replace: &str) -> Masks {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Masks::compile(&[("m", &Rule { fields, ..Rule::detecting(detect, replace) })]).unwrap()
    }

    fn mask(body: &str, masks: &Masks) -> (String, Vec<(String, u32, Vec<String>)>) {
        let masked = mask_parts(body.as_bytes(), &["/query", "/documents"], masks).unwrap();
        let (new, found) = masked.into_parts();
        let told = found.into_iter().map(|one| (one.kind.name().to_owned(), one.count, one.pointers)).collect();
        (new.map_or(body.to_owned(), |new| String::from_utf8(new).unwrap()), told)
    }

    #[test]
    fn only_the_text_of_a_request_is_touched() {
        let body = r#" {"model": "ann@example.org", "qu\u0065ry" : "who is ann@example.org?" ,"documents":["a", "+49 30 901820",
            {"n": 4111111111111111, "t": "x"}], "top_n" : 1.50e0,"user":"bob@example.org"} "#;
        let (masked, told) = mask(body, &masks(Kind::ALL, &[], "[{kind}]"));
        let wanted = r#" {"model": "ann@example.org", "qu\u0065ry" : "who is [email]?" ,"documents":["a", "[phone]",
            {"n": "[credit_card]", "t": "x"}], "top_n" : 1.50e0,"user":"bob@example.org"} "#;
        assert_eq!(masked, wanted);
        let pointers = |at: usize| told[at].2.join(" ");
        assert_eq!([pointers(0), pointers(1), pointers(2)], ["/documents/2/n", "/query", "/documents/1"]);
    }

    #[test]
    fn no_document_is_taken_out_and_none_changes_its_place() {
        let drop = masks(&[Kind::Email], &["ssn", "/documents/*/secret"], "{drop}");
        let body = r#"{"query":"a@b.de","documents":["a@b.de",{"ssn":1,"secret":[1],"t":"{\"ssn\":\"2\"}"},"c"]}"#;
        let wanted = r#"{"query":"[email]","documents":["[email]",{"ssn":"[field]","secret":"[field]","t":"{\"ssn\":\"[field]\"}"},"c"]}"#;
        assert_eq!(mask(body, &drop).0, wanted);
        for rule in ["documents", "/documents", "/documents/*", "/*"] {
            let (masked, _) = mask(r#"{"query":"q","documents":["a",{"b":1}]}"#, &masks(&[], &[rule], "[{kind}]"));
            let masked: Value = serde_json::from_str(&masked).unwrap();
            assert_eq!(masked["documents"], json!(["[field]", "[field]"]), "{rule}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in
            ["", "[]", "{", r#"{"query":}"#, r#"{"query":"q",}"#, r#"{"query":"q"} x"#, r#"{"a":[1,],"query":"q"}"#]
        {
            assert!(mask_parts(body.as_bytes(), &["/query"], &Masks::default()).is_err(), "{body}");
        }
        assert!(mask_parts(b"{\"query\":\"\xff\"}", &["/query"], &Masks::default()).is_err());
    }

    #[test]
    fn parts_may_stand_deeper() {
        let masks = masks(&[Kind::Email], &[], "[{kind}]");
        let body = br#"{"query":{"text":"a@b.de","x":"a@b.de"},"passages":[{"text":"a@b.de"}]}"#;
        let masked = mask_parts(body, &["/query/text", "/passages"], &masks).unwrap();
        let wanted = br#"{"query":{"text":"[email]","x":"a@b.de"},"passages":[{"text":"[email]"}]}"#;
        assert_eq!(masked.body().unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn all_but_the_parts_stays_and_documents_keep_their_number(
            documents in proptest::collection::vec("[a-z@. ]{0,12}", 0..6), model in "[a-z@.]{0,10}", query in "[a-z@. ]{0,12}",
        ) {
            let before = json!({"model": model, "documents": documents, "query": query, "top_n": 3});
            let (masked, _) = mask(&before.to_string(), &masks(Kind::ALL, &[], "{drop}"));
            let after: Value = serde_json::from_str(&masked).unwrap();
            prop_assert_eq!((&after["model"], &after["top_n"]), (&before["model"], &before["top_n"]));
            prop_assert_eq!(after["documents"].as_array().unwrap().len(), documents.len());
            prop_assert!(after["documents"].as_array().unwrap().iter().all(Value::is_string));
        }
    }
}

//! How good the detectors are on other people's labelled texts. Skipped, with a line saying so, where those are absent.

use super::detect::{self, Context};
use super::kind::{Kind, Kinds};
use super::{Kept, Masks, Rule, mask_json};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// The text of a corpus file, or a line saying that it is absent.
fn corpus(name: &str) -> Option<String> {
    let shared = std::env::var("RERANK_GUARD_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    // As it is said from the repository's top, wherever this crate stands in it.
    let top = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let read = std::fs::read_to_string(top.join(shared).join("data/pii").join(name));
    if read.is_err() {
        println!("skipped: no corpus {name} in ../shared");
    }
    read.ok()
}

#[derive(Deserialize)]
struct Labelled {
    full_text: String,
    spans: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    entity_type: String,
    start_position: usize,
    end_position: usize,
}

/// Counts for one kind: labelled, of these found, findings, of these labelled so.
#[derive(Default)]
struct Score {
    labelled: usize,
    met: usize,
    found: usize,
    right: usize,
}

impl Score {
    fn recall(&self) -> f64 {
        self.met as f64 / self.labelled.max(1) as f64
    }

    fn precision(&self) -> f64 {
        self.right as f64 / self.found.max(1) as f64
    }
}

/// The kinds that Presidio has a recognizer for too.
fn kind_of(entity: &str) -> Option<Kind> {
    Some(match entity {
        "ABA_ROUTING_NUMBER" => Kind::UsAba,
        "AU_ABN" => Kind::AuAbn,
        "AU_MEDICARE" => Kind::AuMedicare,
        "AU_TFN" => Kind::AuTfn,
        "CA_SIN" => Kind::CaSin,
        "CREDIT_CARD" => Kind::CreditCard,
        "CRYPTO" => Kind::CryptoAddress,
        "DATE_TIME" => Kind::DateOfBirth,
        "DE_ID_CARD" | "DE_PASSPORT" => Kind::DeIdCard,
        "DE_TAX_ID" => Kind::DeTaxId,
        "EMAIL_ADDRESS" => Kind::Email,
        "ES_NIE" | "ES_NIF" => Kind::EsNif,
        "FI_PERSONAL_IDENTITY_CODE" => Kind::FiHetu,
        "IBAN_CODE" => Kind::Iban,
        "IN_AADHAAR" => Kind::InAadhaar,
        "IN_PAN" => Kind::InPan,
        "IP_ADDRESS" => Kind::IpAddress,
        "IT_FISCAL_CODE" => Kind::ItCodiceFiscale,
        "KR_RRN" => Kind::KrRrn,
        "MAC_ADDRESS" => Kind::MacAddress,
        "MEDICAL_LICENSE" => Kind::UsDea,
        "NG_NIN" => Kind::NgNin,
        "PHONE_NUMBER" => Kind::Phone,
        "PL_PESEL" => Kind::PlPesel,
        "SE_PERSONNUMMER" => Kind::SePersonnummer,
        "SG_NRIC_FIN" => Kind::SgNric,
        "TH_TNIN" => Kind::ThNationalId,
        "TR_NATIONAL_ID" => Kind::TrKimlik,
        "UK_NHS" => Kind::UkNhs,
        "UK_NINO" => Kind::UkNino,
        "US_DRIVER_LICENSE" | "UK_DRIVING_LICENCE" | "IT_DRIVER_LICENSE" => Kind::DrivingLicence,
        "US_ITIN" => Kind::UsItin,
        "US_MBI" => Kind::UsMbi,
        "US_NPI" => Kind::UsNpi,
        "US_PASSPORT" | "UK_PASSPORT" | "ES_PASSPORT" | "IT_PASSPORT" => Kind::Passport,
        "US_SSN" => Kind::UsSsn,
        "ZA_ID_NUMBER" => Kind::ZaId,
        _ => return None,
    })
}

fn score(set: &[Labelled]) -> BTreeMap<Kind, Score> {
    let mut scores: BTreeMap<Kind, Score> = BTreeMap::new();
    let show = std::env::var("SHOW_MISSES").is_ok();
    for labelled in set {
        let text = &labelled.full_text;
        let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let labels: Vec<(Option<Kind>, Range<usize>)> = labelled
            .spans
            .iter()
            .map(|span| (kind_of(&span.entity_type), offsets[span.start_position]..offsets[span.end_position]))
            .collect();
        let found = detect::find(text.as_bytes(), Context::NONE, Kinds::all());
        let overlap = |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
        for (kind, label) in &labels {
            let Some(kind) = *kind else { continue };
            let met = found.iter().any(|span| span.kind == kind && overlap(&(span.start..span.end), label));
            let score = scores.entry(kind).or_default();
            score.labelled += 1;
            score.met += usize::from(met);
            if show && !met && kind != Kind::DateOfBirth {
                println!("missed {kind:?} at {label:?} of: {text}");
            }
        }
        for span in found {
            let right =
                labels.iter().any(|(kind, label)| *kind == Some(span.kind) && overlap(&(span.start..span.end), label));
            let score = scores.entry(span.kind).or_default();
            score.found += 1;
            score.right += usize::from(right);
            if show && !right {
                println!(
                    "wrong {:?} {:?} at {}..{} of: {text}",
                    span.kind,
                    text.get(span.start..span.end).unwrap(),
                    span.start,
                    span.end
                );
            }
        }
    }
    scores
}

#[test]
fn the_labelled_set_is_found_as_well_as_promised() {
    let Some(corpus) = corpus("presidio_research_generated_large.json") else { return };
    let set: Vec<Labelled> = serde_json::from_str(&corpus).unwrap();
    let scores = score(&set);
    println!("{:<16}{:>9}{:>9}{:>9}{:>11}", "kind", "labelled", "recall", "found", "precision");
    for (kind, score) in &scores {
        let (recall, precision) = (score.recall(), score.precision());
        println!("{:<16}{:>9}{recall:>9.3}{:>9}{precision:>11.3}", kind.name(), score.labelled, score.found);
    }
    for (kind, recall, precision) in [
        (Kind::CreditCard, 0.99, 0.99),
        (Kind::Email, 1.0, 0.99),
        (Kind::Iban, 1.0, 1.0),
        (Kind::UsSsn, 1.0, 0.98),
        (Kind::IpAddress, 1.0, 0.99),
        (Kind::Phone, 0.80, 0.90),
    ] {
        let score = &scores[&kind];
        assert!(score.recall() >= recall && score.precision() >= precision, "{kind:?}");
    }
}

#[test]
fn logs_full_of_ids_and_times_have_no_findings_but_the_true_ones() {
    for (name, emails, phones, cards) in
        [("core_100kb_sparse.txt", 9, 9, 0), ("core_10kb_mixed.txt", 4, 4, 2), ("core_1kb_dense.txt", 2, 2, 2)]
    {
        let Some(text) = corpus(&format!("datafog_payloads/{name}")) else { return };
        let masks = Masks::compile(&[("all", &Rule::detecting(Kind::ALL, "[{kind}]"))]);
        let lines: Vec<&str> = text.lines().collect();
        let lines: Vec<String> = lines.chunks(10).map(|lines| lines.join("\n")).collect();
        let body = serde_json::json!({"results": [{"index": 0, "document": {"text": lines}}]}).to_string();
        let masked = mask_json(body.as_bytes(), &masks.unwrap(), &Kept::default(), &[]).unwrap();
        let found: u32 = masked.found().iter().map(|found| found.count).sum();
        assert_eq!(found, u32::try_from(emails + phones + cards).unwrap(), "{name} in a rerank answer");
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        for span in detect::find(text.as_bytes(), Context::NONE, Kinds::all()) {
            *counts.entry(span.kind).or_default() += 1;
        }
        let wanted = [(Kind::CreditCard, cards), (Kind::Email, emails), (Kind::Phone, phones)];
        assert_eq!(counts, wanted.into_iter().filter(|(_, count)| *count > 0).collect(), "{name}");
    }
}

#[derive(Deserialize)]
struct Vector {
    entity: Option<String>,
    text: Option<String>,
    expected_len: Option<usize>,
}

/// Presidio's own strings stand alone; a field name that says what they are stands in for the context most kinds ask for. So a
/// near miss is one in spite of its name.
#[test]
fn presidios_own_strings_are_judged_as_it_judges_them() {
    let Some(corpus) = corpus("presidio_recognizer_vectors.jsonl") else { return };
    let show = std::env::var("SHOW_MISSES").is_ok();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for line in corpus.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let Some(entity) = vector.entity else { continue };
        // Dates of birth are found only as such; Presidio's are any date.
        let Some(kind) = kind_of(&entity).filter(|kind| *kind != Kind::DateOfBirth) else { continue };
        // Numbers of passports and licences are one kind for all countries: what is none in one can be one in another.
        let papers = matches!(kind, Kind::Passport | Kind::DrivingLicence);
        if papers && vector.expected_len == Some(0) {
            continue;
        }
        let (Some(text), Some(expected)) = (vector.text, vector.expected_len) else { continue };
        let spans = detect::find(text.as_bytes(), Context::of_kind(kind), [kind].into_iter().collect());
        let same = spans.is_empty() == (expected == 0);
        let [agreed, all] = counts.entry(entity.clone()).or_default();
        *agreed += usize::from(same);
        *all += 1;
        if show && !same {
            println!("{}: wanted {}, found {}: {:?}", entity, expected, spans.len(), text);
        }
    }
    for (entity, [agreed, all]) in &counts {
        println!("{entity:<28}{agreed:>5} of {all:>4}");
    }
    let (agreed, all) = counts.values().fold((0, 0), |(a, b), [agreed, all]| (a + agreed, b + all));
    println!("{:<28}{agreed:>5} of {all:>4}", "together");
    assert!(agreed as f64 / all as f64 >= 0.97, "{agreed} of {all}");
}

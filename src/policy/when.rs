//! Conditions that no index can hold: claims of the caller, hours of the week, and signals of risk in what is asked and how often.

use super::Question;
use super::facts::{Claims, Novelty};
use super::terms::Terms;
use crate::diagnostic::{Flaw, Spot};
use crate::mask::{self, Kind, Masks};
use crate::time::Time;
use crate::wording::nearest;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// When a rule counts, beyond its selectors. All of it must hold. An allow may have `claims`, `hours` and `outside_hours` only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
pub struct When {
    /// Claims of the caller and the values that hold, compared as text: the claim is one of them or a list with one of them.
    /// A name that begins with `/` is a JSON Pointer (RFC 6901). A claim that is missing, or is neither text, truth value nor
    /// integer, holds for a deny and a guard and does not for an allow: nothing is escaped by leaving it out.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"minLength": 1}, "additionalProperties" = {"type": "array", "items": {"type": "string"}, "minItems": 1})))]
    pub claims: BTreeMap<String, Vec<String>>,
    /// Only in these hours.
    pub hours: Option<Hours>,
    /// Only outside of these hours.
    pub outside_hours: Option<Hours>,
    /// Only calls with more documents than this.
    pub documents_above: Option<u64>,
    /// Only calls with a longer query than this, in bytes.
    pub query_bytes_above: Option<u64>,
    /// Only calls with a document of more bytes than this.
    pub document_bytes_above: Option<u64>,
    /// Only calls that ask for more results than this.
    pub top_n_above: Option<u64>,
    /// Only calls in which personal data of one of these kinds is found, in the query, the documents or the parameters. Texts are read
    /// only where an allow would let the call through.
    pub pii: Option<Vec<Kind>>,
    /// Only calls with one of these terms in the query, the documents or the parameters, also as a part of a word. Case, width and
    /// style of letters, their marks, what cannot be seen, white space and Latin look-alikes make no difference.
    pub terms: Option<Vec<String>>,
    /// Only calls for a model or dataset to which the caller has not yet been let through.
    pub first_use: Option<Novelty>,
    /// Only when the caller makes more calls than this in one minute of the clock, this one counted, whatever became of them.
    pub calls_per_minute_above: Option<u64>,
    /// Only when the caller's calls in one minute of the clock have more documents than this, this one's counted.
    pub documents_per_minute_above: Option<u64>,
}

impl When {
    /// Whether it is one of its hours. Claims are not asked.
    #[must_use]
    pub fn has_hour(&self, now: Time) -> bool {
        let hours = Self { claims: BTreeMap::new(), ..self.clone() };
        hours == Self::default()
            || Self::check(&hours).is_some_and(|condition| condition.holds(&Map::new(), now) == Holds::Yes)
    }

    fn check(&self) -> Option<Condition> {
        Condition::check(self, &Spot::Root, &mut Vec::new())
    }
}

/// Hours of some days, with a fixed distance from UTC: there is no clock change in them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(extend("anyOf" = [{"required": ["days"]}, {"required": ["from"]}, {"required": ["to"]}])))]
pub struct Hours {
    /// `mon` to `sun`; every day without it.
    #[cfg_attr(feature = "schema", schemars(extend("items" = {"enum": DAYS}, "minItems" = 1)))]
    pub days: Option<Vec<String>>,
    /// The first minute, such as `08:00`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::CLOCK)))]
    pub from: Option<String>,
    /// The first minute after, such as `18:00`. Before `from` it is on the next day.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::CLOCK)))]
    pub to: Option<String>,
    /// The distance from UTC, such as `+01:00`; UTC without it.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::OFFSET)))]
    pub offset: Option<String>,
}

/// A checked [`When`].
#[derive(Debug)]
pub(super) struct Condition {
    claims: Vec<(String, Vec<String>)>,
    inside: Option<Week>,
    outside: Option<Week>,
    signals: Signals,
}

/// What must be so of the call, cheap things first.
#[derive(Debug, Default)]
struct Signals {
    /// Documents, bytes of the query, bytes of the largest document, results.
    sizes: [Option<u64>; 4],
    calls: Option<u64>,
    documents: Option<u64>,
    first_use: Option<Novelty>,
    terms: Option<Vec<String>>,
    pii: Option<Vec<Kind>>,
}

/// How a condition stands for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    /// A claim has another value.
    NotTheClaims,
    /// A claim is not there, or cannot be compared.
    UnknownClaims,
    /// It is another time.
    NotTheHours,
    /// The call has not what it asks for.
    NotTheCall,
}

impl Condition {
    /// Checks a condition; None where it has flaws.
    pub(super) fn check(when: &When, place: &Spot<'_>, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let before = flaws.len();
        if *when == When::default() {
            flaws.push(Flaw::new(place, "no condition").hint("name one, or leave `when` out"));
        }
        let section = place.name("claims");
        for (claim, values) in &when.claims {
            if claim.is_empty() || values.is_empty() {
                let hint = "name the claim, and at least one value";
                flaws.push(Flaw::new(section.name(claim), "a claim that nothing holds for").hint(hint));
            }
        }
        let inside = when.hours.as_ref().map(|hours| Week::check(hours, &place.name("hours"), flaws));
        let outside = when.outside_hours.as_ref().map(|hours| Week::check(hours, &place.name("outside_hours"), flaws));
        let claims = when.claims.iter().map(|(claim, values)| (claim.clone(), values.clone())).collect();
        let signals = Signals::check(when, place, flaws);
        (flaws.len() == before).then_some(Self {
            claims,
            inside: inside.flatten(),
            outside: outside.flatten(),
            signals,
        })
    }

    /// Whether the texts of a call have to be read to tell how it stands.
    pub(super) const fn reads(&self) -> bool {
        self.signals.terms.is_some() || self.signals.pii.is_some()
    }

    /// The kinds of personal data that it looks for.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.signals.pii.iter().flatten().copied()
    }

    /// The terms that it looks for.
    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.signals.terms.iter().flatten().map(String::as_str)
    }

    /// How the condition stands for a call. What costs is asked last.
    pub(super) fn stands(&self, question: &Question<'_>) -> Holds {
        match self.holds(question.claims, question.now) {
            Holds::Yes | Holds::UnknownClaims if !self.signals.hold(question) => Holds::NotTheCall,
            held => held,
        }
    }

    /// Whether it asks how often the caller calls.
    pub(super) const fn counts_calls(&self) -> bool {
        self.signals.calls.is_some() || self.signals.documents.is_some()
    }

    /// Whether it asks what the caller has used before.
    pub(super) const fn asks_for_uses(&self) -> bool {
        self.signals.first_use.is_some()
    }

    fn holds(&self, claims: &dyn Claims, now: Time) -> Holds {
        if self.inside.as_ref().is_some_and(|week| !week.has(now))
            || self.outside.as_ref().is_some_and(|week| week.has(now))
        {
            return Holds::NotTheHours;
        }
        let mut holds = Holds::Yes;
        for (claim, values) in &self.claims {
            match found(claims.all(), claim).and_then(|found| one_of(found, values)) {
                Some(true) => {}
                Some(false) => return Holds::NotTheClaims,
                None => holds = Holds::UnknownClaims,
            }
        }
        holds
    }
}

impl When {
    /// The members that an allow cannot have: what cannot be told would grant.
    pub(super) fn signals(&self) -> impl Iterator<Item = &'static str> {
        [
            ("documents_above", self.documents_above.is_some()),
            ("query_bytes_above", self.query_bytes_above.is_some()),
            ("document_bytes_above", self.document_bytes_above.is_some()),
            ("top_n_above", self.top_n_above.is_some()),
            ("pii", self.pii.is_some()),
            ("terms", self.terms.is_some()),
            ("first_use", self.first_use.is_some()),
            ("calls_per_minute_above", self.calls_per_minute_above.is_some()),
            ("documents_per_minute_above", self.documents_per_minute_above.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
    }
}

impl Signals {
    fn check(when: &When, place: &Spot<'_>, flaws: &mut Vec<Flaw>) -> Self {
        let list = place.name("pii");
        let pii = when.pii.as_ref().and_then(|kinds| {
            if kinds.is_empty() {
                flaws.push(Flaw::new(list, "an empty list matches nothing").hint("name a kind, or leave it out"));
                return None;
            }
            let rule = mask::Rule::detecting(kinds, "[{kind}]");
            let masks = Masks::compile(&[("pii", &rule)]);
            let masks = masks.map_err(|refused| flaws.push(Flaw::new(list, refused.to_string())));
            masks.ok().map(|_| kinds.clone())
        });
        let list = place.name("terms");
        if when.terms.as_ref().is_some_and(Vec::is_empty) {
            flaws.push(Flaw::new(list, "an empty list matches nothing").hint("name a term, or leave it out"));
        }
        for (number, term) in when.terms.iter().flatten().enumerate() {
            let is_plain = (2..=128).contains(&term.trim().chars().count()) && term.trim().len() == term.len();
            if !is_plain || !Terms::can_be(term) {
                let flaw = Flaw::new(list.item(number), "no term to look for");
                flaws.push(flaw.hint("write 2 to 128 characters that can be seen, without blanks around them"));
            }
        }
        Self {
            sizes: [when.documents_above, when.query_bytes_above, when.document_bytes_above, when.top_n_above],
            calls: when.calls_per_minute_above,
            documents: when.documents_per_minute_above,
            first_use: when.first_use,
            terms: when.terms.clone(),
            pii,
        }
    }

    /// Whether all of them are there, or cannot be told.
    fn hold(&self, question: &Question<'_>) -> bool {
        let sizes = [question.documents, question.query_bytes, question.document_bytes, question.top_n];
        let above = |most: Option<u64>, size: Option<u64>| most.is_none_or(|most| size.is_none_or(|size| size > most));
        let facts = question.facts;
        self.sizes.iter().zip(sizes).all(|(most, size)| above(*most, Some(size)))
            && (self.calls.is_none() || above(self.calls, facts.calls_this_minute()))
            && (self.documents.is_none() || above(self.documents, facts.documents_this_minute()))
            && self.first_use.is_none_or(|of| facts.is_first_use(of))
            && self.terms.as_ref().is_none_or(|terms| facts.has_term(terms))
            && self.pii.as_ref().is_none_or(|kinds| facts.has_kind(kinds))
    }
}

fn found<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(pointer) = name.strip_prefix('/') else { return claims.get(name) };
    let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
    let top = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    rest.map_or(Some(top), |rest| top.pointer(&format!("/{rest}")))
}

/// None where it cannot be said.
fn one_of(found: &Value, values: &[String]) -> Option<bool> {
    match found {
        Value::String(text) => Some(values.contains(text)),
        Value::Bool(_) => Some(values.contains(&found.to_string())),
        Value::Number(number) if !number.is_f64() => Some(values.contains(&found.to_string())),
        Value::Array(items) => {
            let mut known = Some(false);
            for item in items {
                match item {
                    Value::Array(_) => known = None,
                    item => match one_of(item, values) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = None,
                    },
                }
            }
            known
        }
        _ => None,
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u64 = 86_400_000;

#[derive(Debug)]
struct Week {
    /// Monday first.
    days: [bool; 7],
    /// Milliseconds of the day; the second one is after the first, on the next day if need be.
    from: u64,
    to: u64,
    /// Milliseconds to add to UTC, a day more so that it is never negative.
    shift: u64,
}

impl Week {
    fn check(hours: &Hours, place: &Spot<'_>, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let before = flaws.len();
        let mut days = [hours.days.is_none(); 7];
        let list = place.name("days");
        for (number, name) in hours.days.iter().flatten().enumerate() {
            match DAYS.iter().position(|day| day == name).and_then(|day| days.get_mut(day)) {
                Some(day) => *day = true,
                None => {
                    let flaw = Flaw::new(list.item(number), format!("`{}` is no day", name.escape_debug()));
                    flaws.push(flaw.hint(nearest(name, DAYS).map_or_else(
                        || format!("known here: {}", DAYS.join(", ")),
                        |meant| format!("did you mean `{meant}`?"),
                    )));
                }
            }
        }
        if hours.days.as_ref().is_some_and(Vec::is_empty) {
            flaws.push(Flaw::new(list, "an empty list matches nothing").hint("name a day, or leave it out"));
        }
        let mut minute = |name: &str, text: &Option<String>, otherwise: u64| match text.as_deref() {
            None => otherwise,
            Some(text) => clock(text).unwrap_or_else(|| {
                flaws.push(Flaw::new(place.name(name), "no time of day").hint("write `08:00`, in quotes"));
                otherwise
            }),
        };
        let (from, mut to) = (minute("from", &hours.from, 0), minute("to", &hours.to, DAY));
        if hours.days.is_none() && hours.from.is_none() && hours.to.is_none() {
            flaws.push(Flaw::new(place, "no hours").hint("name `days`, or `from` and `to`"));
        } else if from == to {
            flaws.push(Flaw::new(place.name("to"), "ends when it begins").hint("leave both out for a whole day"));
        } else if to < from {
            to = to.saturating_add(DAY);
        }
        let shift = match hours.offset.as_deref() {
            None | Some("Z") => DAY,
            Some(text) => offset(text).unwrap_or_else(|| {
                flaws.push(
                    Flaw::new(place.name("offset"), "no distance from UTC").hint("write `+01:00`, `-05:30` or `Z`"),
                );
                DAY
            }),
        };
        (flaws.len() == before).then_some(Self { days, from, to, shift })
    }

    fn has(&self, now: Time) -> bool {
        let local = now.0.saturating_add(self.shift);
        // 1970-01-01 was a Thursday, and the shift is a day too long: so day 0 here is a Wednesday.
        let (day, time) = (local / DAY % 7 + 2, local % DAY);
        let on = |day: u64| usize::try_from(day % 7).ok().and_then(|day| self.days.get(day)) == Some(&true);
        let today = on(day) && (self.from..self.to).contains(&time);
        let since_yesterday = on(day + 6) && (self.from..self.to).contains(&time.saturating_add(DAY));
        today || since_yesterday
    }
}

/// Milliseconds of `08:00`.
fn clock(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: u64| -> Option<u64> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number <= most)
    };
    Some((number(hour, 23)? * 60 + number(minute, 59)?) * 60_000)
}

fn offset(text: &str) -> Option<u64> {
    if let Some(ahead) = text.strip_prefix('+') {
        return clock(ahead)?.checked_add(DAY);
    }
    DAY.checked_sub(clock(text.strip_prefix('-')?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(when: Value) -> Result<Condition, Vec<String>> {
        let mut flaws = Vec::new();
        let condition = Condition::check(&serde_json::from_value(when).unwrap(), &Spot::Root, &mut flaws);
        condition.ok_or_else(|| flaws.iter().map(ToString::to_string).collect())
    }

    /// Weekdays from `date -u -d … +%a`.
    #[test]
    fn hours_are_those_of_the_place_and_go_over_midnight() {
        let office =
            json!({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "offset": "+01:00"});
        let night = json!({"days": ["fri"], "from": "22:00", "to": "06:00"});
        let west = json!({"days": ["sun"], "offset": "-05:30"});
        for (hours, at, holds) in [
            (&office, "2026-11-23T07:00:00Z", true), // a Monday
            (&office, "2026-11-23T06:59:59.999Z", false),
            (&office, "2026-11-23T16:59:59.999Z", true),
            (&office, "2026-11-23T17:00:00Z", false),
            (&office, "2026-11-22T12:00:00Z", false), // a Sunday
            (&night, "2026-11-27T21:59:00Z", false),  // a Friday
            (&night, "2026-11-27T22:00:00Z", true),
            (&night, "2026-11-28T05:59:00Z", true),
            (&night, "2026-11-28T06:00:00Z", false),
            (&night, "2026-11-28T22:00:00Z", false),
            (&night, "2026-11-27T03:00:00Z", false),
            (&west, "2026-11-22T05:29:00Z", false),
            (&west, "2026-11-22T05:30:00Z", true),
            (&west, "2026-11-23T05:29:00Z", true),
            (&west, "2026-11-23T05:30:00Z", false),
            (&json!({"days": ["thu"]}), "1970-01-01", true),
        ] {
            let now = Time::parse(at).unwrap();
            let inside = condition(json!({"hours": hours})).unwrap().holds(&Map::new(), now) == Holds::Yes;
            let outside = condition(json!({"outside_hours": hours})).unwrap().holds(&Map::new(), now) == Holds::Yes;
            assert_eq!((inside, outside), (holds, !holds), "{hours} at {at}");
        }
    }

    #[test]
    fn claims_are_compared_and_what_cannot_be_compared_is_unknown() {
        let when = json!({"claims": {"dept": ["hr", "7", "true"], "/realm/roles": ["lead"]}});
        let condition = condition(when).unwrap();
        for (claims, holds) in [
            (json!({"dept": "hr", "realm": {"roles": ["x", "lead"]}}), Holds::Yes),
            (json!({"dept": 7, "realm": {"roles": "lead"}}), Holds::Yes),
            (json!({"dept": [null, true], "realm": {"roles": ["lead"]}}), Holds::Yes),
            (json!({"dept": "HR", "realm": {"roles": ["lead"]}}), Holds::NotTheClaims),
            (json!({"dept": [], "realm": {"roles": ["lead"]}}), Holds::NotTheClaims),
            (json!({"dept": "hr", "realm": {}}), Holds::UnknownClaims),
            (json!({"dept": "hr", "realm": {"roles": {"lead": 1}}}), Holds::UnknownClaims),
            (json!({"dept": 7.5, "realm": {"roles": ["lead"]}}), Holds::UnknownClaims),
            (json!({"dept": [["hr"]], "realm": {"roles": ["lead"]}}), Holds::UnknownClaims),
            (json!({"dept": "x"}), Holds::NotTheClaims),
            (json!({}), Holds::UnknownClaims),
        ] {
            assert_eq!(condition.holds(claims.as_object().unwrap(), Time(0)), holds, "{claims}");
        }
    }

    #[test]
    fn impossible_conditions_are_refused() {
        for (when, flaw) in [
            (json!({}), "the document: no condition"),
            (json!({"claims": {"dept": []}}), "claims.dept: a claim that nothing holds for"),
            (json!({"hours": {}}), "hours: no hours"),
            (json!({"hours": {"days": ["monday"]}}), "hours.days[0]: `monday` is no day"),
            (json!({"hours": {"days": []}}), "hours.days: an empty list"),
            (json!({"hours": {"from": "8:00"}}), "hours.from: no time of day"),
            (json!({"hours": {"to": "24:00"}}), "hours.to: no time of day"),
            (json!({"hours": {"from": "08:00", "to": "08:00"}}), "hours.to: ends when it begins"),
            (json!({"pii": []}), "pii: an empty list"),
            (json!({"terms": []}), "terms: an empty list"),
            (json!({"terms": ["falcon", "x"]}), "terms[1]: no term to look for"),
            (json!({"terms": ["x\u{200b}\u{ad}\u{301}"]}), "terms[0]: no term to look for"),
            (
                json!({"outside_hours": {"from": "08:00", "offset": "CET"}}),
                "outside_hours.offset: no distance from UTC",
            ),
        ] {
            let flaws = condition(when).unwrap_err();
            assert!(flaws.len() == 1 && flaws[0].starts_with(flaw), "{flaws:?}, expected {flaw}");
        }
    }
}

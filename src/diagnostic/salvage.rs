//! Reads a value with everything that does not fit in it. serde stops at the first misfit, so what does not fit is noted and taken out,
//! and the rest is read again.

use super::flaw::{Flaw, Place, Step};
use super::tracked::{self, Words};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value with more flaws than this is not read on: each costs another reading.
const MOST_FLAWS: usize = 128;

/// What could be read of a value.
#[derive(Debug)]
pub(crate) enum Salvaged<T> {
    /// All of it.
    Whole(T),
    /// All but members of unknown names. It is good for finding further flaws, and for nothing else.
    WithoutUnknown(T),
    /// Too little: what is left of a value with flaws would only mislead.
    Nothing,
}

impl<T> Salvaged<T> {
    /// What was read, if nothing had to be taken out of it.
    pub(crate) fn whole(self) -> Option<T> {
        match self {
            Self::Whole(read) => Some(read),
            Self::WithoutUnknown(_) | Self::Nothing => None,
        }
    }
}

/// Reads `value`, which stands at `place`. What does not fit is noted in `flaws` and taken out.
pub(crate) fn salvage<T: DeserializeOwned>(
    words: Words,
    place: impl Fn() -> Place,
    value: &mut Value,
    flaws: &mut Vec<Flaw>,
) -> Salvaged<T> {
    let mut taken = Taken::default();
    let mut only_unknown = true;
    for _ in 0..MOST_FLAWS {
        let misfit = match tracked::try_read(value, words) {
            Ok(read) if taken.places.is_empty() => return Salvaged::Whole(read),
            Ok(read) if only_unknown => return Salvaged::WithoutUnknown(read),
            Ok(_) => return Salvaged::Nothing,
            Err(misfit) => misfit,
        };
        let written = taken.as_written(&misfit.place);
        // A member may be missing only because it was just taken out, or written under a wrong name.
        if !(misfit.is_of_absence() && taken.is_inside(&written)) {
            flaws.push(misfit.flaw(place().join(written.clone()), words));
        }
        only_unknown &= misfit.is_unknown_name();
        if !take_out(value, misfit.place.steps()) {
            return Salvaged::Nothing;
        }
        taken.add(&misfit.place, written);
    }
    Salvaged::Nothing
}

/// What was taken out.
#[derive(Default)]
struct Taken {
    /// As the document counts.
    places: Vec<Place>,
    /// Items, each in the counting of its moment: those behind one that is gone have smaller numbers than in the document.
    items: Vec<Place>,
}

impl Taken {
    fn add(&mut self, place: &Place, written: Place) {
        self.places.push(written);
        if matches!(place.steps(), [.., Step::Item(_)]) {
            self.items.push(place.clone());
        }
    }

    /// Whether something was taken directly out of what stands at `place`.
    fn is_inside(&self, place: &Place) -> bool {
        self.places.iter().any(|taken| taken.steps().split_last().is_some_and(|(_, outer)| outer == place.steps()))
    }

    /// The place in the document of what now stands at `place`.
    fn as_written(&self, place: &Place) -> Place {
        let mut steps = place.steps().to_vec();
        for gone in self.items.iter().rev() {
            let Some((Step::Item(gone), list)) = gone.steps().split_last() else { continue };
            if steps.starts_with(list)
                && let Some(Step::Item(number)) = steps.get_mut(list.len())
                && *number >= *gone
            {
                *number = number.saturating_add(1);
            }
        }
        steps.into_iter().collect()
    }
}

/// Removes what stands at `steps`. False when there is nothing to remove.
fn take_out(value: &mut Value, steps: &[Step]) -> bool {
    match (value, steps) {
        (Value::Object(members), [Step::Name(name)]) => members.remove(name).is_some(),
        (Value::Array(items), [Step::Item(number)]) if *number < items.len() => {
            items.remove(*number);
            true
        }
        (Value::Object(members), [Step::Name(name), rest @ ..]) => {
            members.get_mut(name).is_some_and(|member| take_out(member, rest))
        }
        (Value::Array(items), [Step::Item(number), rest @ ..]) => {
            items.get_mut(*number).is_some_and(|item| take_out(item, rest))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read into")]
    struct Sample {
        name: String,
        from: Option<From>,
        #[serde(default)]
        numbers: Vec<u32>,
        #[serde(default)]
        inner: Vec<Sample>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only read into")]
    enum From {
        Header(String),
        Fixed(String),
    }

    fn told(mut value: Value, words: Words) -> Vec<String> {
        let mut flaws = Vec::new();
        let read = salvage::<Sample>(words, Place::root, &mut value, &mut flaws);
        assert_eq!(matches!(read, Salvaged::Whole(_)), flaws.is_empty(), "{flaws:?}");
        flaws.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_that_does_not_fit_is_told_with_the_place_that_the_document_has_it_at() {
        let value = json!({
            "nam": "x",
            "numbers": ["hunter2", 1, true, 2, -1],
            "from": {"fixd": "x"},
            "inner": [{"name": 1}, {"name": "b", "other": 1}, {}, {"name": "c", "from": {"fixed": "a", "header": "b"}}],
        });
        assert_eq!(
            told(value, Words::Configuration),
            [
                "from.fixd: unknown value `fixd`: did you mean `fixed`?",
                "inner[0].name: found the number 1, expected a text",
                "inner[1].other: unknown field `other`: known here: name, from, numbers, inner",
                "inner[2]: missing field `name`",
                "inner[3].from: found another form, expected one name with its value",
                "nam: unknown field `nam`: did you mean `name`?",
                "numbers[0]: found a text, expected a whole number from 0 to 4294967295",
                "numbers[2]: found `true`, expected a whole number from 0 to 4294967295",
                "numbers[4]: found the number -1, expected a whole number from 0 to 4294967295",
            ]
        );
    }

    #[test]
    fn a_value_without_its_unknown_names_is_read_and_one_with_another_flaw_is_not() {
        for (mut value, is_left) in [(json!({"name": "a", "b": 1}), true), (json!({"name": "a", "numbers": 1}), false)]
        {
            let read = salvage::<Sample>(Words::Configuration, Place::root, &mut value, &mut Vec::new());
            assert_eq!(matches!(read, Salvaged::WithoutUnknown(_)), is_left, "{read:?}");
        }
    }

    #[test]
    fn a_configuration_may_leave_out_by_null_and_a_bundle_may_not() {
        let value = json!({"name": "a", "from": null});
        assert_eq!(told(value.clone(), Words::Configuration), [""; 0]);
        assert_eq!(told(value, Words::Bundle).len(), 1);
    }

    #[test]
    fn a_value_of_nothing_but_flaws_is_not_read_for_ever() {
        let value = json!({"name": "a", "numbers": vec!["x"; 10_000]});
        assert_eq!(told(value, Words::Configuration).len(), MOST_FLAWS);
    }
}

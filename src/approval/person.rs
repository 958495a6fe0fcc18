//! Names of people, in the form in which two of them are compared. What looks alike to people, or to the provider that gave the
//! names, must not count twice, and nobody may approve for themselves under another spelling. So names that differ in case or in
//! blanks around them are one, and a name that could be spelt in two ways that look alike is none at all.

use crate::fold::is_mixed;
use std::fmt;

/// Somebody's name in the one form it is compared in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(String);

/// Shows no name: it is personal data.
impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Person")
    }
}

/// Longer names are none, in bytes.
const MOST: usize = 512;

/// Letters with one spelling each: composed, and no compatibility forms of others (Unicode, UAX #15). Other characters may have a
/// second spelling, or none that can be seen.
const LETTERS: [(char, char); 24] = [
    // Latin, without the ligatures and digraphs that stand for two letters.
    ('\u{c0}', '\u{d6}'),
    ('\u{d8}', '\u{f6}'),
    ('\u{f8}', '\u{131}'),
    ('\u{134}', '\u{13e}'),
    ('\u{141}', '\u{148}'),
    ('\u{14a}', '\u{17e}'),
    ('\u{180}', '\u{1c3}'),
    ('\u{1cd}', '\u{1f0}'),
    ('\u{1f4}', '\u{24f}'),
    ('\u{1e00}', '\u{1e99}'),
    ('\u{1e9e}', '\u{1eff}'),
    // Greek.
    ('\u{386}', '\u{386}'),
    ('\u{388}', '\u{3ce}'),
    // Cyrillic, Armenian.
    ('\u{400}', '\u{481}'),
    ('\u{48a}', '\u{52f}'),
    ('\u{531}', '\u{556}'),
    ('\u{561}', '\u{586}'),
    // Hebrew, Arabic, without points.
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{64a}'),
    // Kana, Han, Hangul.
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fa}'),
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];

impl Person {
    /// None for what is no name that can be told from every other: empty, too long, with characters that do not show or that have
    /// another spelling.
    pub(crate) fn read(name: &str) -> Option<Self> {
        let name = name.trim_matches(' ');
        if name.is_empty() || name.len() > MOST || !name.chars().all(is_plain) || is_mixed(name) {
            return None;
        }
        // Up and down again folds what lower case alone leaves apart: ß and ss, final and other sigma, dotless i.
        let folded = name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        // The dot that is left of a capital I with a dot.
        let mut folded: String = folded.filter(|character| *character != '\u{307}').collect();
        while folded.contains("  ") {
            folded = folded.replace("  ", " ");
        }
        Some(Self(folded))
    }
}

fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') || LETTERS.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_of_several_alphabets_names_nobody() {
        for name in ["l\u{435}a", "\u{430}nn", "\u{3bf}skar", "lea l\u{435}e", "s\u{430}m@example.com"] {
            assert_eq!(Person::read(name), None, "{name}");
        }
        for name in ["\u{43b}\u{435}\u{43d}\u{430}@example.com", "\u{438}\u{432}\u{430}\u{43d} Lee", "\u{c9}va"] {
            assert!(Person::read(name).is_some(), "{name}");
        }
    }

    #[test]
    fn spellings_of_one_name_are_one_person() {
        for (one, other) in [
            ("lea", "LEA"),
            ("lea", " Lea "),
            ("lea  lee", "Lea Lee"),
            ("Lea@Example.com", "lea@example.COM"),
            ("straße", "STRASSE"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("Ирина", "ИРИНА"),
            ("İrem", "irem"),
            ("ırem", "IREM"),
            ("łucja", "ŁUCJA"),
            ("CORP\\lea", "corp\\LEA"),
        ] {
            assert!(Person::read(one).is_some(), "{one}");
            assert_eq!(Person::read(one), Person::read(other), "{one} {other}");
        }
    }

    #[test]
    fn different_names_are_different_people() {
        for (one, other) in
            [("lea", "leah"), ("lea", "léa"), ("müller", "muller"), ("auth0|1", "auth0|2"), ("a b", "ab")]
        {
            assert_ne!(Person::read(one), Person::read(other), "{one} {other}");
        }
    }

    #[test]
    fn what_has_a_second_spelling_or_does_not_show_is_no_name() {
        for name in [
            "",
            "   ",
            "lea\u{200b}",
            "l\u{ad}ea",
            "\u{feff}lea",
            "\u{202e}ael",
            "le\u{301}a",
            "ｌｅａ",
            "𝐥𝐞𝐚",
            "ﬁnn",
            "lea\u{a0}",
            "lea\u{3000}",
            "lea\u{2060}",
            "lea\u{fe0f}",
            "lea\u{e0061}",
            "le\u{34f}a",
            "lea\u{3164}",
            "lea\n",
            "lea\0",
            "lea\u{7f}",
            "l\u{212a}a",
            "ſam",
            "ǆ",
            "\u{1100}\u{1161}",
            &"x".repeat(513),
        ] {
            assert_eq!(Person::read(name), None, "{}", name.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn a_name_in_any_case_is_the_same_person(name in "[ -~À-ÖØ-öĀ-ıĴ-ľА-я가-힣]{1,40}") {
            prop_assert_eq!(Person::read(&name), Person::read(&name.to_uppercase()).or(Person::read(&name)));
            prop_assert_eq!(Person::read(&name), Person::read(&format!("  {} ", name.to_lowercase())).or(Person::read(&name)));
        }

        #[test]
        fn whatever_comes_is_judged_without_a_panic(name in "\\PC{0,60}") {
            let _ = Person::read(&name);
        }
    }
}

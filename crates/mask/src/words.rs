//! The words that operators' own patterns ask for next to a match.

use super::detect::{Context, each_word, each_word_of_text, words_before};
use std::fmt;

/// Words of the operator's own, and which patterns ask for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(
    /// In lower case, sorted.
    Vec<(Box<[u8]>, Context)>,
);

/// Why something is no word to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWord {
    /// There is no letter in it.
    Empty,
    /// Texts and names are read as these words, one by one.
    Several(Vec<String>),
    /// It is longer than 60 bytes.
    Long,
    /// Its pattern has more words than 32.
    Many,
}

impl Words {
    /// The longest word, in bytes.
    const LONGEST: usize = 60;
    /// The most words of one pattern.
    const MOST: usize = 32;

    /// Adds the words of the pattern that `says` stands for.
    ///
    /// # Errors
    /// The first that is no word, and its place among them.
    pub(super) fn add(&mut self, words: &[String], says: Context) -> Result<(), (usize, NoWord)> {
        for (number, word) in words.iter().enumerate() {
            let word = read(word).map_err(|why| (number, why))?;
            if number >= Self::MOST {
                return Err((number, NoWord::Many));
            }
            match self.0.binary_search_by(|(known, _)| known.cmp(&word)) {
                Ok(place) => {
                    if let Some((_, known)) = self.0.get_mut(place) {
                        *known = *known | says;
                    }
                }
                Err(place) => self.0.insert(place, (word, says)),
            }
        }
        Ok(())
    }

    /// Which patterns the words of a name speak for.
    pub(super) fn of(&self, name: &[u8]) -> Context {
        let mut all = Context::NONE;
        if !self.0.is_empty() {
            each_word(name, |word| all = all | self.meaning(word));
        }
        all
    }

    /// Which patterns the words before byte `at` of a text speak for. What stands in place of findings says nothing.
    pub(super) fn before(&self, text: &[u8], at: usize) -> Context {
        self.of_text(words_before(text, at))
    }

    /// Which patterns the words of a text speak for, but for those in brackets that stand in place of findings.
    pub(super) fn of_text(&self, text: &[u8]) -> Context {
        let mut all = Context::NONE;
        each_word_of_text(text, |word| all = all | self.meaning(word));
        all
    }

    fn meaning(&self, word: &[u8]) -> Context {
        let mut lower = [0_u8; Self::LONGEST];
        let Some(lower) = lower.get_mut(..word.len()) else { return Context::NONE };
        for (slot, byte) in lower.iter_mut().zip(word) {
            *slot = byte.to_ascii_lowercase();
        }
        let known = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(lower));
        known.ok().and_then(|place| self.0.get(place)).map_or(Context::NONE, |(_, says)| *says)
    }
}

/// Reads a word as it is looked for: one, in lower case.
fn read(word: &str) -> Result<Box<[u8]>, NoWord> {
    let mut parts = Vec::new();
    each_word(word.as_bytes(), |part| parts.push(String::from_utf8_lossy(part).into_owned()));
    match parts.as_slice() {
        [] => Err(NoWord::Empty),
        [one] if one == word && one.len() <= Words::LONGEST => Ok(word.to_lowercase().into_bytes().into()),
        [one] if one == word => Err(NoWord::Long),
        _ => Err(NoWord::Several(parts)),
    }
}

impl fmt::Display for NoWord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out
                .write_str("it has no letter: write a word that stands before the match or in a name on the way to it"),
            Self::Several(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| format!("`{}`", part.escape_debug())).collect();
                write!(
                    out,
                    "names and texts are read word by word, cut at anything but letters and at `camelCase` humps: write {}",
                    parts.join(" or ")
                )
            }
            Self::Long => write!(out, "a word has {} bytes at most", Words::LONGEST),
            Self::Many => write!(out, "a pattern has {} words at most", Words::MOST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Result<Words, (usize, NoWord)> {
        let mut words = Words::default();
        let all: Vec<_> = all.iter().map(|word| (*word).to_owned()).collect();
        words.add(&all, Context::own(3)).map(|()| words)
    }

    #[test]
    fn words_are_met_in_every_convention_and_only_whole() {
        let words = words(&["badge", "Ausweis", "社員番号", "téléphone"]).unwrap();
        for name in
            ["badge", "badgeNumber", "employee_badge", "BADGE-NO", "userBadge2", "AUSWEIS", "x社員番号", "Téléphone"]
        {
            // A name in another script is one word with the letters it hangs on.
            let wanted = if name == "x社員番号" { Context::NONE } else { Context::own(3) };
            assert_eq!(words.of(name.as_bytes()), wanted, "{name}");
        }
        for name in ["badger", "badges", "xbadge", "bad ge", "", &"a".repeat(100)] {
            assert_eq!(words.of(name.as_bytes()), Context::NONE, "{name}");
        }
        for text in ["[badge]", "<badge>", "[x badge y]"] {
            assert_eq!(words.of_text(text.as_bytes()), Context::NONE, "{text} stands in place of a finding");
            assert_eq!(words.of(text.as_bytes()), Context::own(3), "{text} is a name");
        }
    }

    #[test]
    fn a_word_speaks_for_every_pattern_that_asks_for_it() {
        let mut words = Words::default();
        words.add(&["badge".to_owned(), "id".to_owned()], Context::own(0)).unwrap();
        words.add(&["badge".to_owned()], Context::own(15)).unwrap();
        assert_eq!(words.of(b"badge"), Context::own(0) | Context::own(15));
        assert_eq!(words.of(b"userId"), Context::own(0));
    }

    #[test]
    fn words_count_up_to_forty_bytes_before() {
        let words = words(&["badge"]).unwrap();
        let found = |filler: usize| {
            let text = format!("badge{}X", " ".repeat(filler));
            words.before(text.as_bytes(), text.len() - 1) != Context::NONE
        };
        assert_eq!((found(1), found(35), found(36), found(300)), (true, true, false, false));
        let cut = "x".repeat(30) + "badge" + &" ".repeat(30) + "X";
        assert_eq!(words.before(cut.as_bytes(), cut.len() - 1), Context::NONE, "a word that is cut says nothing");
    }

    #[test]
    fn what_is_no_single_word_is_refused_with_what_to_write() {
        let refused = |word: &str| words(&["badge", word]).map(|_| ()).unwrap_err();
        let several = |parts: &[&str]| (1, NoWord::Several(parts.iter().map(|part| (*part).to_owned()).collect()));
        assert_eq!(refused(""), (1, NoWord::Empty));
        assert_eq!(refused("42"), (1, NoWord::Empty));
        assert_eq!(refused("badge no"), several(&["badge", "no"]));
        assert_eq!(refused("employeeId"), several(&["employee", "Id"]));
        assert_eq!(refused("badge2"), several(&["badge"]));
        assert_eq!(refused(&"a".repeat(61)), (1, NoWord::Long));
        let many: Vec<_> =
            (b'a'..=b'z').flat_map(|one| [format!("{}", one as char), format!("x{}", one as char)]).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(words(&many).map(|_| ()), Err((32, NoWord::Many)));
        assert!(words(many.get(..32).unwrap()).is_ok());
        assert_eq!(several(&["badge", "no"]).1.to_string().split_once(": ").unwrap().1, "write `badge` or `no`");
    }
}

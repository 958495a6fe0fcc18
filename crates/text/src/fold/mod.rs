//! What a text is compared as: its letters without case, marks, forms and whatever cannot be seen.
//!
//! Two spellings that people, models or parsers take for one are one here. By [`By::Letters`] a letter is itself, whatever its case,
//! width or style (`Ｍ`, `𝓶`, `ⓜ`, `ḿ`); by [`By::Looks`] it is, besides, the Latin letter that it looks like (Cyrillic `м`). The
//! tables are Unicode's, see `table.rs`. What they do not know (other scripts' look-alikes, letters drawn by signs) stays as it is.

mod table;

use crate::visible::is_unseen;

/// What makes two letters one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their letters are the same, whatever their case, width or style.
    Letters,
    /// They are, or look like, the same Latin letter.
    Looks,
}

/// Shows `take` the folded characters of `text`, white space as one blank wherever there is some.
pub fn each(text: &str, by: By, mut take: impl FnMut(char)) {
    let mut blank = false;
    let mut shown = |folded: char| {
        let is_blank = folded == ' ';
        if !(is_blank && blank) {
            take(folded);
        }
        blank = is_blank;
    };
    // What the last letters that are not ASCII became, by the last bits of each: most texts have few of them.
    let mut known = [('\0', '\0'); KNOWN];
    for seen in text.chars() {
        if seen.is_ascii() {
            match seen {
                '\t'..='\r' | '\x1c'..='\x1f' => shown(' '),
                _ if is_unseen(seen) => {}
                _ => shown(seen.to_ascii_lowercase()),
            }
            continue;
        }
        match known.get(seen as usize % KNOWN) {
            Some((one, folded)) if *one == seen => shown(*folded),
            _ => {
                let (mut count, mut last) = (0, '\0');
                one(seen, by, &mut |folded| {
                    (count, last) = (count + 1, folded);
                    shown(folded);
                });
                if let (1, Some(place)) = (count, known.get_mut(seen as usize % KNOWN)) {
                    *place = (seen, last);
                }
            }
        }
    }
}

/// A power of two.
const KNOWN: usize = 64;

/// As [`each`], as a text.
pub fn text(text: &str, by: By) -> String {
    let mut folded = String::with_capacity(text.len());
    each(text, by, |one| folded.push(one));
    folded
}

/// What a name is compared as where its case and its looks do not count, but its signs do: `Raw-Secret` is `raw-secret`.
pub fn compared(name: &str) -> String {
    text(&text(name, By::Letters), By::Looks)
}

/// The forms of which one is [`compared`] to that of another name: its capitals may look like others than its small letters.
pub fn forms(name: &str) -> impl Iterator<Item = String> {
    let form = compared(name);
    let other = (!name.is_ascii()).then(|| text(name, By::Looks)).filter(|other| *other != form);
    std::iter::once(form).chain(other)
}

/// What a name is compared as, by those who are lax about names: its letters and digits, by their looks. `Data-Set` is `dataset`.
pub fn name(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    each(name, By::Looks, |one| folded.extend(one.is_alphanumeric().then_some(one)));
    folded
}

/// The text with the letters of Unicode's tags in it (U+E0020 to U+E007E) as those they stand for: nobody sees them, and programs that
/// read on do. None where there are none. [`each`] leaves them out, which is the other way to read them.
pub fn tagged(text: &str) -> Option<String> {
    let letter = |seen: char| match u32::from(seen) {
        code @ 0xe_0020..=0xe_007e => char::from_u32(code - 0xe_0000),
        _ => None,
    };
    text.contains(|seen| matches!(seen, '\u{e0020}'..='\u{e007e}')).then_some(())?;
    Some(text.chars().map(|seen| letter(seen).unwrap_or(seen)).collect())
}

/// Alphabets that have letters in common to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
}

/// The alphabet of a letter, if it has letters that another one has too.
const fn alphabet(letter: char) -> Option<Alphabet> {
    match letter {
        'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Some(Alphabet::Latin),
        '\u{370}'..='\u{3ff}' => Some(Alphabet::Greek),
        '\u{400}'..='\u{52f}' => Some(Alphabet::Cyrillic),
        '\u{531}'..='\u{586}' => Some(Alphabet::Armenian),
        _ => None,
    }
}

/// Whether one word has letters of several alphabets: `lea` with a Cyrillic e. Nobody can tell it from another by its looks.
pub fn is_mixed(name: &str) -> bool {
    name.split(|letter: char| !letter.is_alphabetic()).any(|word| {
        let mut alphabets = word.chars().filter_map(alphabet);
        let first = alphabets.next();
        alphabets.any(|other| Some(other) != first)
    })
}

/// Folds a character that is not ASCII.
fn one(seen: char, by: By, shown: &mut impl FnMut(char)) {
    let code = u32::from(seen);
    if (0x3400..0xa000).contains(&code) {
        // Han, of which no table knows anything.
        return shown(seen);
    }
    if is_hidden(seen) {
        return;
    }
    if (0xac00..0xd7a4).contains(&code) {
        // A syllable of Hangul is two or three letters (The Unicode Standard, section 3.12).
        let at = code - 0xac00;
        let tail = (at % 28 != 0).then_some(0x11a7 + at % 28);
        for letter in [Some(0x1100 + at / 588), Some(0x1161 + at % 588 / 28), tail].into_iter().flatten() {
            char::from_u32(letter).into_iter().for_each(&mut *shown);
        }
        return;
    }
    if let Ok(at) = table::MORE.binary_search_by_key(&code, |(code, _)| *code) {
        return table::MORE.get(at).into_iter().flat_map(|(_, letters)| letters.chars()).for_each(shown);
    }
    let letter = find(table::LETTERS, code);
    let looks = match by {
        By::Letters => None,
        // What is Latin by itself needs no look; another letter is told by its own case first.
        By::Looks if letter.is_some_and(|letter| letter.is_ascii()) => None,
        By::Looks => find(table::LOOKS, code).or_else(|| find(table::LOOKS, letter?.into())),
    };
    match looks.or(letter) {
        Some(folded) => shown(folded),
        None => seen.to_lowercase().for_each(|lower| {
            // The small letter may look like another one.
            if lower == seen || lower.is_ascii() { shown(lower) } else { one(lower, by, shown) }
        }),
    }
}

/// The fold of a code point in a table of runs.
fn find(runs: &[(u32, &str)], code: u32) -> Option<char> {
    let (start, folds) = runs.get(runs.partition_point(|(start, _)| *start <= code).checked_sub(1)?)?;
    folds.chars().nth(usize::try_from(code - start).ok()?)
}

/// What cannot be seen, or stands on the letter before it: the marks that are written over letters of any script, of Arabic and of
/// Hebrew. Marks of other scripts make letters of their own.
pub const fn is_hidden(seen: char) -> bool {
    is_unseen(seen)
        || matches!(seen,
            '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{3099}'..='\u{309c}' | '\u{ff9e}'..='\u{ff9f}' | '\u{fe20}'..='\u{fe2f}'
            | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{610}'..='\u{61a}'
            | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}'..='\u{6e8}'
            | '\u{6ea}'..='\u{6ed}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_the_same_letters_are_one() {
        for spelt in [
            "MERGER",
            "mer\u{200b}ger",
            "mer\u{0}g\u{9f}er",
            "m\u{ad}erger",
            "me\u{2060}r\u{fe0f}ge\u{e0041}r",
            "ｍｅｒｇｅｒ",
            "ＭＥＲＧＥＲ",
            "𝐦𝐞𝐫𝐠𝐞𝐫",
            "𝓜ℯ𝓻ℊℯ𝓻",
            "𝕸𝖊𝖗𝖌𝖊𝖗",
            "𝚖𝚎𝚛𝚐𝚎𝚛",
            "ⓜⓔⓡⓖⓔⓡ",
            "⒨⒠⒭⒢⒠⒭",
            "🅜🄴🅁🅖🇪🇷",
            "m\u{301}e\u{308}r\u{336}g\u{20dd}er",
            "ḿérĝèř",
            "ṁẽṙģęŗ",
            "ᵐᵉʳᵍᵉʳ",
            "ⅿerger",
        ] {
            assert_eq!(text(spelt, By::Letters), "merger", "{spelt}");
            assert_eq!(text(spelt, By::Looks), "merger", "{spelt}");
        }
        for (one, other) in [
            ("STRASSE", "straße"),
            ("ŒUVRE", "œuvre"),
            ("ﬁle", "FILE"),
            ("ΝΗΣΟΣ", "νησος"),
            ("ΝΉΣΟΣ", "νήσος"),
            ("СЛИЯНИЕ", "слияние"),
            ("합병", "\u{1112}\u{1161}\u{11b8}\u{1107}\u{1167}\u{11bc}"),
            ("ガス", "ｶﾞｽ"),
            ("ガス", "カ\u{3099}ス"),
            ("مُحَمَّد", "محمد"),
            ("ﻣﺤﻤﺪ", "محمد"),
            ("合 併", "合\u{3000}\n\t 併"),
            ("non\u{2011}disclosure", "non-disclosure"),
            ("i\u{307}stanbul", "İSTANBUL"),
            ("ŀ", "l"),
        ] {
            assert_eq!(text(one, By::Letters), text(other, By::Letters), "{one} {other}");
        }
    }

    #[test]
    fn letters_of_other_scripts_are_told_by_their_looks() {
        for spelt in
            ["mеrgеr", "МЕRGER", "ΜΕRGΕR", "ᎷᎬᎡᏀᎬᎡ", "ꓟꓰꓣꓖꓰꓣ", "ᴍᴇʀɢᴇʀ", "меrɡeг", "mεrgεr", "𝚳𝚬rg𝚬r", "ⅯƐRGER"]
        {
            let seen = text(spelt, By::Looks);
            assert!(seen == "merger" || spelt.contains('Ɛ'), "{spelt}: {seen}");
        }
        assert_ne!(text("мегдег", By::Letters), "merger");
        assert_eq!((text("Ηη", By::Looks), text("Ηη", By::Letters)), ("hn".to_owned(), "ηη".to_owned()));
    }

    #[test]
    fn other_words_stay_other_words() {
        for other in ["mergers", "emerge r", "merge", "m.erger", "m-erger", "nerger", "合併", "कुम"] {
            assert_ne!(text(other, By::Looks), "merger");
        }
        assert_eq!(text("कुम", By::Looks), "कुम");
        assert_eq!(text(" a\t\u{b}b\u{a0}\u{85} \u{1}c\u{0} ", By::Looks), " a b c ");
    }

    #[test]
    fn names_are_compared_by_letters_and_digits_alone() {
        for spelt in [
            "dataset",
            "Dataset",
            "DATASET",
            "dataſet",
            "data_set",
            "data-set",
            "data.set",
            "data set",
            "dаtаset",
            "d\u{200b}ataset",
            "dataset[]",
            "$dataset",
        ] {
            assert_eq!(name(spelt), "dataset", "{spelt}");
        }
        assert_ne!(name("dataset2"), "dataset");
        assert_ne!(name("datasets"), "dataset");
    }

    #[test]
    fn letters_of_tags_are_read_for_what_they_stand_for() {
        let hidden: String = "merger".chars().map(|letter| char::from_u32(0xe_0000 + letter as u32).unwrap()).collect();
        assert_eq!(tagged(&format!("a{hidden}\u{e007f}")).as_deref(), Some("amerger\u{e007f}"));
        assert_eq!(tagged("merger é 😀"), None);
    }

    /// A name with a letter that looks like one of another alphabet must be told as mixed: both rooms know the same alphabets.
    #[test]
    fn what_looks_latin_belongs_to_an_alphabet_that_is_not_mixed_with_latin() {
        for seen in ('\u{370}'..='\u{58f}').filter(|seen| seen.is_alphabetic()) {
            let looks = text(seen.encode_utf8(&mut [0; 4]), By::Looks);
            if looks.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                assert!(is_mixed(&format!("x{seen}")), "{seen}");
            }
        }
        assert!(!is_mixed("x \u{435}") && is_mixed("xy\u{435}"));
    }

    #[test]
    fn tables_are_in_order_and_apart() {
        for runs in [table::LETTERS, table::LOOKS] {
            let mut end = 0x80;
            for (start, folds) in runs {
                assert!(*start >= end && !folds.is_empty(), "{start:x}");
                end = start + u32::try_from(folds.chars().count()).unwrap();
            }
        }
        assert!(table::MORE.is_sorted_by(|(one, _), (next, _)| one < next));
        assert!(table::MORE.iter().all(|(code, _)| find(table::LETTERS, *code).is_none()));
    }

    /// Otherwise a term could be written in a way in which it is not found.
    #[test]
    fn what_is_folded_stays_as_it_is() {
        for seen in '\0'..=char::MAX {
            for by in [By::Letters, By::Looks] {
                let folded = text(seen.encode_utf8(&mut [0; 4]), by);
                assert_eq!(text(&folded, by), folded, "{seen:?} {by:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_folded_without_a_panic(seen in any::<String>()) {
            let _ = (text(&seen, By::Looks), name(&seen), tagged(&seen));
        }
    }
}

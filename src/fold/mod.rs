//! What a text is compared as: its letters without case, marks, forms and whatever cannot be seen.
//!
//! Two spellings that people, models or parsers take for one are one here. By [`By::Letters`] a letter is itself, whatever its case,
//! width or style (`Ｍ`, `𝓶`, `ⓜ`, `ḿ`); by [`By::Looks`] it is, besides, the Latin letter that it looks like (Cyrillic `м`). The
//! tables are Unicode's, see `table.rs`. What they do not know (other scripts' look-alikes, letters drawn by signs, entities of
//! HTML, per cent encoding) stays as it is.

mod table;

/// What makes two letters one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Letters,
    Looks,
}

/// Shows `take` the folded characters of `text`, white space as one blank wherever there is some.
pub(crate) fn each(text: &str, by: By, mut take: impl FnMut(char)) {
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
                '\t'..='\r' => shown(' '),
                // It cannot be seen.
                '\0'..' ' | '\x7f' => {}
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
pub(crate) fn text(text: &str, by: By) -> String {
    let mut folded = String::with_capacity(text.len());
    each(text, by, |one| folded.push(one));
    folded
}

/// What a name is compared as, by those who are lax about names: its letters and digits, by their looks. `Data-Set` is `dataset`.
pub(crate) fn name(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    each(name, By::Looks, |one| folded.extend(one.is_alphanumeric().then_some(one)));
    folded
}

/// The text that `text` is once escapes of JSON in it are read, as whoever takes it for JSON reads it. However often it was put into
/// strings: any number of `\` counts as one. None where there is no escape of a letter in it.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    text.contains("\\u").then_some(())?;
    let (mut out, mut rest, mut has_changed) = (String::with_capacity(text.len()), text, false);
    // A pair of surrogates is two escapes.
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at_checked(at)?;
        out.push_str(before);
        let letters = escape.trim_start_matches('\\');
        let unit = letters
            .strip_prefix('u')
            .and_then(|digits| digits.get(..4))
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(unit) = unit.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            out.push('\\');
            rest = letters;
            continue;
        };
        has_changed = true;
        rest = letters.get(5..)?;
        match (unit, high.take().filter(|_| before.is_empty())) {
            (0xd800..0xdc00, _) => high = Some(unit),
            (0xdc00..0xe000, Some(high)) => {
                out.extend(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00)));
            }
            _ => out.extend(char::from_u32(unit)),
        }
    }
    out.push_str(rest);
    has_changed.then_some(out)
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

/// What cannot be seen, or stands on the letter before it: joiners, direction marks, variation selectors, tags, fillers, and the
/// marks that are written over letters of any script, of Arabic and of Hebrew. Marks of other scripts make letters of their own.
const fn is_hidden(seen: char) -> bool {
    matches!(seen,
        '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
        | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
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
    fn escapes_are_read_however_deep_they_stand() {
        for (escaped, read) in [
            (r"mer\u0067er", Some("merger")),
            (r"mer\\\u0067er", Some("merger")),
            (r"\uD835\uDC26erger", Some("𝐦erger")),
            (r#"{\"a\":\"\\u006D\u0045rger\"}"#, Some(r#"{\"a\":\"mErger\"}"#)),
            (r"\ud835 \udc26\ud835", Some(" ")),
            (r"C:\users\u00", None),
            (r"\u00e\u00g1\", None),
            ("merger", None),
            ("\\u00é0", None),
        ] {
            assert_eq!(unescaped(escaped).as_deref(), read, "{escaped}");
        }
        // One that makes another one is read when it is read again.
        assert_eq!(unescaped(r"mer\u005cu0067er").and_then(|once| unescaped(&once)).as_deref(), Some("merger"));
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
        fn escapes_are_read_as_serde_reads_them(letters in "[a-z𝐦é]{1,10}") {
            let escaped: String = letters.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(unescaped(&escaped), Some(letters));
        }

        #[test]
        fn whatever_comes_is_folded_without_a_panic(seen in any::<String>()) {
            let _ = (text(&seen, By::Looks), name(&seen), unescaped(&seen));
        }
    }
}

"""Writes crates/text/src/fold/table.rs: what a character is folded to before text is compared. Run it with any Python 3.11 or later, from
the repository's top: `python3 tests/fold_table.py > crates/text/src/fold/table.rs && cargo fmt --all`.

LETTERS are Unicode's compatibility decompositions (NFKD) without their marks, in lower case. LOOKS are letters of other scripts that
look like a Latin letter, from Unicode's confusables (UTS 39), as far as they stand for one letter and their script is written from
left to right with letters alike, and small capitals. A letter is told by its own case: Greek capital eta looks like `h`, small eta like `n`.
"""

import string
import sys
import unicodedata

LOOKS = {
    "a": "АаΑαɑᴀꓮᎪ", "b": "ВвΒƄЬьꞴꓐᏴᏏʙᛒ", "c": "СсϹϲᴄꓚᏟᲃⲤⲥꮯ", "d": "ԁꓓᎠᏧꓒᴅ", "e": "ЕеΕεҽꬲꓰᎬᴇєЄ",
    "f": "ϜꓝꞘꞙꬵքẝꜰƒ", "g": "ԌɡƍցᶃᏀᏳꓖɢ", "h": "НнΗһհᏂᎻꓧⲎʜ", "i": "ІіΙιıɪɩᎥꭵꙇӏⲒꓲ", "j": "ЈјͿϳᎫꓙᴊꞲ",
    "k": "КкΚκᏦꓗⲔᴋ", "l": "Ӏ|ǀƖᏞꓡⳐʟ", "m": "МмΜϺᎷꓟⲘᴍ", "n": "ΝηոռпꓠⲚɴ", "o": "ОоΟοσՕօᴏᴑꬽⲞⲟꓳᲿ", "p": "РрΡρᏢꓑⲢⲣᴘ",
    "q": "ԛգզ", "r": "гᴦƦᎡᏒꓣⲅꭇꭈꮁʀ", "s": "ЅѕՏƽᏕᏚꓢꜱꮪ", "t": "ТтΤτᎢꓔⲦᴛ", "u": "υսՍꞟᴜʋꓴꭎꭒμ", "v": "Ѵѵνᴠꓦꮩ",
    "w": "ԜԝѡաɯωᴡᎳᏔꓪꮃ", "x": "ХхΧχꓫⲬᲾꭓ", "y": "УуΥγүҮɣʏỿᶌꭚᎩᎽꓬⲨ", "z": "ΖᏃꓜᴢꮓ",
}
# Latin letters with a stroke or hook, and two in one, that Unicode does not take apart.
OTHERS = {
    "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ß": "ss", "ı": "i", "ĸ": "k", "ŋ": "n",
    "ƀ": "b", "ɓ": "b", "ƈ": "c", "ɗ": "d", "ɖ": "d", "ɠ": "g", "ǥ": "g", "ɨ": "i", "ɉ": "j", "ƙ": "k", "ɫ": "l", "ƚ": "l", "ɱ": "m", "ɲ": "n",
    "ɳ": "n", "ƥ": "p", "ɋ": "q", "ɍ": "r", "ɽ": "r", "ʂ": "s", "ȿ": "s", "ƭ": "t", "ʈ": "t", "ʉ": "u", "ƴ": "y", "ɏ": "y", "ƶ": "z", "ȥ": "z",
    "ʐ": "z", "ſ": "s", "ς": "σ", "ȼ": "c", "ⱥ": "a", "ɇ": "e", "ꝁ": "k", "ꝑ": "p", "ꞡ": "g", "ꞣ": "k", "ꞥ": "n", "ꞧ": "r", "ꞩ": "s",
}
# Enclosed letters: of those in circles Unicode knows the letter, of these it does not, or puts them in brackets.
ENCLOSED = {chr(start + at): letter for start in (0x249C, 0x1F110, 0x1F150, 0x1F170, 0x1F1E6) for at, letter in enumerate(string.ascii_lowercase)}
# Spaces, hyphens and quotes.
PLAIN = {
    **{chr(code): " " for code in (0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x85)},
    **{chr(code): "-" for code in (*range(0x2010, 0x2016), 0x2043, 0x2212, 0x2E3A, 0x2E3B, 0xFE58, 0xFE63, 0xFF0D, 0x30FB)},
    **{chr(code): "'" for code in (0x2018, 0x2019, 0x201B, 0x2BC, 0xFF07)}, **{chr(code): '"' for code in (0x201C, 0x201D, 0xFF02)},
}
HANGUL, IDEOGRAPHS = range(0xAC00, 0xD7A4), [range(0xF900, 0xFB00), range(0x2F00, 0x2FE0), range(0x2F800, 0x2FA20)]


def letters(char: str) -> str:
    """The fold of a character, by its letters."""
    if char in PLAIN:
        return PLAIN[char]
    apart = unicodedata.normalize("NFKD", ENCLOSED.get(char, char))
    apart = "".join(one for one in apart if unicodedata.category(one) != "Mn").lower()
    apart = "".join(one for one in unicodedata.normalize("NFKD", apart) if unicodedata.category(one) != "Mn")
    apart = "".join(OTHERS.get(one, one) for one in apart)
    return apart if len(apart) < 2 else apart.replace("\u00b7", "").replace("\u02bc", "")


def written(char: str) -> str:
    plain = char.isalnum() and char.isprintable() or char in " -'()/.,+=!?:;*&%$#@~^_`{}|<>[]"
    return char if plain and ord(char) < 0x10000 and not unicodedata.bidirectional(char) in ("R", "AL", "AN") else f"\\u{{{ord(char):x}}}"


def runs(folds: dict[int, str]) -> list[tuple[int, str]]:
    """Those of one character each, in runs of consecutive code points."""
    found: list[tuple[int, str]] = []
    for code in sorted(code for code, fold in folds.items() if len(fold) == 1):
        if found and found[-1][0] + len(found[-1][1]) == code and len(found[-1][1]) < 64:
            found[-1] = (found[-1][0], found[-1][1] + folds[code])
        else:
            found.append((code, folds[code]))
    return found


def main() -> None:
    by_letter = {}
    for code in range(0x80, 0x20000):
        char = chr(code)
        if code in HANGUL or any(code in block for block in IDEOGRAPHS) or unicodedata.category(char) in ("Cn", "Cs", "Co", "Mn", "Cf"):
            continue
        fold = letters(char)
        while (again := "".join(map(letters, fold))) != fold:
            fold = again
        # Accents that stand alone are no spaces; and of what is more than one letter only what is a spelling of those letters.
        alone = fold == " " and char not in PLAIN
        spelt = fold.isascii() and fold.isalnum() or not unicodedata.decomposition(char).startswith("<")
        if fold and fold != char.lower() and not alone and (len(fold) == 1 or spelt):
            by_letter[code] = fold
    looks = {char: letter for letter, chars in LOOKS.items() for char in chars if ord(char) > 0x7F}
    by_look = {ord(char): letter for char, letter in looks.items()}
    for code in by_letter:
        # Forms of such letters look like them, in their own case.
        base = "".join(one for one in unicodedata.normalize("NFKD", chr(code)) if unicodedata.category(one) != "Mn")
        if base in looks:
            by_look.setdefault(code, looks[base])
    out = sys.stdout
    print("//! Made by `tests/fold_table.py`: do not edit.\n", file=out)
    print(f"/// Letters by what they are: runs of consecutive code points. Unicode {unicodedata.unidata_version}.", file=out)
    print("pub(super) const LETTERS: &[(u32, &str)] = &[", file=out)
    for code, fold in runs(by_letter):
        print(f'    (0x{code:x}, "{"".join(map(written, fold))}"),', file=out)
    print("];\n\n/// Letters that are more than one.\npub(super) const MORE: &[(u32, &str)] = &[", file=out)
    for code, fold in sorted(by_letter.items()):
        if len(fold) > 1:
            print(f'    (0x{code:x}, "{"".join(map(written, fold))}"),', file=out)
    print("];\n\n/// Letters of other scripts by the Latin letter they look like: runs of consecutive code points.", file=out)
    print("pub(super) const LOOKS: &[(u32, &str)] = &[", file=out)
    for code, fold in runs(by_look):
        print(f'    (0x{code:x}, "{fold}"),', file=out)
    print("];", file=out)


if __name__ == "__main__":
    main()

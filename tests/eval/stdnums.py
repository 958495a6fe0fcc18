"""Our validators against python-stdnum's, on numbers with sound check digits and on ones with a changed digit."""

from __future__ import annotations

import importlib
import random
import string

from tool import find

# Kind, python-stdnum's module, what numbers look like (`9` a digit, `A` a letter, anything else itself).
NUMBERS = [
    ("credit_card", "luhn", "4999999999999999"),
    ("iban", "iban", "DE99999999999999999999"),
    ("iban", "iban", "GB99AAAA99999999999999"),
    ("us_aba", "us.rtn", "999999999"),
    ("ca_sin", "ca.sin", "999999999"),
    ("br_cpf", "br.cpf", "99999999999"),
    ("br_cnpj", "br.cnpj", "99999999999999"),
    ("uk_nhs", "gb.nhs", "9999999999"),
    ("de_tax_id", "de.idnr", "99999999999"),
    ("fr_nir", "fr.nir", "199019999999999"),
    ("es_nif", "es.dni", "99999999A"),
    ("es_nif", "es.nie", "X9999999A"),
    ("it_codice_fiscale", "it.codicefiscale", "AAAAAA99A19A999A"),
    ("nl_bsn", "nl.bsn", "999999999"),
    ("be_national_number", "be.nn", "99019999999"),
    ("pt_nif", "pt.nif", "999999999"),
    ("pl_pesel", "pl.pesel", "99019999999"),
    ("se_personnummer", "se.personnummer", "990119-9999"),
    ("fi_hetu", "fi.hetu", "190199-999A"),
    ("fi_hetu", "fi.hetu", "190109A999A"),
    ("tr_kimlik", "tr.tckimlik", "99999999999"),
    ("au_tfn", "au.tfn", "999999999"),
    ("au_abn", "au.abn", "99999999999"),
    ("in_aadhaar", "in_.aadhaar", "999999999999"),
    ("in_pan", "in_.pan", "AAAPA9999A"),
    ("kr_rrn", "kr.rrn", "990119-1999999"),
    ("th_national_id", "th.pin", "9999999999999"),
    ("za_id", "za.idnr", "9901199999189"),
    ("imei", "imei", "999999999999999"),
    ("us_ssn", "us.ssn", "999-99-9999"),
    ("us_itin", "us.itin", "999-99-9999"),
]
EACH = 150


def compare(seed: int, show: bool) -> None:
    """Half the numbers are sound by python-stdnum's own word, half have one character changed."""
    chance = random.Random(seed)
    print("\ncheck digits, against python-stdnum\n\n| kind | numbers | of them sound | judged alike |\n|---|---|---|---|")
    for kind, name, form in NUMBERS:
        try:
            module = importlib.import_module(f"stdnum.{name}")
        except ImportError:
            print(f"| {kind} | python-stdnum has no {name} | | |")
            continue
        numbers = []
        for _ in range(EACH):
            # A form that is never sound is not tried for ever.
            if len(numbers) > 10 and not any(map(module.is_valid, numbers)):
                break
            sound = make(module, form, chance)
            numbers += [one for one in (sound, changed(sound or random_one(form, chance), chance)) if one]
        found = find([{kind: number} for number in numbers], kind)
        alike = sound = 0
        for number, spans in zip(numbers, found):
            ours, theirs = bool(spans), module.is_valid(number)
            sound += theirs
            alike += ours == theirs
            if show and ours != theirs:
                print(f"    {kind} {number}: ours {ours}, theirs {theirs}")
        print(f"| {kind} | {len(numbers)} | {sound} | {alike} |")


def random_one(form: str, chance: random.Random) -> str:
    pick = {"9": string.digits, "A": string.ascii_uppercase}
    return "".join(chance.choice(pick[one]) if one in pick else one for one in form)


def make(module, form: str, chance: random.Random) -> str | None:
    """A number that is sound: at random, with check characters tried at the end (or, of an IBAN, behind the country)."""
    for _ in range(60):
        number = random_one(form, chance)
        if module.is_valid(number):
            return number
        if form[:2].isalpha() and form[2:4] == "99" and len(form) > 18:
            tries = (f"{number[:2]}{check:02}{number[4:]}" for check in range(98))
        else:
            last = string.ascii_uppercase + string.digits if form[-1] == "A" else string.digits
            tries = (number[:-1] + one for one in last)
            if form[-2:] == "99":
                tries = (f"{number[:-2]}{check:02}" for check in range(100))
        for candidate in tries:
            if module.is_valid(candidate):
                return candidate
    return None


def changed(number: str, chance: random.Random) -> str:
    at = chance.choice([at for at, one in enumerate(number) if one.isdigit()])
    return number[:at] + chance.choice([one for one in string.digits if one != number[at]]) + number[at + 1 :]

"""Telephone numbers of every region as libphonenumber writes them: its own examples, of every type, in every format."""

from __future__ import annotations

from collections import Counter

import phonenumbers
from phonenumbers import PhoneNumberFormat

from tool import find_in_texts

# How the number is written, and what stands around it. Without its country's code it is one only next to a word.
FORMS = [
    ("+ and digits", PhoneNumberFormat.E164, "see {} today"),
    ("international", PhoneNumberFormat.INTERNATIONAL, "see {} today"),
    ("RFC 3966", PhoneNumberFormat.RFC3966, "see {} today"),
    ("national, next to a word", PhoneNumberFormat.NATIONAL, "Phone: {}"),
    ("national, in a sentence", PhoneNumberFormat.NATIONAL, "please call {} after six"),
]

# The types that people and their companies are reached by; short codes and premium rates are nobody's.
TYPES = [
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.VOIP,
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
]


def digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def compare(show: bool) -> None:
    """Tells of how many numbers every digit was found, and of how many only a part."""
    examples = [(region, phonenumbers.example_number_for_type(region, type_)) for region in sorted(phonenumbers.SUPPORTED_REGIONS) for type_ in TYPES]
    rows = [
        (name, region, phonenumbers.format_number(number, form), around)
        for name, form, around in FORMS
        for region, number in examples
        if number
    ]
    written, whole, part = Counter(), Counter(), Counter()
    for (name, region, number, around), spans in zip(rows, find_in_texts([around.format(number) for _, _, number, around in rows])):
        text = around.format(number)
        met = sum(digits(text[span.start : span.end]) for span in spans)
        written[name] += 1
        whole[name] += met >= digits(number)
        part[name] += 0 < met < digits(number)
        if show and met < digits(number):
            print(f"    {region}: {text!r} has {[(span.kind, text[span.start : span.end]) for span in spans]}")
    print(f"\nnumbers of {len(phonenumbers.SUPPORTED_REGIONS)} regions (libphonenumber's examples)\n\n| written | numbers | found whole | in part |\n|---|---|---|---|")
    for name in written:
        print(f"| {name} | {written[name]} | {whole[name]} | {part[name]} |")

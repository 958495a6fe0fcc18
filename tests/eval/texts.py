"""Further labelled texts and records, made with Faker: nobody has tuned to the next seed's."""

from __future__ import annotations

import random
import re
import uuid

from faker import Faker
from tool import Span

LOCALES = "en_US en_GB en_CA en_AU en_IN de_DE de_AT de_CH fr_FR es_ES it_IT nl_NL pt_BR pt_PT pl_PL sv_SE da_DK no_NO fi_FI tr_TR cs_CZ ja_JP ko_KR".split()

# `{{kind}}` is labelled, everything else is filler; the first word of a row is the language.
TEMPLATES = """
en My name is {name}, reach me at {{email}} or on my cell {{phone}}.
en Please charge {{credit_card}} (exp {expiry}) for order {order}.
en Wire it to {{iban}}, reference {order}.
en The server {{ip_address}} answered after {number} ms.
en SSN: {{us_ssn}}, born in {city}.
en His social security number is {{us_ssn}}.
en Call {{phone}} and ask for {name}.
en Phone: {{phone}}
en tel. {{phone}}, fax {{phone}}
en I lost my card number {{credit_card}}, can you block it?
en {name}, {street}, {city}, {{phone}}
en From: {name} <{{email}}>
en Login from {{ip_address}} by {{email}} at {time}.
en what happened to my {{credit_card}} card? it was declined, call me: {{phone}}
en Contact us at {{phone}} or {{email}}. Ticket {order}.
en send the money to {{iban}} by {date}
de Meine Telefonnummer ist {{phone}}, die E-Mail {{email}}.
de Bitte überweisen Sie auf {{iban}} bis zum {date}.
de Tel.: {{phone}}
de Kreditkarte {{credit_card}}, gültig bis {expiry}
fr Appelez-moi au {{phone}} ou écrivez à {{email}}.
fr Téléphone : {{phone}}
fr Mon IBAN est {{iban}}.
es Mi teléfono es {{phone}} y mi correo {{email}}.
es Tarjeta {{credit_card}} caduca {expiry}
it Il mio cellulare: {{phone}}, email {{email}}
it Bonifico su {{iban}}
nl Telefoon {{phone}}, e-mail {{email}}
pt Meu telefone é {{phone}}, e-mail {{email}}.
pl Telefon: {{phone}}, e-mail {{email}}
sv Telefon {{phone}}, kort {{credit_card}}
fi Puhelin {{phone}}, sähköposti {{email}}
tr Telefon {{phone}}, e-posta {{email}}
""".strip().splitlines()

# Numbers that countries give, where a word says so: kind, locale, how Faker makes one, the sentence.
NATIONAL = [
    ("uk_nino", "en_GB", lambda fake: fake.ssn(), "National Insurance number {}"),
    ("ca_sin", "en_CA", lambda fake: fake.ssn(), "my SIN is {}"),
    ("br_cpf", "pt_BR", lambda fake: fake.cpf(), "CPF {}"),
    ("br_cnpj", "pt_BR", lambda fake: fake.cnpj(), "CNPJ {}"),
    ("pl_pesel", "pl_PL", lambda fake: fake.pesel(), "PESEL: {}"),
    ("fi_hetu", "fi_FI", lambda fake: fake.ssn(), "Henkilötunnus {}"),
    ("se_personnummer", "sv_SE", lambda fake: fake.ssn(), "personnummer {}"),
    ("es_nif", "es_ES", lambda fake: fake.nif(), "con NIF {}"),
    ("es_nif", "es_ES", lambda fake: fake.nie(), "con NIE {}"),
    ("it_codice_fiscale", "it_IT", lambda fake: fake.ssn(), "codice fiscale {}"),
    ("fr_nir", "fr_FR", lambda fake: fake.ssn(), "numéro de sécurité sociale {}"),
    ("nl_bsn", "nl_NL", lambda fake: fake.ssn(), "BSN {}"),
    ("tr_kimlik", "tr_TR", lambda fake: fake.ssn(), "TC kimlik no {}"),
    ("in_aadhaar", "en_IN", lambda fake: fake.aadhaar_id(), "Aadhaar {}"),
    ("kr_rrn", "ko_KR", lambda fake: fake.ssn(), "RRN {}"),
    ("us_itin", "en_US", lambda fake: fake.itin(), "ITIN {}"),
    ("mac_address", "en_US", lambda fake: fake.mac_address(), "device {} joined"),
    ("vin", "en_US", lambda fake: fake.vin(), "VIN {}"),
    ("bic", "de_DE", lambda fake: fake.swift(), "BIC {}"),
    ("us_aba", "en_US", lambda fake: fake.aba(), "routing number {}"),
    ("date_of_birth", "en_US", lambda fake: fake.date_of_birth().strftime("%m/%d/%Y"), "date of birth: {}"),
    ("date_of_birth", "de_DE", lambda fake: fake.date_of_birth().strftime("%d.%m.%Y"), "geboren am {}"),
]


class Maker:
    """Values of one language."""

    def __init__(self, locale: str, seed: int) -> None:
        self.locale = locale
        self.fake = Faker(locale)
        self.fake.seed_instance(seed)
        self.us = Faker("en_US")
        self.us.seed_instance(seed)
        self.random = random.Random(f"{locale}{seed}")

    def labelled(self, kind: str) -> str | None:
        if kind == "email":
            return self.fake.ascii_safe_email() if self.random.random() < 0.5 else self.fake.email()
        if kind == "phone":
            number = self.fake.phone_number()
            return number if sum(character.isdigit() for character in number) >= 7 else None
        if kind == "credit_card":
            number = self.us.credit_card_number()
            form = self.random.random()
            if form < 0.5 or len(number) not in (15, 16):
                return number
            separator = " " if form < 0.8 else "-"
            groups = (number[:4], number[4:10], number[10:]) if len(number) == 15 else re.findall("....", number)
            return separator.join(groups)
        if kind == "iban":
            number = (self.fake if self.locale[:2] in ("de", "fr", "es", "it", "nl", "pl", "sv", "fi", "tr") else Faker("de_DE")).iban()
            form = self.random.random()
            number = " ".join(re.findall(".{1,4}", number)) if form < 0.4 else number
            return number.lower() if form > 0.9 else number
        if kind == "ip_address":
            return self.fake.ipv4() if self.random.random() < 0.7 else self.fake.ipv6()
        if kind == "us_ssn":
            return self.us.ssn()
        raise ValueError(kind)

    def filler(self, what: str) -> str:
        return {
            "name": lambda: self.fake.name(),
            "city": lambda: self.fake.city(),
            "street": lambda: self.fake.street_address().replace("\n", " "),
            "order": lambda: f"{self.random.choice(['ORD', 'INV', 'A'])}-{self.random.randrange(10**6, 10**8)}",
            "number": lambda: str(self.random.randrange(1, 10_000)),
            "expiry": lambda: f"{self.random.randrange(1, 13):02}/{self.random.randrange(25, 33)}",
            "date": lambda: self.fake.date(),
            "time": lambda: self.fake.iso8601(),
        }[what]()

    def fill(self, template: str) -> tuple[str, list[Span]] | None:
        text, spans, at = "", [], 0
        for hole in re.finditer(r"\{\{(\w+)\}\}|\{(\w+)\}", template):
            text += template[at : hole.start()]
            value = self.labelled(hole[1]) if hole[1] else self.filler(hole[2])
            if value is None:
                return None
            if hole[1]:
                spans.append(Span(len(text), len(text) + len(value), hole[1]))
            text += value
            at = hole.end()
        return text + template[at:], spans


def sentences(seed: int, each: int) -> list[tuple[str, list[Span]]]:
    """Sentences in the languages of the locales."""
    made = []
    for number, locale in enumerate(LOCALES):
        maker = Maker(locale, seed * 100 + number)
        own = [row.split(" ", 1)[1] for row in TEMPLATES if row.startswith(locale[:2])]
        own = own or [row.split(" ", 1)[1] for row in TEMPLATES if row.startswith("en")]
        made += [filled for _ in range(each) if (filled := maker.fill(maker.random.choice(own)))]
    return made


def nationals(seed: int, each: int) -> list[tuple[str, list[Span]]]:
    """Numbers of countries and industries, with the word that says what they are."""
    made = []
    for number, (kind, locale, make, sentence) in enumerate(NATIONAL):
        fake = Faker(locale)
        fake.seed_instance(seed * 100 + number)
        for _ in range(each):
            value = make(fake)
            start = sentence.index("{}")
            made.append((sentence.format(value), [Span(start, start + len(value), kind)]))
    return made


def records(seed: int, count: int) -> list[tuple[dict, dict[str, str]]]:
    """JSON as APIs return it; with it, which pointers hold which kind."""
    made = []
    for number in range(count):
        maker = Maker(LOCALES[number % len(LOCALES)], seed * 10_000 + number)
        chance = maker.random
        record, labels = {"id": str(uuid.UUID(int=chance.getrandbits(128), version=4)), "createdAt": maker.fake.iso8601(), "version": f"{chance.randrange(9)}.{chance.randrange(20)}.{chance.randrange(9)}"}, {}
        for name, kind in [
            ("email", "email"),
            ("phoneNumber", "phone"),
            ("mobile", "phone"),
            ("card_number", "credit_card"),
            ("iban", "iban"),
            ("clientIp", "ip_address"),
            ("ssn", "us_ssn"),
        ]:
            value = maker.labelled(kind)
            if chance.random() < 0.4 and value is not None:
                record[name] = value
                labels[f"/{name}"] = kind
        record["items"] = [{"sku": f"AB-{chance.randrange(10**5, 10**6)}", "ean": maker.fake.ean13(), "price": chance.randrange(10**4) / 100, "quantity": chance.randrange(9)} for _ in range(2)]
        record["orderId"] = chance.randrange(10**9, 10**10)
        record["updated_ms"] = 1_700_000_000_000 + chance.randrange(10**11)
        made.append((record, labels))
    return made


def logs(seed: int, count: int) -> list[str]:
    """Lines full of numbers that are nobody's."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    chance = random.Random(seed)
    digits = lambda many: "".join(chance.choice("0123456789") for _ in range(many))
    forms = [
        lambda: f"{fake.iso8601()} INFO request={uuid.UUID(int=chance.getrandbits(128), version=4)} took {chance.randrange(9999)}ms status=200",
        lambda: f"isbn {fake.isbn13()} / {fake.isbn10()} in stock: {chance.randrange(99)}",
        lambda: f"shipped, tracking 1Z{fake.bothify('??').upper()}{digits(12)}, weight {chance.randrange(99)}.{digits(2)} kg",
        lambda: f"commit {fake.sha1()} on release {chance.randrange(20)}.{chance.randrange(20)}.{chance.randrange(20)}.{chance.randrange(2000)}",
        lambda: f"order {digits(chance.randrange(7, 13))} amount {digits(5)}.{digits(2)} EUR",
        lambda: f"ean {fake.ean13()} sku {fake.bothify('??-#####-??').upper()} qty {chance.randrange(99)}",
        lambda: f"ts={1_700_000_000_000 + chance.randrange(10**11)} seq={digits(9)} offset={digits(8)} trace={fake.hexify('^' * 32)}",
        lambda: f"lat {fake.latitude()} lon {fake.longitude()} at {fake.iso8601()}",
        lambda: f"[{fake.date()} {fake.time()}] worker-{chance.randrange(99)}: job {digits(10)} done in 0.{digits(6)} s",
        lambda: f"invoice INV-{digits(4)}-{digits(6)} total {digits(4)}.{digits(2)} due {fake.date()}",
        lambda: f"tracking number {digits(4)} {digits(4)} {digits(4)} delivered {fake.date()}",
        lambda: f"model ARZ{digits(4)}-{digits(3)}-{digits(4)} rev {fake.random_uppercase_letter()} part {digits(3)}-{digits(5)}-{digits(2)}",
        lambda: f"Chrome/{chance.randrange(90, 140)}.0.{digits(4)}.{digits(2)} Safari/537.36 score 0.{digits(16)}",
        lambda: f"row {digits(3)},{digits(5)},{digits(6)},{digits(4)}.{digits(3)},-{digits(2)}.{digits(5)}",
        lambda: f"Mozilla/5.0 build/{digits(8)} id={fake.bothify('?#?#?#?#?#?#?#?#')} etag W/\"{fake.hexify('^^^^-^^^^^^^^^^^')}\"",
    ]
    return [chance.choice(forms)() for _ in range(count)]

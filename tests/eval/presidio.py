"""Presidio's pattern recognizers, without a language model: what they find with a score of at least 0.3."""

from __future__ import annotations

import logging

from tool import Span

logging.disable(logging.WARNING)
import presidio_analyzer.predefined_recognizers as predefined  # noqa: E402

# Its names for kinds that we find too.
KINDS = {
    "ABA_ROUTING_NUMBER": "us_aba",
    "AU_ABN": "au_abn",
    "AU_MEDICARE": "au_medicare",
    "AU_TFN": "au_tfn",
    "CA_SIN": "ca_sin",
    "CREDIT_CARD": "credit_card",
    "CRYPTO": "crypto_address",
    "DE_ID_CARD": "de_id_card",
    "DE_PASSPORT": "de_id_card",
    "DE_TAX_ID": "de_tax_id",
    "EMAIL_ADDRESS": "email",
    "ES_NIE": "es_nif",
    "ES_NIF": "es_nif",
    "FI_PERSONAL_IDENTITY_CODE": "fi_hetu",
    "IBAN_CODE": "iban",
    "IN_AADHAAR": "in_aadhaar",
    "IN_PAN": "in_pan",
    "IP_ADDRESS": "ip_address",
    "IT_FISCAL_CODE": "it_codice_fiscale",
    "KR_RRN": "kr_rrn",
    "MAC_ADDRESS": "mac_address",
    "MEDICAL_LICENSE": "us_dea",
    "NG_NIN": "ng_nin",
    "PHONE_NUMBER": "phone",
    "PL_PESEL": "pl_pesel",
    "SE_PERSONNUMMER": "se_personnummer",
    "SG_NRIC_FIN": "sg_nric",
    "TH_TNIN": "th_national_id",
    "TR_NATIONAL_ID": "tr_kimlik",
    "UK_NHS": "uk_nhs",
    "UK_NINO": "uk_nino",
    "US_DRIVER_LICENSE": "driving_licence",
    "UK_DRIVING_LICENCE": "driving_licence",
    "IT_DRIVER_LICENSE": "driving_licence",
    "US_ITIN": "us_itin",
    "US_MBI": "us_mbi",
    "US_NPI": "us_npi",
    "US_PASSPORT": "passport",
    "UK_PASSPORT": "passport",
    "ES_PASSPORT": "passport",
    "IT_PASSPORT": "passport",
    "US_SSN": "us_ssn",
    "ZA_ID_NUMBER": "za_id",
}
LEAST = 0.3


def recognizers() -> list:
    """One of each recognizer that needs no model and finds something we find."""
    made = []
    for name in dir(predefined):
        if not name.endswith("Recognizer"):
            continue
        try:
            recognizer = getattr(predefined, name)()
        except Exception:  # Those that need a model, a service or a package of its own.
            continue
        if any(entity in KINDS for entity in recognizer.supported_entities) and name not in ("SpacyRecognizer", "StanzaRecognizer"):
            made.append(recognizer)
    return made


def find_in_texts(texts: list[str], kinds: set[str]) -> list[list[Span]]:
    """What they find of `kinds`; twice the same place and kind is one finding, as Presidio's analyzer has it."""
    wanted = [(one, [entity for entity in one.supported_entities if KINDS.get(entity) in kinds]) for one in recognizers()]
    found = []
    for text in texts:
        spans = set()
        for recognizer, entities in wanted:
            for result in recognizer.analyze(text, entities, None) if entities else []:
                if result.score >= LEAST:
                    spans.add(Span(result.start, result.end, KINDS[result.entity_type]))
        inside = lambda one: any(other != one and other.kind == one.kind and other.start <= one.start and one.end <= other.end for other in spans)
        found.append(sorted(span for span in spans if not inside(span)))
    return found

"""FHIR resources with a token in every string that the keep-list names, and in many that it does not."""

import base64
import gzip
import json
import random
from typing import Any

from clinic_mm.deid.policy import read_policy
from tests.deid.plant_note import note_text
from tests.deid.tokens import Tokens

LISTS = read_policy().lists["fhir"]
ALWAYS_GONE = (
    "text",
    "language",
    "implicitRules",
    "name",
    "telecom",
    "address",
    "photo",
    "contact",
    "performer",
    "_birthDate",
    "author",
    "location",
)


def fhir_file(tokens: Tokens, rng: random.Random) -> tuple[str, bytes]:
    """A bundle or NDJSON of a patient and five resources of hers."""
    patient = {**_resource("Patient", tokens.word(), tokens, rng), "birthDate": "1950-02-03"}
    kinds = rng.sample(sorted(set(LISTS["resources"]) - {"Patient"}), 5)
    made = [patient, *(_resource(kind, patient["id"], tokens, rng) for kind in kinds)]
    packed = rng.random() < 0.5
    if rng.random() < 0.5:
        content = b"\n".join(json.dumps(one).encode() for one in made)
        name = f"{tokens.word()}.ndjson"
    else:
        entries = [
            {"fullUrl": f"urn:uuid:{tokens.word()}", "resource": one, "request": {"url": tokens.word()}} for one in made
        ]
        content = json.dumps(
            {"resourceType": "Bundle", "id": tokens.word(), "type": "transaction", "entry": entries}
        ).encode()
        name = f"{tokens.word()}.json"
    return (name + ".gz", gzip.compress(content)) if packed else (name, content)


def _resource(kind: str, patient: str, tokens: Tokens, rng: random.Random) -> dict[str, Any]:
    paths = LISTS["resources"][kind]
    made: dict[str, Any] = {"resourceType": kind}
    for name, what in paths.items():
        if rng.random() < 0.5 or name in {"content"}:
            made[name] = _value(what, tokens, rng)
    for name in rng.sample(ALWAYS_GONE, 3):
        made[name] = [{"family": tokens.word(), "div": tokens.word()}] if rng.random() < 0.7 else tokens.word()
    made["extension"] = [{"url": tokens.word(), "valueString": tokens.word()}]
    made["identifier"] = [{"system": tokens.word(), "value": tokens.word()}]
    made["contained"] = [{"resourceType": "Practitioner", "id": tokens.word(), "name": [{"family": tokens.word()}]}]
    made["meta"] = {"source": tokens.word(), "tag": [{"system": "urn:clinic-mm:deidentified", "code": tokens.word()}]}
    made["id"] = patient if kind == "Patient" else tokens.word()
    for name in ("subject", "patient"):
        if name in paths:
            made[name] = {"reference": f"Patient/{patient}", "display": tokens.word()}
    return made


def _value(what: str, tokens: Tokens, rng: random.Random, depth: int = 0) -> object:
    if what in {"number", "boolean"}:
        return tokens.word() if rng.random() < 0.3 else 7
    if what == "reference":
        return {
            "reference": f"Observation/{tokens.word()}",
            "display": tokens.word(),
            "identifier": {"value": tokens.word()},
        }
    if what == "Coding":
        return [_coding(tokens, rng)]
    if what == "attachment":
        return _attachment(tokens, rng)
    if what == "prose":
        return f"normal sinus rhythm {tokens.word()}"
    if what not in LISTS["types"] or depth > 4:
        return tokens.word()
    inside = {
        name: _value(one, tokens, rng, depth + 1) for name, one in LISTS["types"][what].items() if rng.random() < 0.6
    }
    return {**inside, "text": tokens.word(), "extension": [{"url": "u", "valueString": tokens.word()}]}


def _coding(tokens: Tokens, rng: random.Random) -> dict[str, Any]:
    system = rng.choice([*LISTS["systems"]]) if rng.random() < 0.9 else tokens.word()
    return {"system": system, "code": tokens.word(), "display": tokens.word(), "version": tokens.word()}


def _attachment(tokens: Tokens, rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.4:
        return {
            "contentType": "application/pdf",
            "data": base64.b64encode(tokens.word().encode()).decode(),
            "title": tokens.word(),
        }
    text = note_text(tokens, rng)
    return {
        "contentType": "text/plain",
        "data": base64.b64encode(text.encode()).decode(),
        "title": tokens.word(),
        "url": tokens.word(),
    }

"""Notes with tokens where a note has names, numbers and places: beside a word or in a form that says what they are."""

import random

from tests.deid.tokens import Tokens

PROSE = (
    "Blood pressure 120/80, heart rate 72, temperature 37.2.",
    "Continue metformin 500 mg twice daily.",
    "Hemoglobin 11.2 g/dL, platelets 250,000, sodium 139.",
    "The lungs are clear and the abdomen is soft.",
    "Verlaufskontrolle in 3 Monaten empfohlen.",
    "CT of the chest shows a 5 mm nodule in the right upper lobe.",
)
NAMES = (
    "Seen by Dr. {}.",
    "{} was examined by Prof. Dr. med. {} today.",
    "Mr. {} reports pain.",
    "Mrs. {} {} denies fever.",
    "Patient Name: {}, {}",
    "Patient: {} {}",
    "Name: {} {}\n",
    "Herr {} wurde untersucht.",
    "Frau {} klagt über Husten.",
    "Electronically signed by: {} {}, MD",
    "Dictated by {} {}",
    "gez. Dr. {}",
    "Dear Dr. {},",
    "His wife {} was informed.",
    "Discussed with Dr. {} and Nurse {}.",
    "Her daughter, {}, is the contact.",
    "Attending: {} {}",
    "{} {}, MD",
    "Referring physician: Dr. {} {}",
    "Sehr geehrte Frau {},",
    "cc: Dr. {}",
)
PLACES = (
    "She lives in {}.",
    "He was transferred from {} Hospital.",
    "Seen at {} Medical Center.",
    "Address: 12 {} Street",
    "He lives at 4711 {} Avenue.",
    "wohnhaft in {}",
    "Klinikum {}",
    "wohnt in der {}straße 12",
    "Born in {}.",
    "She works at {} Pharmacy.",
    "St. {} Hospital",
    "{}, TX 75001",
    "10115 {}",
    "Referred from {} Clinic.",
)
NUMBERS = (
    ("MRN: {}", "########"),
    ("MRN {}", "######"),
    ("Call {}.", "###-###-####"),
    ("Phone: ({}", "###) ###-####"),
    ("SSN {}", "###-##-####"),
    ("Accession number: {}", "#########"),
    ("Tel. {}", "0##/#######"),
    ("Fax {}", "###-###-####"),
    ("Fallnummer {}", "########"),
    ("Patienten-ID: {}", "#######"),
    ("Account #{}", "########"),
    ("Insurance ID: {}", "##########"),
    ("reached at {}", "+49 ### #######"),
)
LINKS = ("Write to {}@{}.com.", "See https://www.{}.org/{} for more.", "Email: {}.{}@hospital.example")


def note_file(tokens: Tokens, rng: random.Random) -> tuple[str, bytes]:
    """A note of about eight tokens."""
    return f"{tokens.word()}.txt", note_text(tokens, rng).encode()


def note_text(tokens: Tokens, rng: random.Random) -> str:
    """Phrases with tokens between sentences without."""
    lines: list[str] = []
    for phrase in (*rng.sample(NAMES, 2), rng.choice(PLACES), rng.choice(LINKS)):
        if phrase.startswith("{} was"):
            phrase = "She" + phrase[2:]
        lines += [rng.choice(PROSE), phrase.format(*(tokens.word() for _ in range(phrase.count("{}"))))]
    phrase, form = rng.choice(NUMBERS)
    lines += [rng.choice(PROSE), phrase.format(tokens.number(form))]
    return "\n".join(lines) + "\n"

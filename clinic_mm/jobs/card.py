"""Write the model card of an artifact: HTML, Markdown and FHIR, from its files and an evaluation of it alone.

In:  an artifact folder, every byte checked; an evaluation folder of this very model. Out: three files.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.predict.card import parts_of
from clinic_mm.predict.modelcard.build import TRAINING, card_of
from clinic_mm.predict.modelcard.markdown import as_markdown
from clinic_mm.predict.sealed import read_sealed
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.fhir import report_bytes
from clinic_mm.report.model_card.evaluated import evaluation_sections
from clinic_mm.report.model_card.fhir import as_document
from clinic_mm.report.model_card.html import as_html

NAMES: Final = {"html": "card.html", "markdown": "card.md", "fhir": "card.fhir.json"}


def write_card(
    model: Path, out: Path, *, evaluation: Path | None = None, created: datetime | None = None
) -> dict[str, Path]:
    """Write the card.

    Args:
        model: Artifact folder.
        out: Folder of the files; those of an earlier card are replaced.
        evaluation: Evaluation folder of this model.
        created: Time of writing; now where None.

    Returns:
        What was written, by form.

    Raises:
        ArtifactError: If the artifact is damaged, or the evaluation is of another model.
    """
    files, model_hash = read_sealed(model, "model.json", "clinic-mm train")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = card_of(parts_of(files), model_hash=model_hash, files=hashes, evaluated=evaluation is not None)
    if evaluation is not None:
        card = card.with_sections(evaluation_sections(evaluation, model_hash), after=TRAINING)
    html, markdown = as_html(card), as_markdown(card)
    document = as_document(card, html, markdown, created=created or datetime.now(UTC))
    contents = {"html": html.encode(), "markdown": markdown.encode(), "fhir": report_bytes(document)}
    for form, content in contents.items():
        written_whole(out / NAMES[form], content)
    return {form: out / name for form, name in NAMES.items()}

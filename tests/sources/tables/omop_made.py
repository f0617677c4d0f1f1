"""A small OMOP CDM 5.4, made by the CDM's own table definitions: simulated, no patient is in it."""

import gzip
from pathlib import Path

import pandas as pd

TABLES: dict[str, tuple[str, list[tuple[object, ...]]]] = {
    "person": (
        "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime",
        [(1, 8507, 1950, 2, 3, ""), (2, 8532, 1980, "", "", ""), (3, 0, 1990, 5, "", "1990-05-06 00:00:00")],
    ),
    "visit_occurrence": (
        "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date "
        "visit_end_datetime visit_source_value",
        [
            (10, 1, 9201, "2020-01-01", "2020-01-01 08:00:00", "2020-01-05", "2020-01-05 11:00:00", "INP"),
            (20, 2, 9202, "2020-02-01", "", "2020-02-01", "", "OUT"),
        ],
    ),
    "measurement": (
        "measurement_id person_id measurement_concept_id measurement_date measurement_datetime operator_concept_id "
        "value_as_number value_as_concept_id unit_concept_id range_low range_high unit_source_value "
        "measurement_source_value visit_occurrence_id",
        [
            (100, 1, 3000963, "2020-01-01", "2020-01-01 09:30:00", 0, 12.5, 0, 8713, 13.5, 17.5, "g/dl", "HB", 10),
            (101, 1, 3000963, "2020-01-02", "2020-01-02 00:00:00", 0, 118, 0, 8636, "", "", "g/L", "HB", 10),
            (102, 1, 3020460, "2020-01-02", "", 4171756, 0.3, 0, 8751, "", 5, "mg/L", "CRP", 10),
            (103, 2, 3046900, "2020-02-01", "2020-02-01 10:00:00", 0, "", 9191, 0, "", "", "", "FLU", 20),
            (104, 2, 0, "2020-02-01", "", 0, 7.1, 0, 0, "", "", "mmol/l", "GLU-LOCAL", 20),
            (105, 2, 3999999, "2020-02-01", "", 0, 5, 0, 0, "", "", "", "RARE", 20),
        ],
    ),
    "observation": (
        "observation_id person_id observation_concept_id observation_date value_as_number value_as_string "
        "value_as_concept_id observation_source_value",
        [(200, 1, 4275495, "2020-01-01", "", "never smoker", 0, "SMOKE")],
    ),
    "condition_occurrence": (
        "condition_occurrence_id person_id condition_concept_id condition_start_date condition_start_datetime "
        "condition_type_concept_id condition_status_concept_id visit_occurrence_id condition_source_value",
        [
            (300, 1, 255848, "2020-01-01", "2020-01-01 08:00:00", 32817, 32896, 10, "J18.9"),
            (301, 1, 4329847, "2020-01-01", "2020-01-01 08:00:00", 32817, 32890, 10, "I21"),
        ],
    ),
    "drug_exposure": (
        "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_source_value",
        [(400, 1, 1125315, "2020-01-02", "PCM")],
    ),
    "procedure_occurrence": (
        "procedure_occurrence_id person_id procedure_concept_id procedure_date procedure_source_value",
        [(500, 1, 4163872, "2020-01-03", "CXR")],
    ),
    "death": ("person_id death_date", [(1, "2020-06-01")]),
    "note": (
        "note_id person_id note_date note_datetime note_class_concept_id note_title note_text",
        [
            (600, 1, "2020-01-01", "2020-01-01 12:00:00", 706391, "", "Cough since Monday."),
            (601, 2, "", "", 0, "", "x"),
        ],
    ),
    "concept": (
        "concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code",
        [
            (3000963, "Hemoglobin [Mass/volume] in Blood", "Measurement", "LOINC", "Lab Test", "S", "718-7"),
            (3020460, "C reactive protein", "Measurement", "LOINC", "Lab Test", "S", "1988-5"),
            (3046900, "Influenza virus A RNA", "Measurement", "LOINC", "Lab Test", "S", "34487-9"),
            (9191, "Positive", "Meas Value", "SNOMED", "Qualifier Value", "S", "10828004"),
            (8713, "gram per deciliter", "Unit", "UCUM", "Unit", "S", "g/dL"),
            (8636, "gram per liter", "Unit", "UCUM", "Unit", "S", "g/L"),
            (8751, "milligram per liter", "Unit", "UCUM", "Unit", "S", "mg/L"),
            (255848, "Pneumonia", "Condition", "SNOMED", "Disorder", "S", "233604007"),
            (4329847, "Myocardial infarction", "Condition", "SNOMED", "Disorder", "S", "22298006"),
            (1125315, "acetaminophen", "Drug", "RxNorm", "Ingredient", "S", "161"),
            (706391, "Admission note", "Type Concept", "LOINC", "Doc Kind", "S", "34111-5"),
            (9201, "Inpatient Visit", "Visit", "Visit", "Visit", "S", "IP"),
        ],
    ),
    "cdm_source": ("cdm_source_name cdm_version", [("made", "v5.4")]),
    "care_site": ("care_site_id care_site_name", [(1, "a ward")]),
}


def write_cdm(folder: Path, form: str = "csv", without: tuple[str, ...] = (), **more: list[tuple[object, ...]]) -> Path:
    """Write the tables to a folder; rows of `more` are added to the table of that name.

    Args:
        folder: Made where it is not there.
        form: `csv`, `CSV` (names and columns in upper case, gzipped, tabs) or `parquet`.
        without: Names of tables left out.
        more: Further rows, by table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (columns, rows) in TABLES.items():
        if name in without:
            continue
        frame = pd.DataFrame([*rows, *more.get(name, [])], columns=columns.split())
        if form == "parquet":
            frame.replace("", None).convert_dtypes().to_parquet(folder / f"{name}.parquet", index=False)
        elif form == "CSV":
            text = frame.rename(columns=str.upper).to_csv(index=False, sep="\t")
            (folder / f"{name.upper()}.CSV.GZ").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            frame.to_csv(folder / f"{name}.csv", index=False)
    return folder

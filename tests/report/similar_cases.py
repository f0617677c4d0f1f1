"""Made-up similar cases for tests of words and pages; numbers are odd, so that no other number is taken for one."""

from clinic_mm.predict.prediction import Neighbour, Prediction, Similar


def near(distance: float, outcome: str, positive: float, *more: str, ruled_out: bool = False) -> Neighbour:
    """A training case with these modalities."""
    wrong = (positive >= 0.5) != (outcome == "positive")
    answered = (round(1 - positive, 2), positive)
    return Neighbour(
        distance=distance, outcome=outcome, answered=answered, pattern=more, wrong=wrong, ruled_out=ruled_out
    )


def with_similar(prediction: Prediction, **change: object) -> Prediction:
    """The same with 40 patients counted, of whom 31 were positive and 7 were answered wrongly."""
    own = prediction.pattern
    error = near(0.47, "negative", 0.89, *own, ruled_out=True)
    told = Similar(
        n=40,
        outcomes={"negative": 9, "positive": 31},
        wrong=7,
        reach=0.73,
        among={"negative": 143, "positive": 69},
        nearest=(near(0.08, "positive", 0.79, *own), near(0.11, "positive", 0.43, *sorted({*own, "audio"}))),
        errors=(error,),
    )
    return prediction.model_copy(update={"similar": told.model_copy(update=change)})

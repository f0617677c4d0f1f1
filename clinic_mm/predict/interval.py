"""The exact interval of a share: what k of n allows to be said of the rate behind it.

In:  how often, of how many. Out: the ends of the Clopper-Pearson interval.
"""

from scipy.special import betaincinv


def clopper_pearson(hits: float, n: float, *, level: float = 0.95, comparisons: int = 1) -> tuple[float, float]:
    """Exact binomial interval, Bonferroni over `comparisons`.

    Args:
        hits: Successes; a fraction where a patient's rows disagree.
        n: Trials, at least 1.
        level: Of all intervals together.
        comparisons: How many intervals are read together.

    Source: Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    tail = (1 - level) / (2 * comparisons)
    low = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high

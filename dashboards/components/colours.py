"""Colours of charts. The server draws before it knows whether a page is light or dark, and a reader changes it unasked.

Lines and areas have 3:1 or more against the grounds of both themes (WCAG 2.2, 1.4.11). No colour has 4.5:1 against both
(1.4.3), so words have two, of which the browser takes the one for its ground: `chart.py`. Ratios below are against the
ground of the page and of its boxes; tests/dashboards/test_contrast.py computes them, tests/browser/test_charts.py reads
what was drawn.
"""

from typing import Final

TOWARDS: Final = "#b9791f"
"""Amber: towards the class that the answer speaks of, or more than usual."""
AWAY: Final = "#4a94c9"
"""Blue: away from it, or less."""
QUIET: Final = "#7a8590"
"""Lines that say nothing by themselves."""
KINDS: Final = ("#2f86c9", "#c9651c", "#2f9e5f", "#d6487e", "#8f6fd6", "#9a7b4f", "#2a9d9d", "#7a8590")
"""Of things that are told apart, in their order; lines have dashes of their own too."""
POINT: Final = KINDS[0]
"""Figures with their intervals."""
ALARM: Final = "#d9534f"
"""What asks for somebody."""
WORDS_ON_LIGHT: Final = "#48525c"
"""7.96:1 and 7.42:1."""
WORDS_ON_DARK: Final = "#b3bcc5"
"""9.77:1 and 8.83:1."""

"""Colours of charts, which are drawn before a page knows whether it is light or dark: they must be seen on both.

Each has 3:1 or more against the ground of both themes (WCAG 2.2, 1.4.11; tests/dashboards/test_contrast.py). No colour
has 4.5:1 against both, so words are never in one of these: they stand in axes, which Streamlit colours by the theme
(on light with 3.7:1 only: still to be mended).
"""

from typing import Final

TOWARDS: Final = "#b9791f"
"""Amber: towards the class that the answer speaks of, or more than usual."""
AWAY: Final = "#4a94c9"
"""Blue: away from it, or less."""
QUIET: Final = "#7a8590"
"""Lines that say nothing by themselves."""

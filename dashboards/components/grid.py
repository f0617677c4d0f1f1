"""How large a grid of Streamlit is to be: as its rows and their texts ask.

In:  a frame, or how many rows it has. Out: px.
"""

from typing import Final

import pandas as pd

CHARACTER_PX: Final = 6.8
CELL_PX: Final = 20
"""Of a table: the mean character of its letters, and what a cell has around them."""
ROW_PX: Final = 33
BORDER_PX: Final = 3
"""Of the grid as a whole; its head is as tall as a row."""


def held_px(rows: int, most: int) -> int:
    """Height of a grid of so many rows, px: no empty room below the last, and no more than `most`."""
    return min(most, ROW_PX * (max(rows, 1) + 1) + BORDER_PX)


def outlying_px(frame: pd.DataFrame) -> dict[str, int]:
    """Width of each column whose longest text the grid would cut off, px; the others find theirs by themselves.

    The grid (glide-data-grid, `measureColumn`) leaves a cell of twice the mean out of account, such as the one row
    that has figures where the others have none.
    """
    lengths = {str(name): frame[name].astype(str).str.len() for name in frame.columns}
    return {
        name: round(CHARACTER_PX * long.max()) + CELL_PX
        for name, long in lengths.items()
        if len(long) and long.max() > max(1.5 * long.mean(), len(name))
    }

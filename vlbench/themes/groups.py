"""The groups of themes: which looks training may show, and which are kept for tests."""

from typing import Final

SEALED: Final = "sealed"
VARIED: Final = "varied"
"""The group of the generated looks; see `vlbench.themes.family`."""

THEME_GROUPS = {
    "train": ("classic", "midnight", "parchment", "slate"),
    "heldout": ("typewriter", "storybook", "comic"),
    SEALED: ("gazette", "circuit"),
}
"""Group → its themes. Training may use those of `train`, and the looks of `varied`. The themes of
`heldout` differ from them in fonts, colours, card art and layouts. So do those of `sealed`, which
differ from `heldout` too: no training and no tuning uses them, and no page shows them."""

"""Makes poems differ by seed: each seed avoids its own part of the commonest characters."""

from __future__ import annotations

from itertools import compress

import numpy as np

from engine.contract.text import CLAUSE_MARKS
from engine.generation.lineage import SEEDS
from engine.generation.sampler import uniform
from engine.generation.sequence import Avoided

COMMON_CHARACTERS = 300
"""The characters that most poems have: the same few begin the likeliest lines."""
AVOIDED_SHARES, AVOIDED_SHARES_IN_ACROSTICS = (0.2, 0.1), (0.6, 0.3)
"""Parts of the common characters avoided in the first line that the model writes, and in the lines after it. Acrostics
would otherwise begin with the same line for most seeds; poems on a theme were not measured."""
FAR = 1 << 32
"""Offset in a seed's random sequence, beyond what any poem draws."""


class Variety:
    """Each seed avoids its own part of the commonest characters, a larger one in the first line that is chosen.

    The best of many candidates is much the same whatever they are drawn with: without this, ten of fifteen poems after
    one opening went on with the same two characters.
    """

    def __init__(self, common: str) -> None:
        """``common``: the commonest characters of the corpus, none if they are not known."""
        self._common = [character for character in common if character not in CLAUSE_MARKS]

    def avoided(self, seed: int, needed: str = "", acrostic: bool = False) -> Avoided:
        """The same for all candidates of a poem, whose seeds differ above ``SEEDS``; ``needed`` is never avoided."""
        drawn = uniform(seed % SEEDS, FAR + np.arange(len(self._common), dtype=np.uint64))
        drawn[[character in needed for character in self._common]] = 1
        first, later = (drawn < share for share in (AVOIDED_SHARES_IN_ACROSTICS if acrostic else AVOIDED_SHARES))
        return Avoided("".join(compress(self._common, first)), "".join(compress(self._common, later)))


NO_VARIETY = Variety("")

"""Tones, rhymes and the rules of regulated verse (近体诗): the table of characters and the examiner. No neural network
and no Redis; how templates steer the writing of a poem is decided in ``engine.generation.plan``.
"""

from engine.prosody.check import check
from engine.prosody.table import Prosody

__all__ = ["Prosody", "check"]

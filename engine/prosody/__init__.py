"""Tones, rhymes and the rules of regulated verse (近体诗)."""

from engine.prosody.check import check
from engine.prosody.table import Prosody

__all__ = ["Prosody", "check"]

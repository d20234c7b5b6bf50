"""Tones, rhymes and the rules of regulated verse (近体诗)."""

from engine.prosody.check import Fault, Report, check
from engine.prosody.table import Prosody, Tone
from engine.prosody.templates import Template, templates

__all__ = ["Fault", "Prosody", "Report", "Template", "Tone", "check", "templates"]

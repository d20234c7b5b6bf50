"""Answers ``/check``: the examiner's report as the contract knows it."""

from __future__ import annotations

from dataclasses import asdict

from engine.contract.check import Blemish, CheckRequest, Examination
from engine.contract.script import Script
from engine.prosody import Prosody, check


def examine(request: CheckRequest, prosody: Prosody, script: Script) -> Examination:
    """Examine a poem in either script; characters come back as they were written. PoemError: there is none."""
    return examine_lines(request.lines(), prosody, script)


def examine_lines(written: list[str], prosody: Prosody, script: Script) -> Examination:
    """The same for lines that are cut already."""
    report = check([script.simplify(line) for line in written], prosody)
    faults = [
        Blemish(**{**asdict(fault), "character": _as_written(written, fault.line, fault.place, fault.character)})
        for fault in report.faults
    ]
    ends = {script.simplify(line)[-1]: line[-1] for line in written}
    rhymes = tuple(ends[end] for end in report.rhymes)
    return Examination(report.form, report.template, report.rhyme, rhymes, tuple(faults), tuple(written), report.tones)


def _as_written(written: list[str], line: int, place: int | None, character: str) -> str:
    return "" if place is None else written[line - 1][place - 1 : place - 1 + max(1, len(character))]

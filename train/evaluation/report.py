"""The evaluation table: our decoder, the tutorial's, and human poems, by the same metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from engine.contract import PoemRequest
from engine.contract.text import clauses
from engine.generation.poet import Poet
from engine.model.backend import Backend
from engine.model.vocab import Vocabulary
from engine.prosody import check
from engine.prosody.check import form_of
from train.data.corpus import Corpus
from train.evaluation.poem_metrics import Background, Lines, distinct_2, repetition, shuffled
from train.evaluation.rhyme_and_tone import RhymeToneTable
from train.evaluation.tutorial_decoder import gen_acrostic, generate

EVALUATED_FORMS = {"五绝": (5, 4), "七绝": (7, 4), "五律": (5, 8), "七律": (7, 8)}
"""Form → line length, number of lines."""
HEADS = 4

Measures = dict[str, Any]


EVALUATION_CANDIDATES = 8
"""How many candidates each evaluated poem is chosen from."""


@dataclass(frozen=True)
class EvalContext:
    """What all columns of the table are measured against."""

    corpus: Corpus
    background: Background
    rhyme_table: RhymeToneTable
    poems: int
    seed: int

    @classmethod
    def of(cls, corpus: Corpus, rhyme_table: RhymeToneTable, poems: int, seed: int) -> EvalContext:
        return cls(corpus, Background(corpus.poems["train"]), rhyme_table, poems, seed)

    def human(self, form: str) -> list[Lines]:
        """The test poems of a form, recognised by their shape."""
        poems = [clauses(poem) for poem in self.corpus.poems["test"]]
        return [lines for lines in poems if form_of(lines) == form]

    def openings(self, length: int) -> list[str]:
        """First lines of test poems, repeated until there are as many as poems to write."""
        firsts = [clauses(poem)[0] for poem in self.corpus.poems["test"]]
        fitting = list(dict.fromkeys(line for line in firsts if len(line) == length))
        return list(islice(cycle(fitting), self.poems if fitting else 0))

    def heads(self) -> list[str]:
        """The first characters of the first lines of test poems."""
        all_heads = ["".join(line[0] for line in lines[:HEADS]) for lines in map(clauses, self.corpus.poems["test"])]
        return list(islice(cycle(heads for heads in all_heads if len(heads) == HEADS), self.poems))


def evaluation_columns(
    poet: Poet, backend: Backend, vocabulary: Vocabulary, context: EvalContext, report: Callable[[str], None]
) -> dict[str, Measures]:
    """The three columns, without perplexity. ``report`` receives a line of progress."""
    ours: Measures = {}
    tutorial: Measures = {}
    human: Measures = {}
    for form, (length, _) in EVALUATED_FORMS.items():
        report(f"{form}: {context.poems} poems, and as many by the tutorial's decoder")
        openings = context.openings(length)
        people = context.human(form)
        written = write_poems(poet, openings, form, context.seed)
        # greedy decoding: the same opening always gives the same poem
        greedy = {opening: clauses(generate(backend, vocabulary, opening + "，")) for opening in set(openings)}
        ours[form] = measure_form(form, written, 1, people, poet, context)
        tutorial[form] = measure_form(form, [greedy[opening] for opening in openings], 1, people, poet, context)
        human[form] = measure_form(form, people, 0, people, poet, context)
    report(f"{context.poems} acrostics, and as many by the tutorial's decoder")
    heads = context.heads()
    acrostics = poet.write([PoemRequest("acrostic", h, seed=context.seed + i) for i, h in enumerate(heads)])
    greedy = {text: clauses(gen_acrostic(backend, vocabulary, text)) for text in set(heads)}
    ours["acrostic"] = {"hit": _hit_share(heads, [poem.lines for poem in acrostics])}
    tutorial["acrostic"] = {"hit": _hit_share(heads, [greedy[text] for text in heads])}
    return {"ours": ours, "tutorial": tutorial, "human": human}


def measure_form(
    form: str, poems: Sequence[Lines], forced: int, people: Sequence[Lines], poet: Poet, context: EvalContext
) -> Measures:
    """One form of one column. The first ``forced`` lines of each poem were given and do not count."""
    length, count = EVALUATED_FORMS[form]
    rhymes = [context.rhyme_table.rhymes(poem) for poem in poems]
    scans = [context.rhyme_table.scans(poem, forced) for poem in poems]
    faults = Counter(fault.name for poem in poems for fault in check(poem, poet.prosody).faults if fault.line > forced)
    own = [poem[forced:] for poem in poems]
    return {
        "poems": len(poems),
        "structure": _share([[len(line) for line in poem] == [length] * count for poem in poems]),
        "rhyme": _share(rhymes),
        "tone": _share(scans),
        "both": _share([a and b for a, b in zip(rhymes, scans, strict=True)]),
        "faults_per_100": {name: round(100 * n / len(poems), 1) for name, n in faults.most_common()},
        "repetition": round(repetition(poems), 4),
        "copied_lines": context.background.copied(own) if forced else None,
        "distinct_2": round(distinct_2(poems[: len(people)]), 4),
        "attested_words": round(context.background.attested(own), 4),
        "coherence": round(_coherence(poems, people, context), 3),
    }


def _coherence(poems: Sequence[Lines], people: Sequence[Lines], context: EvalContext) -> float:
    """Association of adjacent lines, scaled: 1 as in human poems, 0 as in human poems with shuffled lines."""
    human = context.background.association(people)
    chance = context.background.association(shuffled(people, context.seed))
    return (context.background.association(poems) - chance) / (human - chance) if human != chance else 0.0


def write_poems(poet: Poet, openings: Sequence[str], form: str, seed: int) -> list[Lines]:
    """A poem from each opening, in simplified characters."""
    requests = [PoemRequest("continue", opening, form, seed=seed + i) for i, opening in enumerate(openings)]
    return [[poet.script.simplify(line) for line in poem.lines] for poem in poet.write(requests)]


def _hit_share(heads: Sequence[str], poems: Sequence[Lines]) -> float:
    return _share(["".join(line[0] for line in poem) == text for text, poem in zip(heads, poems, strict=True)])


def _share(facts: Sequence[bool]) -> float:
    return round(sum(facts) / max(1, len(facts)), 4)


def as_markdown(table: Mapping[str, Measures]) -> str:
    """One Markdown table per form: metrics as rows, columns as columns."""
    parts = []
    for form in EVALUATED_FORMS:
        rows = [f"| {form} | {' | '.join(table)} |", f"|---|{'---|' * len(table)}"]
        for name in table["human"][form]:
            values = [column[form][name] for column in table.values()]
            rows.append(f"| {name} | {' | '.join(_cell(value) for value in values)} |")
        parts.append("\n".join(rows))
    rows = [f"| | {' | '.join(table)} |", f"|---|{'---|' * len(table)}"]
    for name, field in (("acrostic hit", "acrostic"), ("perplexity", "perplexity")):
        rows.append(f"| {name} | {' | '.join(_cell(column.get(field)) for column in table.values())} |")
    parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
    return "–" if value is None else str(value)

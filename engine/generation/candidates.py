"""The candidates of one request: selected line by line, and the best of them in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.contract import Poem, PoemRequest
from engine.contract.outline import Outline
from engine.contract.script import Script
from engine.contract.text import CLAUSE_MARKS, CLOSING_MARKS, clauses
from engine.contract.themes import wishes_well
from engine.generation.lineage import Lineage, other_seed
from engine.generation.plan import Plan
from engine.generation.ranker import Ranker
from engine.generation.sequence import TokenSequence
from engine.generation.variety import Variety


class CandidateSet:
    """Writes candidates line by line and keeps the best.

    ``rows``: the sequences to write next. The opening, which all candidates share, is read once. Then every candidate
    is written to the end of its line, where its plan has a branch. The best candidates are continued, each in several
    ways, so that their number stays the same.
    """

    def __init__(
        self,
        request: PoemRequest,
        outline: Outline,
        options: Sequence[Plan],
        seed: int,
        count: int,
        ranker: Ranker,
        script: Script,
        variety: Variety,
    ) -> None:
        """``options``: plans in stages; each candidate's seed picks one of them."""
        self.request = request
        self.outline = outline
        self.count = count
        self.rows: list[TokenSequence] = []
        self.characters = 0
        """How many characters were fed to the model in the finished stages."""
        self.begun = False
        """Whether its candidates have been started; such poems take precedence over new ones."""
        self.chosen: TokenSequence
        """The best candidate, after the last stage."""
        self._options = options
        self._seed = seed
        self._ranker = ranker
        self._script = script
        self._theme = script.simplify(outline.theme)
        self._avoided = variety.avoided(Lineage.first(seed, count)[0], self._theme, request.mode == "acrostic")
        self._wish = wishes_well(self._theme or ("".join(outline.given) if request.mode == "acrostic" else ""))
        self._stages = self._line_by_line()
        self.go_on()

    @property
    def written(self) -> bool:
        """Whether all of ``rows`` are finished."""
        return all(row.done for row in self.rows)

    def go_on(self) -> bool:
        """Start the next stage; False: there is none, and the poem is finished."""
        self.characters += sum(row.fed for row in self.rows)
        rows = next(self._stages, [])
        self.rows = rows or self.rows
        return bool(rows)

    def _line_by_line(self) -> Iterator[list[TokenSequence]]:
        stage, lineage = 0, Lineage(self._options[0].branches + 1)
        if self.count == 1:
            yield [self._single(lineage)]
            return
        firsts = [(seed, lineage.draw_seed(seed, stage)) for seed in lineage.first(self._seed, self.count)]
        if self._options[0].opening:
            opening = TokenSequence(self._options[0], 0, avoided=self._avoided)
            yield [opening]
            rows = [opening.branch(self._plan(draw_seed), seed, draw_seed) for seed, draw_seed in firsts]
        else:
            rows = [
                TokenSequence(self._plan(draw_seed), seed, draw_seed, avoided=self._avoided)
                for seed, draw_seed in firsts
            ]
        while True:
            yield rows
            self.begun = True
            different: dict[str, TokenSequence] = {}
            for row in rows:
                different.setdefault(row.text, row)
            best = sorted(different.values(), key=self._score, reverse=True)
            if not best[0].stopped:
                break
            stage += 1
            parents = best[: max(1, self.count // lineage.children)]
            families = lineage.descendants([row.seed for row in parents], stage, self.count)
            rows = [
                parent.branch(parent.plan, seed, lineage.draw_seed(seed, stage))
                for parent, seeds in zip(parents, families, strict=True)
                for seed in seeds
            ]
        self.chosen = best[0]

    def _single(self, lineage: Lineage) -> TokenSequence:
        """A single candidate, written without stopping, the same as it would be among others."""
        (seed,) = lineage.first(self._seed, 1)
        plan = self._plan(lineage.draw_seed(seed, 0))
        first = 0 if plan.opening else 1
        later = [lineage.draw_seed(seed, stage) for stage in range(first, first + plan.branches)]
        self.chosen = TokenSequence(plan, seed, lineage.draw_seed(seed, 0), later, self._avoided)
        return self.chosen

    def _plan(self, draw_seed: int) -> Plan:
        return self._options[other_seed(draw_seed, 0) % len(self._options)]

    def _score(self, row: TokenSequence) -> float:
        return self._ranker.score(row, self._theme, self.outline.lines, self._wish)

    def poem(self, model: str) -> Poem:
        """The best candidate, in the script of the request and with the given text as typed. After the last stage."""
        row = self.chosen
        traditional = self._script.is_traditional("".join((*self.outline.given, self.outline.theme)))
        text = _as_written(row.text, self._script.traditional(row.text) if traditional else row.text, self.outline)
        return Poem(
            mode=self.request.mode,
            text=_couplets(text),
            lines=tuple(clauses(text)),
            form=self.outline.form,
            seed=row.seed,
            candidates=self.count,
            model=model,
            rhyme=row.rhyme,
            template=row.plan.template,
            mood=self.request.mood,
        )


def _as_written(plain: str, text: str, shape: Outline) -> str:
    """Restore the given characters exactly as typed, line by line.

    ``text`` is ``plain`` in the script of the answer; both characters of a doubling are written the same way.
    """
    given = iter(shape.given)
    written: list[str] = []
    begins, rest = True, ""
    for i, character in enumerate(text):
        if begins:
            rest = next(given, "")
        begins = character in CLAUSE_MARKS
        if rest and not begins:
            written.append(rest[0])
            rest = rest[1:]
        else:
            written.append(written[-1] if i and plain[i] == plain[i - 1] else character)
    return "".join(written)


def _couplets(text: str) -> str:
    """Start a new row after each sentence."""
    rows = "".join(character + "\n" if character in CLOSING_MARKS else character for character in text)
    return rows.strip("\n")

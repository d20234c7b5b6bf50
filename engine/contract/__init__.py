"""What the bot and the engine agree on: the request, the poem, the errors, the queue.

All that ``bot`` may import of the engine. Imports neither Paddle nor NumPy.
"""

from engine.contract.errors import ERROR_CODES, PoemError
from engine.contract.outline import LEVEL_RHYMES, Outline, outline
from engine.contract.poem import CodecError, Poem, PoemRequest

__all__ = ["ERROR_CODES", "LEVEL_RHYMES", "CodecError", "Outline", "Poem", "PoemError", "PoemRequest", "outline"]

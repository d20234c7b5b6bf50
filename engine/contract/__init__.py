"""What the bot and the engine agree on: request, outline, poem, errors, settings and logs; the queue is below. It is
all that ``bot`` may import of the engine, so it imports neither Paddle nor NumPy and nothing else of the project.
"""

from engine.contract.codec import CodecError
from engine.contract.errors import ERROR_CODES, PoemError
from engine.contract.outline import Outline, outline
from engine.contract.poem import Poem, PoemRequest
from engine.contract.request_fields import LEVEL_RHYMES

__all__ = ["ERROR_CODES", "LEVEL_RHYMES", "CodecError", "Outline", "Poem", "PoemError", "PoemRequest", "outline"]

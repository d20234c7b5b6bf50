"""Why the bot refuses a request that could be written: limits, a full queue, the blocklist.

Errors in the request itself (length, form, characters) come with their texts from ``engine.contract``.
"""

from __future__ import annotations

from engine.contract import PoemError


def rate_limited(seconds: int) -> PoemError:
    return PoemError(
        "rate_limited",
        f"请求太频繁，请{seconds}秒后再试。",
        f"Too many requests; please try again in {seconds} seconds.",
        retry_after=seconds,
    )


def busy(seconds: int) -> PoemError:
    seconds = max(1, seconds)
    return PoemError(
        "busy",
        f"排队的人太多，大约要等{seconds}秒，请稍后再发。",
        f"The queue is full, about {seconds} seconds long; please send it again later.",
        retry_after=seconds,
    )


def refused_request() -> PoemError:
    return PoemError(
        "refused",
        "您写的内容里有不宜使用的字眼，请换一句。",
        "Your text has a word that I do not write; please try another line.",
    )


def refused_poem() -> PoemError:
    """Does not repeat the word."""
    return PoemError(
        "refused",
        "写出的诗里有不宜使用的字眼，没有发出；请再试一次，或换一句。",
        "The poem came out with a word that I do not write, so it is not shown; please try again or send another line.",
    )

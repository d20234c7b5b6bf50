"""Error texts of the HTTP server, as pairs of simplified Chinese and English; those of a poem's request come from
``engine.contract``."""

from __future__ import annotations

Texts = tuple[str, str]

NO_ADDRESS = ("没有这个地址；所有地址见 /openapi.json。", "There is no such address; /openapi.json lists them.")
WRONG_METHOD = (
    "这个地址不接受这种方法；可用的方法见 Allow 头。",
    "This address does not take this method; the Allow header names those it takes.",
)
NOT_HTTP = ("这不是有效的 HTTP 请求。", "This is not a valid HTTP request.")
INTERNAL = ("这里出了错，已记入日志。", "An internal error occurred; it was logged.")
NO_REDIS = ("队列暂时没有回应，请稍后再试。", "The queue does not answer; please try again.")
FOREIGN_SITE = (
    "请求来自别的网站，或用了未知的主机名；若这是您的服务器，请设置 SITE_NAMES。",
    "The request comes from another site or was sent to an unknown host name; if this is your server, set SITE_NAMES.",
)
WRONG_SECRET = ("密钥不对。", "The secret token is wrong.")
NOT_READY = ("尚未就绪。", "Not ready yet.")
NOT_AN_UPDATE = ("这不是 Telegram 的更新。", "Not an update.")
COMPRESSED_BODY = ("请不要压缩正文。", "Compressed bodies are not accepted; send the body uncompressed.")
SLOW_BODY = ("正文迟迟没有传完，请再试一次。", "The body arrived too slowly; please try again.")
NOT_JSON = ("正文须为 UTF-8 编码的 JSON 对象", "the body must be a JSON object in UTF-8")
NOT_A_POEM = (
    "正文须为 /api/poems 所答的诗的 JSON",
    "the body must be the JSON of a poem from /api/poems",
)
NOT_LINES = (
    "'lines' 须为汉字的诗句，不多于一首诗",
    "'lines' must be lines of Chinese characters, no more than a poem has",
)
TOO_LARGE_A_POEM = ("它比任何一首诗都长", "it is larger than any poem")
NO_POEM = (
    "没有这首诗，或已过三十天；请再写一首。",
    "There is no such poem, or it is older than thirty days; please write another.",
)
NO_TEMPLATE = (
    "没有这种格式；请用诗自己的，例如 name=五绝·平起首句入韵&length=5&lines=4。",
    "There is no such template; use that of a poem: name=五绝·平起首句入韵&length=5&lines=4.",
)
NOT_WRITTEN_HERE = (
    "只画这里写的诗：请原样寄来 /api/poems 一天之内所答的 JSON。",
    "Only poems written here are drawn: send the unchanged JSON that /api/poems answered within the last day.",
)
NO_PICTURES = (
    "这里没有安装配图功能：pip install -e '.[picture]'。",
    "Pictures require the extra: pip install -e '.[picture]'.",
)
TOO_MANY_PICTURES = ("正在画的图太多，请稍后再试。", "Too many pictures are being drawn; please try again.")


def invalid(zh: str, en: str) -> Texts:
    """``zh``, ``en``: what is wrong with the request."""
    return f"请求有误：{zh}。", f"Not a valid request: {en}."


def other_status(reason: str) -> Texts:
    return "请求有误。", f"{reason}."


def long_body(limit: int) -> Texts:
    return f"正文最多 {limit} 字节。", f"The body may have {limit} bytes."


def no_glyphs(characters: str) -> Texts:
    return f"字体里没有这些字：{characters}。", f"The font lacks {characters}."

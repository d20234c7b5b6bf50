"""Recognises what people write without a command."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from bot.updates.phrase_table import PHRASES
from engine.contract.themes import in_chinese

_SIMPLIFIED = str.maketrans(
    "續寫頭詩絕風幫關於請來換個給題為語簡體繁麼嗎誰會麻煩聽謝沒還這們賦創爲話開說後",
    "续写头诗绝风帮关于请来换个给题为语简体繁么吗谁会麻烦听谢没还这们赋创为话开说后",
)
SPOKEN_FORMS = {
    "五言绝句": "五绝", "七言绝句": "七绝", "五言律诗": "五律", "七言律诗": "七律",
    "五言古诗": "古风", "七言古诗": "古风", "绝句": "七绝", "律诗": "七律", "古体诗": "古风", "五言排律": "排律",
    "五言诗": "五言", "七言诗": "七言",
}  # fmt: skip
"""Long names of forms."""
_ENGLISH_FORMS = {"5": "五绝", "five": "五绝", "7": "七绝", "seven": "七绝"}
_PLAIN = ("", "诗", "诗词", "唐诗", "诗歌", "古诗")
_DECORATION = ("So", "Sk", "Cf", "Mn")
"""Unicode's categories of emoji with their joiners and modifiers."""
_QUOTES = re.compile('[“”"‘’「」『』《》〈〉【】]')
_GREETING = re.compile(
    r"(?:你好|您好|嗨|哈喽|hi|hello|hey)(?:呀|啊)?[，,。！!~\s]+(?:请问)?[，,\s]*|请问[，,\s]*", re.IGNORECASE
)
_NAMED = re.compile(r"(?:我|你|他|她|.{0,5}的)*(?:名字|姓名|这几个字|这句话)(?:是|叫|[：:])?")
_COUNTED = re.compile(r"(?<=.)[\s，,]*(?:这|這)?[一二两兩三四五六七八九十几幾\d]+[个個]字$")
_AROUND_HEADS = re.compile(
    r"\b(?:of|for|from|with|using|the|my|his|her|our|their|names?|words?|characters?|is"
    r"|please|pl[sz]|thanks?|thank you)\b",
    re.IGNORECASE,
)
"""English words around the characters to hide."""
_DEDICATION = re.compile(r"^(?:送给|献给|给|送)(?=.)|^的$")
_CONVERSATION = re.compile(
    "吗|嘛|怎么|谢谢|你好|您好|能不能|帮我|帮忙|机器人|哈哈|是不是|有没有|的时候|你是|你会|你能|你们"
    "|我们|真的|真棒|厉害|不错|好的|好吧|晚安|早安|早上好|晚上好|测试|再写|写的|了解|知道了"
    "|今天天气|明天天气|春联|对联|下联|上联|一首词|填词|歌词|太短|太长|翻译"
    "|加班|好累|累死|不想|老板|烦死|好烦|郁闷|哎呀|睡不着|失眠|考试|昨天|好想|手机|动了"
)
_CONVERSATION_OR_VERSE = re.compile("什么|为何|请问|可以|呵呵|天气|真好|再见|写诗|写得")
"""Each of these also occurs in 30 to 770 lines of Tang and Song poems, such as 空山新雨后，天气晚来秋."""


@dataclass(frozen=True)
class PhraseMatch:
    """``name``: the command that a phrase means; ``rest``: its text as typed; ``form``: the form, if it names one;
    ``unused_name``: a person's name that cannot be in the poem, because it is not in Chinese characters."""

    name: str
    rest: str = ""
    form: str = ""
    unused_name: str = ""


def match_phrase(text: str) -> PhraseMatch | None:
    """The first phrase of the table that matches a text; None: there is none."""
    plain = _undecorated(_QUOTES.sub(" ", text))
    if not plain or len(plain) > 200:
        return None
    greeting = _GREETING.match(plain)
    if greeting is not None and greeting.end() < len(plain):
        return match_phrase(plain[greeting.end() :])
    for name, pattern in PHRASES:
        match = pattern.fullmatch(plain.translate(_SIMPLIFIED))
        if match is not None:
            word, _, fixed = name.partition(" ")
            spans = {key: match.span(key) for key, group in match.groupdict().items() if group}
            forms = [
                plain[slice(*span)].translate(_SIMPLIFIED) for key, span in spans.items() if key.startswith("form")
            ]
            unused_name = plain[slice(*spans.pop("unused_name"))] if "unused_name" in spans else ""
            rest = [plain[slice(*span)].strip() for key, span in spans.items() if not key.startswith("form")]
            names = {**SPOKEN_FORMS, **_ENGLISH_FORMS}
            form = next((names.get(form.lower(), form) for form in forms if form not in _PLAIN), "")
            if word == "poem":
                rest = [_DEDICATION.sub("", each, count=1) for each in rest]
            if word == "acrostic":
                rest = [_AROUND_HEADS.sub(" ", _COUNTED.sub("", _NAMED.sub("", each, count=1))) for each in rest]
            unknown = unused_name if in_chinese(unused_name) == unused_name else ""
            return PhraseMatch(word, fixed or " ".join(" ".join(rest).split()), form, unknown)
    return None


def _undecorated(text: str) -> str:
    """``text`` without white space and emoji around it."""
    kept = [position for position, c in enumerate(text) if not (c.isspace() or unicodedata.category(c) in _DECORATION)]
    return text[kept[0] : kept[-1] + 1] if kept else ""


def is_conversation(text: str, couplet: bool) -> bool:
    """Whether a text is conversation rather than verse.

    ``couplet``: it has several lines, all of five characters or all of seven."""
    plain = text.translate(_SIMPLIFIED)
    return bool(_CONVERSATION.search(plain) or (not couplet and _CONVERSATION_OR_VERSE.search(plain)))

"""Recognises what people write without a command, by a table of phrases."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from engine.contract.themes import in_chinese

_SIMPLIFIED = str.maketrans(
    "續寫頭詩絕風幫關於請來換個給題為語簡體繁麼嗎誰會麻煩聽謝沒還這們賦創爲話開說後",
    "续写头诗绝风帮关于请来换个给题为语简体繁么吗谁会麻烦听谢没还这们赋创为话开说后",
)
_POLITE = (
    r"(?:请|麻烦|能不能|能否|可不可以|可以|你|您|帮忙|帮我|给我|替我|为我|帮|我想要|我想|我要|想要|再|来|能|会|\s)*"
)
_ONE = r"(?:一|两)?(?:首|个|篇|句|段)"
_WRITE = r"(?:写|作|做|来|赋|吟|生成|创作|整)"
_FORM = r"(?:五言|七言)?(?:绝句|律诗|排律|古诗|古风|古体诗|诗词|唐诗|诗歌|诗)|[五七][绝律]"
_BY = r"(?:(?:关于|有关|描写|描述|歌颂|赞美|题为|主题是|题目是|主题|题目)[：:\s]*)"
_GAP = r"[：:，,。！!\s]*"
_VERY = r"(?:真|太|很|非常|真是|真的|好)"
_GOOD = r"(?:好诗|好句|好美|好棒|棒|美|妙|厉害|赞|不错|牛)(?:极)?了?"
_PRAISE = rf"(?:这首|这诗|这|你)?(?:(?:写|作)[得的]{_VERY}*|{_VERY}+)?{_GOOD}|{_VERY}+好了?|(?:写|作)[得的]{_VERY}*好"
_THANKS = r"(?:多谢|谢谢|感谢|谢了)(?:你|您|啦|了)?"
_SO = r"so |very |how |that'?s |this is |it'?s |a "
_NICE = r"nice|good|great|beautiful|lovely|wonderful|amazing|awesome"
_ADMIRATION = rf"(?:{_SO})*(?:{_NICE})(?: poem| one| work| job)?"
_GIFT = r"[，,\s]*(?:送给|献给|给|送).{1,8}"
_ABOUT = r"(?:要有|要写|包含|含有?|带有?|里有)"
_KIND = r"(?:(?:chinese|short|tang|classical|new|little|nice|random) )*(?:(?P<form8>5|five|7|seven)[- ]characters? )?"
_POEM = r"(?:poems?|verses?|poetry|haikus?|sonnets?|limericks?|quatrains?|rhymes?)"
_TERM = (
    r"(?:[五七]言)?(?:[五七][绝律]|绝句|律诗|排律|古风|平仄|押韵|韵部|平水韵|格律|对仗|意境|藏头诗?|acrostics?|tones?)"
)
_SPEAK = r"(?:请|用|说|换成?|改成?|改用|切换[到成]?|转成?|\s)*"
_LAST = r"[。！!？?~～吧呗啊呀吗\s]*"
_END = r"(?:,? please)?[.!? ]*"
_NO_NAME = r"(?:me|you|us|him|them|my|our|your|his|her|their|the|an?|some\w*|any\w*|every\w*|all|this|that|it)"
_PLEASE = r"(?:please |can you |could you |can i have |could i have |i want |i'd like |i would like |i need |give me )*"

_PHRASES: tuple[tuple[str, str], ...] = (
    (
        "again",
        rf"(?:请|帮我|给我|\s)*(?:再来|再写|再作|换){_ONE}{_LAST}|再来{_LAST}|下一首{_LAST}|还有(?:吗|没有|没)?{_LAST}"
        r"|(?:give me |write |show me )?(?:another|again|one more).{0,12}"
        rf"|(?:不好|不行|不满意|不喜欢|不对)?{_GAP}(?:[太不].{{1,4}}?了?)?{_GAP}(?:请|帮我|给我)?"
        rf"(?:(?:重写|重新写|重来|重做|再写)(?:{_ONE}|一遍|一下)?|(?:换|再来){_ONE}){_LAST}"
        rf"|{_POLITE}(?:换成?|改成?|改为|变成)(?:{_ONE})?(?P<form9>{_FORM}){_LAST}",
    ),
    (
        "again longer",
        rf"(?:太短(?:了)?)?[，,。！!\s]*{_POLITE}(?:写|作)?(?:得|的)?(?:再)?(?:长|多)(?:一)?(?:点|些){_LAST}|太短了?{_LAST}"
        r"|(?:please )?(?:make it |a bit )?longer(?: please)?[.! ]*|too short[.! ]*",
    ),
    ("cancel", rf"取消{_LAST}|不等了{_LAST}|算了{_LAST}|cancel|stop"),
    ("language", r"换语言|语言|language"),
    ("language zh-hans", rf"{_SPEAK}简体(?:中文|字)?{_LAST}|(?:in )?simplified(?: chinese)?(?: please)?[.! ]*"),
    ("language zh-hant", rf"{_SPEAK}繁体(?:中文|字)?{_LAST}|(?:in )?traditional(?: chinese)?(?: please)?[.! ]*"),
    ("language en", rf"{_SPEAK}(?:英文|英语){_LAST}|(?:in |(?:do you |can you )?speak )?english(?: please)?[.!? ]*"),
    ("nod", rf"(?:好的?|嗯+|行|可以|哦+|知道了|收到|明白了?){_LAST}|ok(?:ay)?[.! ]*|fine[.! ]*|sure[.! ]*|yes[.! ]*"),
    (
        "thanks",
        rf"{_THANKS}(?:{_GAP}(?:{_PRAISE}))?{_LAST}|(?:{_PRAISE}){_GAP}{_THANKS}{_LAST}"
        rf"|thanks?(?: (?:yo)?u)?(?: so much)?(?:[,!. ]+(?:{_ADMIRATION}))?[!. ]*|thx|ty",
    ),
    (
        "start",
        rf"(?:你|您)好{_LAST}|嗨{_LAST}|在吗{_LAST}|在不在{_LAST}|(?:hi|hello|hey)(?: there)?[!. ]*"
        r"|.{0,6}(?:是你写的|是你自己写的|谁写的).{0,3}|(?:你|您)(?:是谁|是什么|是机器人|是真人|叫什么|会什么|会做什么|能做什么|会写诗吗|会写什么诗?|会干什么).{0,6}"
        r"|who (?:are you|wrote (?:this|it)|made (?:this|you)).{0,6}|are you (?:a )?(?:bot|human|real|an? ai).{0,3}"
        r"|what (?:can you do|do you do|is this|are you).{0,3}",
    ),
    (
        "complaint",
        rf"(?:这首|这诗|这|你)?(?:(?:写|作)[得的]{_VERY}*(?:不好|不行|很?差|很?烂|不通|看不懂)"
        rf"|(?:不好|不行|不喜欢|不满意|太[俗差烂]))了?{_LAST}"
        r"|(?:i )?(?:do not|don'?t) like (?:it|this)[.! ]*|(?:this is |it'?s |so |very )*bad[.! ]*",
    ),
    (
        "bye",
        rf"(?:再见|拜拜|晚安|早安|早上好|晚上好|回头见){_LAST}"
        r"|(?:good ?)?bye[.! ]*|good (?:night|morning|evening)[.! ]*",
    ),
    ("praise", rf"(?:{_PRAISE}){_LAST}|{_ADMIRATION}[!. ]*"),
    ("help", r"(?:这个|它|要)?(?:怎么|如何|咋)(?:用|玩|使用|写|分享|换|改|选|设|看).{0,6}"),
    (
        "terms",
        rf"(?:什么|啥)(?:是|叫){_TERM}{_LAST}|{_TERM}(?:是|指)(?:什么|啥).{{0,4}}|{_TERM}(?:什么意思|怎么写|怎么作){_LAST}"
        rf"|what(?: is|'?s| are) (?:an? )?{_TERM}{_END}|what do(?:es)? {_TERM} mean{_END}",
    ),
    ("help", r"什么是.{1,8}|what (?:is|are) .{1,40}"),
    ("help", rf"帮助{_LAST}|用法{_LAST}|使用说明|help.{{0,6}}|(?:how|hwo|hw) .{{0,60}}"),
    (
        "check",
        rf"{_POLITE}(?:查|检查|看看|看|分析)(?:查|一查|一看|一下)?(?:我?(?:写的?)?这首诗?|这诗|下面这首诗?)?的?(?:格律|平仄|押韵|韵脚|声律)"
        rf"(?:对不对|对吗|如何|怎么样)?{_GAP}(?P<check>.*)|{_POLITE}(?:修?改|润色|点评|评价|评)(?:一?下|一改)?(?:我?(?:写的?)?这首诗?|这诗)"
        rf"(?:如何|怎么样)?{_GAP}(?P<check3>.*)|格律[：:\s]+(?P<check2>.+)",
    ),
    (
        "acrostic",
        rf"{_POLITE}(?:{_WRITE}?{_ONE}|{_WRITE})?(?P<form1>五言|七言|[五七][绝律])?的?藏头诗?{_GAP}(?:藏|内容是?)?{_GAP}"
        rf"(?P<heads>.*?)(?:\s+(?P<form19>五言|七言|[五七][绝律])的?)?",
    ),
    (
        "acrostic",
        rf".{{2,30}}?[，,。！!\s]+{_POLITE}{_WRITE}?{_ONE}?(?P<form15>五言|七言|[五七][绝律])?的?藏头诗?[：:]\s*"
        rf"(?P<heads9>.+)",
    ),
    (
        "acrostic",
        rf"{_POLITE}(?:用|以|拿)(?P<heads10>.*?(?:名字|姓名).*?)(?:来|去)?{_WRITE}{_ONE}(?P<form16>{_FORM})?{_LAST}",
    ),
    ("tail", r".{0,30}(?:藏尾|(?:每|诗)一?(?:句|行).{0,2}(?:最后|[末结句]尾|句末|末|尾)).{0,20}"),
    (
        "acrostic",
        rf"{_POLITE}(?:用|以|拿|把)(?P<heads2>.+?)(?:这[一二两三四五六七八九十几]个字|为头|作头|开头|为题)?[，,\s]*"
        rf"{_POLITE}(?:{_WRITE}?{_ONE}|{_WRITE}成?)(?P<form2>五言|七言|[五七][绝律])?的?藏头诗?{_LAST}",
    ),
    ("acrostic", rf"{_POLITE}(?:把|将)(?P<heads7>.+?)(?:这[一二两三四五六七八九十几]个字)?藏(?:在|进|到|入).{{0,8}}"),
    ("acrostic", r"(?:我叫|我是|名字[是叫]|我的名字[是叫]?)(?P<heads5>[^，,。！!\s]{1,8})[，,。！!\s].*藏头.*"),
    (
        "acrostic",
        rf"(?P<heads3>.+?)(?:的|[：:，,\s])\s*(?P<form10>五言|七言|[五七][绝律])?的?藏头诗?"
        rf"[，,\s]*(?P<form11>五言|七言|[五七][绝律])?{_LAST}",
    ),
    (
        "continue",
        rf"{_POLITE}(?:续写|接着写|往下写|接下去|接龙|续|接一句|接下句|对一?句|对个?下句)(?:{_ONE}|一下|这句|下句|成)?(?P<form3>{_FORM})?"
        rf"(?:(?<=写){_GAP}|[：:，,\s]+)(?P<line>.*)",
    ),
    ("by_heart", rf".+?[，,。？?\s]*的?(?:下一句|下句|下半句|上一句|上句)(?:是什么|是啥|怎么说){_LAST}"),
    ("continue", rf"(?P<line3>.+?)[，,。？?\s]*的?(?:下一句|下句|下半句)呢?{_LAST}"),
    (
        "poem",
        rf"{_POLITE}以(?P<theme1>.+?)为(?:主?题目?|内容)"
        rf"(?:[，,\s]*{_POLITE}{_WRITE}{_ONE}?(?P<form4>{_FORM})?)?{_LAST}",
    ),
    (
        "poem",
        rf"{_POLITE}(?:{_WRITE}{_ONE}|{_ONE}|{_WRITE})(?:{_BY}|写)?(?P<theme2>[^，,：:\s]*?)(?:为题)?的?(?P<form5>{_FORM})"
        rf"[吗吧呢]?(?:{_GIFT}|(?:[：:，,。！!\s]+(?:{_BY}|{_ABOUT})?|{_BY})(?P<theme3>.*?))?{_LAST}",
    ),
    ("poem", rf"(?:随便|任意)?{_POLITE}(?:随便|任意)?{_WRITE}?{_ONE}(?:吧|好了)?{_LAST}"),
    ("poem", rf"(?:祝(?:你|您|大家)?)?(?P<theme12>.{{1,4}})快乐{_LAST}"),
    ("poem", rf"{_POLITE}{_WRITE}{_ONE}(?P<form14>[五七][言绝律]|古风|排律)的?{_LAST}"),
    ("poem", rf"{_POLITE}{_WRITE}{_ONE}(?P<form12>{_FORM})?{_GAP}{_BY}?(?P<theme4>.+?){_LAST}"),
    ("poem", rf"(?:{_BY})(?P<theme5>.+?)的?(?P<form6>{_FORM})?{_LAST}"),
    (
        "poem",
        rf"{_POLITE}(?:送给?|献给|给)(?P<theme15>[^，,。！!\s]{{1,8}}?){_WRITE}?{_ONE}(?P<form17>{_FORM})"
        rf"(?:{_GAP}(?P<theme16>.*?))?{_LAST}",
    ),
    (
        "poem",
        rf"(?P<theme17>.{{2,30}}?)[，,。！!\s]+{_POLITE}{_WRITE}{_ONE}(?P<theme18>[^，,：:\s]*?)的?(?P<form18>{_FORM})"
        rf"(?P<theme20>祝.{{1,12}})?{_LAST}",
    ),
    (
        "poem",
        rf"{_POLITE}(?:换|改)(?:一?个|成)?(?:主题|题目|内容)[，,：:\s]*(?:(?:写|改成|换成|为|是)[：:\s]*)?(?P<theme21>.*?){_LAST}",
    ),
    ("poem", rf"(?P<theme6>.+?)的(?P<form7>{_FORM}){_LAST}"),
    (
        "acrostic",
        rf"{_PLEASE}(?:(?:write|make|give)(?: me)? )?(?:an? )?acrostic(?: poem)?(?: of| for| from|:)?(?P<heads4>.*)",
    ),
    ("acrostic", r".{0,30}\b(?:my|his|her|the|our) name(?: is)?[: ]+(?P<heads8>[^a-z]{1,8})"),
    ("continue", rf"{_PLEASE}continue(?: with|:)? (?P<line2>.+)"),
    (
        "poem",
        rf"{_PLEASE}(?:write|give|make|compose|create)?(?: ?me| ?us)?(?: ?an?| ?some| ?the)? ?"
        rf"{_KIND}{_POEM}(?:[, ]+(?:about|on|of|for))?[: ]*(?P<theme7>.*?){_END}",
    ),
    (
        "poem",
        rf"{_PLEASE}(?:(?:write|make)(?: me| us)? )?(?:an? )?(?P<theme10>[a-z]+) poem"
        rf"(?: for (?:(?!{_NO_NAME}\b)(?P<whom>[a-z' -]{{1,30}}?)|.{{1,30}}?))?{_END}",
    ),
    ("poem", rf"{_PLEASE}write(?: me)? (?:something|anything){_END}"),
    ("poem", rf"{_PLEASE}(?:write(?: me)? )?(?:an? )?(?P<form13>{_FORM}) (?:about|on|of) (?P<theme13>.+?){_END}"),
    ("poem", rf"{_PLEASE}(?:something|anything) (?:about |on )?(?P<theme14>[a-z' ]+?){_END}"),
    ("poem", rf"{_PLEASE}write(?: me)?(?: some(?:thing)?| anything)?(?: about| on)? (?P<theme8>.+?)(?: poem)?[.!? ]*"),
    ("poem", rf"{_PLEASE}(?P<theme9>[a-z ]+?) poem(?: for (?P<theme19>[a-z' ]{{1,30}}))?(?:[,.] .*)?[.!? ]*"),
    ("acrostic", r"(?:[a-z,.!?' ]+)acrostic(?: of| for| from|:)?(?P<heads6>.*)"),
)  # fmt: skip
_TABLE = tuple((name, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for name, pattern in _PHRASES)
SPOKEN_FORMS = {
    "五言绝句": "五绝", "七言绝句": "七绝", "五言律诗": "五律", "七言律诗": "七律",
    "五言古诗": "古风", "七言古诗": "古风", "绝句": "七绝", "律诗": "七律", "古体诗": "古风",
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
_TO_WHOM = re.compile(r"^(?:送给|献给|给|送)(?=.)|^的$")
_TALK = re.compile(
    "吗|嘛|怎么|谢谢|你好|您好|能不能|帮我|帮忙|机器人|哈哈|是不是|有没有|的时候|你是|你会|你能|你们"
    "|我们|真的|真棒|厉害|不错|好的|好吧|晚安|早安|早上好|晚上好|测试|再写|写的|了解|知道了"
    "|今天天气|明天天气|春联|对联|下联|上联|一首词|填词|歌词|太短|太长|翻译"
    "|加班|好累|累死|不想|老板|烦死|好烦|郁闷|哎呀|睡不着|失眠|考试|昨天|好想|手机|动了"
)
_TALK_AND_VERSE = re.compile("什么|为何|请问|可以|呵呵|天气|真好|再见|写诗|写得")
"""Each of these also occurs in 30 to 770 lines of Tang and Song poems, such as 空山新雨后，天气晚来秋."""


@dataclass(frozen=True)
class Said:
    """The command that a phrase means, the rest of the text as typed, the form, if the phrase names one, and somebody's
    name that is not used, because it is not written in Chinese characters."""

    name: str
    rest: str = ""
    form: str = ""
    whom: str = ""


def understood(text: str) -> Said | None:
    """What a text asks for; None: no phrase of the table matches."""
    plain = _undecorated(_QUOTES.sub(" ", text))
    if not plain or len(plain) > 200:
        return None
    greeting = _GREETING.match(plain)
    if greeting is not None and greeting.end() < len(plain):
        return understood(plain[greeting.end() :])
    for name, pattern in _TABLE:
        match = pattern.fullmatch(plain.translate(_SIMPLIFIED))
        if match is not None:
            word, _, fixed = name.partition(" ")
            spans = {key: match.span(key) for key, found in match.groupdict().items() if found}
            forms = [
                plain[slice(*span)].translate(_SIMPLIFIED) for key, span in spans.items() if key.startswith("form")
            ]
            whom = plain[slice(*spans.pop("whom"))] if "whom" in spans else ""
            rest = [plain[slice(*span)].strip() for key, span in spans.items() if not key.startswith("form")]
            names = {**SPOKEN_FORMS, **_ENGLISH_FORMS}
            form = next((names.get(form.lower(), form) for form in forms if form not in _PLAIN), "")
            if word == "poem":
                rest = [_TO_WHOM.sub("", each, count=1) for each in rest]
            if word == "acrostic":
                rest = [_AROUND_HEADS.sub(" ", _COUNTED.sub("", _NAMED.sub("", each, count=1))) for each in rest]
            unknown = whom if in_chinese(whom) == whom else ""
            return Said(word, fixed or " ".join(" ".join(rest).split()), form, unknown)
    return None


def _undecorated(text: str) -> str:
    """``text`` without white space and emoji around it."""
    kept = [place for place, c in enumerate(text) if not (c.isspace() or unicodedata.category(c) in _DECORATION)]
    return text[kept[0] : kept[-1] + 1] if kept else ""


def is_talk(text: str, couplet: bool) -> bool:
    """Whether a text is conversation rather than verse. ``couplet``: it has several lines, all of five or of seven."""
    plain = text.translate(_SIMPLIFIED)
    return bool(_TALK.search(plain) or (not couplet and _TALK_AND_VERSE.search(plain)))

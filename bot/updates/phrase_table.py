"""The phrases that the bot understands without a command, as regular expressions over simplified characters."""

from __future__ import annotations

import re

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

_PATTERNS: tuple[tuple[str, str], ...] = (
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
        rf"(?: for (?:(?!{_NO_NAME}\b)(?P<unused_name>[a-z' -]{{1,30}}?)|.{{1,30}}?))?{_END}",
    ),
    ("poem", rf"{_PLEASE}write(?: me)? (?:something|anything){_END}"),
    ("poem", rf"{_PLEASE}(?:write(?: me)? )?(?:an? )?(?P<form13>{_FORM}) (?:about|on|of) (?P<theme13>.+?){_END}"),
    ("poem", rf"{_PLEASE}(?:something|anything) (?:about |on )?(?P<theme14>[a-z' ]+?){_END}"),
    ("poem", rf"{_PLEASE}write(?: me)?(?: some(?:thing)?| anything)?(?: about| on)? (?P<theme8>.+?)(?: poem)?[.!? ]*"),
    ("poem", rf"{_PLEASE}(?P<theme9>[a-z ]+?) poem(?: for (?P<theme19>[a-z' ]{{1,30}}))?(?:[,.] .*)?[.!? ]*"),
    ("acrostic", r"(?:[a-z,.!?' ]+)acrostic(?: of| for| from|:)?(?P<heads6>.*)"),
)  # fmt: skip
PHRASES = tuple((name, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for name, pattern in _PATTERNS)
"""Command → pattern; the first that matches a whole text counts. Groups ``form…`` are a form, ``unused_name``
a person's name, all others the text."""

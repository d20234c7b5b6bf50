"""Translates themes from modern Chinese or English into the words of classical poets."""

from __future__ import annotations

import re

ENGLISH = {
    "spring": "春", "summer": "夏", "autumn": "秋", "winter": "冬",
    "moon": "月", "night": "夜", "wind": "风", "rain": "雨", "snow": "雪", "cloud": "云", "sunset": "夕阳",
    "mountain": "山", "river": "江", "lake": "湖", "sea": "海", "flower": "花", "willow": "柳", "bamboo": "竹",
    "plum": "梅", "lotus": "莲", "bird": "鸟", "dog": "犬", "cat": "猫", "horse": "马", "wine": "酒", "tea": "茶",
    "love": "相思", "friend": "故人", "farewell": "送别", "home": "思乡", "journey": "行旅", "war": "边塞",
    "temple": "寺", "dream": "梦", "past": "怀古",
}  # fmt: skip
_MORE_ENGLISH = {
    "mother": "慈母", "family": "家", "child": "儿", "birthday": "仙桃", "sadness": "愁", "joy": "欢", "solitude": "孤",
    "age": "老", "youth": "少年", "time": "光阴", "loss": "断肠", "peace": "太平", "silence": "幽", "beauty": "美人",
    "heart": "心", "tear": "泪", "cherry": "樱", "peach": "桃", "rose": "蔷薇", "chrysanthemum": "菊", "orchid": "兰",
    "pine": "松", "tree": "树", "leaf": "落叶", "grass": "草", "garden": "园", "forest": "林", "star": "星",
    "sun": "日",
    "morning": "晓", "evening": "暮", "sky": "天", "mist": "烟", "cold": "寒", "fire": "火", "road": "路", "boat": "舟",
    "bridge": "桥", "city": "城", "village": "村", "sword": "剑", "song": "歌", "lute": "琴", "painting": "画",
    "landscape": "山水", "book": "书", "fish": "鱼", "goose": "雁", "crane": "鹤", "butterfly": "蝶", "cicada": "蝉",
    "dragon": "龙", "tiger": "虎", "soldier": "征人", "emperor": "君王", "new": "新", "year": "年", "old": "旧",
    "waterfall": "瀑", "island": "洲", "wedding": "鸳鸯", "teacher": "桃李",
}  # fmt: skip
"""Words that are understood as well; an error names only those above."""
_ENGLISH_SYNONYMS = {
    "mom": "mother", "mum": "mother", "children": "child", "sad": "sadness", "sorrow": "sadness",
    "grief": "sadness", "melancholy": "sadness", "happy": "joy", "happiness": "joy", "lonely": "solitude",
    "loneliness": "solitude", "alone": "solitude", "aging": "age", "young": "youth", "quiet": "silence",
    "beautiful": "beauty", "woman": "beauty", "girl": "beauty", "leave": "leaf", "wood": "forest",
    "sunrise": "morning", "dawn": "morning", "dusk": "evening", "fog": "mist", "ice": "cold", "music": "song",
    "zither": "lute", "king": "emperor", "rainy": "rain", "snowy": "snow", "wife": "love", "husband": "love",
    "girlfriend": "love", "boyfriend": "love", "lover": "love", "darling": "love", "father": "family",
    "dad": "family", "parent": "family", "baby": "child", "son": "child", "daughter": "child",
    "missing": "love", "romance": "love", "romantic": "love", "sunny": "sun", "starry": "star",
    "stream": "river", "geese": "goose", "mountains": "mountain", "ship": "boat", "path": "road",
    "nature": "mountain", "fall": "autumn", "moonlight": "moon", "hill": "mountain", "water": "river",
    "ocean": "sea", "friendship": "friend", "goodbye": "farewell", "parting": "farewell", "homesick": "home",
    "homesickness": "home", "travel": "journey", "frontier": "war", "history": "past", "longing": "love",
    "blossom": "flower", "marriage": "wedding", "married": "wedding", "anniversary": "wedding",
}  # fmt: skip
_ALL_ENGLISH = {**ENGLISH, **_MORE_ENGLISH}
_OCCASIONS = {
    "生日": "仙桃", "寿辰": "仙桃", "大寿": "仙桃", "结婚": "鸳鸯", "婚礼": "鸳鸯", "新婚": "鸳鸯", "新郎": "鸳鸯",
    "新娘": "鸳鸯", "百年好合": "鸳鸯", "白头偕老": "鸳鸯", "老师": "桃李", "教师节": "桃李",
}  # fmt: skip
"""Occasions for which people ask for poems, also within a longer wish: 祝我哥新婚快乐."""
_GOOD_WISHES = (
    *_OCCASIONS, *dict.fromkeys(_OCCASIONS.values()),
    "快乐", "恭喜", "福", "寿", "吉祥", "如意", "平安", "新年", "元宵", "欢", "太平",
)  # fmt: skip
"""Words in themes and heads of poems that are given to somebody as a wish."""
_CLASSICAL = {
    **_OCCASIONS,
    "春天": "春", "春季": "春", "夏天": "夏", "夏季": "夏", "秋天": "秋", "秋季": "秋", "冬天": "冬", "冬季": "冬",
    "月亮": "月", "太阳": "日", "星星": "星", "天空": "天", "大海": "海", "海洋": "海", "下雨": "雨", "下雪": "雪",
    "花朵": "花", "爱情": "相思", "爱": "相思", "朋友": "故人", "友情": "故人", "友谊": "故人", "妈妈": "慈母",
    "母亲": "慈母", "爸爸": "严亲", "父亲": "严亲", "妻子": "相思", "老婆": "相思", "老公": "相思", "女朋友": "相思",
    "男朋友": "相思", "狗": "犬",
    "家": "故乡", "家乡": "故乡", "老家": "故乡", "想家": "思乡", "战争": "边塞", "旅行": "行旅",
    "旅游": "行旅", "喝酒": "酒", "喝茶": "茶", "离别": "送别", "分别": "送别", "孤独": "孤", "历史": "怀古",
}  # fmt: skip
_THEME_TO_SIMPLIFIED = str.maketrans(
    "陽愛親媽戰遊離獨歷鄉別舊風詩書畫將軍長閨詠史懷邊陰壽結禮頭師節樂鴛鴦歡",
    "阳爱亲妈战游离独历乡别旧风诗书画将军长闺咏史怀边阴寿结礼头师节乐鸳鸯欢",
)
_ENGLISH_STOP_WORDS = {
    "a", "an", "the", "and", "of", "in", "on", "my", "about", "poem", "s", "i", "me", "you", "your", "we", "our", "her",
    "his", "their", "with", "to", "for", "at", "is", "by", "under", "over", "from", "very", "some", "or", "this",
    "that",
}  # fmt: skip


THEMES = ("春", "秋", "月", "山水", "思乡", "送别", "边塞", "相思", "酒", "雪", "梅", "怀古")
"""Themes to choose from when the user names none."""
_OTHER_THEMES = """
    山水 田园 咏史 咏梅 闺怨 中秋 重阳 清明 元宵 七夕 端午 除夕 新年 春雨 秋雨 春风 秋风 明月 落花 黄昏 夜雨 江南 长安
    洛阳 故乡 乡愁 离愁 友人 美人 将军 桃花 菊花 荷花 梅花 竹子 松树 雁 蝉 剑 琴 棋 书 画 诗 愁 闲 隐居 登高 塞外
"""


def is_theme(text: str) -> bool:
    """Whether the whole text is the name of a theme."""
    plain = _translated(text.strip().rstrip("。！!.?？～~"))
    named = {*THEMES, *_OTHER_THEMES.split(), *_ALL_ENGLISH.values(), *_CLASSICAL.values()}
    return all(part.translate(_THEME_TO_SIMPLIFIED) in named for part in re.split(r"[\s，]+", plain))


def in_chinese(theme: str) -> str:
    """``theme`` in classical Chinese: modern words are replaced, English ones only if all of them are known.

    Of a wish for an occasion only the known words remain.
    """
    plain = theme.translate(_THEME_TO_SIMPLIFIED)
    if any(occasion in plain for occasion in _OCCASIONS):
        return "，".join(dict.fromkeys(_CLASSICAL[word] for word in _CLASSICAL if len(word) > 1 and word in plain))
    return _translated(theme)


def wishes_well(text: str) -> bool:
    """Whether a theme or the heads of an acrostic are a good wish, with which sorrow does not go."""
    plain = text.translate(_THEME_TO_SIMPLIFIED)
    return any(word in plain for word in _GOOD_WISHES)


def _translated(theme: str) -> str:
    theme = "，".join(_classical(part) for part in re.split(r"(?<=.)的(?=.)|[，、,]", theme.strip()))
    words = [word for word in re.findall(r"[a-z]+", theme.lower()) if word not in _ENGLISH_STOP_WORDS]
    if not words:
        return theme
    known = [_ALL_ENGLISH.get(_ENGLISH_SYNONYMS.get(name, name), "") for name in map(_singular, words)]
    others = re.sub(r"[A-Za-z]+", " ", theme)
    return f"{others} {' '.join(known)}".strip() if all(known) else theme


def in_english(theme: str) -> str:
    """The English of a theme in Chinese; an empty string if it is not a known word."""
    return next((english for english, chinese in _ALL_ENGLISH.items() if chinese == theme), "")


def _classical(word: str) -> str:
    return _CLASSICAL.get(word.strip().translate(_THEME_TO_SIMPLIFIED), word)


def _singular(word: str) -> str:
    known = _ALL_ENGLISH.keys() | _ENGLISH_SYNONYMS.keys()
    return next((form for form in (word, word.removesuffix("s"), word.removesuffix("es")) if form in known), word)

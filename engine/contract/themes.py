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
_ALSO = {
    "fall": "autumn", "moonlight": "moon", "hill": "mountain", "water": "river", "ocean": "sea", "friendship": "friend",
    "goodbye": "farewell", "parting": "farewell", "homesick": "home", "homesickness": "home", "travel": "journey",
    "frontier": "war", "history": "past", "longing": "love", "blossom": "flower",
}  # fmt: skip
_CLASSICAL = {
    "春天": "春", "春季": "春", "夏天": "夏", "夏季": "夏", "秋天": "秋", "秋季": "秋", "冬天": "冬", "冬季": "冬",
    "月亮": "月", "太阳": "日", "星星": "星", "天空": "天", "大海": "海", "海洋": "海", "下雨": "雨", "下雪": "雪",
    "花朵": "花", "爱情": "相思", "爱": "相思", "朋友": "故人", "友情": "故人", "友谊": "故人", "妈妈": "慈母",
    "母亲": "慈母", "家": "故乡", "家乡": "故乡", "老家": "故乡", "想家": "思乡", "战争": "边塞", "旅行": "行旅",
    "旅游": "行旅", "喝酒": "酒", "喝茶": "茶", "离别": "送别", "分别": "送别", "孤独": "孤", "历史": "怀古",
}  # fmt: skip
_TRADITIONAL = str.maketrans(
    "陽愛親媽戰遊離獨歷鄉別舊風詩書畫將軍長閨詠史懷邊陰", "阳爱亲妈战游离独历乡别旧风诗书画将军长闺咏史怀边阴"
)
_IDLE = {"a", "an", "the", "and", "of", "in", "on", "my", "about", "poem", "s"}


THEMES = ("春", "秋", "月", "山水", "思乡", "送别", "边塞", "相思", "酒", "雪", "梅", "怀古")
"""Themes to choose from when the user names none."""
_MORE = """
    山水 田园 咏史 咏梅 闺怨 中秋 重阳 清明 元宵 七夕 端午 除夕 新年 春雨 秋雨 春风 秋风 明月 落花 黄昏 夜雨 江南 长安
    洛阳 故乡 乡愁 离愁 友人 美人 将军 桃花 菊花 荷花 梅花 竹子 松树 雁 蝉 剑 琴 棋 书 画 诗 愁 闲 隐居 登高 塞外
"""


def is_theme(text: str) -> bool:
    """Whether the whole text is the name of a theme."""
    plain = in_chinese(text.strip().rstrip("。！!.?？～~"))
    named = {*THEMES, *_MORE.split(), *ENGLISH.values(), *_CLASSICAL.values()}
    return all(part.translate(_TRADITIONAL) in named for part in re.split(r"[\s，]+", plain))


def in_chinese(theme: str) -> str:
    """``theme`` in classical Chinese: modern words are replaced, English ones only if all of them are known."""
    theme = "，".join(_classical(part) for part in re.split(r"(?<=.)的(?=.)|[，、,]", theme.strip()))
    words = [word for word in re.findall(r"[a-z]+", theme.lower()) if word not in _IDLE]
    if not words:
        return theme
    known = [ENGLISH.get(_ALSO.get(name, name), "") for name in map(_singular, words)]
    others = re.sub(r"[A-Za-z]+", " ", theme)
    return f"{others} {' '.join(known)}".strip() if all(known) else theme


def _classical(word: str) -> str:
    return _CLASSICAL.get(word.strip().translate(_TRADITIONAL), word)


def _singular(word: str) -> str:
    known = ENGLISH.keys() | _ALSO.keys()
    return word if word in known else word.removesuffix("s")

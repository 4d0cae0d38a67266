"""The visitors: names, habits, and the mistakes they make. All addresses end in `.example`."""

import random
from dataclasses import dataclass

_CHINESE = [
    "王伟",
    "李娜",
    "张敏",
    "刘洋",
    "陈静",
    "杨帆",
    "赵磊",
    "黄丽",
    "周杰",
    "吴霞",
    "徐明",
    "孙悦",
    "朱琳",
    "马超",
    "胡兰",
    "郭峰",
    "林芳",
    "何平",
    "高翔",
    "罗雪",
    "郑强",
    "梁红",
    "谢军",
    "宋佳",
    "唐宁",
    "许诺",
    "韩冰",
    "冯涛",
    "邓超",
    "曹颖",
    "彭飞",
    "曾琴",
    "萧然",
    "田甜",
    "董洁",
    "潘虹",
    "袁野",
    "蒋欣",
    "余波",
    "杜鹃",
]
_PINYIN = [
    "wang.wei",
    "li.na",
    "zhang.min",
    "liu.yang",
    "chen.jing",
    "yang.fan",
    "zhao.lei",
    "huang.li",
    "zhou.jie",
    "wu.xia",
    "xu.ming",
    "sun.yue",
    "zhu.lin",
    "ma.chao",
    "hu.lan",
    "guo.feng",
    "lin.fang",
    "he.ping",
    "gao.xiang",
    "luo.xue",
    "zheng.qiang",
    "liang.hong",
    "xie.jun",
    "song.jia",
    "tang.ning",
    "xu.nuo",
    "han.bing",
    "feng.tao",
    "deng.chao",
    "cao.ying",
    "peng.fei",
    "zeng.qin",
    "xiao.ran",
    "tian.tian",
    "dong.jie",
    "pan.hong",
    "yuan.ye",
    "jiang.xin",
    "yu.bo",
    "du.juan",
]
_ENGLISH = [
    "Ann Baker",
    "Bob Carter",
    "Carla Diaz",
    "Dan Evans",
    "Ella Fischer",
    "Frank Green",
    "Gina Hall",
    "Hugo Ivers",
    "Iris Jones",
    "Jack King",
    "Kate Lopez",
    "Liam Moore",
    "Mia Novak",
    "Noah Olsen",
    "Olga Perez",
    "Paul Quinn",
]
_HOSTS = ("mail.example", "post.example", "firm.example", "studio.example", "trade.example")
_CITIES = ("宁波", "杭州", "苏州", "上海", "义乌", "温州")
_CITIES_EN = ("Ningbo", "Hamburg", "Leeds", "Austin")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One person and what they will do this week. Hours count from the start of the week."""

    number: int
    name: str
    email: str
    language: str
    city: str
    bait: str
    hour: float
    consents: bool
    typo: bool
    comes_again: bool
    opens_mail: bool
    scanner: bool
    reads: float
    clicks: float
    asks: float
    buys: float
    leaves: bool


@dataclass(frozen=True, slots=True)
class Passer:
    """Somebody who looks at a form and goes."""

    language: str
    bait: str
    hour: float


def passers(seed: int, cast: list[Visitor]) -> list[Passer]:
    """Those who look and go: one or two for everybody who leaves a contact, the same for the same seed."""
    dice = random.Random(seed + 2)  # noqa: S311  # habits, not secrets
    return [
        Passer(visitor.language, visitor.bait, visitor.hour + dice.uniform(-2, 2))
        for visitor in cast
        for _ in range(dice.choice((0, 1, 1, 2, 3)))
    ]


def visitors(seed: int, count: int, baits: list[str]) -> list[Visitor]:
    """The cast, the same for the same seed. Exactly two of them never consent to anything."""
    dice = random.Random(seed)  # noqa: S311  # habits, not secrets
    cast = [_visitor(dice, number, baits) for number in range(count)]
    return sorted(cast, key=lambda visitor: visitor.hour)


def _visitor(dice: random.Random, number: int, baits: list[str]) -> Visitor:
    chinese = dice.random() < 0.7
    if chinese:
        index = dice.randrange(len(_CHINESE))
        name, local = _CHINESE[index], _PINYIN[index]
    else:
        name = dice.choice(_ENGLISH)
        local = name.lower().replace(" ", ".")
    # more of them in the evening than at night, more at the start of the week
    hour = 24 * min(dice.expovariate(0.6), 5.9) // 1
    hour = hour - hour % 24 + dice.choice((8, 9, 10, 11, 12, 14, 15, 16, 19, 20, 20, 21))
    return Visitor(
        number=number,
        name=name,
        email=f"{local}{number}@{dice.choice(_HOSTS)}",
        language="zh-CN" if chinese else "en",
        city=dice.choice(_CITIES if chinese else _CITIES_EN),
        bait=baits[0] if not chinese else dice.choice(baits[1:]),
        hour=hour + dice.random(),
        consents=number >= 2,
        typo=dice.random() < 0.08,
        comes_again=dice.random() < 0.1,
        opens_mail=dice.random() < 0.82,
        scanner=dice.random() < 0.07,
        reads=dice.random(),
        clicks=dice.random(),
        asks=dice.random(),
        buys=dice.random(),
        leaves=dice.random() < 0.03,
    )

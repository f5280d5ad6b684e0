"""Names of generated people and bodies. A name belongs to nobody in particular: it is drawn, like everything here.

Surnames in the order in which the police's name statistics put them (2007 and later; [approximate]),
their shares falling with the rank to the power of 0.8, which fits the first twenty to a tenth.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.demo.columns import Flags, constant, picked

_SURNAMES = [
    *"王李张刘陈杨黄赵周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎",
    *"余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文",
    *("欧阳", "上官", "诸葛", "司徒", "皇甫"),
]
_FEMALE = (
    "秀英丽敏静娟艳芳娜霞桂玉萍红玲芬燕彩春菊兰凤洁梅琳素云莲真环雪荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞莉薇婷雅晓思雨欣怡"
)
_MALE = "伟刚勇毅俊峰强军平保东文辉力明永健世广志义兴良海山仁波宁贵福生龙元全国胜学祥才发武新利清飞彬富顺信子杰涛浩宇轩"
GIVEN = tuple(_FEMALE + _MALE)
_SHARE_OF_ONE_CHARACTER = 0.16

#: Names of peoples whose names have a middle dot: given name · father's name.
_DOTTED = ("阿依古丽", "古丽娜尔", "买买提", "艾合买提", "阿卜杜拉", "热依汗", "吐尔逊", "努尔兰", "哈力克", "巴哈尔")
_SHARE_OF_DOTTED = 0.006

_LATIN_FAMILY = ("MUSTER", "EXEMPLE", "ESEMPIO", "SPECIMEN", "EJEMPLO", "VOORBEELD", "PRZYKLAD", "CONTOH", "MFANO")
_LATIN_GIVEN = ("ANNA", "BRUNO", "CARLA", "DIEGO", "ELSA", "FELIX", "GRETA", "HUGO", "IRIS", "JONAS", "KIM", "LENA")

_TRADES = ("商贸", "科技", "餐饮管理", "机电设备", "文化传播", "物流", "装饰工程", "信息咨询", "服装", "印刷")
_BODIES = ("行业协会", "志愿者协会", "教育基金会", "养老服务中心", "社区服务中心", "摄影学会")


def _falling(count: int) -> Any:
    shares = np.arange(1, count + 1) ** -0.8
    return np.cumsum(shares / shares.sum())


def citizens(rng: np.random.Generator, male: Flags) -> Any:
    """One name a row."""
    rows = male.size
    given = len(GIVEN) // 2 * male
    family = np.searchsorted(_falling(len(_SURNAMES)), rng.random(rows) * 0.999_999)
    first = given + rng.integers(0, len(GIVEN) // 2, rows)
    # Index len(GIVEN) is the empty text: no second character.
    second = np.where(
        rng.random(rows) < _SHARE_OF_ONE_CHARACTER, len(GIVEN), given + rng.integers(0, len(GIVEN) // 2, rows)
    )
    plain = pc.binary_join_element_wise(
        picked(_SURNAMES, family), picked(GIVEN, first), picked((*GIVEN, ""), second), ""
    )
    dotted = np.flatnonzero(rng.random(rows) < _SHARE_OF_DOTTED)
    mask = np.zeros(rows, np.bool_)
    mask[dotted] = True
    return pc.replace_with_mask(plain, pa.array(mask), _joined(rng, _DOTTED, _DOTTED, "·", dotted.size))


def foreigners(rng: np.random.Generator, rows: int) -> Any:
    """Family name, space, given name, as in a passport."""
    return _joined(rng, _LATIN_FAMILY, _LATIN_GIVEN, " ", rows)


def _joined(rng: np.random.Generator, heads: Any, tails: Any, between: str, rows: int) -> Any:
    first = picked(heads, rng.integers(0, len(heads), rows))
    return pc.binary_join_element_wise(first, picked(tails, rng.integers(0, len(tails), rows)), between)


def enterprises(rng: np.random.Generator, rows: int) -> Any:
    return _bodies(rng, rows, _TRADES, "有限公司")


def social_bodies(rng: np.random.Generator, rows: int) -> Any:
    return _bodies(rng, rows, _BODIES, "")


def _bodies(rng: np.random.Generator, rows: int, trades: tuple[str, ...], ending: str) -> Any:
    return pc.binary_join_element_wise(
        constant("示例市", rows),
        picked(GIVEN, rng.integers(0, len(GIVEN), rows)),
        picked(GIVEN, rng.integers(0, len(GIVEN), rows)),
        picked(trades, rng.integers(0, len(trades), rows)),
        constant(ending, rows),
        "",
    )

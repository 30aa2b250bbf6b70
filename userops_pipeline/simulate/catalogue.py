"""The catalogue: products, merchants and campaigns, and the words the shop uses.

Add a product attribute or a campaign here; who buys or gets what belongs to commerce and messages.
Must not change after it was made, prices excepted.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from userops_pipeline.simulate.settings import Settings

DEPARTMENTS = ("食品", "美妆", "家居", "数码", "服饰", "母婴")
CATEGORIES = (
    "茶叶", "咖啡", "零食", "生鲜",
    "护肤", "彩妆", "洗护", "香水",
    "厨具", "床品", "收纳", "灯具",
    "耳机", "手机配件", "键盘", "相机",
    "女装", "男装", "鞋靴", "箱包",
    "奶粉", "纸尿裤", "玩具", "童装",
)  # fmt: skip
TOPICS = ("新品", "测评", "穿搭", "食谱", "护肤心得", "育儿", "数码", "家居", "优惠", "求助")
QUERIES = tuple(f"{adjective}{noun}" for adjective in ("", "便宜", "高级", "新款") for noun in CATEGORIES)
BRANDS = tuple(f"{first}{second}" for first in "云山木青白花月海" for second in ("里", "序", "野", "集", "禾", "屿", "舍"))
TOUCH_CHANNELS = ("push", "email", "sms", "wechat", "in_app", "postal")
CAMPAIGN_KINDS = ("promotion", "winback", "content", "loyalty")
CAMPAIGN_DAYS = 7


class Catalogue:
    """Products, each the goods (spu) of one merchant at the merchant's own price, sorted by category; prices in cents."""

    def __init__(self, settings: Settings) -> None:
        rng = settings.stream("catalogue")
        goods = int(np.clip(settings.users // 25, 120, 12_000))
        self.merchants = max(6, goods // 40)
        category = np.sort(rng.integers(0, len(CATEGORIES), goods))
        category[: len(CATEGORIES)] = np.arange(len(CATEGORIES))  # none is empty
        category = np.sort(category)
        sellers = 1 + rng.binomial(3, 0.3, goods)
        base = np.exp(rng.normal(4.0, 0.8, goods)) * 100
        brand = rng.integers(0, len(BRANDS), goods)
        self.spu = np.repeat(np.arange(goods), sellers)
        self.category = category[self.spu].astype(np.int16)
        self.brand = brand[self.spu]
        self.count = len(self.spu)
        shift = np.arange(self.count) - np.repeat(np.cumsum(sellers) - sellers, sellers)
        self.merchant = ((self.spu * 7 + shift) % self.merchants).astype(np.int16)  # different for every seller of the same goods
        self.price = np.maximum(100, base[self.spu] * rng.uniform(0.88, 1.15, self.count)).astype(np.int64)
        first = np.searchsorted(self.category, np.arange(len(CATEGORIES)))
        self.first = first.astype(np.int32)
        self.size = np.diff(np.append(first, self.count)).astype(np.int32)
        self._changes = settings.stream("prices")
        self.popular = np.cumsum(rng.dirichlet(np.full(len(CATEGORIES), 3.0)))

    def rows(self, chosen: np.ndarray) -> pa.Table:
        """Product records, as text."""
        number = pa.array(1000 + chosen).cast(pa.string())
        name = [f"{BRANDS[self.brand[i]]}{CATEGORIES[self.category[i]]} {self.spu[i] + 1}号" for i in chosen]
        return pa.table(
            {
                "product_id": number,
                "name": pa.array(name, pa.string()),
                "category": pa.array([CATEGORIES[self.category[i]] for i in chosen], pa.string()),
                "department": pa.array([DEPARTMENTS[self.category[i] // 4] for i in chosen], pa.string()),
                "brand": pa.array([BRANDS[self.brand[i]] for i in chosen], pa.string()),
                "spu": pa.array([f"G{self.spu[i]:06}" for i in chosen], pa.string()),
                "merchant": pa.array([f"M{self.merchant[i]:04}" for i in chosen], pa.string()),
                "price": pa.array([f"{self.price[i] / 100:.2f}" for i in chosen], pa.string()),
            }
        )

    def of_day(self, settings: Settings, day: int) -> pa.Table:
        """The whole catalogue on the first night; after it the products whose price changed."""
        if day == 0:
            return self.rows(np.arange(self.count))
        rng = settings.stream("prices", day)
        changed = np.flatnonzero(rng.random(self.count) < 0.004)
        self.price[changed] = np.maximum(100, self.price[changed] * rng.uniform(0.9, 1.1, len(changed))).astype(np.int64)
        return self.rows(changed)


class Campaigns:
    """One campaign a day, its channel and kind taking turns, each a week long; the number is its day."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ids = pa.array([f"C{day:05}" for day in range(settings.days)], pa.string())

    @staticmethod
    def channel(day: int) -> int:
        return day % len(TOUCH_CHANNELS)

    @staticmethod
    def has_coupon(day: int) -> bool:
        return day % 4 in (0, 3)

    def of_day(self, day: int) -> pa.Table:
        """The campaign that starts on this day; on the first night also the plans of the days to come, up to a week."""
        ahead = range(min(CAMPAIGN_DAYS, self._settings.days)) if day == 0 else [day + CAMPAIGN_DAYS - 1]
        days = [at for at in ahead if at < self._settings.days]
        return pa.table(
            {
                "编号": pa.array([f"C{at:05}" for at in days], pa.string()),
                "名称": pa.array(
                    [
                        f"{self._settings.date_of(at).month}月{self._settings.date_of(at).day}日{'优惠券' if self.has_coupon(at) else '推荐'}"
                        for at in days
                    ],
                    pa.string(),
                ),
                "类型": pa.array([CAMPAIGN_KINDS[at % 4] for at in days], pa.string()),
                "渠道": pa.array([TOUCH_CHANNELS[self.channel(at)] for at in days], pa.string()),
                "策略": pa.array([f"strategy_{at % 4 + 1}" for at in days], pa.string()),
                "开始": pa.array([self._settings.date_of(at).isoformat() for at in days], pa.string()),
                "结束": pa.array([self._settings.date_of(at + CAMPAIGN_DAYS - 1).isoformat() for at in days], pa.string()),
                "费用": pa.array([f"{200 + 50 * (at % 7)}.00" for at in days], pa.string()),
                "优惠": pa.array(["coupon_10" if self.has_coupon(at) else None for at in days], pa.string()),
                "门槛": pa.array(["50" if self.has_coupon(at) else None for at in days], pa.string()),
            }
        )

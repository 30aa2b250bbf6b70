"""What the compared tables are made of, said once for all hands: names of events and activities, windows, ratios.

The definitions are those of the models' YAML: a session ends after 30 minutes without an event, goes on over one midnight and ends at the next,
and what it was by the first midnight belongs to the day it began on, the rest to the next; heartbeats are not counted; a window of n days ends
with the night; purchases are numbered by time, then order. Of the tables of customers: weeks begin on Monday; a user is dormant in the first
period without activity; a cohort is told by the day of the first purchase or registration, or by every active week; RFM scores are fifths of
the buyers by average rank, its groups read from top to bottom.
Add a name here when a column is made of it. Must not hold how a hand makes a table.
"""

INPUTS = ("events", "orders", "lines", "activities", "users")
# What the tables of customers are made of.
USER_INPUTS = ("user_days", "purchases", "versions", "states", "words")

TIMEOUT_MINUTES = 30
HEARTBEAT_SECONDS = 10
VIEWS = ("view", "list", "detail")
STEPS = ("list", "detail", "cart", "checkout", "pay")
# Columns of a user's day that count activities of the user's own by name …
OWN = {
    "reached_count": VIEWS,
    "engaged_count": ("like", "comment", "share", "content_post", "content_comment", "content_like", "content_answer", "content_share"),
    "followed_count": ("follow",),
    "unfollowed_count": ("unfollow",),
    "converted_count": ("purchase", "pay"),
    "search_count": ("search",),
}
# … and those that count what no event is.
OTHER = {
    "touch_count": "touch_sent",
    "open_count": "touch_opened",
    "click_count": "touch_clicked",
    "unsubscribe_count": "touch_unsubscribed",
    "complaint_count": "touch_complained",
    "redemption_count": "incentive_used",
    "payment_failure_count": "payment_failure",
    "cancelled_order_count": "order_cancelled",
    "ticket_count": "ticket_opened",
}
SOURCES = {"referral_count": "referrals", "feedback_count": "feedback", "content_count": "content"}
# Windows in days of a user's features beside the sum of all days.
WINDOWS = {
    "order_count": (7, 30, 90, 365),
    "spend_amount": (7, 30, 90, 365),
    "item_count": (30, 90, 365),
    "discount_amount": (90, 365),
    "refund_amount": (90, 365),
    "active_days": (7, 30, 90, 365),
    "event_count": (7, 30, 90),
    "session_count": (7, 30, 90),
    "engaged_session_count": (30, 90),
    "session_seconds": (30, 90),
    "touch_count": (30, 90),
    "open_count": (90,),
    "click_count": (90,),
    "redemption_count": (30, 90, 365),
    "payment_failure_count": (30,),
    "cancelled_order_count": (90,),
    "ticket_count": (90,),
    "referral_count": (90,),
    "feedback_count": (90,),
    "content_count": (90,),
    "unsubscribe_count": (),
    "complaint_count": (),
}
# Features that are one sum divided by another.
RATIOS = {
    "average_order_amount": ("spend_amount", "order_count"),
    "average_order_amount_90d": ("spend_amount_90d", "order_count_90d"),
    "average_item_count": ("item_count", "order_count"),
    "weekend_share": ("weekend_order_count", "order_count"),
    "evening_share": ("evening_order_count", "order_count"),
}
DISCOUNT_SHARES = {"discount_share_90d": "_90d", "discount_share_365d": "_365d", "discount_share": ""}
RENAMED = {"new_store_count": "store_count", "new_category_count": "category_count", "new_campaign_count": "campaign_count"}

# Columns users are told apart by, beside the age band.
DIMENSIONS = ("channel", "region", "city_tier", "gender", "language", "plan")
AGE_BOUNDS = (18, 25, 35, 45, 55, 65)
# Ages of silence in periods from which on it is called otherwise, and from which on it is churn (90 days).
IDLE_FROM = (1, 2, 4, 8, 16)
CHURNED_AFTER = {"day": 90, "week": 13, "month": 3}
# `what`: months are those of purchases since the first one, weeks the active ones since every active one, days the active ones since
# registration; `firsts` are the first periods of brackets.
RETENTIONS = {
    "repurchase": {
        "label": "复购留存",
        "grain": "month",
        "kind": "on_period",
        "entry": "first_time",
        "what": "months",
        "periods": 24,
        "by_channel": True,
    },
    "still_buying": {
        "label": "仍在复购",
        "grain": "month",
        "kind": "on_or_after",
        "entry": "first_time",
        "what": "months",
        "periods": 12,
        "by_channel": False,
    },
    "sign_up": {
        "label": "注册后留存",
        "grain": "day",
        "kind": "on_period",
        "entry": "first_time",
        "what": "days",
        "periods": 30,
        "by_channel": False,
    },
    "sign_up_brackets": {
        "label": "注册后分段留存",
        "grain": "day",
        "kind": "brackets",
        "entry": "first_time",
        "what": "days",
        "periods": 30,
        "by_channel": True,
        "firsts": (0, 1, 4, 8, 15),
    },
    "weekly": {
        "label": "周活跃留存",
        "grain": "week",
        "kind": "on_period",
        "entry": "recurring",
        "what": "weeks",
        "periods": 12,
        "by_channel": True,
    },
}
COHORTS = "month"
RFM_DAYS = 730
# Label and condition over r, f, m and fm (the mean of f and m, halves up).
RFM_GROUPS = {
    "champions": ("冠军用户", "r = 5 and fm >= 4"),
    "loyal": ("忠诚用户", "r >= 3 and fm >= 4"),
    "cannot_lose": ("重点保留", "r <= 2 and fm = 5"),
    "at_risk": ("待挽留", "r <= 2 and fm >= 3"),
    "promising": ("潜力用户", "r >= 4 and fm >= 2"),
    "newcomers": ("新近用户", "r >= 4"),
    "needs_attention": ("需要关注", "r = 3"),
    "sleeping": ("沉睡用户", "r is not null"),
    "prospect": ("潜在用户", ""),
}

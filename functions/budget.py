"""The budget lock: above a day's limit no new paid work is begun; what is going goes on.

Asked before a job is created or resumed, and only where a limit is set and there is something to pay, so that nobody
else pays for the question. docs/decisions/0023-budget-lock.md says how far the limit can be passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from events.errors import DailyLimitReached
from pipeline.records import Job
from pipeline.spend_port import Spend, is_counted, on_order_micro_usd


@dataclass(frozen=True, slots=True)
class Budget:
    """What a day may cost."""

    spend: Spend
    #: Micro USD; 0 allows nothing that costs.
    daily_limit_micro_usd: int


def check_budget(
    budget: Budget | None, doing: str, estimated_micro_usd: int, now: datetime, again: Job | None = None
) -> None:
    """Refuse what would take the day over its limit.

    Args:
        budget: None where there is no limit.
        doing: what is asked for; begins the text of the error.
        estimated_micro_usd: what it is still to cost.
        now: aware, UTC; days are UTC's.
        again: the job that is to go on, if one is: what the day promises it already is part of the estimate.

    Raises:
        DailyLimitReached: names the limit, what is spent or promised, and when the next day begins.
        Unavailable: the store did not answer, so nothing is begun.
    """
    if budget is None or estimated_micro_usd <= 0:
        return
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    limit = budget.daily_limit_micro_usd
    if estimated_micro_usd > limit:
        raise DailyLimitReached(doing, limit, None, estimated_micro_usd, None)
    promised = budget.spend.since(today)
    if again is not None and is_counted(again, today):
        promised -= on_order_micro_usd(again)
    if promised + estimated_micro_usd > limit:
        raise DailyLimitReached(doing, limit, promised, estimated_micro_usd, today + timedelta(days=1))

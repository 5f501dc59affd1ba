"""Staying below the directory's own lockout, so that nobody can lock accounts through the broker. Pure.

Every try is counted in the broker's store before the password is sent. The rule that it is counted by is made narrow
enough here: with a threshold T of the directory and s wrong passwords that it remembers already, a try is sent only
if T - 1 - s >= 1, and the one that makes it as many tries as that begins the wait. Since the count is atomic over all
instances and s is read before it, no burst of parallel tries can bring the directory's own count to T: each
earlier try found s + (tries so far) <= T - 2. Not covered: wrong passwords that come from elsewhere meanwhile.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.authenticate.attempts import AttemptRule

SLACK = timedelta(seconds=10)
"""By so much later than a try is counted here the directory may count it: network, and two clocks. The wait ends after
the directory has forgotten, or the first try afterwards would tell that the account exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutPolicy:
    """The directory's own limit."""

    threshold: int
    """Wrong passwords that lock an account."""
    window: timedelta
    """For so long after the last one the directory remembers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPasswords:
    """How near an account is to it."""

    count: int
    """Wrong passwords in the directory's count, from whatever door."""
    forgotten_at: datetime
    """From then on the count is as good as 0, if no more come."""
    locked: bool


def rule_for_names(rule: AttemptRule, policy: LockoutPolicy | None) -> AttemptRule:
    """The rule for names that nobody has: what an account without wrong passwords meets, so that it tells nothing.

    With s failures after s tries, try number n is the last when n >= T - 1 - (n - 1), that is at half of T. The waits
    grow as the configured rule says: how narrow the rule is for one account must not show in them.
    """
    if policy is None:
        return rule
    return replace(
        rule,
        tries=max(min(rule.tries, (policy.threshold + 1) // 2), 1),
        doubles_every=rule.doubles_every or rule.tries,
        window=max(rule.window, policy.window + SLACK),
    )


def rule_for_account(
    rule: AttemptRule, policy: LockoutPolicy | None, bad: BadPasswords | None, now: datetime
) -> AttemptRule | None:
    """The rule for one try at an account; None when none may be sent before `bad.forgotten_at`."""
    narrowed = rule_for_names(rule, policy)
    if policy is None or bad is None:
        return narrowed
    left = policy.threshold - 1 - (bad.count if now < bad.forgotten_at else 0)
    return replace(narrowed, tries=min(narrowed.tries, left)) if left > 0 else None

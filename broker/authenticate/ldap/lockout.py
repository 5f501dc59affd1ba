"""Staying below the directory's own lockout, so that nobody can lock accounts through the broker. Pure.

Every try is counted in the broker's store before the password is sent. The rule that it is counted by is made narrow
enough here: with a threshold T of the directory and s wrong passwords that it remembers already, a try is sent only
if T - 1 - s >= 1, and the one that makes it as many tries as that begins the wait. Since the count is atomic over all
instances and s is read before it, no burst of parallel tries can bring the directory's own count to T: each
earlier try found s + (tries so far) <= T - 2. Not covered: wrong passwords that come from elsewhere meanwhile.

Tries from browsers that the account's owner has signed in with before are counted apart from those of strangers, and
both draw on that one budget of T - 1. Half of it (rounded down) is R, the reserve: strangers are held to T - 1 - R as
above, so that they can never use up what a known browser needs. A known browser may have what strangers leave, or R:
with h tries a window for strangers, min(R, T - 1 - s) or T - 1 - s - h, whichever is more. Either way a burst of both
ends at T - 1: k <= R comes on top of strangers who stopped at T - 1 - R, k <= T - 1 - s - h on top of h.
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
    counts: bool = True
    """Whether the directory tells how many it remembers.

    Without, only the broker's own tries are known. A directory of that kind remembers each for `window`, not all for so
    long after the last: then the broker's windows slide, so that no stretch of that length holds more than T - 1."""

    @property
    def reserve(self) -> int:
        """Of the wrong passwords that do not lock, those kept for known browsers; 0: there are too few to share."""
        return (self.threshold - 1) // 2

    @property
    def share(self) -> int:
        """Those that strangers may use."""
        return self.threshold - 1 - self.reserve

    @property
    def at_once(self) -> int:
        """How many of them a stranger may try in one window, so that it does not tell whose account it is.

        With s failures after s tries, try number n is the last when n >= share - (n - 1).
        """
        return (self.share + 2) // 2 if self.counts else self.share


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

    The waits grow as the configured rule says: how narrow the rule is for one account must not show in them.
    """
    return rule if policy is None else _narrowed(rule, policy, policy.at_once)


def rule_for_account(
    rule: AttemptRule, policy: LockoutPolicy | None, bad: BadPasswords | None, now: datetime
) -> AttemptRule | None:
    """The rule for a stranger's try at an account; None when none may be sent before `bad.forgotten_at`."""
    narrowed = rule_for_names(rule, policy)
    if policy is None or bad is None:
        return narrowed
    left = policy.share - _counted(bad, now)
    return replace(narrowed, tries=min(narrowed.tries, left)) if left > 0 else None


def rule_for_known(
    rule: AttemptRule, policy: LockoutPolicy | None, bad: BadPasswords | None, now: datetime
) -> AttemptRule | None:
    """The same from a browser that is known for this account, however far strangers have gone."""
    if policy is None:
        return rule
    left = policy.threshold - 1 - _counted(bad, now)
    tries = max(min(policy.reserve, left), left - rule_for_names(rule, policy).tries)
    return _narrowed(rule, policy, tries) if tries > 0 else None


def _narrowed(rule: AttemptRule, policy: LockoutPolicy, tries: int) -> AttemptRule:
    return replace(
        rule,
        tries=max(min(rule.tries, tries), 1),
        doubles_every=rule.doubles_every or rule.tries,
        window=max(rule.window, policy.window + SLACK),
        slides=not policy.counts,
    )


def _counted(bad: BadPasswords | None, now: datetime) -> int:
    return bad.count if bad is not None and now < bad.forgotten_at else 0

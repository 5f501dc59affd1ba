"""`broker directory check USER`: what a sign-in would meet, step by step, without the password."""

from collections.abc import Iterator
from datetime import timedelta

from broker.authenticate.identity import Group
from broker.authenticate.ldap.account import Dialect
from broker.authenticate.ldap.accounts import Accounts
from broker.authenticate.ldap.answer import Away, Unusable
from broker.authenticate.ldap.controllers import Controller, Controllers, Facts
from broker.authenticate.ldap.names import parse_name
from broker.authenticate.ldap.settings import LdapSettings
from broker.authenticate.ldap.wire import Link
from broker.authenticate.provider import SignInRefused, Step
from broker.clock import Clock
from broker.errors import Problem, Unavailable

_CERTIFICATE_LEFT = timedelta(days=14)
_CLOCK_APART = timedelta(seconds=30)
_LOWEST_THRESHOLD = 2


class Checker:
    """Asks every controller, whatever its breaker says, and then one of them about a person."""

    def __init__(
        self, controllers: Controllers, dialect: Dialect, accounts: Accounts, settings: LdapSettings, *, clock: Clock
    ) -> None:
        self._controllers, self._dialect, self._accounts = controllers, dialect, accounts
        self._settings, self._clock = settings, clock

    def steps(self, username: str) -> list[Step]:
        """Every step; the ones after a failed step that they need are left out."""
        steps = [step for controller in self._controllers.controllers for step in self._controller(controller)]
        if username and any(step.passed for step in steps if step.name.endswith(" service account")):
            steps += self._person(username)
        return steps

    def problems(self) -> list[Problem]:
        """What contradicts the settings; servers that are away do not."""
        found = []
        for controller in self._controllers.controllers:
            where = f"providers.{self._controllers.name}.servers ({controller.address.url})"
            try:
                link = self._controllers.open(controller, self._controllers.deadline())
                try:
                    facts = self._controllers.read_facts(link)
                finally:
                    link.close()
            except Away:
                continue
            except Unusable as unusable:
                found.append(Problem(where=where, what=str(unusable)))
            else:
                found += [Problem(where=where, what=what) for what in self._contradictions(facts)]
        return found

    def _contradictions(self, facts: Facts) -> Iterator[str]:
        policy = self._dialect.lockout_policy(facts)
        if policy is not None and policy.threshold < _LOWEST_THRESHOLD:
            yield "the domain locks an account at its first wrong password: no sign-in can stay below that"

    def _controller(self, controller: Controller) -> Iterator[Step]:
        url, deadline = controller.address.url, self._controllers.deadline()
        try:
            link = self._controllers.connect(controller, deadline)
        except Away as away:
            yield Step(name=f"{url} reached", passed=False, detail=str(away))
            return
        yield self._tls(url, link)
        link.close()
        try:
            link = self._controllers.open(controller, deadline)
        except (Away, Unusable) as error:
            yield Step(name=f"{url} service account", passed=False, detail=str(error))
            return
        yield Step(name=f"{url} service account", passed=True, detail=f"bound as {self._settings.bind_dn}")
        try:
            yield from self._facts(url, self._controllers.read_facts(link))
        except (Away, Unusable) as error:
            yield Step(name=f"{url} kind", passed=False, detail=str(error))
        finally:
            link.close()

    def _tls(self, url: str, link: Link) -> Step:
        expires = link.certificate_expires()
        if expires is None:
            return Step(name=f"{url} reached", passed=True, detail="without TLS (insecure_plain_ldap)")
        detail = f"{link.tls_version()}, certificate until {expires:%Y-%m-%d}"
        return Step(name=f"{url} reached", passed=expires - self._clock() > _CERTIFICATE_LEFT, detail=detail)

    def _facts(self, url: str, facts: Facts) -> Iterator[Step]:
        kind = f"Active Directory, {facts.naming_context}" if facts.active_directory else "not Active Directory"
        yield Step(name=f"{url} kind", passed=True, detail=kind)
        if facts.offset is None:
            yield Step(name=f"{url} clock", passed=True, detail="the server does not tell its time")
        else:
            apart = f"{facts.offset.total_seconds():+.1f} s from ours"
            yield Step(name=f"{url} clock", passed=abs(facts.offset) <= _CLOCK_APART, detail=apart)
        policy = self._dialect.lockout_policy(facts)
        if policy is not None and policy.counts:
            own = policy.threshold - 1
            detail = f"locks at {own + 1} wrong passwords; of the {own} before, strangers can use up {policy.share}"
            passed = not list(self._contradictions(facts))
            yield Step(name=f"{url} lockout policy", passed=passed, detail=detail)

    def _person(self, username: str) -> Iterator[Step]:
        name = parse_name(username, domain=self._settings.domain, upn_suffixes=self._settings.upn_suffixes)
        if name is None:
            yield Step(
                name="name", passed=False, detail="not a spelling that is allowed: ada, CORP\\ada, ada@corp.example"
            )
            return
        deadline = self._controllers.deadline()
        try:
            accounts = self._accounts.find(name, deadline).accounts
            one = len(accounts) == 1
            detail = ", ".join(f"{account.dn} ({account.subject})" for account in accounts) or "nobody has this name"
            yield Step(name="look-up", passed=one, detail=detail)
            if not one:
                return
            state = self._accounts.read(accounts[0].subject, deadline)
        except (Unavailable, SignInRefused) as error:
            yield Step(name="look-up", passed=False, detail=str(error.__cause__ or error))
            return
        yield Step(name="account state", passed=state.objection is None, detail=state.objection or "may sign in")
        if state.objection is None:
            yield _groups(state.groups, self._dialect.method)


def _groups(groups: frozenset[Group], method: str) -> Step:
    names = ", ".join(sorted(group.name for group in groups)) or "none"
    return Step(name="groups", passed=True, detail=f"{len(groups)} by {method}: {names}")

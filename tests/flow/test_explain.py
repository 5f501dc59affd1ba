"""`explain` says what `lease` does: the same verdict for everybody, everywhere, at any time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from builders import HOUR, NOW, a_group, an_identity
from corridor import MAPPING, ROOT, SID, Corridor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.authenticate.identity import Group, PersonId
from broker.challenge.proof import Method, Proof, Shown
from broker.entitle.resolve import find, resolve
from broker.errors import NotFound
from broker.evaluate.condition import Circumstances
from broker.evaluate.decide import decide
from broker.evaluate.verdict import Permit, Refusal, StepUp
from broker.flow import lease
from broker.flow.explain import explain
from broker.flow.mapping import read_mapping
from broker.issue.issuer import Lease

SNAPSHOT = read_mapping({"mappings.yaml": MAPPING}, providers=None, now=NOW)
ACCOUNTS = ("payments-prod", "payments-dev", "untrusting", "nowhere", "")
ROLES = ("read-only", "power-user", "fresh", "by-key", "critical", "admin", "read-only/x", "")
GROUPS: Mapping[str, Group] = {
    name: Group(provider="corp-ad", id=f"{SID}-{rid}", name=name, dn=f"CN={name},OU={unit},{ROOT}")
    for rid, (name, unit) in enumerate(
        {"SRE": "Groups", "AWS-Blocked": "Groups", "Broker-Owners": "Groups", "Team-payments": "Teams"}.items(), 2000
    )
}


@st.composite
def proofs(draw: st.DrawFn) -> Proof:
    groups = [GROUPS[name] for name in draw(st.sets(st.sampled_from(sorted(GROUPS))))]
    shown = draw(
        st.lists(
            st.builds(
                lambda method, age: Shown(method=method, factor="f", at=NOW - age),
                st.sampled_from(Method),
                st.sampled_from([timedelta(0), timedelta(minutes=4), timedelta(minutes=6), HOUR, -HOUR]),
            ),
            max_size=3,
        )
    )
    identity = replace(an_identity(groups=[a_group("Nothing", rid=9)]), groups=frozenset(groups))
    return Proof(person=PersonId("p"), session_name="ada", identity=identity, shown=tuple(shown))


moments = st.builds(
    Circumstances,
    now=st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants them naive)
    address=st.one_of(st.none(), st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses()),
    tls_version=st.sampled_from(["", "1.0", "1.2", "1.3"]),
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(proofs(), st.sampled_from(ACCOUNTS), st.sampled_from(ROLES), moments)
def test_explain_and_the_corridor_decide_alike(
    proof: Proof, account: str, role: str, circumstances: Circumstances
) -> None:
    key = f"{account}/{role}"
    groups = proof.identity.groups
    verdict = decide(proof, find(resolve(SNAPSHOT, groups, now=circumstances.now, only=key), key), circumstances)
    if account not in SNAPSHOT.catalogue.accounts or role not in SNAPSHOT.catalogue.roles:
        assert isinstance(verdict, Refusal)
        with pytest.raises(NotFound):
            explain(SNAPSHOT, proof, role=key, circumstances=circumstances)
        return
    told = explain(SNAPSHOT, proof, role=key, circumstances=circumstances)
    assert told.allowed is isinstance(verdict, Permit)
    if isinstance(verdict, Permit):
        assert (told.grant, told.objection) == (verdict.grant, None)
    elif isinstance(verdict, Refusal) and not verdict.rule:
        assert isinstance(told.objection, Refusal)
        assert told.objection.condition == verdict.condition
    else:
        assert told.objection == verdict


@pytest.mark.parametrize("kind", ["developer", "sre", "leaver", "owner", "stranger"])
def test_explain_and_lease_agree_in_the_running_broker(corridor: Corridor, kind: str) -> None:
    session = corridor.session(corridor.person(kind, enrolled=True))
    assert session.proof is not None
    for address in ("10.1.2.3", "192.0.2.9", None):
        moment = corridor.moment(address=address)
        for account in ACCOUNTS[:2]:
            for role in ROLES[:5]:
                key = f"{account}/{role}"
                told = explain(corridor.parts.mapping(), session.proof, role=key, circumstances=moment)
                answer = lease(corridor.parts, session, role=key, asked=None, circumstances=moment)
                assert told.allowed is isinstance(answer, Lease), key
                assert isinstance(told.objection, StepUp) is isinstance(answer, StepUp), key


def test_an_explanation_names_every_rule_that_had_a_part(corridor: Corridor) -> None:
    session = corridor.session(corridor.person("sre", enrolled=True))
    assert session.proof is not None
    told = explain(corridor.parts.mapping(), session.proof, role="payments-dev/by-key", circumstances=corridor.moment())
    assert {answer.rule for answer in told.answers} == {"built-in", "by-key-only"}
    assert [answer.rule for answer in told.answers if answer.objection] == ["by-key-only"]

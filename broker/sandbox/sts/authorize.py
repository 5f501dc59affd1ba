"""May this caller do that? Identity, session and trust policies together, as IAM evaluates them.

Source: IAM User Guide, "Policy evaluation logic" (within one account and across accounts), "AWS STS condition context
keys" and "Monitor and control actions taken with assumed roles". One thing is narrower than in AWS: a session policy
limits its session even where a trust policy names that very session.
"""

from datetime import datetime

from broker.sandbox.sts.conditions import Context
from broker.sandbox.sts.policy import Decision, Kind, Policy, Request, decide, parse
from broker.sandbox.sts.refusal import Refusal, denied
from broker.sandbox.sts.sessions import Caller, CallerKind, Directory
from broker.sandbox.sts.wire import timestamp
from broker.sandbox.sts.world import Role


def context_of(caller: Caller, *, now: datetime, region: str, address: str) -> dict[str, tuple[str, ...]]:
    """The global condition keys of a request by `caller`."""
    found: dict[str, tuple[str, ...]] = {
        "aws:principalarn": (caller.principal_arn,),
        "aws:principalaccount": (caller.account,),
        "aws:principaltype": ({"IAMUser": "User", "Root": "Account"}.get(caller.kind, str(caller.kind)),),
        "aws:userid": (caller.user_id,),
        "aws:sourceip": (address,),
        "aws:securetransport": ("false",),  # the truth: the sandbox speaks plain HTTP
        "aws:currenttime": (timestamp(now),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:requestedregion": (region,),
    }
    if caller.kind is CallerKind.USER:
        found["aws:username"] = (caller.principal_arn.rsplit("/", 1)[1],)
    if caller.issued is not None:
        found["aws:tokenissuetime"] = (timestamp(caller.issued),)
        found["aws:multifactorauthpresent"] = ("false",)  # absent for long-term keys, as in AWS
    if caller.source_identity:
        found["aws:sourceidentity"] = (caller.source_identity,)
    return found | {f"aws:principaltag/{key.lower()}": (value,) for key, value in caller.tags.items()}


def demand(caller: Caller, directory: Directory, action: str, resource: str, context: Context) -> None:
    """Raise `AccessDenied` unless the caller's own policies, and its session policies, allow `action`."""
    request = Request(action=action, resource=resource, context=context, names=frozenset())
    identity, session = _own(caller, directory, request)
    _no_explicit_deny(caller, request, {"identity-based": identity, "session": session})
    if identity is not Decision.ALLOW or session is not Decision.ALLOW:  # check: sts-identity-policy
        raise _refused(caller, request)


def demand_role(caller: Caller, directory: Directory, role: Role, action: str, context: Context) -> None:
    """Raise `AccessDenied` unless `caller` may do `action` (AssumeRole and its companions) on `role`."""
    direct = frozenset({"*", caller.principal_arn, caller.arn})
    request = Request(action=action, resource=role.arn, context=context, names=direct | {caller.account})
    named = Request(action=action, resource=role.arn, context=context, names=direct)
    policy = parse(role.trust, Kind.TRUST)
    trust = decide([policy], request)
    identity, session = _own(caller, directory, request)
    # (1) no explicit deny, wherever it stands
    _no_explicit_deny(caller, request, {"resource-based": trust, "identity-based": identity, "session": session})
    # (2) the trust policy allows it
    if trust is not Decision.ALLOW:  # check: sts-trust-policy
        raise _refused(caller, request)
    # (3) a session policy, if there is one, allows it too
    if session is not Decision.ALLOW:  # check: sts-session-policy
        raise _refused(caller, request)
    # (4) so does the caller's own policy, unless the role's account trusts this very principal in the same account
    enough = role.arn.split(":")[4] == caller.account and decide([policy], named) is Decision.ALLOW
    if identity is not Decision.ALLOW and not enough:  # check: sts-caller-policy
        raise _refused(caller, request)


def _own(caller: Caller, directory: Directory, request: Request) -> tuple[Decision, Decision]:
    """What the identity policy and the session policies say; no session policies allow everything."""
    identity = decide(_policies(directory.policy_of(caller) or ""), request)
    if not caller.session_policies:
        return identity, Decision.ALLOW
    return identity, decide(_policies(*caller.session_policies), request)


def _policies(*texts: str) -> list[Policy]:
    return [parse(text, Kind.IDENTITY) for text in texts if text]


def _no_explicit_deny(caller: Caller, request: Request, decisions: dict[str, Decision]) -> None:
    for kind, decision in decisions.items():
        if decision is Decision.DENY:  # check: sts-deny-anywhere
            article = "an" if kind.startswith("i") else "a"
            raise _refused(caller, request, f" with an explicit deny in {article} {kind} policy")


def _refused(caller: Caller, request: Request, why: str = "") -> Refusal:
    return denied(
        f"User: {caller.arn} is not authorized to perform: {request.action} on resource: {request.resource}{why}"
    )

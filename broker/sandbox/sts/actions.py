"""The other actions: GetCallerIdentity, GetSessionToken, GetFederationToken, GetAccessKeyInfo.

Source: STS API Reference and IAM User Guide, "Compare AWS STS credentials" (which credentials may call what).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from broker.sandbox.sts.assume import Answer, Asked, assume_role, hand_out
from broker.sandbox.sts.authorize import context_of, demand
from broker.sandbox.sts.refusal import denied, validation
from broker.sandbox.sts.sessions import CallerKind
from broker.sandbox.sts.tags import packed_size, session_policies, session_tags

_DEFAULT = 43_200
_ROOT_MAXIMUM = 3_600
_NOTHING = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'


def get_caller_identity(asked: Asked) -> Answer:
    """Who calls. Needs no permission, and no Deny stops it."""
    caller = asked.caller
    return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn}


def get_session_token(asked: Asked) -> Answer:
    """Temporary credentials of the calling user. Needs no permission; long-term keys only."""
    _long_term(asked, "GetSessionToken")
    session = replace(asked.caller, temporary=True, issued=asked.now)
    return hand_out(asked, session, _lifetime(asked), None)


def get_federation_token(asked: Asked) -> Answer:
    """Temporary credentials of a federated user, who may call only GetCallerIdentity here. Long-term keys only."""
    _long_term(asked, "GetFederationToken")
    caller, given = asked.caller, asked.parameters
    arn = f"arn:{caller.partition}:sts::{caller.account}:federated-user/{given['Name']}"
    tags = session_tags(given, caller)
    context = context_of(caller, now=asked.now, region=asked.region, address=asked.address)
    if tags.requested:
        context |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.requested.items()}
        context["aws:tagkeys"] = tuple(tags.requested)
    if caller.kind is not CallerKind.ROOT:
        demand(caller, asked.directory, "sts:GetFederationToken", arn, context)
        if tags.requested:  # check: sts-federation-tag-session
            demand(caller, asked.directory, "sts:TagSession", arn, context)
    policies = session_policies(given, asked.directory.world.managed, caller.account)
    percent = packed_size(given, tags)
    session = replace(
        caller,
        kind=CallerKind.FEDERATED,
        arn=arn,
        user_id=f"{caller.account}:{given['Name']}",
        temporary=True,
        tags=tags.all,
        session_policies=policies or (_NOTHING,),
        issued=asked.now,
    )
    return hand_out(asked, session, _lifetime(asked), percent) | {
        "FederatedUser": {"FederatedUserId": session.user_id, "Arn": arn}
    }


def get_access_key_info(asked: Asked) -> Answer:
    """The account of a key id."""
    caller, key = asked.caller, asked.parameters["AccessKeyId"]
    if caller.kind is not CallerKind.ROOT:
        context = context_of(caller, now=asked.now, region=asked.region, address=asked.address)
        demand(caller, asked.directory, "sts:GetAccessKeyInfo", "*", context)
    if key in asked.directory.keys:
        return {"Account": asked.directory.keys[key][0].arn.split(":")[4]}
    session = asked.sessions.get(key)
    if session is None:
        message = "Access key ID is not valid."
        raise validation(message)
    return {"Account": session.caller.account}


ACTIONS: Mapping[str, Callable[[Asked], Answer]] = {
    "AssumeRole": assume_role,
    "GetAccessKeyInfo": get_access_key_info,
    "GetCallerIdentity": get_caller_identity,
    "GetFederationToken": get_federation_token,
    "GetSessionToken": get_session_token,
}


def _long_term(asked: Asked, action: str) -> None:
    if asked.caller.temporary:  # check: sts-long-term-only
        message = f"Cannot call {action} with session credentials"
        raise denied(message)
    if {"SerialNumber", "TokenCode"} & set(asked.parameters):  # check: sts-mfa-code-session
        message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
        raise denied(message)


def _lifetime(asked: Asked) -> timedelta:
    seconds = asked.parameters.get("DurationSeconds", _DEFAULT)
    root = asked.caller.kind is CallerKind.ROOT
    return timedelta(seconds=min(seconds, _ROOT_MAXIMUM) if root else seconds)

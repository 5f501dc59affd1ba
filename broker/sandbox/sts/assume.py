"""AssumeRole."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.sandbox.sts.authorize import context_of, demand_role
from broker.sandbox.sts.refusal import denied, parameter, validation
from broker.sandbox.sts.sessions import (
    LARGEST_TOKEN,
    ORDINARY_TOKEN,
    Caller,
    CallerKind,
    Directory,
    Sessions,
    role_caller,
)
from broker.sandbox.sts.tags import Tags, packed_size, session_policies, session_tags
from broker.sandbox.sts.wire import Parameters, timestamp
from broker.sandbox.sts.world import Role

CHAINED = timedelta(hours=1)
"""IAM User Guide, "Role chaining"."""
DEFAULT_DURATION = 3_600
"""AssumeRole, "DurationSeconds"."""
_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::\d{12}:role/[!-~]+")

Answer = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An authenticated request with its surroundings."""

    caller: Caller
    parameters: Parameters
    directory: Directory
    sessions: Sessions
    now: datetime
    region: str
    address: str


def assume_role(asked: Asked) -> Answer:
    """Credentials of a role's session; raises `Refusal`.

    The checks, after those of the service model's limits:

    1. the caller can assume roles at all: not root, not a federated user;
    2. nothing is sent that cannot be verified here: MFA codes, identity contexts;
    3. the ARN is a role's, in the caller's partition;
    4. session tags by their rules;
    5. the source identity unchanged along a chain;
    6. the role exists, and policies allow AssumeRole, with tags TagSession, with a source identity SetSourceIdentity;
    7. session policies by their rules;
    8. packed size;
    9. duration within the role's maximum, and one hour along a chain.
    """
    caller, given = asked.caller, asked.parameters
    _can_assume(caller)
    _verifiable(given)
    arn = _role_arn(given["RoleArn"], caller)
    tags = session_tags(given, caller)
    source_identity = _source_identity(given, caller)
    role = _authorized(asked, arn, tags, source_identity)
    policies = session_policies(given, asked.directory.world.managed, arn.split(":")[4])
    percent = packed_size(given, tags)
    duration = _duration(given.get("DurationSeconds"), role, caller)
    session = replace(
        role_caller(role, given["RoleSessionName"]),
        tags=tags.all,
        transitive=tags.transitive,
        source_identity=source_identity,
        session_policies=policies,
        issued=asked.now,
        by_long_term_key=not caller.temporary,
    )
    return hand_out(asked, session, duration, percent) | {
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "SourceIdentity": source_identity or None,
    }


def hand_out(asked: Asked, session: Caller, duration: timedelta, percent: int | None) -> Answer:
    """New credentials of `session`, as the part of an answer that all actions share."""
    size = max(ORDINARY_TOKEN + (percent or 0) * 10, asked.parameters.get("MinimumSessionTokenSize", 0))
    made = asked.sessions.mint(session, asked.now.replace(microsecond=0) + duration, size=size)
    return {
        "Credentials": {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret_access_key,
            "SessionToken": made.session_token,
            "Expiration": timestamp(made.expiration),
        },
        "PackedPolicySize": percent,
        "SessionTokenSize": len(made.session_token),
        "SessionTokenUtilization": -(-100 * len(made.session_token) // LARGEST_TOKEN),
    }


def _can_assume(caller: Caller) -> None:
    # (1) who can assume roles
    if caller.kind is CallerKind.ROOT:  # check: sts-root-assumes
        message = "Roles may not be assumed by root accounts."
        raise denied(message)
    if caller.kind is CallerKind.FEDERATED:  # check: sts-federated-assumes
        message = "Cannot call AssumeRole with federated user credentials"
        raise denied(message)


def _verifiable(given: Parameters) -> None:
    # (2) no user of the sandbox has an MFA device, and it knows no context provider
    if "SerialNumber" in given or "TokenCode" in given:  # check: sts-mfa-code
        message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
        raise denied(message)
    if given.get("ProvidedContexts"):  # check: sts-provided-contexts
        message = "No context provider is known."
        raise parameter(message)


def _role_arn(arn: str, caller: Caller) -> str:
    # (3) a role of this partition
    found = _ROLE_ARN.fullmatch(arn)
    if found is None or found[1] != caller.partition:  # check: sts-role-partition
        message = "Request ARN is invalid"
        raise validation(message)
    return arn


def _source_identity(given: Parameters, caller: Caller) -> str:
    # (5) the source identity; its form, which leaves no room for `aws:`, is the model's
    sent: str = given.get("SourceIdentity", "")
    if sent and caller.source_identity and sent != caller.source_identity:  # check: sts-source-identity-changed
        message = f"User: {caller.arn} already has a source identity, which cannot be changed."
        raise denied(message)
    return caller.source_identity or sent


def _authorized(asked: Asked, arn: str, tags: Tags, source_identity: str) -> Role:
    # (6) the role exists, and everything that is asked of it is allowed
    caller, given = asked.caller, asked.parameters
    role = asked.directory.roles.get(arn)
    if role is None:
        message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise denied(message)
    context = context_of(caller, now=asked.now, region=asked.region, address=asked.address)
    context["sts:rolesessionname"] = (given["RoleSessionName"],)
    if "ExternalId" in given:
        context["sts:externalid"] = (given["ExternalId"],)
    if source_identity:
        context["sts:sourceidentity"] = (source_identity,)
    if tags.requested:
        context |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.requested.items()}
        context["aws:tagkeys"] = tuple(tags.requested)
    if given.get("TransitiveTagKeys"):
        context["sts:transitivetagkeys"] = tuple(given["TransitiveTagKeys"])
    demand_role(caller, asked.directory, role, "sts:AssumeRole", context)
    if tags.all:  # check: sts-tag-session
        demand_role(caller, asked.directory, role, "sts:TagSession", context)
    if source_identity:  # check: sts-set-source-identity
        demand_role(caller, asked.directory, role, "sts:SetSourceIdentity", context)
    return role


def _duration(seconds: int | None, role: Role, caller: Caller) -> timedelta:
    # (9) the duration
    duration = timedelta(seconds=DEFAULT_DURATION if seconds is None else seconds)
    if caller.kind is CallerKind.ROLE and duration > CHAINED:  # check: sts-chaining
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise validation(message)
    if duration > role.max_session:  # check: sts-max-session
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise validation(message)
    return duration

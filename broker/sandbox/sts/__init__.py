r"""A strict STS on a loopback socket: what AWS would refuse, it refuses, with AWS's codes and texts.

boto3 and the AWS CLI talk to it through their endpoint settings. It serves AssumeRole, GetCallerIdentity,
GetSessionToken, GetFederationToken and GetAccessKeyInfo; there is nothing here that the credentials could be used on
but STS itself. `World` is the IAM behind it, `SandboxSts` the server.

What it enforces, and which real rule that is ("model": botocore's service model of STS, read at start; "API": the STS
API Reference; "IAM": the IAM User Guide; the rest is said in the modules):

| enforced here                                             | in             | the rule                               |
|-----------------------------------------------------------|----------------|----------------------------------------|
| SigV4 in header or query, scope, region, 15 minutes       | `sigv4.py`     | IAM: Signature Version 4; STS's answers|
| session token belongs to its key; ExpiredToken            | `sigv4.py`     | API: Common Errors                     |
| a key's partition has the region; an inactive region      | `service.py`   | model: partitions; IAM: Manage STS in a|
|                                                           |                | Region (RegionDisabledException)       |
| 600 requests a second, account and region; 400 Throttling | `faults.py`    | IAM: IAM and STS quotas                |
| required members, lengths, patterns, ranges, list sizes   | `wire.py`      | model: shapes                          |
| RoleSessionName, SourceIdentity, ExternalId in ASCII      | `wire.py`      | model: `[\w+=,.@-]*` and the like      |
| root and federated users assume no role                   | `assume.py`    | API: AssumeRole; IAM: Compare STS      |
|                                                           |                | credentials                            |
| no role, no trust, no permission: one text, AccessDenied  | `authorize.py` | IAM: Policy evaluation logic           |
| the caller's policy too, always across accounts           | `authorize.py` | IAM: Cross-account policy evaluation   |
| a session policy limits its session                       | `authorize.py` | IAM: Session policies                  |
| explicit Deny wins; operators, keys, quantifiers,         | `policy.py`,   | IAM: JSON policy elements              |
| variables                                                 | `conditions.py`|                                        |
| sts:ExternalId, sts:RoleSessionName, sts:SourceIdentity,  | `assume.py`    | IAM: STS condition context keys        |
| aws:RequestTag, aws:TagKeys, sts:TransitiveTagKeys        |                |                                        |
| sts:TagSession for tags sent or inherited                 | `assume.py`    | IAM: Pass session tags                 |
| sts:SetSourceIdentity for one sent or inherited           | `assume.py`    | IAM: Monitor and control actions taken |
| a source identity is immutable along a chain, not `aws:`  | `assume.py`    | the same; API: AssumeRole              |
| MaxSessionDuration; one hour along a chain                | `assume.py`    | IAM: Role chaining                     |
| tags: 50, case-insensitive keys, `aws:`, transitive       | `tags.py`      | IAM: Pass session tags                 |
| session policy: grammar, 2,048 characters, 10 ARNs that   | `tags.py`      | API: AssumeRole                        |
| exist in the role's account                               |                |                                        |
| PackedPolicyTooLarge                                      | `tags.py`      | API: AssumeRole; the size is made up   |
| GetSessionToken, GetFederationToken with long-term keys   | `actions.py`   | IAM: Compare STS credentials           |
| only; root for one hour                                   |                |                                        |

Stricter than AWS, on purpose: a parameter that the model does not have is refused, a condition key that is not known
here grants nothing, a multi-valued key without ForAllValues or ForAnyValue grants nothing, X-Amz-* headers must all be
signed. Less than AWS: no MFA devices (a code is never right), no role tags, no permissions boundaries, no organisation
policies, no SAML and web identities, no revocation (nothing but STS is here; expired credentials are refused).
"""

from broker.sandbox.sts.calls import Call
from broker.sandbox.sts.faults import Throttle
from broker.sandbox.sts.server import SandboxSts
from broker.sandbox.sts.sessions import CallerKind, Credentials, Session
from broker.sandbox.sts.world import (
    AccessKey,
    DemoRole,
    Role,
    Root,
    User,
    World,
    allow,
    broker_trust,
    demo_world,
    new_access_key,
)

__all__ = [
    "AccessKey",
    "Call",
    "CallerKind",
    "Credentials",
    "DemoRole",
    "Role",
    "Root",
    "SandboxSts",
    "Session",
    "Throttle",
    "User",
    "World",
    "allow",
    "broker_trust",
    "demo_world",
    "new_access_key",
]

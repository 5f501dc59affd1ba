r"""`iam_role`: path and name of an IAM role, and the ARN that they make in one account.

Limits from the IAM reference (CreateRole: RoleName 64 of [\w+=,.@-], Path 512), narrowed to ASCII and to the same
characters in the path, so that no wildcard or second slash ever gets into an ARN.
"""

import re
from functools import lru_cache

from broker.entitle.entitlement import Account
from broker.entitle.template import PLACEHOLDER, Template, account_value, parse_template

PARTITION = r"^aws(-cn|-us-gov|-eusc|-iso(-[a-z])?)?$"
_WORD = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_MAX_NAME = 64
_MAX_PATH = 512


@lru_cache(maxsize=4096)
def parse_iam_role(text: str) -> Template:
    """Read an `iam_role`, like `federated/ReadOnly` or `federated/{account.env}/Admin`.

    Raises `ValueError` with a sentence for the reader.
    """
    template = parse_template(text, PLACEHOLDER)
    problem = role_problem(template.fill(dict.fromkeys(template.fields, "x")))
    if problem:
        raise ValueError(problem)
    return template


def role_problem(path_and_name: str) -> str:
    """What is wrong with the path and name of a role, placeholders filled in; empty: nothing."""
    *path, name = path_and_name.split("/")
    if not all(_WORD.fullmatch(word) for word in (*path, name)):
        return (
            "an iam_role is path and name, like federated/ReadOnly: letters, digits and _+=,.@- between single slashes"
        )
    if len(name) > _MAX_NAME:
        return f"the name of an IAM role has at most {_MAX_NAME} characters"
    if len("/".join(path)) + 2 > _MAX_PATH:
        return f"the path of an IAM role has at most {_MAX_PATH} characters"
    return ""


def role_arn(iam_role: str, account: Account) -> str:
    """The role's ARN in `account`.

    Raises `ValueError`, with a sentence for the reader, when the account lacks what a placeholder asks for, or the
    result is not a role's path and name.
    """
    template = parse_iam_role(iam_role)
    values = {name: account_value(account, name) for name in template.fields}
    for name, value in values.items():
        if not _WORD.fullmatch(value):  # check: arn-placeholder
            message = f"account {account.name} has no usable {{{name}}}"
            raise ValueError(message)
    filled = template.fill(values)
    problem = role_problem(filled)
    if problem:  # check: arn-limits
        raise ValueError(problem)
    return f"arn:{account.partition}:iam::{account.id}:role/{filled}"

"""A profile of `~/.aws/config` that fetches its own keys, as text to paste."""

from dataclasses import dataclass

from broker.entitle.entitlement import Entitlement

PROGRAM = "aws-broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile."""

    name: str
    text: str


def profile_of(entitlement: Entitlement, *, url: str) -> Profile:
    """The profile of a role, as `aws-broker configure` names it.

    Nothing in it needs quotes: names of accounts and roles are letters, digits, dots, hyphens and underscores, and
    `url` is the broker's origin.
    """
    name = f"{entitlement.account.name}-{entitlement.role.name}"
    command = f"{PROGRAM} process --server {url} --role {entitlement.key}"
    return Profile(name=name, text=f"[profile {name}]\ncredential_process = {command}")

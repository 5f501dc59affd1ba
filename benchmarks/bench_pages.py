"""`pages`: what the page of 400 roles costs the server, against the page of 10 roles: the same app, the same document.

Both are asked in this process, without a socket; the CPU of the whole process counts.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Figure, ratio
from werkzeug.test import Client

from broker.app import make_wsgi
from broker.cli.demo.client import find, signed_in
from broker.cli.demo.world import running

BATCH = 10
MANY, FEW = "grace", "ada"
"""People of the demo: the groups of one give 400 roles, those of the other 10."""
ACCOUNTS, ROLES = 40, 10
ENVS = ("dev", "test", "prod")


def figures() -> Iterator[Figure]:
    """The ratio of the two pages."""
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name), host="localhost", port=0, enrolled=(MANY, FEW), mapping=_mapping()) as demo,
    ):
        client = Client(make_wsgi(demo.broker), use_cookies=False)
        many = _batch(client, Path(name), MANY, ACCOUNTS * ROLES)
        few = _batch(client, Path(name), FEW, ROLES)
        yield Figure(group="pages", name="400-roles-to-10", measured=ratio(many, few, rounds=15), target=4.0)


def _batch(client: Client, folder: Path, account: str, roles: int) -> Callable[[], None]:
    """Some looks at the home page by somebody who is signed in."""
    visit = find(folder)
    browser = signed_in(visit, account)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookie, "Host": visit.url.partition("//")[2]}

    def look() -> str:
        return client.get("/", headers=headers).get_data(as_text=True)

    found = look().count('<li class="role"')
    if found != roles:
        message = f"{account} sees {found} roles"
        raise RuntimeError(message)

    def batch() -> None:
        for _ in range(BATCH):
            client.get("/", headers=headers).close()

    return batch


def _mapping() -> str:
    """One person is given every account and the other one of them; some roles are locked, for both alike."""
    accounts = "\n".join(
        f'  account-{n:02}: {{id: "{100000000000 + n}", env: {ENVS[n % 3]}, tags: {{team: t{n % 5}}}}}'
        for n in range(ACCOUNTS)
    )
    roles = "\n".join(
        f'  role-{n}: {{iam_role: federated/Role{n}, max_session: {n % 4 + 1}h, description: "What one does as {n}"}}'
        for n in range(ROLES)
    )
    group = 'provider: corp-ad, dn: "CN={},OU={},DC=corp,DC=example"'
    return f"""
version: 1
groups:
  many: {{{group.format("SRE", "Groups")}}}
  few: {{{group.format("Team-payments", "Teams")}}}
accounts:
{accounts}
roles:
{roles}
guardrails:
  - {{name: prod-needs-mfa, accounts: {{env: [prod]}}, conditions: {{mfa: {{max_age: 8h}}}}}}
  - {{name: from-here, roles: [role-1, role-2], conditions: {{source_ip: {{in: ["127.0.0.0/8"]}}}}}}
  - {{name: locked, roles: [role-3], conditions: {{source_ip: {{in: ["10.0.0.0/8"]}}}}}}
mappings:
  - {{name: all, groups: [many], accounts: all, roles: all}}
  - {{name: one, groups: [few], accounts: [account-00], roles: all}}
tests: []
...
"""

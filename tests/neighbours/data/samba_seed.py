"""Fill a freshly provisioned Samba domain. Runs under Debian's own Python, which has Samba's modules.

Usage: samba_seed.py SMB_CONF CAST_JSON
"""

import json
import sys
from pathlib import Path

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

configuration, cast_file = sys.argv[1:]
cast = json.loads(Path(cast_file).read_text(encoding="utf-8"))
lp = LoadParm()
lp.load(configuration)
directory = SamDB(url=lp.samdb_url(), session_info=system_session(), lp=lp)
root = str(directory.domain_dn())


def modify(dn: str, **values: object) -> None:
    lines = [f"dn: {dn}", "changetype: modify"]
    for name, value in values.items():
        separator = "::" if name == "logonHours" else ":"
        lines += [f"replace: {name}", f"{name}{separator} {value}", "-"]
    directory.modify_ldif("\n".join(lines) + "\n")


directory.transaction_start()
for unit in cast["units"]:
    directory.create_ou(f"{unit},{root}")
for name, person in cast["people"].items():
    directory.newuser(name, person["password"], userou=person["unit"], mailaddress=person["mail"])
    modify(
        f"CN={name},{person['unit']},{root}",
        **{"displayName": person["display_name"], "userPrincipalName": person["principal"], **person["attributes"]},
    )
for name, group in cast["groups"].items():
    kind = {} if group["security"] else {"grouptype": 2}
    directory.newgroup(name, groupou=group["unit"], **kind)
for name, group in cast["groups"].items():
    if group["members"]:
        directory.add_remove_group_members(name, group["members"], add_members_operation=True)
directory.transaction_commit()

"""The provider contract against a real Samba AD DC."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.authenticate.identity import Identity
from broker.authenticate.ldap import LdapSettings
from broker.authenticate.provider import Reason
from broker.errors import Unavailable
from contracts.cast import PASSWORD
from contracts.provider import ActiveDirectoryContract, World, refusal
from neighbours.samba import FIRST, LOCKOUT_THRESHOLD, REALM, ROOT, SECOND, SambaImage, SambaServer, samba_server

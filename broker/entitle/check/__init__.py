"""Do the names of the document fit together? What the shape of one entry cannot say.

(1) no name means something else or looks like a secret; account ids are declared once; sessions last 15m to 12h
(2) groups are known in the way that their provider knows groups, those that are denied something by their ids
(3) every reference leads somewhere; what must be said is said; what protects does not protect nothing
(4) a template can read some group name, and none in two ways
(5) every role that a mapping can give has a valid ARN in every account that it can reach
(6) tests speak of what is declared
"""

from broker.entitle.check.context import Context
from broker.entitle.check.names import check_groups, check_names, check_secrets, check_tests
from broker.entitle.check.reach import check_arns, check_templates
from broker.entitle.check.rules import check_rules


def check(context: Context) -> None:
    """Report everything that does not fit."""
    check_names(context)
    check_secrets(context)
    check_groups(context)
    check_rules(context)
    check_templates(context)
    check_arns(context)
    check_tests(context)

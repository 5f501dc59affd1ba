import pytest
from builders import an_account

from broker.entitle.arn import parse_iam_role, role_arn


def test_the_arn_is_built_from_the_accounts_partition_and_id() -> None:
    account = an_account(id="012345678901", partition="aws-us-gov")
    assert role_arn("federated/ReadOnly", account) == "arn:aws-us-gov:iam::012345678901:role/federated/ReadOnly"
    assert role_arn("Admin", an_account()) == "arn:aws:iam::210987654321:role/Admin"


def test_placeholders_are_filled_from_the_account() -> None:
    account = an_account("pay", env="dev", tags={"team": "core"})
    arn = role_arn("f/{account.env}/{account.tags.team}-{account.name}", account)
    assert arn == "arn:aws:iam::210987654321:role/f/dev/core-pay"


@pytest.mark.parametrize("team", ["", "a/b", "a b", "*", "ä", "a?", "x\n", "${aws:x}", ".." + "/"])
def test_a_value_that_would_change_the_path_makes_no_arn(team: str) -> None:
    account = an_account(tags={"team": team} if team else {})
    with pytest.raises(ValueError, match="has no usable"):
        role_arn("federated/{account.tags.team}", account)


def test_a_name_that_becomes_too_long_makes_no_arn() -> None:
    assert role_arn("{account.tags.team}", an_account(tags={"team": "x" * 64}))
    with pytest.raises(ValueError, match="at most 64"):
        role_arn("{account.tags.team}", an_account(tags={"team": "x" * 65}))


def test_a_path_that_becomes_too_long_makes_no_arn() -> None:
    with pytest.raises(ValueError, match="at most 512"):
        role_arn("{account.tags.team}/Admin", an_account(tags={"team": "x" * 511}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/Admin",
        "Admin/",
        "a//b",
        "arn:aws:iam::012345678901:role/Admin",
        "Admin*",
        "a b",
        "Ädmin",
        "x" * 65,
        "{account.id}",
        "{account}",
        "{role}",
        "a/{account.env",
        "Admin\n",
    ],
)
def test_an_iam_role_that_is_not_path_and_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_iam_role(text)

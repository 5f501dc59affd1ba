import pytest
from builders import an_account
from hypothesis import given
from hypothesis import strategies as st

from broker.entitle.entitlement import Account
from broker.entitle.template import MAX_NAME, ambiguous, parse_template

DECLARED = {
    "account": {"payments-dev", "payments-prod", "a", "a-b"},
    "role": {"read-only", "power-user", "c"},
    "account.env": {"dev", "prod"},
    "account.tags.team": {"payments"},
}


def readings(template: str, name: str) -> list[dict[str, str]]:
    return list(parse_template(template).readings(name, DECLARED))


def test_a_name_is_read_by_declared_names_though_they_contain_the_text_between() -> None:
    assert readings("AWS-{account}-{role}", "AWS-payments-dev-power-user") == [
        {"account": "payments-dev", "role": "power-user"}
    ]


@pytest.mark.parametrize(
    "name",
    [
        "AWS-payments-dev-root",
        "AWS-payments-power-user",
        "AWS-payments-dev-power-user-",
        "XAWS-payments-dev-power-user",
        "AWS-payments-dev-power-user\n",
        "AWS--power-user",
        "AWS-payments-dev",
        "AWS-",
        "",
        "AWS-.*-.*",
        "AWS-{account}-{role}",
    ],
)
def test_a_name_with_anything_undeclared_in_it_is_read_as_nothing(name: str) -> None:
    assert readings("AWS-{account}-{role}", name) == []


def test_text_before_and_after_may_not_overlap() -> None:
    assert readings("aa{account}aa", "aaa") == []
    assert readings("aa{account}aa", "aaaaa") == [{"account": "a"}]


def test_several_fields_are_read_in_any_order() -> None:
    assert readings("{role}@{account.env}/{account.tags.team}!", "c@dev/payments!") == [
        {"role": "c", "account.env": "dev", "account.tags.team": "payments"}
    ]


def test_a_name_of_nothing_but_separators_ends_soon() -> None:
    assert readings("{account}-{role}", "-" * MAX_NAME) == []
    assert readings("{account}-{role}", "a-c" + "-" * 10**7) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("AWS-{user}", "is not a field"),
        ("AWS-{account.id}", "is not a field"),
        ("AWS-{}", "is not a field"),
        ("AWS-{account.tags.}", "is not a field"),
        ("AWS-{account", "without its other half"),
        ("AWS-account}", "without its other half"),
        ("{{account}}", "without its other half"),
        ("{account}{role}", "need some text between"),
        ("{account}-{account}", "at most once"),
        ("{account}.{account.env}.{account.tags.a}.{account.tags.b}.{role}", "at most 4"),
    ],
)
def test_a_template_that_is_not_one_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_template(text)


def accounts(*names: str, **tags: str) -> list[Account]:
    return [an_account(name, tags=tags) for name in names]


@pytest.mark.parametrize(
    ("template", "names", "roles"),
    [
        ("AWS-{account}-{role}", ["a", "a-b"], ["b-c", "c"]),
        ("AWS-{account}-{role}", ["a", "A"], ["c"]),
        ("AWS-{account}--{role}", ["a", "a-"], ["c", "-c"]),
    ],
)
def test_two_readings_of_one_name_are_found(template: str, names: list[str], roles: list[str]) -> None:
    assert ambiguous(parse_template(template), accounts(*names), roles)


def test_two_readings_are_named() -> None:
    found = ambiguous(parse_template("AWS-{account}-{role}"), accounts("a", "a-b"), ["b-c", "c"])
    assert found == ("a-b-c", "account a, role b-c", "account a-b, role c")


def test_another_text_between_makes_them_one() -> None:
    assert not ambiguous(parse_template("AWS-{account}_{role}"), accounts("a", "a-b"), ["b-c", "c"])


def test_accounts_with_the_same_tag_are_one_reading() -> None:
    assert not ambiguous(parse_template("T-{account.tags.team}"), accounts("a", "b", team="x"), [])


def test_tags_that_differ_in_case_alone_are_two_readings() -> None:
    both = [*accounts("a", team="x"), *accounts("b", team="X")]
    assert ambiguous(parse_template("T-{account.tags.team}"), both, [])


words = st.text("ab-", min_size=1, max_size=4)


@given(
    st.sets(words, min_size=1, max_size=5),
    st.sets(words, min_size=1, max_size=5),
    st.sampled_from(["-", "--", "ab", "_"]),
)
def test_a_template_without_two_readings_reads_every_name_once(names: set[str], roles: set[str], between: str) -> None:
    template = parse_template(f"X-{{account}}{between}{{role}}")
    found = ambiguous(template, accounts(*names), roles)
    declared = {"account": names, "role": roles}
    counts = {
        filled: len(list(template.readings(filled, declared)))
        for account in names
        for role in roles
        for filled in [template.fill({"account": account, "role": role})]
    }
    assert (max(counts.values()) > 1) == bool(found)
    assert min(counts.values()) >= 1

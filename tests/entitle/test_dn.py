import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.entitle.dn import fold, parse_dn

SRE = "CN=SRE,OU=Groups,DC=corp,DC=example"


@pytest.mark.parametrize(
    "spelling",
    [
        "cn=sre,ou=groups,dc=corp,dc=example",
        "CN=SRE, OU=Groups, DC=corp, DC=example",
        "2.5.4.3=SRE,OU=Groups,0.9.2342.19200300.100.1.25=corp,DC=example",
        "CN=\\53RE,OU=Groups,DC=corp,DC=example",
        "CN = SRE ,OU=Groups,DC=corp,DC=example",
    ],
)
def test_spellings_of_one_name_are_equal(spelling: str) -> None:
    assert parse_dn(spelling).rdns == parse_dn(SRE).rdns
    assert parse_dn(spelling).name == "sre"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a\\,OU=Groups,DC=x", "CN=a,OU=Groups,DC=x"),
        ("CN=a\\2COU=Groups,DC=x", "CN=a,OU=Groups,DC=x"),
        ("CN=a b,DC=x", "CN=ab,DC=x"),
        ("CN=a  b,DC=x", "CN=a b,DC=x"),
        ("CN=a\\ ,DC=x", "CN=a,DC=x"),
        ("CN=\\ a,DC=x", "CN=a,DC=x"),
        ("CN=a+OU=b,DC=x", "CN=a\\+OU=b,DC=x"),
        ("OU=a,DC=x", "CN=a,DC=x"),
        ("CN=\u212aube,DC=x", "CN=Kube,DC=x"),
        ("CN=stra\u00dfe,DC=x", "CN=strasse,DC=x"),
        ("CN=SRE\\0ACNF:b1,DC=x", "CN=SRE,DC=x"),
        ("CN=a\\00,DC=x", "CN=a,DC=x"),
        ("CN=a,DC=x,DC=y", "CN=a,DC=x.y"),
    ],
)
def test_names_that_only_look_alike_are_not_equal(one: str, other: str) -> None:
    assert parse_dn(one).rdns != parse_dn(other).rdns


def test_letters_beyond_ascii_compare_without_case() -> None:
    assert parse_dn("CN=ZÜRICH,DC=x") == parse_dn("cn=Zürich,dc=X")
    assert parse_dn("CN=Z\\C3\\BCrich,DC=x") == parse_dn("CN=Zürich,DC=x")


def test_a_name_of_several_parts_has_them_in_any_order_and_no_name_of_its_own() -> None:
    assert parse_dn("CN=a+UID=b,DC=x") == parse_dn("uid=B+cn=A,dc=x")
    assert not parse_dn("CN=a+UID=b,DC=x").name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "SRE",
        "CN=",
        "CN=,DC=x",
        "CN=a,",
        ",CN=a",
        "CN=a,,DC=x",
        "=a",
        "C N=a",
        "CN=#04024869",
        'CN="a,b",DC=x',
        "CN=a;DC=x",
        "CN=a<b",
        "CN=a\\",
        "CN=a\\zz",
        "CN=a\\C3,DC=x",
        "CN=a\x00b",
        "CN=\ud800,DC=x",
        "CN=" + "a" * 5000,
    ],
)
def test_what_is_not_a_distinguished_name_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_dn(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cn", "OU", "dc", "2.5.4.3"]),
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_is_escaped_by_the_book_reads_back(parts: list[tuple[str, str]]) -> None:
    text = ",".join(f"{kind}=" + "".join(f"\\{byte:02x}" for byte in value.encode()) for kind, value in parts)
    parsed = parse_dn(text)
    assert parsed.name == fold(parts[0][1])
    assert len(parsed.rdns) == len(parts)
    assert parse_dn(str(parsed)) == parsed


@given(st.text('CNOU=,+\\# "a;0', max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parsed = parse_dn(text)
    except ValueError:
        return
    assert parse_dn(str(parsed)) == parsed


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)

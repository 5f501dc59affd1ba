import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.entitle import source
from broker.entitle.source import Data, read_yaml
from broker.errors import ConfigurationError, Problem


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "f.yaml")
    return list(caught.value.problems)


def read(text: str) -> Data:
    return read_yaml(text, "f.yaml").data


def test_plain_data_reads_as_yaml_1_2_says() -> None:
    text = "a: text\nb: 15\nc: true\nd: 1.5\ne: [x, 'no', \"012345678901\"]\nf: {}\ng: []\nh: 2027-06-30\ni: -3\n"
    expected = {
        "a": "text",
        "b": 15,
        "c": True,
        "d": 1.5,
        "e": ["x", "no", "012345678901"],
        "f": {},
        "g": [],
        "h": "2027-06-30",
        "i": -3,
    }
    assert read(text) == expected


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n# nothing\n{}\n"])
def test_a_file_with_nothing_in_it_reads_as_nothing(text: str) -> None:
    assert read(text) == {}


@pytest.mark.parametrize(
    "plain",
    ["10.1.2.3", "fd00::1", "::1", "2026-12-01T10:00:00+01:00", "8h", "S-1-5-21-1", "a:b", "Team-{x}", "null-ish"],
)
def test_what_every_reader_takes_for_text_needs_no_quotes(plain: str) -> None:
    assert read(f"- {plain}\n") == [plain]


@pytest.mark.parametrize(
    ("plain", "hint"),
    [
        ("012345678901", "put it in quotes: an account id is text"),
        ("-01", "put it in quotes"),
        ("18:00", 'put it in quotes, like "18:00"'),
        ("1:30:00", "put it in quotes"),
        ("no", "use quotes"),
        ("On", "use quotes"),
        ("YES", "use quotes"),
        ("y", "use quotes"),
        ("", "write the value"),
        ("~", "write the value"),
        ("null", "write the value"),
        ("0x1F", "use quotes"),
        ("0o17", "use quotes"),
        ("0b11", "use quotes"),
        ("1_000", "use quotes"),
        ("1e3", "use quotes"),
        (".inf", "use quotes"),
        (".nan", "use quotes"),
        (".5", "use quotes"),
        ("1.", "use quotes"),
        ("9" * 5000, "use quotes"),
    ],
)
def test_a_scalar_that_readers_understand_differently_is_refused_with_a_hint(plain: str, hint: str) -> None:
    (problem,) = problems(f"key: {plain}\n")
    assert problem.where.startswith("f.yaml:1:")
    assert hint in problem.remedy
    if plain:
        assert read(f"key: '{plain}'\n") == {"key": plain}


def test_a_problem_never_repeats_a_value() -> None:
    (problem,) = problems("password: 0815\n")
    assert "0815" not in str(problem)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1", "the key 'a' is here twice, first at f.yaml:1:1"),
        ("x: {a: 1, 'a': 2}\n", "f.yaml:1:11", "the key 'a' is here twice"),
        ("a: &x text\n", "f.yaml:1:4", "an anchor"),
        ("a: &x {b: 1}\n", "f.yaml:1:4", "an anchor"),
        ("a: *x\n", "f.yaml:1:4", "an alias"),
        ("a: !!str x\n", "f.yaml:1:4", "a tag"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1:4", "a tag"),
        ("a: ! 'x'\n", "f.yaml:1:4", "a tag"),
        ("<<: {a: 1}\n", "f.yaml:1:1", "a merge key"),
        ("%YAML 1.1\n---\na: b\n", "f.yaml:1:1", "a % directive"),
        ("%TAG ! tag:x,2000:\n---\na: b\n", "f.yaml:1:1", "a % directive"),
        ("a: b\n---\nc: d\n", "f.yaml:2:1", "a second document"),
        ("1: b\n", "f.yaml:1:1", "a key that is not text"),
        ("no: b\n", "f.yaml:1:1", "yes, no, on, off"),
        ("[a]: b\n", "f.yaml:1:1", "a list or mapping as a key"),
        ("? {a: b}\n: c\n", "f.yaml:1:3", "a list or mapping as a key"),
        ("a: [b\n", "f.yaml:2:1", "this is not YAML"),
        ("a: b: c\n", "f.yaml:1:5", "this is not YAML"),
        ("a: \x00\n", "f.yaml:1:4", "a character that does not show (U+0000)"),
        ("a: \ud800\n", "f.yaml:1:4", "a character that does not show (U+D800)"),
    ],
)
def test_what_can_be_misread_is_refused_where_it_stands(text: str, where: str, what: str) -> None:
    found = problems(text)[0]
    assert found.where == where
    assert found.what.startswith(what)
    assert found.remedy


def test_quotes_make_text_of_a_merge_key_and_of_signs() -> None:
    assert read("'<<': x\n'a': '&x'\nb: '*x'\nc: '!x'\n") == {"<<": "x", "a": "&x", "b": "*x", "c": "!x"}


def test_every_problem_is_reported_at_once() -> None:
    assert [p.where for p in problems("a: 018\na: no\nb:\nc: 18:00\n")] == [
        "f.yaml:1:4",
        "f.yaml:2:1",
        "f.yaml:2:4",
        "f.yaml:3:3",
        "f.yaml:4:4",
    ]


def test_the_first_of_two_equal_keys_is_kept_for_further_looking() -> None:
    found: list[Problem] = []
    assert read_yaml("a: 1\na: 2\n", "f.yaml", found).data == {"a": 1}
    assert len(found) == 1


@pytest.mark.parametrize(
    "nested", ["[" * 40 + "]" * 40, "[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 200_000]
)
def test_deep_nesting_is_refused_before_it_costs_anything(nested: str) -> None:
    assert "nested deeper" in problems(nested)[0].what or "as a key" in problems(nested)[0].what


def test_nesting_within_the_bound_is_read() -> None:
    assert read("[" * source.MAX_DEPTH + "]" * source.MAX_DEPTH)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_SIZE", 20)
    assert read("a: " + "x" * 17) == {"a": "x" * 17}
    assert "more than 20 characters" in problems("a: " + "x" * 18)[0].what


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_VALUES", 20)
    assert read("[a, b, c]")
    assert "more than 20 values" in problems("[" + "a," * 30 + "]")[0].what


def test_a_position_is_the_key_or_the_item_that_a_path_leads_to() -> None:
    text = "mappings:\n  - name: a\n  - name: b\n    groups: [x,\n      z]\n"
    found = read_yaml(text, "f.yaml")
    assert found.where(("mappings", 1, "name")) == "f.yaml:3:5"
    assert found.where(("mappings", 1, "groups", 1)) == "f.yaml:5:7"
    assert found.where(("mappings", 1)) == "f.yaml:3:5"
    assert found.where() == "f.yaml:1:1"


def test_a_path_that_leads_nowhere_gives_the_nearest_place() -> None:
    found = read_yaml("a:\n  b: {c: x}\n", "f.yaml")
    assert found.where(("a", "b", "missing")) == "f.yaml:2:3"
    assert found.where(("a", "tag-of-a-union", "b", "c")) == "f.yaml:2:7"
    assert found.where(("a", 7)) == "f.yaml:1:1"


json_like = st.recursive(
    st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=12,
)


def _flow(value: object) -> str:
    """YAML written by a writer of our own: every text double-quoted with escapes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{_flow(key)}: {_flow(own)}" for key, own in value.items()) + "}"


@given(json_like)
def test_whatever_is_written_without_doubt_reads_back(value: Data) -> None:
    assert read(_flow(value)) == value


@given(st.text(max_size=200) | st.text("-:{}[]&*!?%<>|'\"#,.0ax \n", max_size=60))
def test_no_text_gets_anything_out_but_data_or_problems(text: str) -> None:
    found: list[Problem] = []
    read_yaml(text, "f.yaml", found)
    assert all(problem.what for problem in found)

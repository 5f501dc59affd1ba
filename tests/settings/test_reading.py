"""What `broker.yaml`, the environment and the files of secrets say together."""

from datetime import timedelta
from pathlib import Path

import pytest
from settings.conftest import CANARY, Write

from broker.authenticate import PROVIDERS
from broker.authenticate.identity import Group, GroupForm
from broker.authenticate.ldap import LdapSettings
from broker.errors import ConfigurationError, Problem
from broker.settings import (
    PLACES,
    Loaded,
    OwnerGroup,
    endpoint_overrides,
    examples,
    find_file,
    load,
    load_storage,
    metrics_folder,
    new_metrics_folder,
    read_mapping_files,
    replace_mapping_file,
    stay_here,
)


def problems(file: Path, environ: dict[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, environ or {})
    assert CANARY not in repr(caught.value) + str(caught.value)
    return caught.value.problems


def ldap(loaded: Loaded) -> LdapSettings:
    provider = loaded.settings.providers["corp-ad"]
    assert isinstance(provider, LdapSettings)
    return provider


def test_a_small_file_is_enough_and_everything_else_has_its_default(write: Write) -> None:
    settings = load(write(), {}).settings
    assert settings.server.bind == "127.0.0.1:8400"
    assert settings.sessions.absolute == timedelta(hours=12)
    assert settings.owners == ()


def test_the_environment_goes_over_the_file_and_the_file_over_the_default(write: Write) -> None:
    file = write("", ('{url: "https://aws.corp.example"}', '{url: "https://a.example", workers: 7}'))
    loaded = load(file, {"BROKER_SERVER__URL": "https://b.example"})
    server = loaded.settings.server
    assert (server.url, server.workers, server.threads) == ("https://b.example", 7, 4)
    assert loaded.sources["server.url"] == "$BROKER_SERVER__URL"
    assert loaded.sources["server.workers"] == f"{file}:1:36"
    assert "server.threads" not in loaded.sources


def test_a_variable_names_a_provider_without_its_hyphen(write: Write) -> None:
    loaded = load(write(), {"BROKER_PROVIDERS__CORP_AD__DOMAIN": "CORP"})
    assert ldap(loaded).domain == "CORP"
    assert loaded.sources["providers.corp-ad.domain"] == "$BROKER_PROVIDERS__CORP_AD__DOMAIN"


def test_a_variable_may_begin_a_section_that_the_file_does_not_have(write: Write) -> None:
    assert load(write(), {"BROKER_SESSIONS__IDLE": "10m"}).settings.sessions.idle == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("BROKER_TYPO", "unknown key 'typo'"),
        ("BROKER_SERVER__URLS", "server: unknown key 'urls'"),
        ("BROKER_SERVER__URL__DEEPER", "server.url holds no keys"),
        ("BROKER_TEST_ANYTHING", "unknown key 'test_anything'"),
        ("BROKER_", "unknown key ''"),
    ],
)
def test_a_variable_that_sets_nothing_is_an_error(write: Write, name: str, what: str) -> None:
    (problem,) = problems(write(), {name: "x"})
    assert (problem.where, problem.what) == (f"${name}", what)
    assert problem.remedy


def test_a_variable_in_the_place_of_a_list_says_that_lists_belong_into_the_file(write: Write) -> None:
    (problem,) = problems(write(), {"BROKER_AWS__REGIONS": "eu-central-1"})
    assert str(problem).startswith("$BROKER_AWS__REGIONS: aws.regions: must be a list, in the file")


def test_other_variables_are_none_of_our_business(write: Write) -> None:
    load(write(), {"BROKERAGE": "1", "HOME": "/", "BROKER_CONFIG": "elsewhere.yaml"})


def test_an_unknown_key_is_an_error_with_its_place_and_the_key_that_was_meant(write: Write) -> None:
    file = write("sesions: {idle: 1h}\n")
    (problem,) = problems(file)
    assert str(problem) == f"{file}:13:1: unknown key 'sesions'; did you mean 'sessions'?"


def test_every_problem_is_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    file = write(
        "mfa: {tries: 99}\naudit: {stdout: maybe}\nwhatever: 1\n",
        ('"https://aws.corp.example"', '"http://aws.corp.example"'),
        ("servers: [", "server: ["),
        ("directory-password", "no-such-file"),
    )
    told = [str(problem).removeprefix(f"{file}:") for problem in problems(file, {"BROKER_AWS__BUDGET": "0"})]
    see = "see docs/settings.md"
    unreadable = "password_file cannot be read (No such file or directory)"
    assert told == [
        f"$BROKER_AWS__BUDGET: aws.budget: a duration is a whole number and its unit, like 90s, 15m, 8h or 2d; {see}",
        f"1:10: server.url: must begin with https:// (http:// is for localhost only); {see}",
        f"6:3: providers.corp-ad: 'servers' is missing; add it; {see}",
        "8:5: providers.corp-ad: unknown key 'server'; did you mean 'servers'?",
        f"10:5: {unreadable}; it is the path of a file that holds the secret and nothing else",
        f"13:7: mfa.tries: must be at most 10; {see}",
        f"14:9: audit.stdout: must be 'required', 'best-effort' or 'off'; {see}",
        f"15:1: unknown key 'whatever'; remove it, or {see}",
    ]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("mfa: {tries: 0}", "mfa.tries: must be at least 1"),
        ("mfa: {tries: many}", "mfa.tries: must be a whole number"),
        ("mfa: {enrolment: none}", "mfa.enrolment: must be 'code' or 'self'"),
        ('mfa: {issuer: "a:b"}', "mfa.issuer: must match the pattern ^[^:]*$"),
        ("mfa: {issuer: 7}", "mfa.issuer: must be text (put it in quotes)"),
        ("mfa: [1]", "mfa: must be keys and values, in the file"),
        ("sessions: {idle: 5}", "sessions.idle: a duration is a whole number and its unit, like 90s, 15m, 8h or 2d"),
        ("sessions: {idle: 13h}", "sessions: idle must not be longer than absolute"),
        ("sessions: {idle: 0s}", "sessions.idle: must be at least 1 minute"),
        ("sessions: {absolute: 25h}", "sessions.absolute: must be at most"),
        ("directory: {outage_grace: 61m}", "an outage_grace is at most 1h"),
        ("directory: {outage_grace_of_role: {admin: 2h}}", "an outage_grace is at most 1h"),
        ("owners: [{provider: corp-ad}]", "owners.0: give the id or the dn, one of them"),
        ("owners: [{provider: corp-ad, id: S-1-1, dn: CN=x}]", "owners.0: give the id or the dn, one of them"),
        ("owners: [{provider: corp-ad, dn: nonsense}]", "owners.0: a distinguished name is a list of type=value"),
        ("owners: [{provider: other, id: S-1-1}]", "owners: there is no provider other in this file"),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_words_that_say_what_does(write: Write, more: str, what: str) -> None:
    (problem,) = problems(write(more + "\n"))
    assert what in problem.what
    assert problem.remedy


@pytest.mark.parametrize(
    "section",
    ["trusted_proxies: [nonsense]", "bind: nonsense", "bind: ':8400'", "bind: 'h:99999'", "tls_version_header: 'a b'"],
)
def test_a_server_that_cannot_be_reached_so_is_refused(write: Write, section: str) -> None:
    file = write("", ('{url: "https://aws.corp.example"}', f'{{url: "https://aws.corp.example", {section}}}'))
    (problem,) = problems(file)
    assert f"server.{section.partition(':')[0]}" in problem.what
    assert "must be" in problem.what
    assert "lax-or-strict" not in problem.what


@pytest.mark.parametrize(
    ("written", "in_force"),
    [
        ("https://aws.corp.example", "https://aws.corp.example"),
        ("https://aws.corp.example/", "https://aws.corp.example"),
        ("https://AWS.Corp.Example:443", "https://aws.corp.example"),
        ("https://aws.corp.example:8443", "https://aws.corp.example:8443"),
        ("http://localhost:8400", "http://localhost:8400"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:8400", "http://[::1]:8400"),
    ],
)
def test_the_url_is_an_origin_as_browsers_send_it(write: Write, written: str, in_force: str) -> None:
    loaded = load(write(), {"BROKER_SERVER__URL": written})
    assert loaded.settings.server.url == in_force


@pytest.mark.parametrize(
    "url",
    [
        "http://aws.corp.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "ftp://localhost",
        "https://aws.corp.example/broker",
        "https://aws.corp.example?x",
        "https://aws.corp.example#x",
        "https://user:pass@aws.corp.example",
        "https://aws.corp.example:0",
        "https://aws.corp.example:65536",
        "https://aws corp.example",
        "https://aws.corp.example\n",
        "https://",
        "aws.corp.example",
        "",
    ],
)
def test_any_other_url_is_refused(write: Write, url: str) -> None:
    (problem,) = problems(write(), {"BROKER_SERVER__URL": url})
    assert problem.what.startswith("server.url: must be")
    assert "pass@" not in str(problem)


def test_a_secret_comes_from_a_file_without_the_line_end_that_editors_leave(write: Write) -> None:
    loaded = load(write(), {})
    assert ldap(loaded).password.get_secret_value() == CANARY
    assert loaded.sources["providers.corp-ad.password"].startswith("directory-password (named at ")


def test_blanks_in_a_secret_belong_to_it(write: Write) -> None:
    file = write()
    (file.parent / "directory-password").write_text("  two words \r\n", encoding="utf-8")
    assert ldap(load(file, {})).password.get_secret_value() == "  two words "


def test_a_secret_s_file_may_be_named_by_a_variable(write: Write, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another", encoding="utf-8")
    loaded = load(write(), {"BROKER_PROVIDERS__CORP_AD__PASSWORD_FILE": str(tmp_path / "other")})
    assert ldap(loaded).password.get_secret_value() == "another"


def test_a_secret_and_its_file_together_are_an_error(write: Write) -> None:
    (problem,) = problems(write("", ("password_file:", f"password: {CANARY}\n    password_file:")))
    assert problem.what == "both password and password_file are given"


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"\n", "password_file is empty"), (b"\xff\xfe", "password_file is not UTF-8 text, or no path")],
)
def test_a_secret_s_file_without_a_secret_is_an_error(write: Write, content: bytes, what: str) -> None:
    file = write()
    (file.parent / "directory-password").write_bytes(content)
    told = [problem.what for problem in problems(file)]
    assert what in told


def test_a_secret_in_the_place_of_its_path_is_not_told(write: Write) -> None:
    (problem,) = problems(write("", ("password_file: directory-password", f"password_file: {CANARY}")))
    assert "password_file cannot be read" in problem.what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("password_file: directory-password", f"pasword: {CANARY}"),
        ("password_file: directory-password", f"password: [{CANARY}]"),
        ("password_file: directory-password", f"password: {CANARY}\n    connect_timeout: {CANARY}"),
        ("bind_dn: svc-broker@corp.example", f"bind_dn: [{CANARY}]"),
        ('"sqlite:///broker.db"', f'"postgresql+psycopg://broker:{CANARY}@db.corp.example/broker"'),
        ('"ldaps://dc1.corp.example"', f'"ldaps://user:{CANARY}@dc1.corp.example"'),
        ("{regions: [eu-central-1]}", f"{{regions: [{CANARY}]}}"),
        ("type: ldap", f"type: {CANARY}"),
    ],
)
def test_no_error_tells_a_value_wherever_it_stands(write: Write, old: str, new: str) -> None:
    assert problems(write("", (old, new)))


def test_a_secret_is_in_no_repr(write: Write) -> None:
    loaded = load(write(), {})
    assert CANARY not in f"{loaded!r}{loaded.settings!s}{loaded.settings.model_dump(mode='json')}"


def test_relative_paths_are_taken_from_the_folder_of_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("", ("type: ldap", "type: ldap\n    ca_file: ca.pem"), ("{regions", "{access_key_file: key, regions"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    loaded = load(Path("../broker.yaml"), {"BROKER_KEYS__FILE": "/run/credentials/keys.json"})
    settings, folder = loaded.settings, file.parent.resolve()
    assert settings.keys.file == Path("/run/credentials/keys.json")
    assert settings.mappings.files == (folder / "mappings.yaml",)
    assert settings.storage.url == f"sqlite:///{folder / 'broker.db'}"
    assert settings.aws.access_key_file == folder / "key"
    assert ldap(loaded).ca_file == folder / "ca.pem"


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        ("{servers: []}", "providers.corp-ad: 'type' is missing"),
        ("{type: saml3}", "providers.corp-ad: this type is not known"),
        ("[ldap]", "providers.corp-ad: 'type' is missing"),
    ],
)
def test_a_provider_says_which_kind_it_is(tmp_path: Path, provider: str, what: str) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text(
        "server: {url: 'https://a.example'}\nkeys: {file: k}\nstorage: {url: 'sqlite:///b'}\nmappings: {files: [m]}\n"
        f"aws: {{regions: [eu-central-1]}}\nproviders:\n  corp-ad: {provider}\n",
        encoding="utf-8",
    )
    (problem,) = problems(file)
    assert (problem.what, problem.remedy) == (what, "write one of: ldap")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"a: b: c", "this is not YAML"),
        (b"[server]", "keys and values are wanted here"),
        (b"\xff", "is not UTF-8 text"),
        (b"", "'server' is missing"),
        (b"server: {url: 'https://a.example', url: 'https://b.example'}", "is here twice"),
    ],
)
def test_what_is_no_configuration_is_told_with_its_place(tmp_path: Path, text: bytes, what: str) -> None:
    file = tmp_path / "broker.yaml"
    file.write_bytes(text)
    told = problems(file)
    assert any(what in problem.what for problem in told)
    assert all(problem.where.startswith(str(file)) for problem in told)


def test_a_file_that_is_not_there_says_how_to_name_it(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "none.yaml")
    assert str(problem).endswith("cannot be read (No such file or directory); name it with --config or $BROKER_CONFIG")


def test_the_file_is_the_named_one_else_the_machine_s_else_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    etc, here = tmp_path / "etc.yaml", Path("broker.yaml")
    assert (Path("/etc/broker/broker.yaml"), here) == PLACES
    monkeypatch.setattr("broker.settings.PLACES", (etc, here))
    assert find_file({}) == etc
    here.touch()
    assert find_file({}) == here
    etc.touch()
    assert find_file({}) == etc
    assert find_file({"BROKER_CONFIG": "/a/b.yaml"}) == Path("/a/b.yaml")


def test_storage_alone_needs_none_of_the_other_sections_nor_their_secrets(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text("storage: {url: 'sqlite:///b.db'}\nproviders: {a: {password_file: none}}\nodd: 1\n", "utf-8")
    settings = load_storage(file, {"BROKER_STORAGE__POOL_SIZE": "3", "BROKER_ODD": "1"})
    assert (settings.url, settings.pool_size) == (f"sqlite:///{tmp_path.resolve()}/b.db", 3)
    with pytest.raises(ConfigurationError, match="storage: unknown key 'odd'"):
        load_storage(file, {"BROKER_STORAGE__ODD": "1"})


def test_mapping_files_are_read_by_name_and_folders_whole(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    for name in ("b.yaml", "a.yaml", "c.txt"):
        (folder / name).write_text(name, encoding="utf-8")
    assert read_mapping_files([folder]) == {str(folder / "a.yaml"): "a.yaml", str(folder / "b.yaml"): "b.yaml"}
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_mapping_files([tmp_path / "none.yaml"])


def test_a_mapping_file_is_replaced_with_the_mode_that_it_had(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o640)
    replace_mapping_file(file, "new")
    assert (file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_the_examples_are_the_annotated_files() -> None:
    assert {"broker.yaml", "mappings.yaml", "mappings.schema.json"} <= {file.name for file in examples().iterdir()}


def test_every_variable_that_leads_aws_elsewhere_is_found() -> None:
    environ = {"AWS_ENDPOINT_URL_STS": "x", "AWS_ENDPOINT_URL": "y", "AWS_REGION": "z"}
    assert endpoint_overrides(environ) == ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"]


def test_the_metrics_folder_is_fresh_and_private_whatever_was_named_before() -> None:
    environ = {"PROMETHEUS_MULTIPROC_DIR": "/of/another/run"}
    folder = new_metrics_folder(environ)
    try:
        assert metrics_folder(environ) == str(folder) != "/of/another/run"
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()
    assert metrics_folder({}) == ""


def test_the_demo_forgets_the_visitor_s_aws_life_and_proxies_for_this_machine() -> None:
    environ = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "x", "no_proxy": "corp.example", "HOME": "/"}
    stay_here(environ)
    hosts = "localhost,127.0.0.1"
    assert environ == {"HOME": "/", "no_proxy": f"corp.example,{hosts}", "NO_PROXY": hosts}


def test_a_mapping_folder_without_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "denies.d").mkdir()
    with pytest.raises(ConfigurationError, match="empty folder"):
        read_mapping_files([tmp_path / "denies.d"])
    (tmp_path / "denies.d" / "leavers.yaml").write_text("version: 1\n", encoding="utf-8")
    assert list(read_mapping_files([tmp_path / "denies.d"])) == [str(tmp_path / "denies.d" / "leavers.yaml")]


@pytest.mark.parametrize("name", ["denies.yml", "denies.YAML", "denies.Yml"])
def test_a_mapping_file_that_a_folder_does_not_take_in_is_an_error(tmp_path: Path, name: str) -> None:
    """Else its denies would be missed, and nobody told."""
    for own in ("mappings.yaml", "mappings.schema.json", "mappings.yaml.bak"):
        (tmp_path / own).write_text("version: 1\n", encoding="utf-8")
    assert len(read_mapping_files([tmp_path])) == 1
    (tmp_path / name).write_text("version: 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"{name}: is not read"):
        read_mapping_files([tmp_path])


def test_a_file_that_is_named_beside_its_folder_must_be_there(tmp_path: Path) -> None:
    for name in ("denies.yaml", "mappings.yaml"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    both = [tmp_path, tmp_path / "denies.yaml"]
    assert sorted(read_mapping_files(both).values()) == ["denies.yaml", "mappings.yaml"], "and counts once"
    (tmp_path / "denies.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"denies\.yaml: cannot be read"):
        read_mapping_files(both)


def test_a_mapping_file_keeps_its_line_ends(tmp_path: Path) -> None:
    """A lone CR is a line end to YAML and not to a diff: the reader must see it."""
    file = tmp_path / "m.yaml"
    file.write_bytes(b"a\r\nb\rc\n")
    assert read_mapping_files([file]) == {str(file): "a\r\nb\rc\n"}
    replace_mapping_file(file, "d\r\ne\n")
    assert file.read_bytes() == b"d\r\ne\n"


SID = "S-1-5-21-1-2-3-4"
OWNED_BY_DN = OwnerGroup(provider="corp-ad", dn="CN=Owners,DC=corp,DC=example")


@pytest.mark.parametrize(
    ("group", "owned"),
    [
        (Group(provider="corp-ad", id="x", name="Owners", dn="cn=owners, dc=CORP,dc=example"), True),
        (Group(provider="okta", id="x", name="Owners", dn="CN=Owners,DC=corp,DC=example"), False),
        (Group(provider="corp-ad", id="x", name="Owners", dn="CN=Others,DC=corp,DC=example"), False),
        (Group(provider="corp-ad", id="x", name="Owners"), False),
        (Group(provider="corp-ad", id="x", name="Owners", dn="no name"), False),
        (Group(provider="corp-ad", id="x", name="Owners", dn="CN=#0401ff,DC=x"), False),
    ],
)
def test_an_owner_by_dn_is_nobody_whose_dn_cannot_be_read(group: Group, owned: bool) -> None:  # noqa: FBT001 (a table)
    assert OWNED_BY_DN.means(group) is owned


def test_an_owner_by_id_is_known_by_the_id_alone() -> None:
    owner = OwnerGroup(provider="corp-ad", id=SID.lower())
    assert owner.means(Group(provider="corp-ad", id=SID, name="x", dn="no name"))
    assert not owner.means(Group(provider="okta", id=SID, name="x"))
    assert not owner.means(Group(provider="corp-ad", id=f"{SID}5", name="x"))


@pytest.mark.parametrize(
    ("own", "form"),
    [
        ({}, GroupForm.SID),
        ({"kind": "generic", "group_base": "DC=x"}, GroupForm.ID),
        ({"kind": "generic", "group_base": "DC=x", "generic": {"group_id_attribute": ""}}, GroupForm.DN),
    ],
)
def test_each_provider_says_how_its_groups_are_known(own: dict[str, object], form: GroupForm) -> None:
    needed = {"servers": ["ldaps://dc"], "bind_dn": "x", "password": "x", "user_bases": ["DC=x"]}
    assert LdapSettings.model_validate({**needed, **own}).group_form is form
    assert all(hasattr(settings, "group_form") for settings, _ in PROVIDERS.values())

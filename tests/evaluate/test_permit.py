"""Only `decide()` makes a `Permit`."""

import ast
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from builders import NOW, a_permit, a_proof, an_entitlement

import broker
from broker.evaluate.verdict import Permit, Seal

PACKAGE = Path(broker.__file__).parent


def test_a_permit_made_elsewhere_is_refused() -> None:
    for seal in (Seal(), None, object()):
        with pytest.raises(TypeError, match=r"only broker\.evaluate\.decide"):
            Permit(proof=a_proof(), entitlement=an_entitlement(), grant="m", decided_at=NOW, seal=seal)  # type: ignore[arg-type]  # the attack
    with pytest.raises(TypeError):
        Permit(proof=a_proof(), entitlement=an_entitlement(), grant="m", decided_at=NOW)  # type: ignore[call-arg]  # the attack


def test_a_permit_cannot_be_copied_with_another_entitlement() -> None:
    permit = a_permit()
    with pytest.raises((TypeError, ValueError)):
        replace(permit, entitlement=an_entitlement())  # type: ignore[call-arg]  # the attack
    with pytest.raises(TypeError, match=r"only broker\.evaluate\.decide"):
        replace(permit, grant="another", seal=Seal())


def test_a_permit_cannot_be_changed_and_shows_no_seal() -> None:
    permit = a_permit()
    with pytest.raises(AttributeError):
        permit.grant = "another"  # type: ignore[misc]  # the attack
    assert "seal" not in Permit.__slots__
    assert "Seal" not in repr(permit)


def test_the_seal_is_held_by_two_modules_and_used_by_one() -> None:
    makers, holders = set(), set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name, tree = path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        if any(isinstance(n, ast.Call) and ast.unparse(n.func).rpartition(".")[2] == "Permit" for n in nodes):
            makers.add(name)
        defined = any(
            isinstance(n, ast.Name) and n.id == "SEAL" and isinstance(n.ctx, ast.Store) for n in tree_top(tree)
        )
        imported = any(
            isinstance(n, ast.ImportFrom)
            and n.module == "broker.evaluate.verdict"
            and "SEAL" in {a.name for a in n.names}
            for n in nodes
        )
        reached = any(isinstance(n, ast.Attribute) and ast.unparse(n).endswith("verdict.SEAL") for n in nodes)
        if imported or reached or (defined and name.startswith("evaluate/")):
            holders.add(name)
    assert makers == {"evaluate/decide.py"}
    assert holders == {"evaluate/decide.py", "evaluate/verdict.py"}


def tree_top(tree: ast.Module) -> list[ast.AST]:
    """What the module's own top-level assignments name."""
    return [node for statement in tree.body if isinstance(statement, ast.Assign) for node in ast.walk(statement)]


SHORTCUTS = """
    from datetime import datetime
    from broker.challenge.proof import Proof
    from broker.entitle.entitlement import Entitlement
    from broker.evaluate.condition import Circumstances
    from broker.evaluate.decide import decide, weigh
    from broker.evaluate.verdict import Permit, Refusal, Seal, StepUp, Verdict
    from broker.issue.issuer import Issuer

    def good(issuer: Issuer, proof: Proof, entitlement: Entitlement, c: Circumstances, now: datetime) -> None:
        verdict = decide(proof, entitlement, c)
        if isinstance(verdict, Permit):
            issuer.issue(verdict, lease="l", asked=None, now=now)

    def bad(issuer: Issuer, proof: Proof, entitlement: Entitlement, c: Circumstances, now: datetime) -> None:
        issuer.issue(proof, lease="l", asked=None, now=now)  # BAD
        issuer.issue(entitlement, lease="l", asked=None, now=now)  # BAD
        issuer.issue(decide(proof, entitlement, c), lease="l", asked=None, now=now)  # BAD
        issuer.issue(weigh(proof, entitlement, c), lease="l", asked=None, now=now)  # BAD
        Permit(proof=proof, entitlement=entitlement, grant="m", decided_at=now)  # BAD
        verdict = decide(proof, entitlement, c)
        if isinstance(verdict, Permit):
            verdict.grant = "another"  # BAD
"""


def test_mypy_rejects_every_shortcut_to_an_issuer(tmp_path: Path) -> None:
    source = textwrap.dedent(SHORTCUTS).lstrip()
    file = tmp_path / "shortcuts.py"
    file.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary"]
    command += ["--config-file=", f"--cache-dir={tmp_path / 'cache'}", str(file)]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    bad = {number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# BAD")}
    assert wrong == bad, done.stdout + done.stderr

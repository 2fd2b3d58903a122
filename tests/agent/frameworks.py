"""The integrations' tests on other versions of their frameworks than those of this environment.

    python tests/agent/frameworks.py graphene          # installs what tests/agent/test_graphene.py runs on
    python tests/agent/frameworks.py oldest [NAME]     # runs each framework's tests on the oldest that is supported

A version is laid over this environment, in a folder that comes before it on the path.  The oldest
versions are the lower bounds in pyproject.toml, of the framework's extra and of graphql-core.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".frameworks"
GRAPHENE: Final = FOLDER / "graphene"

TESTS: Final = {
    "graphql-core": ["tests/agent/test_graphql_core.py", "tests/agent/test_middlewares.py"],
    "aiohttp": ["tests/agent/test_aiohttp.py"],
    "ariadne": ["tests/agent/test_ariadne.py"],
    "graphene": ["tests/agent/graphene_cases.py"],
    "strawberry": ["tests/agent/test_strawberry.py"],
    "django": ["tests/agent/test_hosts.py"],
    "fastapi": ["tests/agent/test_hosts.py"],
    "flask": ["tests/agent/test_hosts.py"],
}
"""Of each framework; its example comes on top."""

ON_CORE_3_2: Final = ["tests/insights/older_core_cases.py", "tests/insights/test_schema_truth.py"]
"""The check, on the graphql-core that comes with Graphene."""


def oldest(name: str) -> list[str]:
    """The requirements of the oldest supported version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"][:1], *project["optional-dependencies"].get(name, [])]
    return [bound.replace(">=", "==") for bound in bounds]


def table() -> str:
    """What is supported, as the documentation shows it: the oldest and the newest version that are tested."""
    rows = ["| framework | oldest | newest | page | example |", "|---|---|---|---|---|"]
    for name in sorted(TESTS):
        least = oldest(name)[-1]
        package = least.partition("==")[0]
        lock = ROOT / ("requirements-graphene.lock" if name == "graphene" else "requirements.lock")
        [newest] = re.findall(rf"^{package}==([^ ]+)", lock.read_text(), re.MULTILINE)
        example = f"{name.replace('-', '_')}_app.py"
        links = f"[{name}]({name}.md) | [{example}](../../examples/{example})"
        rows.append(f"| {package} | {least.partition('==')[2]} | {newest} | {links} |")
    return "\n".join(rows)


def install(folder: Path, *requirements: str) -> None:
    """Lay these over the environment, unless they are there already."""
    done = folder / "installed"
    if not done.exists() or done.read_text() != " ".join(requirements):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--upgrade",
            "--no-warn-conflicts",
        ]
        subprocess.run([*pip, "--target", str(folder), *requirements], check=True)
        done.write_text(" ".join(requirements))


def run(folder: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """pytest, with what is in the folder before what is in the environment."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def main(what: str, *names: str) -> int:
    if what == "graphene":
        install(GRAPHENE, "--require-hashes", "--requirement", str(ROOT / "requirements-graphene.lock"))
        return 0
    failed = []
    for name, tests in TESTS.items():
        if names and name not in names:
            continue
        folder = FOLDER / f"{name}-oldest"
        install(folder, *oldest(name))
        print(f"\n{name}: {' '.join(oldest(name))}", flush=True)
        examples = [f"tests/agent/test_examples.py::test_the_example_reports_what_it_is_asked[{name}]"]
        if run(folder, "-W", "ignore", *tests, *examples).returncode:  # an old library warns of itself
            failed.append(name)
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

"""`pip install forebay`, as a server does it: the agent works, and brings graphql-core and msgspec alone."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from fake_collector import fake_collector

ROOT = Path(__file__).parents[2]
ALONE = {"forebay", "graphql", "msgspec"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    [wheel] = folder.glob("forebay-*.whl")
    return wheel


def test_what_is_required_is_graphql_core_and_msgspec(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        [metadata] = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        lines = content.read(metadata).decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [line.split()[1].partition(">")[0] for line in required] == ["graphql-core", "msgspec"]


def test_the_agent_of_a_bare_install_reports_and_imports_nothing_else(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    paths = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    for name in ("graphql-core", "msgspec"):  # those that the lock file names, from this environment: no network
        for file in importlib.metadata.files(name) or ():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file.locate())
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FOREBAY"))}
    with fake_collector() as collector:
        command = [str(python), str(ROOT / "tests" / "agent" / "bare.py"), collector.url]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert ran.returncode == 0, ran.stderr
        *refused, modules = ran.stdout.splitlines()
        assert collector.usage() == {("web", "", "Own", False): 1, ("", "", "Core", False): 1}
    assert {name for name in ast.literal_eval(modules) if not name.startswith("_")} == ALONE
    names = ("aiohttp", "ariadne", "graphene", "strawberry")
    assert refused == [f"this integration needs {name}: pip install 'forebay[{name}]'" for name in names]

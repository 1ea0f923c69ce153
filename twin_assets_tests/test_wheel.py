"""What is installed without a checkout: the wheel holds all that the programs read beside their code."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BESIDE_CODE = (".yaml", ".html", ".css", ".js", ".sql", ".mako", ".txt", ".npz", ".csv", ".md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages as the wheel brings them."""
    made, folder = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def elsewhere(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in another folder, which finds our packages in the wheel alone."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
    code = f"import sys; sys.path[:0] = {[str(installed)]!r}; {arguments[0]}"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments[1:]],
        cwd=folder,
        env=outside,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_wheel_holds_every_file_of_the_packages(installed: Path) -> None:
    for package in ("twin_assets", "twin_resources", "twin_serving"):
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", *BESIDE_CODE) and "__pycache__" not in path.parts:
                assert (installed / path.relative_to(ROOT)).is_file(), path
    assert not list(installed.glob("twin_assets_tests*"))


def test_quickstart_unpacks_the_sample_author_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    called = "from twin_serving.cli.main import main; main()"
    done = elsewhere(installed, tmp_path, called, "quickstart", "--no-start")
    assert done.returncode == 0, done.stderr
    assert "twin-sample" in done.stdout
    unpacked = tmp_path / "twin-sample"
    assert {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()} == {
        path.relative_to(ROOT / "examples/sample")
        for path in (ROOT / "examples/sample").rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT / "examples").parts)
    }
    (unpacked / "twin.yaml").write_text("mine: true\n")
    assert elsewhere(installed, tmp_path, called, "quickstart", "--no-start").returncode == 0
    assert (unpacked / "twin.yaml").read_text() == "mine: true\n", "what is there is not written over"


def test_quickstart_leaves_a_folder_with_something_else_alone(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear")
    done = elsewhere(
        installed, tmp_path, "from twin_serving.cli.main import main; main()", "quickstart", "mine", "--no-start"
    )
    assert done.returncode == 1
    assert "is not empty and holds no twin.yaml" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_dagster_finds_its_settings_and_the_graph_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from twin_serving.processes import servers; from twin_resources.config.settings import Settings;"
        "from pathlib import Path; home = Path('state').absolute();"
        "print(servers.__file__); print((servers.prepare_dagster(Settings(home=home)) / 'dagster.yaml').read_text());"
        "print(servers.list_servers(Settings(home=home))['daemon'].command[-1])"
    )
    done = elsewhere(installed, tmp_path, code)
    assert done.returncode == 0, done.stderr
    where, *settings, workspace = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed)
    assert "\n".join(settings).strip() == (ROOT / "dagster.yaml").read_text().strip()
    assert Path(workspace).is_relative_to(installed)
    assert Path(workspace).read_text() == (ROOT / "workspace.yaml").read_text()

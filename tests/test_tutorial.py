"""docs/tutorial.md: its commands are typed as they stand, on films of synthetic people, in a copy of the repository.

Other pages' commands that can run after them are typed too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gait.data.readers import casia_b
from gait.data.walkers import FPS, Walkers
from tests.support.guides import Guide
from tests.support.shell_lines import PAGES, lines, shown
from tests.support.toy import ROOT, copy_repository, environment, make_small

# It renders thirty films, trains and measures: minutes.
pytestmark = pytest.mark.slow

GUIDE = Guide("tutorial")
PEOPLE = ("anna", "ben", "carl", "dora", "emil", "finn", "gina", "hans", "ida", "jan")
ELSEWHERE = ("git clone", "make setup")  # of what the test has already
NONE_VALID = "no variant has a valid measurement"  # of a busy machine, on which no time counts


def write_films(root: Path) -> None:
    """Three films of everybody, and one anew of a person who is known."""
    for number, person in enumerate(PEOPLE, start=1):
        walks = Walkers(("090",), 2, 1, 0, 31, difficulty=0.2, noise=0.2, seed=5).walks(number)
        for name, walk in zip(("normal-1", "normal-2", "bag-1"), walks, strict=True):
            write(root / "own" / person / name, walk.video)
    _, new = Walkers(("090",), 2, 0, 0, 31, difficulty=0.2, noise=0.2, seed=5).walks(3)
    write(root / "new/unknown/monday", new.video)


def write(folder: Path, video: list) -> None:  # type: ignore[type-arg]
    folder.mkdir(parents=True)
    casia_b.write_video(folder / "side.avi", video, FPS)


def typed(line: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=where, env=environment(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, subprocess.CompletedProcess[str]]]:
    """The repository after the tutorial, and what its commands said."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    write_films(where / "data/external")
    (recipe,) = re.findall(r"```yaml\n(.*?)```", GUIDE.page, re.DOTALL)
    (where / "my").mkdir()
    (where / "my/films.yaml").write_text(recipe, encoding="utf-8")
    said = {}
    for line in lines(ROOT / "docs/tutorial.md"):
        if line.startswith(ELSEWHERE):
            continue
        if "pip install" in line:  # of packages that are here too
            (where / "shipped/gait/.venv").symlink_to(sys.prefix)
            continue
        done = typed(line, where)
        assert done.returncode == 0 or NONE_VALID in done.stdout, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        said[line] = done
        if " recipe " in line:
            make_small(where / "params.yaml", **{"prune.percentiles": [0, 30, 60]})
    return where, said


Home = tuple[Path, dict[str, subprocess.CompletedProcess[str]]]


def test_the_films_become_an_engine_that_names_people(home: Home) -> None:
    where, said = home
    assert (where / "data/preprocessed/silhouette/look.png").exists()
    rates = json.loads((where / "results/evaluate/gaitset.json").read_text())
    assert rates["rank1"]["people"] == 2
    assert (where / "results/report/index.html").exists()
    (printed,) = [done.stdout for line, done in said.items() if "identify.py" in line]
    (walk,) = [json.loads(line) for line in printed.splitlines()]
    assert (walk["walk"], len(walk["nearest"])) == ("monday/side", 3)
    assert {near["name"] for near in walk["nearest"]} <= set(PEOPLE)
    assert walk["nearest"][0] == {"name": "carl", "distance": 0.0}  # filmed as he was once before


def test_nothing_that_the_page_shows_is_left_out(home: Home) -> None:
    typed_lines = "\n".join(home[1])
    commands = [" ".join(command.words) for command in shown(ROOT / "docs/tutorial.md") if command.whole]
    left_out = [command for command in commands if command not in typed_lines]
    assert left_out == ["make setup", "python -m venv .venv"]
    assert len(commands) > 12


# Of every page, commands that read what the tutorial made, and need neither a board, a server nor a network.
GAITPRESS = "forecast|select|bundle|describe|params|recipe|serve-study|promote|scout"
READING = re.compile(rf"python -m gaitpress ({GAITPRESS})\b|dvc (params|metrics) diff")
OTHERS = re.compile(r"my-board|--device (?!local)|--machine|mygait|casia-b|demo|NAME")


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "tutorial"], ids=lambda page: page.stem)
def test_other_pages_commands_run_after_it(home: Home, page: Path) -> None:
    for line in lines(page):
        if READING.match(line) and not OTHERS.search(line):
            out = re.search(r"--out (\S+)", line)
            done = typed(line.replace(out[1], f"out/{page.stem}/{out[1]}") if out else line, home[0])
            assert "Traceback" not in done.stderr, line
            refused = "keeps all limits", "valid measurement", "cannot be shipped", "not the champion", "is there already"
            assert done.returncode == 0 or any(words in done.stdout + done.stderr for words in refused), (line, done)

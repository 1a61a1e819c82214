"""Whatever happened before: after a run, by either engine, both are satisfied, and results are those of a run from scratch.

A sequence takes a repository through random edits, losses, faults and runs. GAITPRESS_SEQUENCES is how many the slow test
takes; each has a number of its own, which names it in a failure.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.from_scratch import FAN_IN, made_from_scratch
from tests.support.killing import wait_until_gone
from tests.support.toy import commit, environment, run
from tests.support.toy_pipeline import OUTPUTS, SMALL, Toy
from workflow.dvc.private import Repo
from workflow.dvc.stages import read_yaml
from workflow.snakemake.status_query import is_lock_file

SEQUENCES = int(os.environ.get("GAITPRESS_SEQUENCES", 50))
# DVC keeps no former results of these: they follow the machine, and a database.
NOT_KEPT = (*FAN_IN, "probe")
LISTS = {"percentiles": ["0", "30", "60"], "models": ["gaitset", "cnn2d"], "devices": ["local", "other"]}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository in which everything has run."""
    toy = Toy.make(tmp_path_factory.mktemp("start"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    run(["python", "-m", "remote", "add", "other", "local"], toy.where)
    toy.dvc("repro")
    return toy


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + SEQUENCES))
def test_sequences(start: Toy, tmp_path: Path, seed: int) -> None:
    Sequence(start, tmp_path, seed).play(rounds=4)


@pytest.mark.slow
def test_a_run_from_scratch_makes_what_is_expected_of_it(start: Toy) -> None:
    expected = {file: text for files in made_from_scratch(start.where).values() for file, text in files.items()}
    assert start.results() == expected


class Sequence:
    """A repository, what was done with it, and what was computed in it.

    Attributes:
        toy: the repository, which a clone may take the place of.
        done: what was done, in words, for messages.
        known: address and content of every result that was seen complete, and that DVC's cache here has.
        pushed: those that the store has.
    """

    def __init__(self, start: Toy, where: Path, seed: int) -> None:
        self.toy = start.copy(where / "0")
        self.done = [f"sequence {seed}"]
        self.pushed: set[tuple[str, str]] = set()
        self._where = where
        self._chance = random.Random(seed)
        self._clones = 0
        self.known = _kept(self._complete())

    def play(self, rounds: int) -> None:
        """Let some things happen before each run, and check what each run leaves."""
        for _ in range(rounds):
            for _ in range(self._chance.randint(1, 3)):
                happens = self._chance.choices(list(HAPPENS), list(HAPPENS.values()))[0]
                self.done.append(f"{happens.__name__} {happens(self) or ''}")
            self.run()

    def run(self) -> None:
        """Bring everything up to date by one of the engines and check all that must hold then."""
        command = self._command()
        self.done.append(" ".join(command))
        history = " > ".join(self.done)
        before = len(self.toy.ran())
        try:
            run(command, self.toy.where)
        except AssertionError as error:
            raise AssertionError(f"{history}\n{error}") from None
        ran = self.toy.ran()[before:]
        assert len(ran) == len(set(ran)), f"{history}: {ran}"
        made = self._complete()
        assert made == made_from_scratch(self.toy.where), history
        again = {address for address in ran if (address, _content(made[address])) in self.known}
        assert not again, f"{history}: known, but computed again: {sorted(again)}"
        self.toy.agree(history)
        kept = _kept(made)
        assert self._named(kept) == kept, history
        self.known |= kept

    def _command(self) -> list[str]:
        return self._chance.choice([["dvc", "repro"], *(["snakemake", "--cores", str(cores), "all"] for cores in (1, 2, 4))])

    def _complete(self) -> dict[str, dict[str, str]]:
        """What stands in the outputs of every job."""
        return {
            address: {file: (self.toy.where / file).read_text() for file in files}
            for address, files in made_from_scratch(self.toy.where).items()
        }

    def _named(self, results: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those that dvc.lock names for stages that there are: DVC pushes and pulls these, and of earlier ones the notes."""
        made, entries = made_from_scratch(self.toy.where), read_yaml(self.toy.where / "dvc.lock")["stages"]
        names = {address: entries[address]["outs"][0]["md5"] for address in made.keys() & entries.keys()}
        return {(address, text) for address, text in results if names.get(address) in _md5s(text)}

    # What may happen between runs. Each returns how, for the messages.

    def edit_a_parameter(self) -> str:
        pattern, values = self._chance.choice(
            [
                (r"(lr: )\S+?(, weight_decay)", ["1e-3", "2e-3", "5e-3"]),
                (r"(subjects: )\d+()", ["48", "47"]),
                (r"(criterion: )\S+()", ["mean-l1", "l1"]),
                (r"(session: )\d+()", ["1", "2"]),
            ]
        )
        value = self._chance.choice(values)
        self.toy.edit(pattern, rf"\g<1>{value}\g<2>")
        return f"{pattern} {value}"

    def change_a_list(self) -> str:
        name = self._chance.choice(list(LISTS))
        kept = [value for value in LISTS[name] if self._chance.random() < 0.6] or LISTS[name][:1]
        self.toy.edit(rf"{name}: \[.*?\]", f"{name}: [{', '.join(kept)}]")
        return f"{name} {kept}"

    def delete_outputs(self) -> str:
        file = self._chance.choice(sorted(self.toy.results()) or ["results"])
        top = next(top for top in OUTPUTS if file.startswith(top))
        victim = self.toy.where / self._chance.choice([file, Path(file).parent, top])
        shutil.rmtree(victim, ignore_errors=True)
        victim.unlink(missing_ok=True)
        return str(victim.relative_to(self.toy.where))

    def tamper_with_an_output(self) -> str:
        file = self._chance.choice(sorted(self.toy.results()) or ["results/stray.txt"])
        (self.toy.where / file).parent.mkdir(parents=True, exist_ok=True)
        (self.toy.where / file).write_text("tampered with")
        return file

    def check_out(self) -> None:
        subprocess.run(["dvc", "checkout", "-q", "-f"], cwd=self.toy.where, env=environment(), stderr=subprocess.DEVNULL)

    def touch_files(self) -> str:
        files = [*sorted(self.toy.results()), "params.yaml", "dvc.yaml", "stages/train.py", "Snakefile"]
        touched = self._chance.sample(files, min(3, len(files)))
        for file in touched:
            os.utime(self.toy.where / file)
        return str(touched)

    def edit_a_module(self) -> str:
        module = self.toy.where / "stages" / self._chance.choice(["train.py", "prune.py", "benchmark.py"])
        text = module.read_text()
        module.write_text(text.removesuffix("# edited\n") if text.endswith("# edited\n") else f"{text}# edited\n")
        return module.name

    def forget_snakemakes_notes(self) -> None:
        shutil.rmtree(self.toy.where / ".snakemake", ignore_errors=True)

    def fail_once(self) -> str:
        address = self._chance.choice(list(made_from_scratch(self.toy.where)))
        failing = self.toy.where / "fail" / address
        failing.parent.mkdir(exist_ok=True)
        failing.touch()
        command = self._command()
        subprocess.run(command, cwd=self.toy.where, env=environment(), capture_output=True)
        failing.unlink()
        self._note_what_is_up_to_date()
        return f"{address} {command}"

    def interrupt(self) -> str:
        """End a run and all its jobs at once by a signal, and do what docs/training.md says of one by DVC alone."""
        command, wait_s = self._command(), self._chance.uniform(0.3, 6)
        number = self._chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
        process = subprocess.Popen(
            command,
            cwd=self.toy.where,
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
            process.wait(60)
        wait_until_gone(process.pid)
        if command[0] == "dvc":
            self._mend_what_dvc_left()
        self._note_what_is_up_to_date()
        return f"{command} after {wait_s:.1f} s by {number.name}"

    def clone(self) -> str:
        """Push everything; go on in a fresh clone that pulls it."""
        self._clones += 1
        store, clone = self._where / "store", self._where / str(self._clones)
        run(["dvc", "remote", "add", "-f", "-d", "store", str(store)], self.toy.where)
        run(["dvc", "push", "-q", "--run-cache"], self.toy.where)
        commit(self.toy.where, f"clone {self._clones}")
        run(["git", "clone", "-q", str(self.toy.where), str(clone)], self._where)
        self.toy = Toy(clone)
        run(["dvc", "pull", "-q", "--run-cache", "--allow-missing"], clone)
        self.pushed |= self._named(self.known)
        self.known = self._named(self.pushed)
        return str(clone)

    def _note_what_is_up_to_date(self) -> None:
        """What a run that failed has completed is known from now on."""
        with chdir(self.toy.where), Repo() as repo:
            stale = set(repo.status())
        made = made_from_scratch(self.toy.where)
        reached = {address: files for address, files in made.items() if address not in stale}
        self.known |= _kept({address: files for address, files in reached.items() if self._stands(files)})

    def _mend_what_dvc_left(self) -> None:
        """DVC writes its list of locks and dvc.lock in place: Snakemake mends the one, and tells how to mend the other."""
        asked = ["snakemake", "-n", "--cores", "2", "all"]
        if not _is_json(self.toy.where / ".dvc/tmp/rwlock"):
            subprocess.run(asked, cwd=self.toy.where, env=environment(), capture_output=True)
        lock = self.toy.where / "dvc.lock"
        if lock.exists() and not is_lock_file(lock):
            command = re.search(r"dvc\.lock is damaged; type `(.+?)`", self.toy.fails(asked))
            assert command
            run(shlex.split(command[1]), self.toy.where)

    def _stands(self, files: dict[str, str]) -> bool:
        paths = [self.toy.where / file for file in files]
        return all(file.exists() and file.read_text() == text for file, text in zip(paths, files.values(), strict=True))


HAPPENS: dict[Callable[[Sequence], str | None], int] = {
    Sequence.edit_a_parameter: 4,
    Sequence.change_a_list: 4,
    Sequence.delete_outputs: 2,
    Sequence.tamper_with_an_output: 2,
    Sequence.check_out: 1,
    Sequence.touch_files: 1,
    Sequence.edit_a_module: 2,
    Sequence.forget_snakemakes_notes: 1,
    Sequence.fail_once: 2,
    Sequence.interrupt: 2,
    Sequence.clone: 1,
}


def _kept(made: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
    """Address and content of the results that DVC keeps when they are replaced."""
    return {(address, _content(files)) for address, files in made.items() if address.partition("@")[0] not in NOT_KEPT}


def _md5s(text: str) -> set[str]:
    """By which DVC names a file with a text, and a folder with that file."""
    file = hashlib.md5(text.encode()).hexdigest()
    folder = json.dumps([{"md5": file, "relpath": "content"}], sort_keys=True)
    return {file, f"{hashlib.md5(folder.encode()).hexdigest()}.dir"}


def _is_json(file: Path) -> bool:
    """Whether a file can be read, if it is there."""
    try:
        json.loads(file.read_text())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def _content(files: dict[str, str]) -> str:
    return next(iter(files.values()))

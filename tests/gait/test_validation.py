"""Trainings that are tested on people set aside while they run: what is measured, kept, ended early and resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gait import protocols
from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.embedding import embed
from gait.evaluation.signatures import Signatures
from gait.networks import torch_model
from gait.processes import Processes
from gait.training.checkpoints import Checkpoints
from gait.training.validation import RATE, Validation, kept
from tests.gait import test_torch_training as by_torch
from tests.support.families import some

PEOPLE = ("000", "001", "002")
CONSTANT = replace(by_torch.TRAINING, iterations=8, decay="constant", milestones=None)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return by_torch.made_store(tmp_path_factory.mktemp("silhouettes"))


def one_walk_each(store: SequenceStore) -> TestSet:
    """Walk nm-01 of each of three people enrols, and nm-02 is looked for."""
    by_condition = {
        condition: [at for at, walk in enumerate(store.sequences) if walk.condition == condition and walk.identity in PEOPLE]
        for condition in ("nm-01", "nm-02")
    }
    return TestSet("any", "any", "0", "made", "synthetic", "all-views", "euclidean", *by_condition.values())


class Scripted:
    """Signatures by which the n-th test finds as many of the three people as the script says, whatever the network is."""

    def __init__(self, right: Sequence[int], test: TestSet) -> None:
        self.right, self.test, self.tests = right, test, 0

    def __call__(self, model: Any) -> Signatures:
        right = self.right[self.tests]
        self.tests += 1
        corners = np.eye(3, dtype=np.float32)
        probes = [corners[person if person < right else (person + 1) % 3] for person in range(3)]
        values = np.stack([*corners, *probes])[:, None]
        return Signatures(values, np.array([*self.test.gallery, *self.test.probe]))


def validation(store: SequenceStore, right: Sequence[int], **settings: Any) -> Validation:
    test = one_walk_each(store)
    asked = {"every": 1, "keep": "best", "patience": None, **settings}
    return Validation(**asked, signatures=Scripted(right, test), sequences=store.sequences, test=test)


def rows(*rates: float | None) -> list[dict[str, float]]:
    return [{"iteration": number, **({} if rate is None else {RATE: rate})} for number, rate in enumerate(rates, 1)]


@pytest.mark.parametrize(
    "rates, best, last",
    [((50.0,), 1, 1), ((None, 50.0, None, 70.0, 60.0), 4, 5), ((70.0, 70.0, 60.0), 2, 3), ((0.0, 0.0), 2, 2)],
)
def test_the_best_row_is_that_of_the_highest_rate_and_of_equal_ones_the_last(
    rates: Sequence[float | None], best: int, last: int
) -> None:
    history = rows(*rates)
    for keep, number in (("best", best), ("last", last)):
        row = kept(keep, history)
        assert row is history[number - 1]


def test_a_history_without_tests_has_no_kept_row() -> None:
    assert kept("best", rows(None, None)) is None
    assert kept("last", []) is None


@pytest.mark.parametrize(
    "rates, patience, stalled",
    [
        ((), 1, False),
        ((50.0,), 1, False),
        ((50.0, 50.0), 1, True),  # an equal rate is no higher one
        ((50.0, 60.0), 1, False),
        ((50.0, 60.0, 60.0, None, 55.0), 2, True),
        ((50.0, 60.0, 60.0, None, 55.0), 3, False),
        ((50.0, 40.0, 40.0, 40.0, 51.0), 3, True),  # as it would have ended before the last test
        ((50.0,) * 9, None, False),
    ],
)
def test_a_training_stalls_after_as_many_tests_without_a_higher_rate(
    store: SequenceStore, rates: Sequence[float | None], patience: int | None, stalled: bool
) -> None:
    history = rows(*rates)
    asked = validation(store, [], patience=patience)
    assert any(asked.has_stalled(history[:count]) for count in range(len(history) + 1)) == stalled


def test_tests_come_at_their_interval_and_after_the_last_iteration(store: SequenceStore) -> None:
    asked = validation(store, [], every=3)
    assert [done for done in range(1, 9) if asked.due(done, 8)] == [3, 6, 8]


@pytest.mark.parametrize("right", [0, 1, 2, 3])
def test_rates_are_those_of_the_protocol(store: SequenceStore, right: int) -> None:
    asked = validation(store, [right, right])
    signatures = asked.signatures(None)
    assert signatures is not None
    expected = protocols.evaluate(signatures, store.sequences, asked.test)
    assert asked.rates(None) == {
        f"validation_{measure}": expected[measure]["mean"] for measure in ("rank1", "rank5", "mAP", "mINP")
    }


def test_a_network_is_tested_by_its_signatures_after_the_iteration(store: SequenceStore) -> None:
    test = one_walk_each(store)
    asked = Validation(
        4, "last", None, lambda network: embed(network, store, test.positions, Processes()), store.sequences, test
    )
    model, history = by_torch.trained(store, CONSTANT, validation=asked)
    assert [row["iteration"] for row in history if RATE in row] == [4, 8]
    assert {name: rate for name, rate in history[-1].items() if name.startswith("validation")} == asked.rates(model)


class TestPyTorch:
    def train(self, store: SequenceStore, model: Any = None, **around: Any) -> tuple[Any, list[dict[str, float]]]:
        trained: tuple[Any, list[dict[str, float]]] = by_torch.trained(store, CONSTANT, model, **around)
        return trained

    def test_the_best_weights_are_the_result(self, store: SequenceStore) -> None:
        model, history = self.train(store, validation=validation(store, [1, 0, 3, 2, 3, 0, 2, 2]))
        assert [row[RATE] for row in history] == pytest.approx([100 * right / 3 for right in (1, 0, 3, 2, 3, 0, 2, 2)])
        after_five, _ = by_torch.trained(store, replace(CONSTANT, iterations=5))
        assert by_torch.same(model, after_five)
        assert not model.training

    @pytest.mark.parametrize("frozen", some([False, True], True))
    def test_tests_leave_the_training_as_it_is(self, store: SequenceStore, frozen: bool) -> None:
        test = one_walk_each(store)
        asked = validation(store, [], every=2, keep="last")
        asked = replace(asked, signatures=lambda network: embed(network, store, test.positions, Processes()))
        training = replace(CONSTANT, iterations=5, freeze_batch_norm=frozen)
        (tested, _), (alone, _) = (
            by_torch.trained(store, training, by_torch.residual(), **around) for around in ({"validation": asked}, {})
        )
        assert by_torch.same(tested, alone)

    def test_a_training_that_stalls_ends(self, store: SequenceStore) -> None:
        model, history = self.train(store, validation=validation(store, [1, 2, 2, 1, 3, 3, 3, 3], patience=2))
        assert [row["iteration"] for row in history] == [1, 2, 3, 4]
        after_three, _ = by_torch.trained(store, replace(CONSTANT, iterations=3))
        assert by_torch.same(model, after_three)

    @pytest.mark.parametrize("number", some([1, 3, 4, 6], 3, 4))
    @pytest.mark.parametrize("keep, patience", some([("best", None), ("last", 3), ("best", 3)], ("best", 3)))
    def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
        self, store: SequenceStore, tmp_path: Path, number: int, keep: str, patience: int | None
    ) -> None:
        right = [0, 1, 3, 2, 1, 2, 1, 2]
        settings = {"keep": keep, "patience": patience}
        whole, expected = self.train(store, validation=validation(store, right, **settings))

        def part(script: Sequence[int], **around: Any) -> tuple[Any, list[dict[str, float]]]:
            model = by_torch.network()
            checkpoints = Checkpoints(tmp_path, 0, lambda where: torch_model.save(model, where))
            return self.train(
                store, model, checkpoints=checkpoints, validation=validation(store, script, **settings), **around
            )

        goes_on(part, by_torch.same, right, number, whole, expected)


def goes_on(
    part: Callable[..., tuple[Any, list[dict[str, float]]]],
    same: Callable[[Any, Any], bool],
    right: Sequence[int],
    number: int,
    whole: Any,
    expected: list[dict[str, float]],
) -> None:
    """A training that is interrupted after a row ends as the whole one, and so does what runs once more after its end."""
    with pytest.raises(Interrupted):
        part(right, watcher=Interrupting(number))
    # The iteration in which it was interrupted is made and tested again.
    again, history = part(right[number - 1 :])
    assert same(again, whole)
    assert history == expected
    # A stage that is killed after its training finds it complete.
    once_more, history = part([])
    assert same(once_more, whole)
    assert history == expected


class Interrupted(Exception): ...


class Interrupting:
    """A watcher that interrupts when it hears of a row."""

    def __init__(self, number: int) -> None:
        self.number = number

    def step(self, done: int, total: int) -> None: ...

    def row(self, number: int, values: Mapping[str, float]) -> None:
        if number == self.number:
            raise Interrupted


class TestKeras:
    @pytest.fixture(scope="class")
    def by_keras(self) -> Any:
        return pytest.importorskip("tests.gait.test_keras_training", reason="needs TensorFlow")

    @pytest.fixture(scope="class")
    def flow(self, by_keras: Any, tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
        made: SequenceStore = by_keras.made_store(tmp_path_factory.mktemp("flow"))
        return made

    @pytest.fixture(scope="class")
    def training(self, by_keras: Any) -> Any:
        return replace(by_keras.TRAINING, decay="constant", epochs=3, extra_epochs=2)

    @pytest.mark.slow
    def test_the_best_weights_are_the_result(
        self, by_keras: Any, store: SequenceStore, flow: SequenceStore, training: Any
    ) -> None:
        model, history = by_keras.trained(flow, training, validation=validation(store, [1, 3, 2, 2, 0]))
        assert [row[RATE] for row in history] == pytest.approx([100 * right / 3 for right in (1, 3, 2, 2, 0)])
        after_two, _ = by_keras.trained(flow, replace(training, epochs=2, extra_epochs=0))
        assert by_keras.same(model, after_two)

    @pytest.mark.slow
    def test_a_part_that_stalls_ends_and_the_next_begins(
        self, by_keras: Any, store: SequenceStore, flow: SequenceStore, training: Any
    ) -> None:
        _, history = by_keras.trained(flow, training, validation=validation(store, [2, 2, 1, 1], patience=1))
        assert [("val_loss" in row, row[RATE]) for row in history] == [
            (True, pytest.approx(200 / 3)),
            (True, pytest.approx(200 / 3)),
            (False, pytest.approx(100 / 3)),
            (False, pytest.approx(100 / 3)),
        ]

    @pytest.mark.slow
    def test_a_part_that_ends_for_its_loss_is_tested_after_its_last_epoch(
        self, by_keras: Any, store: SequenceStore, flow: SequenceStore, training: Any
    ) -> None:
        still = replace(training, lr=1e-12, epochs=9, extra_epochs=0, stop_patience=1)
        _, history = by_keras.trained(flow, still, validation=validation(store, [2], every=9, keep="last"))
        assert len(history) < 9
        assert kept("last", history) is history[-1]

    @pytest.mark.slow
    def test_rates_are_those_of_the_network_in_float32(
        self, by_keras: Any, flow: SequenceStore, training: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keras_embedder = pytest.importorskip("gaitpress.embedders.keras_embedder")
        monkeypatch.setattr("gait.training.keras.loop.bfloat16_is_native", lambda: True)
        walks = {
            kind: [at for at, walk in enumerate(flow.sequences) if walk.condition == kind] for kind in ("nm-01", "bg-02")
        }
        test = TestSet("any", "any", "0", "made", "synthetic", "all-views", "cosine", *walks.values())
        values: list[np.ndarray] = []

        def signatures(model: Any) -> Signatures:
            made: Signatures = keras_embedder.embed(model, flow, test.positions, shown=False)
            values.append(made.values)
            return made

        asked = Validation(1, "last", None, signatures, flow.sequences, test)
        model, history = by_keras.trained(
            flow, replace(training, epochs=2, extra_epochs=0, mixed_precision=True), validation=asked
        )
        assert len(values) == 2 and all(RATE in row for row in history)
        np.testing.assert_array_equal(values[-1], keras_embedder.embed(model, flow, test.positions, shown=False).values)

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [2, 4])
    def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
        self, by_keras: Any, store: SequenceStore, flow: SequenceStore, training: Any, tmp_path: Path, number: int
    ) -> None:
        right = [3, 2, 2, 1, 0]
        whole, expected = by_keras.trained(flow, training, validation=validation(store, right))

        def part(script: Sequence[int], **around: Any) -> tuple[Any, list[dict[str, float]]]:
            model = by_keras.network()
            checkpoints = Checkpoints(tmp_path, 0, lambda where: by_keras.keras_model.save(model, where))
            trained: tuple[Any, list[dict[str, float]]] = by_keras.trained(
                flow, training, model, checkpoints=checkpoints, validation=validation(store, script), **around
            )
            return trained

        goes_on(part, by_keras.same, right, number, whole, expected)


def test_two_processes_decide_by_the_same_rate(store: SequenceStore) -> None:
    """A process that has sent its signatures to the first takes the rate that the first one measured."""
    from gait.training.torch import loop

    class Second(Processes):
        def whole(self, own: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.tensor([75.0], dtype=own.dtype), own])  # the first process's row comes first

    asked = replace(validation(store, []), signatures=lambda network: None)
    assert loop._tested(asked, by_torch.network(), Second()) == {RATE: 75.0}

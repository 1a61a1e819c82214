"""Training and embedding on a GPU if there is one; on the CPU, that the checks themselves run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmarks.gpu.correctness import CHECKS, Subject


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU that PyTorch can use")
    torch.set_num_threads(1)
    return Subject(torch.device(request.param), request.param == "cpu", tmp_path_factory.mktemp("silhouettes"))


LONG = ("the_loss_falls", "sixteen_bits_stay_in_the_band")


@pytest.mark.parametrize(
    "check",
    [pytest.param(check, marks=pytest.mark.slow) if check.__name__ in LONG else check for check in CHECKS],
    ids=lambda check: check.__name__,
)
def test_on(subject: Subject, check: Callable[[Subject], dict[str, Any]]) -> None:
    assert check(subject)

"""How long each published model takes for one sequence of 30 frames, beside the time its multiply-adds must take.

The models are those of the recipe casia-b, at full width, as embedding runs them: on the CPU, one sequence at a time.
From 30 frames comes one sample of optical flow. The bound is the time of a model's multiply-adds at the rate of the same
framework's float32 matrix products, with as many threads, measured in turns with the model; the shortest of each counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.common.measuring import SIDE, shortest
from gaitpress import recipes
from gaitpress.commands import describe
from gaitpress.frameworks import framework, multiply_adds

RECIPE = "casia-b"
THREADS = (1, 2)


def _torch(model: Any, shape: list[int]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import torch

    frames, matrix = torch.rand(shape), torch.rand(SIDE, SIDE)

    @torch.inference_mode()
    def run() -> Any:
        return model(frames)

    return run, lambda: matrix @ matrix


def _keras(model: Any, shape: list[int]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import tensorflow as tf

    sample, matrix = tf.random.normal(shape), tf.random.normal((SIDE, SIDE))
    network = tf.function(framework("keras").network(model))
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix))
    return lambda: network(sample, training=False).numpy(), lambda: product().numpy()


def measured(library_name: str, threads: int) -> Iterator[dict[str, Any]]:
    """All models of a framework, which takes its number of threads once in a process."""
    settings = recipes.load(RECIPE)
    library = framework(library_name)
    library.use_threads(threads)
    for name, entry in settings.model.items():
        if entry.framework != library_name:
            continue
        model = library.build(name, entry, describe.classes(settings))
        if library_name == "torch":
            model.eval()
        macs = multiply_adds(library.layers(model, entry))
        runs = (_torch if library_name == "torch" else _keras)(model, library.benchmark_shape(model, entry))
        seconds, product = shortest(*runs)
        bound = macs * product / SIDE**3
        yield {
            "model": name,
            "threads": threads,
            "ms": round(1000 * seconds, 2),
            "limit_ms": round(1000 * bound, 2),
            "limit_ratio": round(bound / seconds, 3),
            "macs": macs,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list, an object a model and number of threads, last"
    )
    parser.add_argument("--one", nargs=2, metavar=("FRAMEWORK", "THREADS"), help="one framework, in this process")
    options = parser.parse_args()
    if options.one:
        for row in measured(options.one[0], int(options.one[1])):
            print(json.dumps(row), flush=True)
        return
    rows = []
    for threads in THREADS:
        for library in ("torch", "keras"):
            command = [sys.executable, "-m", "benchmarks.models", "--one", library, str(threads)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
                for line in process.stdout or ():
                    rows.append(json.loads(line))
                    row = rows[-1]
                    if not options.json:
                        print(
                            f"{row['model']:11} {threads} threads  {row['ms']:8.1f} ms  bound {row['limit_ms']:8.1f} ms  "
                            f"ratio {row['limit_ratio']:.2f}",
                            flush=True,
                        )
            if process.returncode:
                sys.exit(f"error: {' '.join(command)} failed")
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()

"""How hard the synthetic walkers are: rank-1 of the dense models beside the gait-energy image, which learns nothing.

It reads what the pipeline made: first run `snakemake --cores 2 results/train/gaitset results/train/cnn2d`, or all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gait.evaluation import comparisons, gei
from gait.evaluation.hits import Hits
from gaitpress import params
from gaitpress.embedders import embedder
from gaitpress.frameworks import framework
from gaitpress.inputs import open_test


def row(name: str, hits: Hits) -> dict[str, Any]:
    """Rank-1 in %, in all and by condition, and by how much nm is above cl: 95 % interval over people."""
    low, high = hits.gap("nm", "cl")
    return {"name": name, "rank1": hits.rates(), "nm_minus_cl": [round(low, 1), round(high, 1)]}


def dense(root: Path, model: str, entry: Any) -> Hits:
    """A trained model on the test people."""
    test_set, store = open_test(root / f"data/test/{model}.json", root / "data/preprocessed")
    library = framework(entry.framework)
    trained = library.load(root / "results/train" / model)
    signatures = embedder(entry.framework).embed(trained, store, test_set.positions)
    return comparisons.cross_view(signatures, store.sequences, test_set.gallery, test_set.probe, test_set.distance)


def energy_images(root: Path, model: str) -> Hits:
    """The nearest gait-energy image by Euclidean distance, on the sequences on which a silhouette model is tested."""
    test_set, store = open_test(root / f"data/test/{model}.json", root / "data/preprocessed")
    images = gei.signatures(store, test_set.positions)
    return comparisons.cross_view(images, store.sequences, test_set.gallery, test_set.probe)


def measure(root: Path) -> dict[str, Any]:
    """All rows, and the ratio of each model's mean rank-1 to that of the energy images."""
    settings = params.load(root / "params.yaml")
    silhouettes = next(
        name for name in settings.models if settings.preprocess[settings.model[name].modality].kind == "silhouette"
    )
    baseline = row("gait-energy image", energy_images(root, silhouettes))
    rows = [row(name, dense(root, name, settings.model[name])) for name in settings.models]
    ratios = {model["name"]: round(model["rank1"]["mean"] / baseline["rank1"]["mean"], 2) for model in rows}
    return {"benchmark": "walkers", "rows": [baseline, *rows], "ratio_to_gait_energy_image": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    result = measure(Path())
    if not options.json:
        for model in result["rows"]:
            rates = {"mean": model["rank1"]["mean"]}
            rates |= {kind: figures["rate"] for kind, figures in model["rank1"]["conditions"].items()}
            figures = "  ".join(f"{kind} {rate:5.1f}" for kind, rate in rates.items())
            low, high = model["nm_minus_cl"]
            print(f"{model['name']:18} {figures}   nm above cl by {low:.1f} to {high:.1f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

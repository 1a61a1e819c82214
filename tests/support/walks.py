"""Raw walks of a dataset for a program that has nothing of ours, and the rank-1 that such a program finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.data.readers import open_dataset

# Runs beside the bundle, with its packages alone: CASIA-B's rank-1, looked for view by view, identical views left out.
# With --engine it is that of the engine.
RANK1 = """
import json, sys
from pathlib import Path
import numpy as np
bundle, walks = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(bundle))
from gaitpress_runtime.recogniser import Gallery, Recogniser
assert not {"torch", "tensorflow", "keras", "gait", "stages"} & set(sys.modules)
recogniser = Recogniser.open(bundle, engine="--engine" in sys.argv)
enrolled, probes = {}, []
for file in sorted(walks.glob("*.npz")):
    with np.load(file) as saved:
        shown = [saved[f"s{n}"] if f"s{n}" in saved else None for n in range(int(saved["count"]))]
        video = [saved[f"v{n}"] for n in range(len(shown))] if "v0" in saved else None
    part, person, kind, view = file.stem.split("@")[:4]
    signature = recogniser.signature(shown, video)
    if part == "gallery":
        enrolled.setdefault(view, Gallery(recogniser.distance)).enrol(person, signature)
    else:
        probes.append((person, kind, view, signature))
hits = {}
for person, kind, view, signature in probes:
    for other, gallery in enrolled.items():
        if other != view:
            hits.setdefault(kind, {}).setdefault((view, other), []).append(gallery.identify(signature)[0][0] == person)
rates = {kind: 100 * np.mean([np.mean(each) for each in cells.values()]) for kind, cells in hits.items()}
print(json.dumps({**rates, "mean": np.mean(list(rates.values()))}))
"""


def dump(layout: str, root: Path, test_set: TestSet, store: SequenceStore, target: Path) -> None:
    """Write the raw frames of all walks of a test set, a .npz file each."""
    parts = {store.sequences[n].name: part for part in ("gallery", "probe") for n in getattr(test_set, part)}
    kinds = {sequence.name: sequence.kind for sequence in store.sequences}
    reader = open_dataset(layout, root)
    for unit in reader.units():
        for clip in reader.clips(unit, []):
            if clip.name not in parts:
                continue
            shown = clip.silhouettes([])
            frames: dict[str, np.ndarray] = {f"s{number - 1}": frame for number, frame in shown.items()}
            count = max(shown)
            if store.kind == "flow":
                assert clip.video is not None
                video = clip.video([])
                count = len(video)
                frames |= {f"v{number}": frame for number, frame in enumerate(video)}
            name = "@".join([parts[clip.name], clip.identity, kinds[clip.name], clip.view, clip.condition])
            np.savez(target / f"{name}.npz", count=count, **frames)  # type: ignore[arg-type]

"""Stands for the stages of a small pipeline whose records were made beforehand: given/<seed>/<stage>/<variant>.json.

python given.py train gaitset results/train/gaitset.json
python given.py benchmark local/gaitset/p0-fp32 results/benchmark/local/gaitset/p0-fp32.json
"""

import json
import shutil
import sys
from pathlib import Path

from ruamel.yaml import YAML

stage, name, out = sys.argv[1:]
Path(out).parent.mkdir(parents=True, exist_ok=True)
if stage == "train":
    seed = YAML(typ="safe").load(Path("params.yaml"))["model"][name]["seed"]
    Path(out).write_text(json.dumps(seed))
else:
    seed = json.loads(Path("results/train", f"{name.split('/')[1]}.json").read_text())
    shutil.copy(Path("given", str(seed), stage, f"{name}.json"), out)

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from gaitpress import params
from gaitpress.params import reading
from gaitpress.params.architecture import OF_MODELS
from tests.support.toy import ROOT, run
from workflow.dvc.stages import read_yaml

TEXT = Path("params.yaml").read_text(encoding="utf-8")


def faults(tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    """What is said about params.yaml after some edits, without the path in front."""
    text = TEXT
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        params.load(path)
    except params.ParamsError as error:
        return [line.removeprefix(f"{path}: ") for line in str(error).splitlines()]
    return []


def test_the_params_file_of_this_repository_is_valid() -> None:
    assert params.load("params.yaml").prune.percentiles


def test_numbers_are_read_as_yaml_1_2(tmp_path: Path) -> None:
    assert params.load("params.yaml").model["gaitset"].optimizer.lr == 4e-3  # PyYAML would read text
    assert faults(tmp_path, ("augment: false", "augment: no")) == ["model.cnn2d.augment = no: must be true or false"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0, 30, 60]", "[0, 30, 140]", "prune.percentiles[2] = 140: must be at least 0 and less than 100"),
        ("[0, 30, 60]", "[0, thirty]", "prune.percentiles[1] = thirty: must be a number"),
        ("[0, 30, 60]", "[0, 30, 30]", "prune.percentiles[2] = 30: is listed twice"),
        ("[0, 30, 60]", "[]", "prune.percentiles = []: must not be empty"),
        ("  batch: 1\n", "  batch: 2\n", "benchmark.batch = 2: must be at most 1, the value of export.max_batch"),
        ("sweep: []", "sweep: [1, 4]", "benchmark.sweep[1] = 4: must be at most 1, the value of export.max_batch"),
        ("sweep: []", "sweep: [1, 1]", "benchmark.sweep[1] = 1: is listed twice"),
        (
            "criterion: reconstruction-error",
            "criterion: l3",
            "prune.criterion = l3: must be 'batch-norm', 'fpgm', 'l1', 'l2', 'mean-l1', 'random', 'reconstruction-error' "
            "or 'taylor'",
        ),
        (
            "margin: 0.2}]  #",
            "margin: 0.2, size: 1}]  #",
            "model.gaitset.loss[0].size: DVC ignores keys of this name when it looks for a former result, so that an edit "
            "would bring back the old one: choose another name",
        ),
        (
            "mode: percentile",
            "mode: latency",
            "prune.device = none: mode latency prunes to a time on a device; one of devices (local)",
        ),
        (
            "device: none",
            "device: locale",
            "prune.device = locale: no such entry under devices (there: local); did you mean local?",
        ),
        (
            "devices: [local]",
            "devices: [none]",
            "devices[0] = none: is no device's name; prune.device uses it for no device",
        ),
        (
            "criterion: reconstruction-error",
            "criterion: mean_l1",
            "prune.criterion = mean_l1: must be 'batch-norm', 'fpgm', 'l1', 'l2', 'mean-l1', 'random', "
            "'reconstruction-error' or 'taylor'; did you mean mean-l1?",
        ),
        (
            "    mixed_precision: true           #",
            "    augment: [{name: flop, probability: 0.5}]\n    mixed_precision: true #",
            "model.gaitset.augment[0].name = flop: must be 'affine', 'erase', 'flip', 'perspective' or 'rotate'; did you "
            "mean flip?",
        ),
        ("lr: 4e-3", "lr: .inf", "model.gaitset.optimizer.lr = inf: must be a finite number"),
        ("margin: 0.2}]  #", "margin: .nan}]  #", "model.gaitset.loss[0].margin = nan: must be a finite number"),
        ("[{name: triplet, margin: 0.2}]  #", "[]  #", "model.gaitset.loss = []: must not be empty"),
        ("bins: [16, 8, 4, 2, 1]}", "bins: []}", "model.gaitset.architecture.bins = []: must not be empty"),
        ("channels: [32, 64, 128]", "channels: abc", "model.gaitset.architecture.channels = abc: must be a list"),
        (
            "embedding: 256",
            "embeding: 256",
            "model.gaitset.architecture.embeding = 256: unknown key; did you mean embedding?",
        ),
        ("compact: 256", "compact: -1", "model.gln.then.architecture.compact = -1: must be at least 0"),
        (
            "train_subjects: 34}",
            "train_subjects: 1}",
            "datasets.walkers.partition.train_subjects = 1: must be at least 2",
        ),
        ("gallery: [normal-1]", "gallery: []", "datasets.own.partition.gallery = []: must not be empty"),
        ("path: data/external/own", 'path: ""', "datasets.own.path = : must not be empty"),
        ('["072", "090", "108"]', '["072", "072"]', "datasets.walkers.views[1] = 072: is listed twice"),
        ("  own:  ", "  my.own:  ", "datasets.my.own: must have no dot"),
        ("  silhouette128:", "  silhouette.128:", "preprocess.silhouette.128: must have no dot"),
        ("devices: [local]", "devices: [board.local]", "devices[0] = board.local: must have no dot"),
        ("  mode: percentile", "\tmode: percentile", "line 15 has a tab; YAML takes blanks there"),
        ("seed: 1", "seed:\t1", "line 36 has a tab; YAML takes blanks there"),
        ("# The demo", "%YAML 1.1\n---\n# The demo", "%YAML 1.1: the file is read as YAML 1.2; remove this line"),
        ("criterion:", "criterium:", "prune.criterium = reconstruction-error: unknown key; did you mean criterion?"),
        ("  round_to: 4 ", "  #", "prune.round_to: is missing"),
        ("round_to: 4", "round_to: 4.5", "prune.round_to = 4.5: must be a whole number"),
        ("kind: flow", "kind: flo", "preprocess.flow.kind = flo: must be one of 'silhouette', 'flow'"),
        ("dataset: walkers", "dataset: walker", "dataset = walker: no such entry under datasets"),
        (
            "  gaitset:                          #",
            "  gaitset:\n    init: {path: ./results/train/gaitset/weights.safetensors} #",
            "model.gaitset.init = ./results/train/gaitset/weights.safetensors: training overwrites it; copy it",
        ),
        ("[cnn2d, gaitset]", "[cnn2d, gaitsett]", "models[1] = gaitsett: no such entry under model"),
        (
            "  max_loss: 1                       # points of mean rank-1 that it may be below its",
            "  max_latency: 0ms #",
            "select.max_latency = 0ms: must be a number above 0 with a unit, s, ms, us; such as 5s",
        ),
        (
            "{mem: 8GB, runtime: 1d",
            "{mem: 0GB, runtime: 1d",
            "resources.train.mem = 0GB: must be a number above 0 with a unit",
        ),
        (
            "margin: 0.2}]  #",
            "margin: 0.2}, {name: tripelt}]  #",
            "model.gaitset.loss[1].name = tripelt: must be 'cross_entropy', 'sparse_categorical_crossentropy' or 'triplet'; "
            "did you mean triplet?",
        ),
        ('["072", "090"', '["72", "090"', "datasets.walkers.views[0] = 72: must be one of 000, 018, 036, 054, 072, 090,"),
        (
            "[silhouette, flow]",
            "[silhouette, f/low]",
            "modalities[1] = f/low: must be a name of letters, digits, _, - and .",
        ),
        ("[cnn2d, gaitset]", "[../x]", "models[0] = ../x: must be a name of small letters, digits and _, a letter first"),
        ("[silhouette, flow]", "[silhouette]", "models[0] = cnn2d: needs modality flow; add it to modalities"),
        (
            "    subjects: ",
            "    subjects: 5 # ",
            "datasets.walkers.partition.train_subjects = 34: must be less than subjects",
        ),
        (
            "path: data/external/GREW,",
            'path: data/external/GREW, pickle: "*-sils.pkl",',
            "datasets.grew.pickle = *-sils.pkl: is for the layouts pickles, gait3d, ccpg, sustech1k, which may be pickles",
        ),
        (
            "path: data/external/Gait3D,",
            "path: data/external/Gait3D, pickle: ../all.pkl,",
            "datasets.gait3d.pickle = ../all.pkl: must be a name, where * stands for any letters, ? for one",
        ),
        (
            "  gaitset:                          #",
            "  gaitset:\n    validation: {identities: 33, every: 10} #",
            "model.gaitset.validation.identities = 33: must be at most 32, so that 2 of the 34 training identities train",
        ),
        (
            "  gaitset:                          #",
            "  gaitset:\n    validation: {identities: 4, every: 10, keep: first} #",
            "model.gaitset.validation.keep = first: must be 'last' or 'best'",
        ),
        ('["072"', "[72", "datasets.walkers.views[0] = 72: must be text; put it in quotes"),
        ("  gaitset: {iterations:", "  gaitsot: {iterations:", "finetune.gaitset: is missing"),
        (
            "  cnn2d: {epochs: 2, decay: cosine, ",
            "  cnn2d: {iterations: 1, milestones: [], ",
            "finetune.cnn2d: a keras",
        ),
    ],
)
def test_each_fault_is_reported_with_its_key_value_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    messages = faults(tmp_path, (old, new))
    assert len(messages) == 1
    assert messages[0].startswith(said)


def test_the_models_that_are_delivered_have_their_architectures_checked() -> None:
    settings = params.load("params.yaml")
    assert OF_MODELS.keys() == settings.model.keys()


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    assert len(faults(tmp_path, ("[0, 30, 60]", "[-1]"), ("scope: layer", "scope: all"), ("session: 1", "session: -1"))) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1\nb: [1, 2\n", "not valid YAML: while parsing a flow sequence"),
        ("a: " + "[" * 800 + "]" * 800, "not valid YAML: maximum recursion depth exceeded"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", "line 2 begins a conflict that git left"),
        ("a:\n\u00a0 b: 1\n  c: 2\n", "line 2 begins with a blank that YAML does not know"),
        ("3", "must be a mapping"),
    ],
)
def test_a_file_that_is_no_mapping_is_reported_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(params.ParamsError, match=said):
        params.load(path)
    with pytest.raises(params.ParamsError, match="no such file"):
        params.load(tmp_path / "other.yaml")


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("latin-1", 2)])
def test_a_file_of_another_encoding_is_reported_in_one_line(tmp_path: Path, encoding: str, line: int) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes("a: 1\n# für alle\n".encode(encoding))
    with pytest.raises(params.ParamsError, match=f"^{path}: line {line} is not UTF-8: save the file in that encoding$"):
        params.load(path)


def test_the_schema_for_editors_is_up_to_date() -> None:
    stored = Path("workflow/schemas/params.schema.json").read_text(encoding="utf-8")
    assert stored == params.schema(), "run `python -m gaitpress params --schema > workflow/schemas/params.schema.json`"


def test_the_schema_accepts_the_params_file_and_refuses_what_the_loader_refuses() -> None:
    schema = json.loads(params.schema())
    content = read_yaml("params.yaml")
    jsonschema.validate(content, schema)
    content["prune"]["percentiles"] = [0, 140]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_reading_it_waits_for_no_numbers() -> None:
    # Snakemake reads it before every run, and each command before it says anything.
    loaded = "sorted({'numpy', 'scipy', 'torch'} & set(sys.modules))"
    code = f"import sys; from gaitpress import params; params.load(); print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_no_key_is_one_that_dvc_ignores_when_it_looks_for_a_former_result(tmp_path: Path) -> None:
    names = set(re.findall(r'^ *"(\w+)": \{', params.schema(), re.M))
    assert {"pixels", "percentiles", "lr"} <= names
    assert not names & set(reading.OVERLOOKED)
    # DVC itself, with a stage that notes each run.
    stage = {"cmd": "echo x >> ran && echo x > out", "params": ["a"], "outs": ["out"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"only": stage}}))
    run(["git", "init", "-q"], tmp_path)
    run(["dvc", "init", "-q"], tmp_path)

    def runs(**values: int) -> int:
        (tmp_path / "params.yaml").write_text(json.dumps({"a": values}))
        run(["dvc", "repro", "-q"], tmp_path)
        return len((tmp_path / "ran").read_text().split())

    assert runs(pixels=1, size=1, nfiles=1) == 1
    assert runs(pixels=1, size=2, nfiles=2) == 1, "DVC does not ignore these names any more"
    assert runs(pixels=2, size=2, nfiles=2) == 2

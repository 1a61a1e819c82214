"""Register a variant in MLflow, and make it the champion of its dataset and device if it passes the gate.

    python -m gaitpress promote --device local
    python -m gaitpress promote --variant local/gaitset/p60-int8

The registered model of a dataset and a device has a version for each variant that was proposed: its bundle, which
`mlflow.pyfunc.load_model("models:/NAME@champion")` loads. The variant gets the alias `candidate`, and `champion` if it
passes the gate: it keeps the limits of the options and of the section `select` of params.yaml, and loses at most
`promote.max_loss` points of mean rank-1 against the champion before it, by the same people (with `promote.sure`, by the
whole 95 % interval). Without --variant it proposes the variant that `python -m gaitpress select` names. The exit status is
1 if the variant does not pass; a champion that no longer passes stays the champion until another does.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitpress import command_line, params
from gaitpress.commands import bundle, select
from gaitpress.commands.bundle.places import Places
from gaitpress.commands.select import choice as selecting
from gaitpress.commands.select.choice import Limits
from gaitpress.errors import StageError
from gaitpress.params.promote import Promote
from gaitpress.results.figures import RANK1
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row
from gaitpress.results.words import lost_or_gained
from tracking.addresses import address, without_credentials
from tracking.registry import Registry, Version
from tracking.runs import described
from tracking.server import TrackingServer

LOADER = Path(__file__).parent / "gaitpress_model.py"
CANDIDATE, CHAMPION = "candidate", "champion"


@dataclass(frozen=True)
class Outcome:
    """A proposal and its end.

    Attributes:
        model: the name of the registered model.
        version: of the variant.
        before: the champion before it; None if there was none.
        words: how it compares with that champion; "" if there was none.
        reasons: why it did not pass; empty if it did.
    """

    model: str
    version: Version
    before: Version | None
    words: str
    reasons: list[str]

    @property
    def again(self) -> bool:
        """Whether it was the champion before."""
        return self.before is not None and self.before.number == self.version.number

    @property
    def champion(self) -> bool:
        """Whether it is the champion now; one that no longer passes stays until another does."""
        return self.again or not self.reasons


def propose(row: Row, folders: Folders, settings: params.Params, limits: Limits) -> Outcome:
    """Register a variant, and make it the champion if it passes.

    Raises:
        StageError: the variant cannot be shipped, MLflow has no run of it, or cannot be reached.
    """
    server = TrackingServer(address(settings.mlflow), settings.mlflow.experiment)
    with server.errors_in_one_line(), tempfile.TemporaryDirectory() as scratch:
        registry = Registry(server, model_name(row, settings)) if server.find() else None
        run_id = _run_of(row, folders, server) if registry else None
        if registry is None or run_id is None:
            raise StageError(
                f"MLflow at {without_credentials(server.uri)} has no run of {row.key} as it is now; run `dvc repro track`"
            )
        bundle.bundle(row, Places.of(row, folders), Path(scratch) / "bundle")
        tags = {"variant": row.key, RANK1.name: str(row.rank1), "dataset": settings.dataset, "device": row.device}
        version = registry.add(Path(scratch) / "bundle", LOADER, row.by_person, run_id, tags)
        registry.call(version, CANDIDATE)
        before = registry.called(CHAMPION)
        reasons, words = selecting.faults(row, limits), ""
        if before is not None and before.number != version.number:
            words, fault = _against(row, before, registry.hits(before), settings.promote)
            reasons += [fault] if fault else []
        if not reasons:
            registry.call(version, CHAMPION)
    return Outcome(registry.name, version, before, words, reasons)


def model_name(row: Row, settings: params.Params) -> str:
    """The registered model of the chosen dataset and the variant's device."""
    return re.sub("[/:]", "-", f"{settings.mlflow.experiment}-{settings.dataset}-{row.device}")


def _run_of(row: Row, folders: Folders, server: TrackingServer) -> str | None:
    run = described(row, folders)
    logged = server.runs().get(run.variant, [])
    return next((old.run_id for old in logged if old.content_key == run.content_key and old.complete), None)


def _against(row: Row, before: Version, hits: Any, gate: Promote) -> tuple[str, str | None]:
    """How a variant compares with the champion, in words, and why it fails the gate; None if it does not."""
    from gait import paired
    from gait.errors import DataError
    from gait.people import ByPerson

    name = f"the champion, version {before.number} ({before.tags.get('variant', 'unknown')})"
    try:
        difference = paired.difference(ByPerson.from_json(hits or {}), row.hits_of_people)
    except DataError as error:
        return "", f"it cannot be compared with {name}: {error}; remove its alias {CHAMPION} to begin anew"
    if difference is None:
        return "", f"it cannot be compared with {name}: one person tells nothing of others"
    verb, points, ends = lost_or_gained(difference.points, difference.low, difference.high)
    words = f"it {verb} {points} points of mean rank-1 (95 %: {ends}) against {name}"
    loss = difference.high if gate.sure else difference.points
    most = f"promote.max_loss = {gate.max_loss:g}{' for sure' if gate.sure else ''}"
    return words, f"{words}, more than {most}" if round(loss, 6) > gate.max_loss else None


def in_words(row: Row, outcome: Outcome) -> str:
    """What happened, for a terminal."""
    lines = [f"{outcome.model}, version {outcome.version.number}: {row.name} on {row.device}, rank-1 {RANK1.text(row)} %"]
    if outcome.reasons:
        head = f"{CHAMPION} still, but it would not pass now:" if outcome.again else f"{CANDIDATE}; not the {CHAMPION}:"
        return "\n".join([*lines, head, *(f"  {reason}" for reason in outcome.reasons)])
    if outcome.before is None:
        return "\n".join([*lines, f"{CHAMPION}: the first"])
    if outcome.again:
        return "\n".join([*lines, f"{CHAMPION} already: nothing changed"])
    passed = f"{CHAMPION} in place of version {outcome.before.number}, for it keeps all limits, promote.max_loss too:"
    return "\n".join([*lines, passed, f"  {outcome.words}"])


def main() -> None:
    parser = command_line.parser(__doc__, command="promote")
    select.add_options(parser)
    parser.add_argument("--variant", help="such as local/gaitset/p30-int8, instead of the best within the limits")
    parser.add_argument("--json", action="store_true", help="print JSON: model, version, champion, reasons")
    options, settings = command_line.parse(parser)
    if options.variant:
        row, limits = bundle.named(options.variant, options.results, settings), select.asked_limits(options, settings)
    else:
        choice, limits = select.chosen(options, settings)
        if choice.best is None:
            raise StageError(f"nothing to promote; {select.in_words(choice, limits, False)}".replace("\n", "; "))
        row = choice.best
    row = row.same_as or row
    outcome = propose(row, Folders(options.results), settings, limits)
    if options.json:
        facts = {"model": outcome.model, "version": outcome.version.number, "champion": outcome.champion}
        print(json.dumps({**facts, "reasons": outcome.reasons, "against": outcome.words}, indent=1))
    else:
        print(in_words(row, outcome))
    sys.exit(bool(outcome.reasons))

"""Protocols, one file a protocol: who trains, who is enrolled and who is looked for, and which rates are reported.

The file's name is the ``protocol`` of a dataset's ``partition`` in params.yaml, with ``_`` for ``-``. What it offers is a
:class:`Protocol`. What protocols share stands in :mod:`gait.data.partitions` and :mod:`gait.evaluation`.

Whoever reads params.yaml imports these files, so they import numpy and what computes rates where they use it.
"""

from __future__ import annotations

import importlib
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gait.errors import DataError

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

FOLDER = Path(__file__).parent
FOR_ANY_DATA = "own"


@dataclass(frozen=True)
class Comparison:
    """Which walks a test compares, in words and as far as checks and reports depend on it.

    Attributes:
        words: what rank-1 is measured over; it follows "rank-1 in %,".
        cross_view: whether walks of different views alone are compared.
        one_view: what to do where that leaves nothing to compare.
        unenrolled: what probes are whose person is not enrolled.
        by_condition: whether there are rates of each walking condition that probes have, by its name without the number.
    """

    words: str
    cross_view: bool = False
    one_view: str = "bring walks in other views, or take `partition: {protocol: own, ..., cross_view: false}`"
    unenrolled: str = "misses"
    by_condition: bool = True


class Protocol(typing.Protocol):
    """What a file of this folder offers.

    Attributes:
        Settings: a dataclass of what ``partition`` in params.yaml may set beside ``protocol``. ``int`` is a whole number of
            at least 1, ``str`` a name, ``list[str]`` names, ``bool`` true or false; what has a default may be left out.
        COMPARISONS: the ways in which the protocol tests, by the names that test sets and records have for them. No other
            protocol has one of the same name.
    """

    Settings: Any
    COMPARISONS: Mapping[str, Comparison]

    def comparison(self, settings: Any) -> str:
        """Which of COMPARISONS it is, by the settings."""
        ...

    def training_identities(self, settings: Any) -> int:
        """How many identities train."""
        ...

    def partition(
        self,
        sequences: Sequence[GaitSequence],
        identities: Sequence[str],
        split: Mapping[str, Sequence[str]],
        settings: Any,
    ) -> dict[str, list[int]]:
        """Positions of sequences by what they are for: "train", "gallery" and "probe".

        Args:
            sequences: all usable ones, or all that there are files of.
            identities: all people of the dataset.
            split: identities of each part, where the dataset comes with lists of them.
            settings: a ``Settings``.

        Raises:
            DataError: the dataset does not fit, or a part is empty.
        """
        ...

    def validation(self, sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Any) -> dict[str, list[int]]:
        """Walks of training people as "gallery" and "probe", to test a training by the protocol while it runs.

        Args:
            sequences: as for ``partition``.
            walks: positions of walks that ``partition`` put under "train".
            settings: a ``Settings``.
        """
        ...

    def identified(self, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
        """Which probes are identified, in which views: arguments and errors as of :func:`evaluate`."""
        ...

    def rates(
        self, hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
    ) -> dict[str, Any]:
        """What :func:`evaluate` returns, of what ``identified`` found; ``rank1`` at least."""
        ...


def names() -> list[str]:
    """All protocols as params.yaml names them; the one for any data is the last."""
    names = (path.stem.replace("_", "-") for path in FOLDER.glob("[a-z]*.py"))
    return sorted(names, key=lambda name: (name == FOR_ANY_DATA, name))


def source(name: str) -> Path:
    """The file of a protocol.

    Raises:
        DataError: there is none.
    """
    path = FOLDER / f"{name.replace('-', '_')}.py"
    if not re.fullmatch("[a-z][a-z0-9-]*", name) or not path.is_file():
        raise DataError(f"protocol {name}: there is no such file in gait/protocols; there are: {', '.join(names())}")
    return path


def find(name: str) -> Protocol:
    """A protocol by its name in params.yaml; errors as of :func:`source`."""
    protocol: Any = importlib.import_module(f"gait.protocols.{source(name).stem}")
    return typing.cast(Protocol, protocol)


def chosen(rules: Mapping[str, Any]) -> tuple[Protocol, Any]:
    """The protocol that ``partition`` of a dataset's entry in params.yaml names, and its settings."""
    protocol = find(rules["protocol"])
    return protocol, protocol.Settings(**{key: value for key, value in rules.items() if key != "protocol"})


def comparisons() -> dict[str, Comparison]:
    """The ways in which all protocols test, by the names that test sets and records have for them."""
    return {name: comparison for protocol in map(find, names()) for name, comparison in protocol.COMPARISONS.items()}


def evaluate(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> dict[str, Any]:
    """The rates of a test's protocol, in %.

    Args:
        signatures: of all sequences in ``test``, as the network gave them; they are left as they are.
        sequences: all sequences of the store.
        test: who is looked for among whom, by which protocol and which distance.
        threads: how many; the rates are the same.

    Returns:
        In JSON's types. ``rank1`` and ``rank5``: each as :meth:`gait.evaluation.hits.Hits.rates` has them, with rates of
        conditions under ``conditions``, so that no condition's name can be taken for another figure. ``probes``: how many
        were looked for. ``open_set``: how well a threshold tells enrolled people from others, as
        :func:`gait.evaluation.open_set.rates` has it, and, where the protocol leaves out the probe's own view,
        ``open_set_all_views``: the same with it, as before a camera that both enrols and identifies, where strangers come
        nearer.
        What else there is, the protocol's file says.

    Raises:
        DataError: gallery or probe is empty, a sequence has no signature, one is not finite, or there is only one view
            and identical views are excluded.
    """
    hits = identified(signatures, sequences, test, threads)
    return rates(hits, signatures, sequences, test, threads)


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    """Which probes the test's protocol identifies, in which views; arguments and errors as of :func:`evaluate`."""
    return find(name_of(test.protocol)).identified(signatures, sequences, test, threads)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    """What :func:`evaluate` returns, of what :func:`identified` found."""
    from gait.evaluation.comparisons import strangers

    protocol = find(name_of(test.protocol))
    asked = signatures, sequences, test.gallery, test.probe, test.distance, threads
    cross_view = protocol.COMPARISONS[test.protocol].cross_view
    # A walk that one test of several enrols and another looks for would find itself.
    deployed = cross_view and not {*test.gallery} & {*test.probe}
    return {
        **protocol.rates(hits, signatures, sequences, test, threads),
        "open_set": strangers(*asked, other_views=cross_view),
        **({"open_set_all_views": strangers(*asked)} if deployed else {}),
        "probes": len(test.probe),
    }


def name_of(comparison: str) -> str:
    """The protocol that has this comparison, as params.yaml names it.

    Raises:
        DataError: there is none.
    """
    for name in names():
        if comparison in find(name).COMPARISONS:
            return name
    raise DataError(f"no file in gait/protocols tests by {comparison}; there are: {', '.join(comparisons())}")

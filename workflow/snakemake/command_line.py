"""Whether a snakemake command line runs jobs: a Snakefile cannot ask Snakemake that while it is being read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# Options that print something or tidy up, and run no job. Snakemake's own parser takes half a second for the same answer.
QUERY = re.compile(
    r"-[a-zA-Z]*[nt]|-[lSD]$|--(dry|touch|lint|list|print-comp|generate|containerize|container-cleanup|report|dag|rulegraph|"
    r"filegraph|d3dag|unlock|cleanup|conda-c|summary|detailed|archive|delete|export|version|help)"
)


def runs_jobs(argv: Sequence[str]) -> bool:
    """Whether a command line, as in ``sys.argv``, is one of snakemake that runs jobs; False in doubt."""
    program, *words = argv
    return Path(program).name in ("snakemake", "__main__.py") and not any(QUERY.match(word) for word in words)

"""Of the section `quantize`; an edit writes the networks of all precisions again."""

from typing import Final

ACTIVATIONS: Final = "auto"
WEIGHT_BITS: Final = "auto"

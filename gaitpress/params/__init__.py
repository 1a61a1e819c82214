"""params.yaml: its sections, their limits, and the reader; a file a section.

The classes of the sections are the only declaration of the keys and values of params.yaml. From them
``python -m gaitpress params --schema`` writes the JSON schema for editors (workflow/schemas/params.schema.json).
"""

from gaitpress.params.reading import check, load, parse, schema
from gaitpress.params.values import ParamsError
from gaitpress.params.whole import Params

__all__ = ["Params", "ParamsError", "check", "load", "parse", "schema"]

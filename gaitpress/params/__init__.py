"""params.yaml: its meaning, its limits and how to read it; a file a section.

The classes of the sections are the one declaration of what may stand in params.yaml; the JSON schema for editors
(workflow/schemas/params.schema.json) is written from them by ``python -m gaitpress params --schema``.
"""

from gaitpress.params.reading import check, load, parse, schema
from gaitpress.params.values import ParamsError
from gaitpress.params.whole import Params

__all__ = ["Params", "ParamsError", "check", "load", "parse", "schema"]

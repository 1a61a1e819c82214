"""Check params.yaml, or print the schema by which editors complete and check it.

python -m gaitpress params             one line for each fault
python -m gaitpress params --schema    workflow/schemas/params.schema.json
"""

from __future__ import annotations

from gaitpress import command_line, params


def main() -> None:
    parser = command_line.parser(__doc__, command="params")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema and check nothing")
    options = parser.parse_args()
    if options.schema:
        print(params.schema(), end="")
        return
    params.load(options.params)
    print(f"{options.params} is valid")

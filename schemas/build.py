"""Write scenario.schema.json anew from the types: run it after any change of what a scenario may hold."""

import json
from pathlib import Path

from simulator.scenario import json_schema

TARGET = Path(__file__).with_name("scenario.schema.json")


def text() -> str:
    """The schema as the file has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")

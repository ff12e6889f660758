"""TOML files as people write them: every fault of the file is one sentence with its path."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> dict[str, Any]:
    """Return the document; a byte order mark is skipped.

    Raise InvalidConfig if the file can't be read or is not TOML, has an integer with thousands of
    digits, or arrays in arrays that are too deep for the parser.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidConfig(f"{path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path} is not valid TOML: {error}.") from error
    except ValueError as error:  # int() refuses so many digits
        raise InvalidConfig(f"{path} is not valid TOML: a number has too many digits.") from error
    except RecursionError as error:
        raise InvalidConfig(f"{path} is not valid TOML: it is nested too deeply.") from error

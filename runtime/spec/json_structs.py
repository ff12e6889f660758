"""JSON documents as typed structs, decoded and checked in one step.

A struct is a class whose annotated attributes are its fields. A field's key is its name in camel
case, or the one in RENAMED. A library for this, or even `json` or `typing`, would take longer to
import than a container takes to start. A class is analysed when the first document of its kind is
decoded.
"""

from __future__ import annotations

import sys
from _json import encode_basestring_ascii, make_encoder, make_scanner

from runtime.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

    T = TypeVar("T", bound="Struct")
    Decoder = Callable[[Any], Any]
else:

    def dataclass_transform(**_):  # noqa: D103
        return lambda cls: cls


# Integers of the widths in the specification.
Int32 = int
Int64 = int
Uint16 = int
Uint32 = int
Uint64 = int
_RANGES = {
    "Int32": (-(1 << 31), (1 << 31) - 1),
    "Int64": (-(1 << 63), (1 << 63) - 1),
    "Uint16": (0, (1 << 16) - 1),
    "Uint32": (0, (1 << 32) - 1),
    "Uint64": (0, (1 << 64) - 1),
}


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Struct:
    """A JSON object: frozen, created from keyword arguments, equal if the fields are equal."""

    RENAMED: ClassVar[dict[str, str]] = {}

    def __init__(self, **values: Any) -> None:
        fields = _fields(type(self))
        for name in values:
            if name not in fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        for name in fields:
            if name not in values and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name!r}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return False
        # A default may be given explicitly or not; then the fields must be compared.
        return self.__dict__ == other.__dict__ or _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(encode(self))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({given})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values in these fields."""
        return type(self)(**{**self.__dict__, **changes})


def decode(cls: type[T], text: bytes | str, name: str) -> T:
    """Return the struct in a JSON text; errors call the text `name`.

    Unknown keys are ignored, and null counts as absent. Raise InvalidConfig, which names the field.
    (OCI config.md, "Extensibility")
    """
    struct = convert(cls, parse(text, name), name)
    _latest[cls] = (struct, text)
    return struct


def text_of(struct: Struct) -> str:
    """Return a struct's JSON text, remembered for the latest struct of each class.

    Structs are frozen, and several containers may be made from one configuration.
    """
    latest, text = _latest.get(type(struct), (None, ""))
    if latest is not struct:
        text = encode(struct)
        _latest[type(struct)] = (struct, text)
    return text if isinstance(text, str) else text.decode()


def convert(cls: type[T], value: object, name: str) -> T:
    """Return the struct in a parsed document. Raise InvalidConfig, which names the field."""
    try:
        struct: T = _decoder_of(cls)(value)
    except _Refused as refused:
        raise InvalidConfig(f"{name}: {'.'.join(refused.path) or 'the text'} {refused}.") from None
    return struct


def parse(text: bytes | str, name: str) -> object:
    """Return the value of a JSON text. Raise InvalidConfig."""
    try:
        characters = text.decode() if isinstance(text, bytes) else text
        start = len(characters) - len(characters.lstrip(_SPACE))
        value, end = _scan(characters, start)
    except StopIteration as error:
        raise InvalidConfig(f"{name} is not JSON: no value at character {error.value}.") from None
    except RecursionError:
        raise InvalidConfig(f"{name} is nested too deeply.") from None
    except ValueError as error:
        raise InvalidConfig(f"{name} is not JSON: {error}.") from None
    except SystemError:
        raise InvalidConfig(f"{name} is not JSON: {_fault(characters)}.") from None
    if characters[end:].strip(_SPACE):
        raise InvalidConfig(f"{name} is not JSON: extra text at character {end}.")
    return value


def _fault(text: str) -> str:
    """Describe the error in a text; the scanner's own exception needs the slow module `json`."""
    import json

    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return "the cause is unknown"


def encode(value: object) -> str:
    """Return the JSON text of a struct or of plain values, in one line."""
    return "".join(_encode(value, 0))


def encode_lines(value: dict[str, object]) -> str:
    """Return the JSON text of an object of plain values, with each key on a line."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            shown = encode_lines(item).replace("\n", "\n  ")
        else:
            shown = encode(item)
        lines.append(f"  {encode(key)}: {shown}")
    return "{\n" + ",\n".join(lines) + "\n}"


def plain(struct: Struct) -> dict[str, object]:
    """Return the fields that are set, by their keys in the document."""
    fields = _fields(type(struct))
    return {fields[name]: value for name, value in struct.__dict__.items() if value is not None}


def _plain(value: object) -> dict[str, object]:
    if isinstance(value, Struct):
        return plain(value)
    raise TypeError(f"{type(value).__name__} can't be encoded as JSON")


class _Refused(Exception):
    """A wrong value, and the path to it."""

    def __init__(self, text: str, *path: str) -> None:
        super().__init__(text)
        self.path = list(path)


class _ScannerContext:
    """The attributes of json.JSONDecoder that the scanner in C reads."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> object:
        raise ValueError(f"{name} is not a number")


_SPACE = " \t\r\n"
_scan = make_scanner(_ScannerContext)  # type: ignore[arg-type]  # any object will do
# The same settings as in json.JSONEncoder: no check for cycles, no indentation, no sorting.
_encode = make_encoder(None, _plain, encode_basestring_ascii, None, ":", ",", False, False, True)
_latest: dict[type[Struct], tuple[Struct, bytes | str]] = {}
_known_fields: dict[type[Struct], dict[str, str]] = {}
_known_decoders: dict[type[Struct], Decoder] = {}


def _values(struct: object) -> list[object]:
    return [getattr(struct, name, None) for name in _fields(type(struct))]


def _fields(cls: type[Any]) -> dict[str, str]:
    """Return the keys of the fields, by name."""
    if cls not in _known_fields:
        names = (name for name in cls.__annotations__ if name != "RENAMED")
        _known_fields[cls] = {name: cls.RENAMED.get(name) or _camel(name) for name in names}
    return _known_fields[cls]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _decoder_of(cls: type[Struct]) -> Decoder:
    if cls not in _known_decoders:
        _known_decoders[cls] = _struct_decoder(cls)
    return _known_decoders[cls]


def _struct_decoder(cls: type[Struct]) -> Decoder:
    """Return a decoder of objects; the decoder of a field is made when one occurs."""
    module = sys.modules[cls.__module__].__dict__
    names = {key: name for name, key in _fields(cls).items()}
    decoders: dict[str, Decoder] = {}
    required = [(key, name) for key, name in names.items() if not hasattr(cls, name)]

    def decoder(value: object) -> Struct:
        if type(value) is not dict:
            raise _Refused(f"must be an object, not {_shown(value)}")
        struct = cls.__new__(cls)
        values = struct.__dict__
        for key, item in value.items():
            if item is not None and key in names:
                name = names[key]
                if name not in decoders:
                    decoders[name] = _decoder(cls.__annotations__[name], module)
                try:
                    values[name] = decoders[name](item)
                except _Refused as refused:
                    refused.path.insert(0, key)
                    raise
        for key, name in required:
            if name not in values:
                raise _Refused("is missing", key)
        return struct

    return decoder


def _decoder(annotation: str, names: dict[str, Any]) -> Decoder:
    """Return a decoder for a type, by its annotation."""
    kind = annotation.removesuffix(" | None")
    if kind in _RANGES:
        return _integer(*_RANGES[kind])
    if kind == "str":
        return _string
    if kind == "bool":
        return _boolean
    if kind.startswith("tuple["):
        return _array(_decoder(kind[len("tuple[") : -len(", ...]")], names))
    if kind.startswith("dict[str, "):
        return _object(_decoder(kind[len("dict[str, ") : -1], names))
    if kind == "object":
        return lambda value: value
    return _decoder_of(names[kind])


def _integer(low: int, high: int) -> Decoder:
    def decoder(value: object) -> int:
        if type(value) is not int:
            raise _Refused(f"must be an integer, not {_shown(value)}")
        if not low <= value <= high:
            raise _Refused(f"is {value}: the range is {low} to {high}")
        return value

    return decoder


def _string(value: object) -> str:
    # Printable text contains neither NUL nor a surrogate.
    if type(value) is str and value.isprintable():
        return value
    if type(value) is not str:
        raise _Refused(f"must be a string, not {_shown(value)}")
    if "\0" in value:
        raise _Refused("contains a NUL, which no string of the kernel can")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Refused("contains half a surrogate pair, which is not a character") from None
    return value


def _boolean(value: object) -> bool:
    if type(value) is not bool:
        raise _Refused(f"must be true or false, not {_shown(value)}")
    return value


def _array(decode_item: Decoder) -> Decoder:
    def decoder(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _Refused(f"must be an array, not {_shown(value)}")
        items = []
        for number, item in enumerate(value):
            try:
                items.append(decode_item(item))
            except _Refused as refused:
                refused.path.insert(0, str(number))
                raise
        return tuple(items)

    return decoder


def _object(decode_item: Decoder) -> Decoder:
    def decoder(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise _Refused(f"must be an object, not {_shown(value)}")
        items = {}
        for key, item in value.items():
            try:
                items[_string(key)] = decode_item(item)
            except _Refused as refused:
                refused.path.insert(0, key)
                raise
        return items

    return decoder


def _shown(value: object) -> str:
    text = encode(value)
    return text if len(text) <= 40 else text[:37] + "…"

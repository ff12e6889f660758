"""Numbers with units, as students write them: 4.4 ms, 4,41 毫秒, 286MiB, 12 %, １２ 倍, 1.2e3."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

_COUNTED = ("", "实例", "容器", "虚拟机", "进程")
# Units by the base unit that they measure, with their size in it.
UNITS: dict[str, dict[str, float]] = {
    "second": {
        "ns": 1e-9, "纳秒": 1e-9, "nanosecond": 1e-9, "nanoseconds": 1e-9, "nsec": 1e-9,
        "us": 1e-6, "µs": 1e-6, "微秒": 1e-6, "microsecond": 1e-6, "microseconds": 1e-6,
        "usec": 1e-6, "µsec": 1e-6,
        "ms": 1e-3, "毫秒": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3, "msec": 1e-3,
        "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "秒": 1.0, "秒钟": 1.0,
        "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "分": 60.0, "分钟": 60.0,
        "h": 3600.0, "hour": 3600.0, "hours": 3600.0, "小时": 3600.0,
    },
    "byte": {
        "b": 1.0, "byte": 1.0, "bytes": 1.0, "字节": 1.0,
        "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
        "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40,
        "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40,
        "千字节": 2.0**10, "兆字节": 2.0**20, "吉字节": 2.0**30,
    },
    "ratio": {
        "×": 1.0, "x": 1.0, "times": 1.0, "fold": 1.0, "-fold": 1.0, "倍": 1.0,
        "times as long": 1.0, "times as much": 1.0, "%": 0.01, "percent": 0.01,
    },
    "share": {
        "%": 0.01, "percent": 0.01, "per cent": 0.01, "% slower": 0.01, "% faster": -0.01,
    },
    "integer": {
        "": 1.0, "轮": 1.0, "round": 1.0, "rounds": 1.0, "instance": 1.0, "instances": 1.0,
        "container": 1.0, "containers": 1.0, "machine": 1.0, "machines": 1.0,
        "process": 1.0, "processes": 1.0, "进程": 1.0,
        **{f"{word}{what}": 1.0 for word in "个台" for what in _COUNTED},
    },
    "CPUs": {
        "": 1.0, "cpu": 1.0, "cpus": 1.0, "个 cpu": 1.0, "个cpu": 1.0, "core": 1.0, "cores": 1.0,
        "核": 1.0, "个核": 1.0, "%": 0.01,
    },
}  # fmt: skip
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d,' _]*\d|\d)?(?:\.\d+)?(?:[eE][-+]?\d{1,3}|[×x*·]10\^?[-+]?\d{1,3})?"
)
_WORDS = re.compile(
    r"^(?:about|approximately|approx\.?|ca\.?|~|≈|=|大约|约为|约|大概|[×x])\s*(?=[-+.\d])"
)
_ODD = {"μ": "µ", "−": "-", "–": "-", "—": "-", "。": "."}  # after NFKC
_RAISED = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, and the word behind it in lower case, which is empty without a unit."""

    number: float
    unit: str

    def kind(self) -> str | None:
        """Return the first base unit that has this unit; None for an unknown one."""
        return next((kind for kind, units in UNITS.items() if self.unit in units), None)

    def in_base(self, kind: str) -> float | None:
        """Return the value in a base unit; None if its own unit measures something else."""
        size = UNITS.get(kind, {}).get(self.unit)
        return None if size is None else self.number * size


def quantity(answer: object) -> Quantity | None:
    """Return the number and unit of an answer; None if it is not one finite number.

    Fullwidth digits, commas between thousands, a decimal comma, and words such as "about" are read
    as people mean them. True and False are no numbers.
    """
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int | float):
        try:
            value = float(answer)
        except OverflowError:
            return None
        return Quantity(value, "") if math.isfinite(value) else None
    if not isinstance(answer, str) or len(answer) > _LONGEST:
        return None
    text = plain(answer)
    match = _NUMBER.match(text)
    if not match or not any(letter.isdigit() for letter in match[0]):
        return None
    unit = text[match.end() :].strip().rstrip(".").strip()
    number = _number(match[0])
    if number is None or any(letter.isdigit() for letter in unit):
        return None
    return Quantity(number, unit)


def quantities(answer: object) -> list[Quantity]:
    """Return all numbers with the unit behind each, of an answer in words."""
    if not isinstance(answer, str):
        one = quantity(answer)
        return [one] if one else []
    text = plain(answer, longest=2000)
    found = []
    for match in re.finditer(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d{1,3})?(?![\d.]*\d)", text):
        number = _number(match[0])
        unit = re.match(r"\s*([a-zµ]+|%|×|[纳微毫]?秒|分钟?|字节|倍)?", text[match.end() :])
        if number is not None:
            found.append(Quantity(number, unit[1] or "" if unit else ""))
    # "3.58 – 6.61 ms": the unit behind the second belongs to both.
    for place in range(len(found) - 2, -1, -1):
        if found[place].kind() in (None, "integer") and found[place + 1].unit:
            found[place] = Quantity(found[place].number, found[place + 1].unit)
    return found


def plain(text: str, longest: int = _LONGEST) -> str:
    """Return the text in lower case, in ASCII digits and signs, without words such as "about"."""
    text = _RAISED.sub(lambda power: f"^{power[0]}", text[:longest])  # NFKC makes 10⁵ 105
    text = unicodedata.normalize("NFKC", text)
    for sign, usual in _ODD.items():
        text = text.replace(sign, usual)
    return _WORDS.sub("", " ".join(text.split()).lower()).strip()


def _number(text: str) -> float | None:
    """Return the number of its digits, with commas between thousands or one decimal comma."""
    text = text.replace("'", "").replace("_", "").replace(" ", "")
    text = re.sub(r"[×x*·]10\^?", "e", text)
    head, power, tail = text.partition("e")
    if "," in head and not re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", head):
        if head.count(",") > 1 or "." in head:
            return None
        head = head.replace(",", ".")
    try:
        number = float(head.replace(",", "") + power + tail)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None

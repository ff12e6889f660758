"""The run folder: what was measured, raw data first.

results/<date>-<host>/
    host.json             what the host is and can measure
    run.json              the run's settings: profile, targets, seed, accelerator, page cache
    measurements.csv      one line a sample (tidy), appended and synced round by round
    rounds.csv            one line a round: its order, what the host was like, what disturbed it
    <experiment>.json     the same samples as a pyperf suite, one pyperf run a round; what is
                          neither a time nor a size nor a count stays in the CSV
    table.md report.ipynb report.html   written by the report

A folder is written once: a run refuses a folder that holds anything. Rounds are written as they
finish, so that a killed run keeps every finished round.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import math
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

import pyperf

from lab.errors import LabError
from lab.host import disturbance
from lab.results.stored_files import read_json, read_rows, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from lab.host.disturbance import Conditions

T = TypeVar("T")
Unit = str  # second, byte, integer, ratio, or a rate as a tool has it
_MOST_DIGITS = 12  # of a round's number and of a position
_PYPERF_UNITS = frozenset({"second", "byte", "integer"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value, or the reason why there is none.

    `value` is in `unit`; None means censored, and `censored` then says why (a start that hung, a
    workload that failed). One that is not finite becomes such a sample: it is no figure.
    `position` counts within a round: the instance number in a density run. `note` says what else
    must be known of the value, such as the limit that ended a density run.
    """

    experiment: str
    target: str
    metric: str
    unit: Unit
    round: int
    value: float | None
    position: int = 0
    censored: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Censor a value that is not finite."""
        if self.value is not None and (why := not_finite(self.value)):
            object.__setattr__(self, "value", None)
            object.__setattr__(self, "censored", self.censored or f"{self.metric}: {why}")


def not_finite(value: float) -> str:
    """Return why a number is no figure; empty if it is one."""
    try:
        number = float(value)
    except OverflowError:
        return "its figure is larger than any number that can be held"
    return "" if math.isfinite(number) else f"its figure is {number}, which is no number"


@dataclass(frozen=True, slots=True)
class Round:
    """One round: `order` names the targets in their turn, `conditions` what the host was like."""

    experiment: str
    number: int
    began: str
    order: tuple[str, ...]
    conditions: Conditions


COLUMNS = tuple(field.name for field in fields(Sample))
ROUND_COLUMNS = ("experiment", "round", "began", "order", *disturbance.COLUMNS)


def refuse_used(path: Path) -> None:
    """Raise LabError if something is in a folder that a run is to be written to."""
    if path.is_dir() and any(path.iterdir()):
        raise LabError(f"{path} is not empty: a run folder is written once; name another.")


class RunFolder:
    """A run folder being written; a context manager that closes its files.

    `finished` are the samples of the rounds that a resumed run has, by experiment and number;
    without it the folder is new. Raises LabError if a new folder is not empty, or one can't be
    written.
    """

    def __init__(
        self,
        path: Path,
        host: dict[str, Any],
        settings: dict[str, Any],
        finished: Mapping[tuple[str, int], Sequence[Sample]] | None = None,
    ) -> None:
        self.path = path
        self._settings = settings
        self._suites: dict[str, dict[str, pyperf.Benchmark]] = {}
        self._metadata: dict[str, Any] = {
            key: settings[key] for key in ("accelerator", "page_cache", "seed") if key in settings
        }
        try:
            path.mkdir(parents=True, exist_ok=True)
            if finished is None:
                refuse_used(path)
                write_json(path / "host.json", host)
            write_json(path / "run.json", settings)
            kept = None if finished is None else self._take_over(finished)
            self._samples = _Table(path / "measurements.csv", COLUMNS, kept)
            self._rounds = _Table(path / "rounds.csv", ROUND_COLUMNS, kept)
        except OSError as error:
            raise LabError(f"Can't write the run folder {path}: {error.strerror}.") from error

    def append(self, samples: Iterable[Sample], finished: Round | None = None) -> None:
        """Keep the samples of a finished round; they are on disk when this returns."""
        touched = set()
        try:
            for sample in samples:
                self._samples.write(astuple(sample))
                if _is_for_suite(sample):
                    self._add_to_suite(sample)
                    touched.add(sample.experiment)
            self._samples.sync()
            if finished:
                self._rounds.write(_row(finished))
                self._rounds.sync()
            for experiment in sorted(touched):
                self._write_suite(experiment)
        except OSError as error:
            raise LabError(
                f"Can't write to {self.path}: {error.strerror}. Earlier rounds are kept."
            ) from error

    def update_settings(self, ended: dict[str, Any]) -> None:
        """Add to run.json how the run ended, and what was found along the way.

        Raises LabError; the old one then stays.
        """
        try:
            write_json(self.path / "run.json", {**self._settings, **ended})
        except OSError as error:
            raise LabError(f"Can't write to {self.path}: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()
        self._rounds.close()

    def _take_over(
        self, finished: Mapping[tuple[str, int], Sequence[Sample]]
    ) -> set[tuple[str, str]]:
        """Take finished rounds into the suites; return their experiments and numbers as written."""
        for samples in finished.values():
            for sample in filter(_is_for_suite, samples):
                self._add_to_suite(sample)
        return {(experiment, str(number)) for experiment, number in finished}

    def _add_to_suite(self, sample: Sample) -> None:
        # pyperf wants one name a benchmark, and each name on one line.
        benchmarks = self._suites.setdefault(sample.experiment, {})
        target, metric = " ".join(sample.target.split()), " ".join(sample.metric.split())
        name = f"{target}/{metric}"
        metadata = {
            "name": name,
            "unit": sample.unit,
            "target": target,
            "metric": metric,
            "round": sample.round,
            **self._metadata,
        }
        run = pyperf.Run([_for_pyperf(sample)], metadata=metadata, collect_metadata=False)
        if name in benchmarks:
            benchmarks[name].add_run(run)
        else:
            benchmarks[name] = pyperf.Benchmark([run])

    def _write_suite(self, experiment: str) -> None:
        suite = pyperf.BenchmarkSuite(list(self._suites[experiment].values()))
        final = self.path / f"{experiment}.json"
        aside = self.path / f".{experiment}.json.new"
        suite.dump(str(aside), replace=True)
        aside.rename(final)


class _Table:
    """A CSV file being written.

    `kept` are the experiments and rounds whose rows stay, in a file that is there already.
    """

    def __init__(
        self, path: Path, columns: tuple[str, ...], kept: Collection[tuple[str, str]] | None = None
    ) -> None:
        rows = [] if kept is None else _rows_of(path, columns, kept)
        aside = path.with_name(f".{path.name}.new")
        # A run that was killed here has left the file aside; its successor writes it anew.
        self._file: IO[str] = aside.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerows([columns, *rows])
        self.sync()
        aside.rename(path)

    def write(self, row: Iterable[object]) -> None:
        self._writer.writerow(row)

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what counts was synced
            self._file.close()


def _is_for_suite(sample: Sample) -> bool:
    """Return True if pyperf can hold the sample: it knows three units, and no zero."""
    return sample.unit in _PYPERF_UNITS and _for_pyperf(sample) > 0


def _for_pyperf(sample: Sample) -> float:
    """Return the value as pyperf takes it: seconds as they are, bytes and counts whole."""
    value = sample.value or 0.0
    return value if sample.unit == "second" else round(value)


def _rows_of(
    path: Path, columns: tuple[str, ...], wanted: Collection[tuple[str, str]]
) -> list[list[str]]:
    """Return the whole rows of these experiments and rounds."""
    experiment, number = columns.index("experiment"), columns.index("round")
    rows = read_rows(path)[1] if path.exists() else []
    return [row for row in rows if (row[experiment], row[number]) in wanted]


def _row(finished: Round) -> tuple[object, ...]:
    head = (finished.experiment, finished.number, finished.began, " ".join(finished.order))
    return *head, *astuple(finished.conditions)


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was read: host and settings as written, samples as a frame of COLUMNS.

    It is read only, and equal to itself alone: what was worked out of it can be kept.

    `rounds` is a frame of ROUND_COLUMNS, empty if the run did not record its rounds. `torn` has a
    sentence for each table whose last line was lost.
    """

    path: Path
    host: dict[str, Any]
    settings: dict[str, Any]
    samples: pd.DataFrame
    rounds: pd.DataFrame
    torn: tuple[str, ...] = ()


def load(path: Path) -> Run:
    """Read a run folder.

    Raises LabError if it is none, or is corrupt: which file, and what is wrong with it.
    """
    if not path.is_dir():
        raise LabError(f"{path} is not a run folder: no such directory.")
    host, settings = (_document(path / name) for name in ("host.json", "run.json"))
    samples, torn = _samples(path / "measurements.csv")
    kept = path / "rounds.csv"
    rounds, torn_rounds = _rounds(kept) if kept.exists() else (_table(ROUND_COLUMNS, []), "")
    return Run(path, host, settings, samples, rounds, tuple(filter(None, (torn, torn_rounds))))


def _document(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError as error:
        raise LabError(f"{path.parent} is not a run folder: it has no {path.name}.") from error


def _samples(path: Path) -> tuple[pd.DataFrame, str]:
    """Return the samples, and a sentence if the last was torn; what is not finite is censored."""
    heading, rows, torn = read_rows(path)
    table = _table(_require(path, heading, COLUMNS), rows)
    for column in ("round", "position"):
        table[column] = _numbers(path, table[column], _counting)
    values = _numbers(path, table["value"], _finite_or_none)
    lost = [
        bool(text) and value is None for text, value in zip(table["value"], values, strict=True)
    ]
    unsaid = [is_lost and not why for is_lost, why in zip(lost, table["censored"], strict=True)]
    table.loc[unsaid, "censored"] = [
        f"{metric}: its figure is {text}, which is no number"
        for metric, text in zip(
            table.loc[unsaid, "metric"], table.loc[unsaid, "value"], strict=True
        )
    ]
    table["value"] = [math.nan if value is None else value for value in values]
    return table, torn


def _rounds(path: Path) -> tuple[pd.DataFrame, str]:
    heading, rows, torn = read_rows(path)
    table = _table(_require(path, heading, ROUND_COLUMNS), rows)
    table["round"] = _numbers(path, table["round"], _counting)
    for column in ("seconds", "steal_share", "others_share"):
        table[column] = _numbers(path, table[column], _finite)
    return table, torn


def _require(path: Path, heading: Sequence[str], columns: tuple[str, ...]) -> Sequence[str]:
    """Return the heading if it has these columns. Raise LabError."""
    if missing := [column for column in columns if column not in heading]:
        raise LabError(f"{path} is corrupt: no column {', '.join(missing)}.")
    return heading


def _table(columns: Sequence[str], rows: list[list[str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def _numbers(path: Path, column: pd.Series[Any], number: Callable[[str], T]) -> list[T]:
    """Return a column's numbers. Raise LabError for a field that has none."""
    found = []
    for text in column:
        try:
            found.append(number(text))
        except ValueError as error:
            raise LabError(f"{path} is corrupt: {column.name} is {text!r}: {error}.") from error
    return found


def _counting(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise ValueError("not a number from 0 on")
    return int(text)


def _finite(text: str) -> float:
    number = _finite_or_none(text)
    if number is None:
        raise ValueError("not a number")
    return number


def _finite_or_none(text: str) -> float | None:
    """Return the number; None for an empty field and for what is not finite."""
    try:
        number = float(text) if text else math.nan
    except ValueError:
        raise ValueError("not a number") from None
    return number if math.isfinite(number) else None


def new_folder(parent: Path, hostname: str) -> Path:
    """The path of a run folder that does not exist yet: parent/<date>-<host>[-N]."""
    stem = f"{datetime.date.today().isoformat()}-{hostname}"
    path, n = parent / stem, 1
    while path.exists():
        n += 1
        path = parent / f"{stem}-{n}"
    return path

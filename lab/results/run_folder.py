"""The run folder: the host, the settings and the raw samples of one run.

results/<date>-<host>/
    host.json             what the host is and can measure
    run.json              the run's settings: profile, targets, seed, accelerator, page cache
    measurements.csv      one line per sample (tidy), appended and synced after each round
    rounds.csv            one line per round: its order, the host's state, what disturbed it
    <experiment>.json     the same samples as a pyperf suite, one pyperf run per round; only times,
                          sizes and counts, which are the units that pyperf knows
    table.md report.ipynb report.html   written by the report

A folder is written once: a run refuses a folder that is not empty. Rounds are written as they
finish, so that a killed run keeps every finished round.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import math
import os
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from lab.errors import AlreadyExists, InvalidRun, NotFound
from lab.results.sample import COLUMNS, ROUND_COLUMNS
from lab.results.stored_files import read_json, read_rows, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import pandas as pd
    import pyperf

    from lab.metrics import Direction
    from lab.results.sample import Round, Sample

T = TypeVar("T")
_MAX_DIGITS = 12  # of a round's number and of a position
_PYPERF_UNITS = frozenset({"second", "byte", "integer"})


def refuse_used(path: Path) -> None:
    """Raise AlreadyExists if the folder of a new run is not empty."""
    if path.is_dir() and any(path.iterdir()):
        raise AlreadyExists(
            f"{path} is not empty: a run folder is written only once; choose another with --out."
        )


class RunFolder:
    """A run folder open for writing; a context manager that closes its files.

    `finished` has the samples of the rounds that a resumed run finished before, by experiment and
    number; it is None for a new folder. Raise AlreadyExists if a new folder is not empty, and
    InvalidRun if the folder can't be written.
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
            keys = None if finished is None else self._take_over(finished)
            self._samples = _Table(path / "measurements.csv", COLUMNS, keys)
            self._rounds = _Table(path / "rounds.csv", ROUND_COLUMNS, keys)
        except OSError as error:
            raise InvalidRun(f"Can't write the run folder {path}: {error.strerror}.") from error

    def append(self, samples: Iterable[Sample], finished: Round | None = None) -> None:
        """Write the samples of a finished round; they are on disk when this returns."""
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
            raise InvalidRun(
                f"Can't write to {self.path}: {error.strerror}. Earlier rounds are saved."
            ) from error

    def update_settings(self, added: dict[str, Any]) -> None:
        """Add settings to run.json: how the run ended, and what failed.

        Raise InvalidRun if the file can't be written; the previous file then stays.
        """
        try:
            write_json(self.path / "run.json", {**self._settings, **added})
        except OSError as error:
            raise InvalidRun(f"Can't write to {self.path}: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()
        self._rounds.close()

    def _take_over(
        self, finished: Mapping[tuple[str, int], Sequence[Sample]]
    ) -> set[tuple[str, str]]:
        """Add finished rounds to the suites; return their experiments and numbers, as in CSV."""
        for samples in finished.values():
            for sample in filter(_is_for_suite, samples):
                self._add_to_suite(sample)
        return {(experiment, str(number)) for experiment, number in finished}

    def _add_to_suite(self, sample: Sample) -> None:
        import pyperf

        # pyperf requires a unique name for each benchmark, on one line.
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
        import pyperf

        suite = pyperf.BenchmarkSuite(list(self._suites[experiment].values()))
        final = self.path / f"{experiment}.json"
        aside = self.path / f".{experiment}.json.new"
        suite.dump(str(aside), replace=True)
        aside.rename(final)


class _Table:
    """A CSV file open for writing.

    `keys` names the experiments and rounds whose rows stay in a file that exists already.
    """

    def __init__(
        self, path: Path, columns: tuple[str, ...], keys: Collection[tuple[str, str]] | None = None
    ) -> None:
        rows = [] if keys is None else _rows_of(path, columns, keys)
        aside = path.with_name(f".{path.name}.new")
        # A run that was killed here leaves this file behind; the resumed run overwrites it.
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
        with contextlib.suppress(OSError):  # all rows were synced before
            self._file.close()


def _is_for_suite(sample: Sample) -> bool:
    """Return True if pyperf can store the sample: it knows three units, and no zero."""
    return sample.unit in _PYPERF_UNITS and _for_pyperf(sample) > 0


def _for_pyperf(sample: Sample) -> float:
    """Return the value as pyperf expects it: seconds unchanged, bytes and counts as integers."""
    value = sample.value or 0.0
    return value if sample.unit == "second" else round(value)


def _rows_of(
    path: Path, columns: tuple[str, ...], keys: Collection[tuple[str, str]]
) -> list[list[str]]:
    """Return the complete rows of these experiments and rounds."""
    experiment, number = columns.index("experiment"), columns.index("round")
    rows = read_rows(path)[1] if path.exists() else []
    return [row for row in rows if (row[experiment], row[number]) in keys]


def _row(finished: Round) -> tuple[object, ...]:
    head = (finished.experiment, finished.number, finished.began, " ".join(finished.order))
    return *head, *astuple(finished.conditions)


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was read: host and settings as written, samples and rounds as columns.

    A Run is immutable and compares by identity, so that results computed from it can be cached.

    `sample_columns` has the columns COLUMNS by name, each with a value for every sample, NaN for a
    censored one; `round_columns` has ROUND_COLUMNS, empty if the run did not record its rounds.
    `torn` has a sentence for each table whose last line was lost.
    """

    path: Path
    host: dict[str, Any]
    settings: dict[str, Any]
    sample_columns: Mapping[str, list[Any]]
    round_columns: Mapping[str, list[Any]]
    torn: tuple[str, ...] = ()

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The samples as a frame. Importing pandas takes longer than reading them."""
        return _frame(self.sample_columns)

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """The rounds as a frame."""
        return _frame(self.round_columns)

    @property
    def seed(self) -> int:
        """The run's seed, also used for intervals: a run gives the same figures every time."""
        value = self.settings.get("seed", 0)
        return value if isinstance(value, int) else 0

    @cached_property
    def workload_results(self) -> dict[str, Direction]:
        """The results of the run's workloads, each with the direction that is better."""
        return {
            metric: result["better"]
            for workload in self.settings.get("workloads", {}).values()
            for metric, result in workload["results"].items()
        }


def load(path: Path) -> Run:
    """Read a run folder.

    Raise NotFound if the path is not a run folder, and InvalidRun if a file in it is corrupt.
    """
    described = without_samples(path)
    samples, torn = _samples(path / "measurements.csv")
    table = path / "rounds.csv"
    rounds, torn_rounds = _rounds(table) if table.exists() else (_by_name(ROUND_COLUMNS, []), "")
    all_torn = tuple(filter(None, (torn, torn_rounds)))
    return Run(path, described.host, described.settings, samples, rounds, all_torn)


def without_samples(path: Path) -> Run:
    """Read host and settings alone, to decide whether a run is of use.

    Raise NotFound if the path is not a run folder, and InvalidRun if one of the files is corrupt.
    """
    if not path.is_dir():
        raise NotFound(f"{path} is not a run folder: no such directory.")
    host, settings = (_document(path / name) for name in ("host.json", "run.json"))
    return Run(path, host, settings, _by_name(COLUMNS, []), _by_name(ROUND_COLUMNS, []))


def _document(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError as error:
        raise NotFound(f"{path.parent} is not a run folder: it has no {path.name}.") from error


def _samples(path: Path) -> tuple[dict[str, list[Any]], str]:
    """Return the columns of the samples, and a sentence if the last line was torn.

    Values that are not finite become censored samples.
    """
    heading, rows, torn = read_rows(path)
    table = _by_name(_require(path, heading, COLUMNS), rows)
    for column in ("round", "position"):
        table[column] = _numbers(path, column, table[column], _counting)
    texts = table["value"]
    values = _numbers(path, "value", texts, _finite_or_none)
    table["censored"] = [
        f"{metric}: the value is {text}, which is not a finite number"
        if text and value is None and not why
        else why
        for metric, text, value, why in zip(
            table["metric"], texts, values, table["censored"], strict=True
        )
    ]
    table["value"] = [math.nan if value is None else value for value in values]
    return table, torn


def _rounds(path: Path) -> tuple[dict[str, list[Any]], str]:
    heading, rows, torn = read_rows(path)
    table = _by_name(_require(path, heading, ROUND_COLUMNS), rows)
    table["round"] = _numbers(path, "round", table["round"], _counting)
    for column in ("seconds", "steal_share", "others_share"):
        table[column] = _numbers(path, column, table[column], _finite)
    return table, torn


def _require(path: Path, heading: Sequence[str], columns: tuple[str, ...]) -> Sequence[str]:
    """Return the heading. Raise InvalidRun if it lacks one of the columns."""
    if missing := [column for column in columns if column not in heading]:
        raise InvalidRun(f"{path} is corrupt: no column {', '.join(missing)}.")
    return heading


def _by_name(columns: Sequence[str], rows: list[list[str]]) -> dict[str, list[Any]]:
    """Return the columns of a table by name."""
    values = map(list, zip(*rows, strict=True)) if rows else ([] for _ in columns)
    return dict(zip(columns, values, strict=True))


def _frame(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    """Return a frame; texts are objects, and numbers what pandas takes them for."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=object if _is_text(values) else None)
            for name, values in columns.items()
        }
    )


def _is_text(values: list[Any]) -> bool:
    return not values or isinstance(values[0], str)


def _numbers(path: Path, name: str, texts: list[str], number: Callable[[str], T]) -> list[T]:
    """Return a column's numbers; equal texts are read once.

    Raise InvalidRun for a field that is not a number.
    """
    known: dict[str, T] = {}
    for text in dict.fromkeys(texts):
        try:
            known[text] = number(text)
        except ValueError as error:
            raise InvalidRun(f"{path} is corrupt: {name} is {text!r}: {error}.") from error
    return [known[text] for text in texts]


def _counting(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise ValueError("not an integer from 0 on")
    return int(text)


def _finite(text: str) -> float:
    number = _finite_or_none(text)
    if number is None:
        raise ValueError("not a number")
    return number


def _finite_or_none(text: str) -> float | None:
    """Return the number; None for an empty field and for a number that is not finite."""
    try:
        number = float(text) if text else math.nan
    except ValueError:
        raise ValueError("not a number") from None
    return number if math.isfinite(number) else None


def new_folder(parent: Path, hostname: str) -> Path:
    """Return the path of a run folder that does not exist yet: parent/<date>-<host>[-N]."""
    stem = f"{datetime.date.today().isoformat()}-{hostname}"
    path, n = parent / stem, 1
    while path.exists():
        n += 1
        path = parent / f"{stem}-{n}"
    return path

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
import json
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pyperf

from lab import disturbance
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from lab.disturbance import Conditions

Unit = str  # second, byte, integer, ratio, or a rate as a tool has it
_PYPERF_UNITS = frozenset({"second", "byte", "integer"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value, or the reason why there is none.

    `value` is in `unit`; None means censored, and `censored` then says why (a start that hung, a
    workload that failed). `position` counts within a round: the instance number in a density run.
    `note` says what else must be known of the value, such as the limit that ended a density run.
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
                _write_json(path / "host.json", host)
            _write_json(path / "run.json", settings)
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
            _write_json(self.path / "run.json", {**self._settings, **ended})
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
        # pyperf wants a number above zero, and one name a benchmark; zeros stay in the CSV alone.
        benchmarks = self._suites.setdefault(sample.experiment, {})
        name = f"{sample.target}/{sample.metric}"
        metadata = {
            "name": name,
            "unit": sample.unit,
            "target": sample.target,
            "metric": sample.metric,
            "round": sample.round,
            **self._metadata,
        }
        value = sample.value if sample.unit == "second" else round(sample.value or 0)
        if not value:
            return
        run = pyperf.Run([value], metadata=metadata, collect_metadata=False)
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
    return sample.unit in _PYPERF_UNITS and (sample.value or 0) > 0


def _rows_of(
    path: Path, columns: tuple[str, ...], wanted: Collection[tuple[str, str]]
) -> list[list[str]]:
    """Return the whole rows of these experiments and rounds."""
    experiment, number = columns.index("experiment"), columns.index("round")
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row
            for row in csv.reader(file)
            if len(row) == len(columns) and (row[experiment], row[number]) in wanted
        ]


def _row(finished: Round) -> tuple[object, ...]:
    head = (finished.experiment, finished.number, finished.began, " ".join(finished.order))
    return *head, *astuple(finished.conditions)


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was read: host and settings as written, samples as a frame of COLUMNS.

    It is read only, and equal to itself alone: what was worked out of it can be kept.

    `rounds` is a frame of ROUND_COLUMNS, empty if the run did not record its rounds.
    """

    path: Path
    host: dict[str, Any]
    settings: dict[str, Any]
    samples: pd.DataFrame
    rounds: pd.DataFrame


def load(path: Path) -> Run:
    """Read a run folder.

    Raises LabError if it is none, or is corrupt: which file, and what is wrong with it.
    """
    import pandas as pd

    if not path.is_dir():
        raise LabError(f"{path} is not a run folder: no such directory.")
    host, settings = _read_json(path / "host.json"), _read_json(path / "run.json")
    samples = _read_table(path / "measurements.csv", COLUMNS, ("value", "round", "position"))
    kept = path / "rounds.csv"
    rounds = (
        _read_table(kept, ROUND_COLUMNS, ("round", "seconds", "steal_share", "others_share"))
        if kept.exists()
        else pd.DataFrame(columns=list(ROUND_COLUMNS))
    )
    return Run(path, host, settings, samples, rounds)


def _read_table(path: Path, columns: tuple[str, ...], numeric: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]})
    except (OSError, ValueError) as error:
        raise LabError(f"{path} can't be read: {error}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise LabError(f"{path} is corrupt: no column {', '.join(missing)}.")
    for column in numeric:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if (numbers.isna() & table[column].notna()).any():
            raise LabError(f"{path} is corrupt: a {column} is not a number.")
        table[column] = numbers
    return table


def new_folder(parent: Path, hostname: str) -> Path:
    """The path of a run folder that does not exist yet: parent/<date>-<host>[-N]."""
    stem = f"{datetime.date.today().isoformat()}-{hostname}"
    path, n = parent / stem, 1
    while path.exists():
        n += 1
        path = parent / f"{stem}-{n}"
    return path


def _write_json(path: Path, document: dict[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.new")
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        aside.write_text(text + "\n", encoding="utf-8")
        aside.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"{path.parent} is not a run folder: it has no {path.name}.") from error
    except (OSError, ValueError) as error:
        raise LabError(f"{path} is corrupt: {error}.") from error
    if not isinstance(document, dict):
        raise LabError(f"{path} is corrupt: it holds no JSON object.")
    return document

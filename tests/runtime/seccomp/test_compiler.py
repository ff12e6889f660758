"""Seccomp sections: the compiled programs are run, and their results compared."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from runtime import ContainerError
from runtime.linux import libseccomp
from runtime.seccomp import cache, compiler
from runtime.seccomp.filter import Filter
from tests.runtime.seccomp import bpf
from tests.runtime.seccomp.sections import section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


NATIVE = libseccomp.native_architecture()
X86_64, X86, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
KILL_PROCESS, KILL_THREAD, TRAP = 0x80000000, 0, 0x30000
ERRNO, NOTIFY, TRACE, LOG, ALLOW = 0x50000, 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000
EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS

on_x86_64 = pytest.mark.skipif(NATIVE != X86_64, reason="uses the system calls of x86-64")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test empty caches of its own, in this process and in files."""
    place = tmp_path / "filters"
    monkeypatch.setattr(cache, "_compiled", {})
    monkeypatch.setattr(cache, "directory", lambda: str(place))
    return place


def compiled(**fields: Any) -> Filter:
    fields.setdefault("defaultAction", "SCMP_ACT_ALLOW")
    return cache.compile(section(fields))


def answer(compiled: Filter, name: str, *arguments: int) -> int:
    number = libseccomp.number(name)
    assert number is not None
    return bpf.run(compiled.program, NATIVE, number, *arguments)


def rule(*names: str, action: str = "SCMP_ACT_ERRNO", **fields: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **fields}


def arg(index: int, op: str, value: int, value_two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


@pytest.mark.parametrize(
    ("action", "returned"),
    [
        ("KILL", KILL_THREAD),
        ("KILL_THREAD", KILL_THREAD),
        ("KILL_PROCESS", KILL_PROCESS),
        ("TRAP", TRAP),
        ("ERRNO", EPERM),
        ("TRACE", TRACE | errno.EPERM),
        ("LOG", LOG),
        ("NOTIFY", NOTIFY),
    ],
)
def test_each_action_is_what_the_filter_returns(action: str, returned: int) -> None:
    filter_ = compiled(
        syscalls=[rule("mkdir", "mkdirat", action=f"SCMP_ACT_{action}")], listenerPath="/run/l"
    )
    assert answer(filter_, "mkdirat") == returned
    assert answer(filter_, "unlinkat") == ALLOW
    assert filter_.listener is (action == "NOTIFY")


def test_the_errno_is_the_one_that_is_named() -> None:
    filter_ = compiled(
        defaultAction="SCMP_ACT_ERRNO",
        defaultErrnoRet=errno.EACCES,
        syscalls=[
            rule("mkdirat", errnoRet=errno.EXDEV),
            rule("openat", action="SCMP_ACT_TRACE", errnoRet=7),
            rule("openat2", action="SCMP_ACT_ALLOW"),
        ],
    )
    assert answer(filter_, "mkdirat") == ERRNO | errno.EXDEV
    assert answer(filter_, "openat") == TRACE | 7
    assert answer(filter_, "unlinkat") == ERRNO | errno.EACCES


@pytest.mark.parametrize(
    ("op", "value", "value_two", "hit", "missed"),
    [
        ("EQ", 5, 0, [5], [4, 6, 5 + (1 << 32)]),
        ("NE", 5, 0, [4, 6, 5 + (1 << 32)], [5]),
        ("LT", 5, 0, [0, 4], [5, 6, 1 << 32]),
        ("LE", 5, 0, [0, 5], [6, 1 << 40]),
        ("GE", 5, 0, [5, 6, 1 << 32], [4, 0]),
        ("GT", 1 << 33, 0, [(1 << 33) + 1, 1 << 63], [1 << 33, 0xFFFFFFFF]),
        ("MASKED_EQ", 0xF0, 0x30, [0x30, 0x3F, 0x130], [0x20, 0]),
    ],
)
def test_each_operator_compares_all_64_bits(
    op: str, value: int, value_two: int, hit: list[int], missed: list[int]
) -> None:
    filter_ = compiled(syscalls=[rule("dup3", args=[arg(1, op, value, value_two)])])
    for argument in hit:
        assert answer(filter_, "dup3", 0, argument) == EPERM, argument
    for argument in missed:
        assert answer(filter_, "dup3", 0, argument) == ALLOW, argument


def test_different_arguments_must_all_match() -> None:
    filter_ = compiled(syscalls=[rule("dup3", args=[arg(0, "EQ", 1), arg(1, "EQ", 2)])])
    assert answer(filter_, "dup3", 1, 2) == EPERM
    assert answer(filter_, "dup3", 1, 3) == ALLOW
    assert answer(filter_, "dup3", 3, 2) == ALLOW


def test_the_same_argument_twice_is_either() -> None:
    filter_ = compiled(
        syscalls=[rule("dup3", args=[arg(0, "EQ", 1), arg(0, "EQ", 2), arg(1, "EQ", 9)])]
    )
    assert answer(filter_, "dup3", 1, 0) == EPERM
    assert answer(filter_, "dup3", 2, 0) == EPERM
    assert answer(filter_, "dup3", 3, 9) == EPERM
    assert answer(filter_, "dup3", 3, 0) == ALLOW


@on_x86_64
def test_other_architectures_are_killed_unless_they_are_named() -> None:
    rules = [rule("mkdir", "mkdirat")]
    alone = compiled(syscalls=rules)
    both = compiled(syscalls=rules, architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
    x86_mkdir, x86_getpid = 39, 20
    assert bpf.run(alone.program, X86, x86_getpid) == KILL_THREAD
    assert bpf.run(both.program, X86, x86_getpid) == ALLOW
    assert bpf.run(both.program, X86, x86_mkdir) == EPERM
    assert bpf.run(both.program, AARCH64, 0) == KILL_THREAD
    assert answer(both, "mkdir") == EPERM


@on_x86_64
def test_a_call_that_is_newer_than_the_section_is_not_there() -> None:
    rules = [rule("read", "openat2", action="SCMP_ACT_ALLOW"), rule("mkdir", errnoRet=errno.EACCES)]
    archs = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    filter_ = compiled(defaultAction="SCMP_ACT_ERRNO", architectures=archs, syscalls=rules)
    openat2, x32 = 437, 0x40000000
    for architecture, base in ((X86_64, 0), (X86, 0), (X86_64, x32)):
        assert bpf.run(filter_.program, architecture, base + openat2) == ALLOW
        assert bpf.run(filter_.program, architecture, base + openat2 + 1) == ENOSYS
        assert bpf.run(filter_.program, architecture, base + openat2 - 1) == EPERM
    assert answer(filter_, "read") == ALLOW
    assert bpf.run(filter_.program, AARCH64, openat2 + 1) == KILL_THREAD


@on_x86_64
@pytest.mark.parametrize(
    ("default", "fields", "returned"),
    [
        ("KILL_PROCESS", {}, ENOSYS),
        ("TRAP", {}, ENOSYS),
        ("LOG", {}, LOG),
        ("TRACE", {}, TRACE | errno.EPERM),
        ("ERRNO", {"defaultErrnoRet": errno.ENOSYS}, ENOSYS),
    ],
)
def test_what_allows_by_default_allows_newer_calls(
    default: str, fields: dict[str, int], returned: int
) -> None:
    filter_ = compiled(
        defaultAction=f"SCMP_ACT_{default}",
        syscalls=[rule("read", action="SCMP_ACT_ALLOW")],
        **fields,
    )
    assert bpf.run(filter_.program, X86_64, 460) == returned


FLAG = "SECCOMP_FILTER_FLAG_"


@pytest.mark.parametrize(
    ("flags", "notify", "value"),
    [
        (None, False, 4),
        ([], False, 0),
        (["TSYNC"], False, 1),
        (["LOG"], False, 2),
        (["SPEC_ALLOW"], False, 4),
        (["TSYNC", "LOG", "SPEC_ALLOW"], False, 7),
        (["WAIT_KILLABLE_RECV"], False, 0),
        (["WAIT_KILLABLE_RECV"], True, 32 | 8),
        (["TSYNC"], True, 1 | 8 | 16),
        (None, True, 4 | 8),
    ],
)
def test_flags_are_those_of_the_call(flags: list[str] | None, notify: bool, value: int) -> None:
    fields: dict[str, Any] = {} if flags is None else {"flags": [FLAG + flag for flag in flags]}
    if notify:
        fields |= {"listenerPath": "/run/l", "syscalls": [rule("mkdirat", action=NOTIFIED)]}
    assert compiled(**fields).flags == value


NOTIFIED = "SCMP_ACT_NOTIFY"
REFUSED = [
    ({"defaultAction": "ALLOW"}, r"defaultAction: there is no action 'ALLOW'"),
    ({"defaultErrnoRet": 1}, r"defaultErrnoRet is 1, but SCMP_ACT_ALLOW returns no errno"),
    ({"syscalls": [rule("read", action="X")]}, r"syscalls\.0\.action: there is no action 'X'"),
    (
        {"syscalls": [rule("read"), rule("read", action="SCMP_ACT_KILL", errnoRet=3)]},
        r"syscalls\.1\.errnoRet is 3, but SCMP_ACT_KILL returns no errno",
    ),
    ({"syscalls": [rule("read", errnoRet=70000)]}, r"syscalls\.0\.errnoRet is 70000: the maximum"),
    ({"syscalls": [rule()]}, r"syscalls\.0\.names is empty"),
    (
        {"syscalls": [rule("read", args=[arg(0, "LIKE", 1)])]},
        r"syscalls\.0\.args\.0\.op: there is no operator 'SCMP_CMP_LIKE'",
    ),
    ({"syscalls": [rule("read", args=[arg(6, "EQ", 1)])]}, r"args\.0\.index is 6: .* 6 arguments"),
    ({"architectures": ["X86"]}, r"architectures: there is no architecture 'X86'"),
    ({"flags": ["LOG"]}, r"flags: there is no flag 'LOG'"),
    ({"defaultAction": NOTIFIED}, r"defaultAction can't be SCMP_ACT_NOTIFY"),
    (
        {"listenerPath": "/l", "syscalls": [rule("write", action=NOTIFIED)]},
        r"the action of write can't be SCMP_ACT_NOTIFY",
    ),
    ({"syscalls": [rule("mkdirat", action=NOTIFIED)]}, r"listenerPath is ''"),
    (
        {"listenerPath": "l", "syscalls": [rule("mkdirat", action=NOTIFIED)]},
        r"listenerPath is 'l': .* absolute",
    ),
    ({"listenerMetadata": "m"}, r"listenerMetadata is set, but not listenerPath"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_field(
    fields: dict[str, Any], sentence: str
) -> None:
    for _ in range(2):  # refused sections are not cached
        with pytest.raises(ContainerError, match=rf"linux\.seccomp.*{sentence}"):
            compiled(**fields)


@on_x86_64
def test_an_architecture_of_the_other_byte_order_is_refused() -> None:
    with pytest.raises(
        ContainerError, match=r"architectures: libseccomp can't add SCMP_ARCH_S390X"
    ):
        compiled(architectures=["SCMP_ARCH_S390X"])


@pytest.mark.parametrize("name", compiler.ARCHITECTURES)
def test_each_architecture_of_the_specification_is_known_or_named(name: str) -> None:
    try:
        filter_ = compiled(architectures=[name], syscalls=[rule("mkdirat")])
    except ContainerError as error:
        assert name in str(error)
    else:
        assert answer(filter_, "mkdirat") == EPERM


def test_unknown_calls_are_left_out_and_told_once() -> None:
    warnings: list[str] = []
    requested = section(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [rule("mkdirat", "moonwalk"), rule("moonshine")],
        }
    )
    filter_ = cache.compile(requested, warnings.append)
    assert answer(filter_, "mkdirat") == EPERM
    cache.compile(requested, warnings.append)
    assert len(warnings) == 1
    assert "does not know the system calls moonwalk, moonshine" in warnings[0]


def test_listener_settings_without_a_notified_call_are_ignored() -> None:
    assert not compiled(listenerPath="/nowhere", listenerMetadata="m").listener


# Files of the cache.


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.exists() else []


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue as another process, which can't compile: only a cached filter can be used."""
    monkeypatch.setattr(cache, "_compiled", {})
    monkeypatch.setitem(sys.modules, "runtime.seccomp.compiler", None)


def test_the_second_process_reads_what_the_first_compiled(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compiled(syscalls=[rule("mkdirat")])
    assert directory.stat().st_mode & 0o777 == 0o700
    assert len(files(directory)) == 1
    forget(monkeypatch)
    second = compiled(syscalls=[rule("mkdirat")])
    assert (second.program, second.flags, second.listener) == (first.program, first.flags, False)


@pytest.mark.parametrize(
    "change",
    [
        {"syscalls": [rule("mkdirat", errnoRet=2)]},
        {"syscalls": [rule("mkdirat", "mkdir")]},
        {"syscalls": [rule("mkdirat", args=[arg(0, "EQ", 1)])]},
        {"flags": []},
        {"architectures": ["SCMP_ARCH_X86"]},
        {"defaultAction": "SCMP_ACT_LOG"},
    ],
)
def test_another_section_is_filter_anew(
    change: dict[str, Any], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {"syscalls": [rule("mkdirat")]}
    compiled(**base)
    forget(monkeypatch)
    with pytest.raises(ImportError):
        compiled(**{**base, **change})


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def open_to_others(path: Path) -> None:
    path.parent.chmod(0o755)


def give_away(path: Path) -> None:
    os.chown(path.parent, 12345, -1)


def exchange(path: Path) -> None:
    moved = path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to(moved)


def mix_up(path: Path) -> None:
    other = cache.compile(section({"defaultAction": "SCMP_ACT_LOG"}))
    (theirs,) = set(files(path.parent)) - {path}
    theirs.rename(path)
    assert other.program


@pytest.mark.parametrize("change", [spoil, empty, open_to_others, give_away, exchange, mix_up])
def test_what_cannot_be_trusted_is_not_read(
    change: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change is give_away and os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    compiled(syscalls=[rule("mkdirat")])
    change(files(directory)[0])
    forget(monkeypatch)
    with pytest.raises(ImportError):
        compiled(syscalls=[rule("mkdirat")])


def test_another_library_compiles_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "libseccomp.so.2"
    library.write_bytes(b"old")
    monkeypatch.setattr(libseccomp, "path", lambda: str(library))
    compiled(syscalls=[rule("mkdirat")])
    library.write_bytes(b"newer")
    forget(monkeypatch)
    with pytest.raises(ImportError):
        compiled(syscalls=[rule("mkdirat")])


def test_a_place_that_cannot_be_written_to_is_done_without(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "directory", lambda: "/proc/no-such-place")
    assert answer(compiled(syscalls=[rule("mkdirat")]), "mkdirat") == EPERM
    monkeypatch.setattr(cache, "directory", lambda: "")
    assert answer(compiled(syscalls=[rule("mkdirat")]), "mkdirat") == EPERM


def test_no_more_than_some_are_kept(directory: Path) -> None:
    for code in range(1, 70):
        compiled(syscalls=[rule("mkdirat", errnoRet=code)])
    assert 0 < len(files(directory)) < 64


def test_a_start_that_finds_its_filter_imports_next_to_nothing() -> None:
    # The public names of the package import more.
    code = (
        "import sys\n"
        "package = sys.modules['runtime'] = type(sys)('runtime')\n"
        "package.__path__ = sys.argv[1:]\n"
        "before = set(sys.modules)\n"
        "from runtime.seccomp import cache\n"
        "print(*set(sys.modules) - before)\n"
    )
    package = str(Path(cache.__file__).parents[1])
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, package],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "runtime.seccomp.cache" in imported
    heavy = {"ctypes", "hashlib", "struct", "json", "re", "runtime.linux.libseccomp"}
    assert not heavy & set(imported)


# Random sections: the program does what the section says.

CALLS = ["read", "mkdirat", "dup3", "openat2", "clone", "unlinkat"]
SMALL = st.sampled_from([0, 1, 2, 3, 0xFF, 1 << 32, (1 << 32) + 1, (1 << 64) - 1])
COMPARE: dict[str, Callable[[int, int, int], bool]] = {
    "EQ": lambda a, x, _: a == x,
    "NE": lambda a, x, _: a != x,
    "LT": lambda a, x, _: a < x,
    "LE": lambda a, x, _: a <= x,
    "GE": lambda a, x, _: a >= x,
    "GT": lambda a, x, _: a > x,
    "MASKED_EQ": lambda a, mask, y: a & mask == y,
}


@st.composite
def comparisons(draw: st.DrawFn) -> list[dict[str, Any]]:
    drawn = []
    for index in draw(st.lists(st.integers(0, 3), max_size=3)):
        op = draw(st.sampled_from(sorted(COMPARE)))
        value, other = draw(SMALL), draw(SMALL)
        drawn.append(arg(index, op, value, other & value if op == "MASKED_EQ" else 0))
    return drawn


def matches(args: list[dict[str, Any]], arguments: tuple[int, ...]) -> bool:
    results = [
        COMPARE[each["op"].removeprefix("SCMP_CMP_")](
            arguments[each["index"]], each["value"], each["valueTwo"]
        )
        for each in args
    ]
    indexes = [each["index"] for each in args]
    return all(results) if len(set(indexes)) == len(indexes) else any(results)


# The examples are the same in each run: libseccomp 2.5 compiles some sections with several
# comparisons of values beyond 32 bits wrongly, for every runtime that uses it. (docs/security.md)
@seed(1)
@settings(database=None, deadline=None)
@given(
    rules=st.dictionaries(st.sampled_from(CALLS), st.lists(comparisons(), max_size=2), max_size=5),
    arguments=st.tuples(SMALL, SMALL, SMALL, SMALL),
    padding=st.booleans(),
)
def test_a_program_does_what_its_section_says(
    rules: dict[str, list[list[dict[str, Any]]]], arguments: tuple[int, ...], padding: bool
) -> None:
    """With `padding` there are so many system calls that a tree searches them."""
    syscalls = [rule(name, args=args) for name, several in rules.items() for args in several]
    if padding:
        names = (f"{verb}{noun}" for verb in ("get", "set") for noun in MANY)
        syscalls.append(rule(*names, action="SCMP_ACT_TRAP"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "directory", lambda: "")
        filter_ = compiled(syscalls=syscalls)
    for name in CALLS:
        expected = EPERM if any(matches(args, arguments) for args in rules.get(name, [])) else ALLOW
        assert answer(filter_, name, *arguments) == expected, name


MANY = (
    "uid", "gid", "reuid", "regid", "resuid", "resgid", "groups", "pgid", "sid", "priority",
    "itimer", "rlimit", "timeofday", "xattr", "sockopt", "hostname", "domainname", "pid", "ppid",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _quick_examples() -> Iterator[None]:
    from hypothesis import settings

    settings.register_profile("seccomp", deadline=None, max_examples=60)
    settings.load_profile("seccomp")
    yield
    settings.load_profile("any host")

"""Layers of every shape: whiteouts, replacements, links, attributes, devices, long names, holes."""

from __future__ import annotations

import struct
import tarfile
from dataclasses import dataclass, field

from tests.runtime.images.archive import archive, member

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw=ep
XATTR = "SCHILY.xattr."
LONG = "/".join(["directory" * 5] * 6)
BASE = archive(
    member("usr", "directory", mtime=3),
    member("usr/lib", "directory", mtime=5),
    member("lib", "symlink", linkname="usr/lib", mtime=2),
    member("usr/lib/a", content=b"a", mtime=7),
    member("etc", "directory", mtime=6, uid=3, gid=4, mode=0o750),
    member("etc/x", content=b"x", mtime=8),
    member("etc/y", content=b"y", mtime=9, uid=11, mode=0o600),
    member("etc/sub", "directory", mtime=10),
    member("etc/sub/z", content=b"z", mtime=11),
)

Members = list[tuple[tarfile.TarInfo, bytes]]


@dataclass(frozen=True)
class Shape:
    """The layers above BASE, and the format of their archives."""

    layers: tuple[Members, ...]
    format: int = tarfile.PAX_FORMAT
    below: tuple[bytes, ...] = field(default=(BASE,))

    @property
    def archives(self) -> list[bytes]:
        """The archives of all layers, the base first."""
        return [*self.below, *(archive(*each, format=self.format) for each in self.layers)]


def shape(*layers: Members, format: int = tarfile.PAX_FORMAT) -> Shape:  # noqa: A002
    """Return a shape of some layers above BASE."""
    return Shape(layers, format)


def with_records(name: str, kind: str = "file", content: bytes = b"", **fields: object) -> Members:
    """Return a member with PAX records; `records` is their dictionary."""
    records = fields.pop("records")
    assert isinstance(records, dict)
    return [member(name, kind, content, pax_headers=records, **fields)]


SHAPES = {
    "a base": Shape(()),
    "a whiteout": shape([member("etc/.wh.x")]),
    "a whiteout of a directory": shape([member("etc/.wh.sub")]),
    "a whiteout of nothing": shape([member("etc/.wh.nothing")]),
    "a whiteout, then a file": shape(
        [member("etc/.wh.x"), member("etc/x", content=b"2", mtime=20)]
    ),
    "a file, then a whiteout": shape(
        [member("etc/x", content=b"2", mtime=20), member("etc/.wh.x")]
    ),
    "a whiteout, then a directory": shape(
        [member(".wh.etc"), member("etc", "directory", mtime=20), member("etc/new", mtime=21)]
    ),
    "a child under a whited-out directory": shape([member("etc/new", mtime=20), member(".wh.etc")]),
    "a whiteout, and the file again above": shape(
        [member("etc/.wh.sub")],
        [member("etc/sub", "directory", mtime=20), member("etc/sub/new", mtime=21)],
    ),
    "opaque": shape(
        [
            member("etc", "directory", mtime=20),
            member("etc/.wh..wh..opq"),
            member("etc/n", mtime=21),
        ]
    ),
    "opaque at the end": shape(
        [
            member("etc", "directory", mtime=20),
            member("etc/n", mtime=21),
            member("etc/.wh..wh..opq"),
        ]
    ),
    "opaque, and merged above": shape(
        [
            member("etc", "directory", mtime=20),
            member("etc/.wh..wh..opq"),
            member("etc/n", mtime=21),
        ],
        [member("etc", "directory", mtime=30), member("etc/m", mtime=31)],
    ),
    "opaque in the root": shape(
        [member("f", mtime=20), member(".wh..wh..opq"), member("usr/new", mtime=21)]
    ),
    "a file for a directory": shape([member("etc", content=b"f", mtime=20)]),
    "whiteouts below files": shape(
        [
            member("etc", content=b"f", mtime=20),
            member("etc/.wh.x"),
            member("etc/sub/.wh..wh..opq"),
            member("usr/lib/a/.wh.b"),
        ]
    ),
    "a directory for a file": shape(
        [member("etc/x", "directory", mtime=20), member("etc/x/f", mtime=21)]
    ),
    "a link for a directory": shape([member("etc", "symlink", linkname="usr", mtime=20)]),
    "a directory for a link": shape(
        [member("lib", "directory", mtime=20), member("lib/b", mtime=21)]
    ),
    "an opaque directory for a link": shape(
        [
            member("lib", "directory", mtime=20),
            member("lib/.wh..wh..opq"),
            member("lib/new", mtime=21),
        ]
    ),
    "through a link": shape([member("lib/b", content=b"b", mtime=20)]),
    "through an absolute link": shape(
        [member("out", "symlink", linkname="/etc", mtime=20), member("out/n", mtime=21)]
    ),
    "through a link that climbs": shape(
        [member("up", "symlink", linkname="../../../etc", mtime=20), member("up/n", mtime=21)]
    ),
    "an absolute name": shape([member("/etc/n", content=b"n", mtime=20)]),
    "names with dots": shape([member("./etc/./n", content=b"n", mtime=20)]),
    "a name that is written twice": shape(
        [member("f", content=b"1", mtime=20), member("f", content=b"22", mtime=21, mode=0o600)]
    ),
    "hard links": shape(
        [
            member("f", content=b"f", mtime=20, uid=5),
            member("g", "hardlink", linkname="f"),
            member("etc/h", "hardlink", linkname="/g"),
        ]
    ),
    "a hard link to a lower layer": shape([member("h", "hardlink", linkname="etc/x")]),
    "a hard link to a link": shape(
        [member("l", "symlink", linkname="etc/x", mtime=20), member("m", "hardlink", linkname="l")]
    ),
    "attributes": shape(
        with_records("f", records={f"{XATTR}user.a": "b", f"{XATTR}user.empty": ""}, mtime=20)
        + with_records("d", "directory", records={f"{XATTR}user.d": "x"}, mtime=20)
    ),
    "attributes of a lower directory change": shape(
        [member("etc", "directory", mtime=20, uid=7, gid=8, mode=0o1777)]
    ),
    "a capability": shape(
        with_records(
            "ping",
            uid=9,
            mode=0o755,
            mtime=20,
            records={f"{XATTR}security.capability": CAPABILITY.decode("latin-1")},
        )
    ),
    "setuid": shape(
        [
            member("su", mode=0o4755, uid=7, gid=8, mtime=20),
            member("sg", mode=0o2711, gid=9, mtime=20),
            member("d", "directory", mode=0o3777, gid=9, mtime=20),
        ]
    ),
    "devices": shape(
        [
            member("null", "character", devmajor=1, devminor=3, mode=0o666, mtime=20),
            member("disk", "block", devmajor=8, devminor=17, uid=3, gid=6, mode=0o660, mtime=20),
            member("pipe", "fifo", mode=0o640, uid=4, mtime=20),
        ]
    ),
    "long names by PAX": shape(
        [member(LONG, content=b"long", mtime=20), member("l", "symlink", linkname=LONG, mtime=20)]
    ),
    "long names by GNU tar": shape(
        [member(LONG, content=b"long", mtime=20), member("l", "symlink", linkname=LONG, mtime=20)],
        format=tarfile.GNU_FORMAT,
    ),
    "names that are not ASCII": shape([member("ä/ö €", content=b"u", mtime=20)]),
    "ustar": shape(
        [member("d/e/f", content=b"f", mtime=20, uid=1000, gid=100)], format=tarfile.USTAR_FORMAT
    ),
    "large ids": shape([member("f", uid=3_000_000_000, gid=4_000_000_000, mtime=20)]),
    "times with fractions": shape(with_records("f", records={"mtime": "20.123456789"})),
    "times before 1970": shape(with_records("f", records={"mtime": "-20.5"})),
    "a sparse file": shape(
        with_records(
            "s",
            content=b"abc",
            mtime=20,
            records={
                "GNU.sparse.numblocks": "1",
                "GNU.sparse.map": "100000,3",
                "GNU.sparse.size": "300000",
                "GNU.sparse.name": "s",
                "GNU.sparse.major": "0",
                "GNU.sparse.minor": "1",
            },
        )
    ),
    "a parent that is missing": shape([member("a/b/c", content=b"c", mtime=20)]),
    "a parent that comes after its content": shape(
        [member("d/f", mtime=20), member("d", "directory", mtime=21, mode=0o700)]
    ),
    "a file of aufs": shape([member("etc/.wh..wh.plnk", "directory", mtime=20)]),
    "the root": shape([member("./", "directory", mtime=20, mode=0o700, uid=2)]),
    "the root below": shape(
        with_records(
            "./",
            "directory",
            records={f"{XATTR}user.root": "r"},
            mtime=20,
            mode=0o750,
            uid=2,
            gid=3,
        ),
        [member("f", mtime=21)],
    ),
    "an empty layer": shape([]),
}

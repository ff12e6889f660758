"""Translation of libvirt's errors: class, advice, and silence on stderr."""

from __future__ import annotations

import libvirt
import pytest

from vms import (
    Connection,
    InUse,
    MachineError,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from vms.libvirt_errors import translate_errors, translated


def error(message: str, code: int = libvirt.VIR_ERR_INTERNAL_ERROR) -> libvirt.libvirtError:
    raised = libvirt.libvirtError("x")
    raised.err = (code, 0, message, 0, "", None, None, -1, -1)
    return raised


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (
            error(
                "internal error: process exited while connecting to monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: cannot set up guest memory 'pc.ram':"
                " Cannot allocate memory"
            ),
            Unavailable,
            "No box: cannot set up guest memory 'pc.ram': Cannot allocate memory: the host has too"
            " little free memory: give the machine less, or stop others.",
        ),
        (
            error(
                "internal error: qemu unexpectedly closed the monitor:"
                " 2026-11-24T16:00:00.0Z qemu-system-x86_64: warning: x\n"
                "2026-11-24T16:00:00.1Z qemu-system-x86_64: -device {}: "
                'Failed to get "write" lock'
            ),
            InUse,
            'No box: Failed to get "write" lock: another machine uses that disk image: give each'
            " machine its own clone.",
        ),
        (
            error("Domain not found: no domain with matching name 'x'", libvirt.VIR_ERR_NO_DOMAIN),
            NotFound,
            "No box: Domain not found: no domain with matching name 'x': tonnage vm list shows"
            " the machines.",
        ),
        (
            error("internal error: client socket is closed"),
            Unavailable,
            "the connection to libvirt was lost",
        ),
        (
            error("Failed to connect socket to '/run/x': No such file or directory"),
            Unavailable,
            "no libvirt answers at that address: start its daemon",
        ),
        (
            error("Cannot recv data: user@host: Permission denied (publickey)."),
            PermissionDenied,
            "ssh could not log in to that host",
        ),
        (error("something new"), MachineError, "No box: something new."),
    ],
)  # fmt: skip
def test_an_error_has_a_class_and_advice(
    raised: libvirt.libvirtError, kind: type[MachineError], message: str
) -> None:
    ours = translated("No box", raised)
    assert type(ours) is kind
    assert message in str(ours)
    assert "\n" not in str(ours)


def test_libvirts_errors_are_translated_and_not_printed(
    connection: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(NotFound, match="Can't find x: Domain not found"),
        translate_errors("Can't find x"),
    ):
        connection.handle.lookupByName("x")
    assert capfd.readouterr().err == ""

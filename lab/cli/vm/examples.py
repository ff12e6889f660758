"""Examples for the help of each verb of `tonnage vm`.

Those of a libvirt daemon leave out --connect: $LIBVIRT_DEFAULT_URI stands for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.cli.examples import Example

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "vm build": (("sudo tonnage vm build debian", "an image with the lab's user land"),),
    "vm images": (("tonnage vm images --format csv", "sizes in bytes, for a spreadsheet"),),
    "vm image list": (("tonnage vm image list --format json", "the images, for a script"),),
    "vm image import": (
        ("tonnage vm image import cloud disk.qcow2", "a cloud image from a file"),
        ("tonnage vm image import cloud disk.img --source-format raw", "a raw one"),
    ),
    "vm image remove": (("tonnage vm image remove cloud", "unless a machine uses it"),),
    "vm image resize": (("tonnage vm image resize cloud 20G", "enlarge its disk"),),
    "vm run": (
        ("sudo tonnage vm run debian", "boot it; its console is this terminal"),
        ("sudo tonnage vm run debian --cpus 2 --memory 2G --publish 8080:80", "with a port"),
        ("sudo tonnage vm run debian --machine microvm", "the smallest machine type"),
    ),
    "vm create": (
        ("tonnage vm create debian --name web --connect qemu:///system", "keep it in libvirt"),
        ("tonnage vm create debian --name web --xml", "print its XML, and create nothing"),
    ),
    "vm list": (
        ("tonnage vm list --connect qemu:///system", "the machines of a libvirt daemon"),
        ("tonnage vm list --format csv", "memory in bytes, for a spreadsheet"),
    ),
    "vm start": (("tonnage vm start web db", "boot machines"),),
    "vm destroy": (("tonnage vm destroy web", "stop it at once, as without power"),),
    "vm reboot": (("tonnage vm reboot web", "ask its system to boot again"),),
    "vm reset": (("tonnage vm reset web", "as its reset button does"),),
    "vm suspend": (("tonnage vm suspend web db", "pause machines"),),
    "vm resume": (("tonnage vm resume web db", "let them run on"),),
    "vm shutdown": (
        ("tonnage vm shutdown web", "ask its system to end; stop it if it does not"),
        ("tonnage vm shutdown web --timeout 120 --no-force", "wait longer, and only ask"),
    ),
    "vm save": (("tonnage vm save web web.save", "its memory to a file, then stop it"),),
    "vm restore": (("tonnage vm restore web.save", "let it run on from a file"),),
    "vm rename": (("tonnage vm rename web shop", "a stopped machine"),),
    "vm clone": (("tonnage vm clone web web-2", "with disks of its own"),),
    "vm autostart": (
        ("tonnage vm autostart web", "start it with the host"),
        ("tonnage vm autostart web --disable", "no longer"),
    ),
    "vm migrate": (
        ("tonnage vm migrate web qemu+ssh://other/system", "while it runs"),
        ("tonnage vm migrate web qemu+ssh://other/system --copy-disks", "with its disks"),
    ),
    "vm stats": (
        ("tonnage vm stats", "CPU time, memory and disks of each machine"),
        ("tonnage vm stats --format csv", "all counters, for a spreadsheet"),
    ),
    "vm events": (
        ("tonnage vm events", "what happens, as it happens"),
        ("tonnage vm events --count 1 --format json", "the next event, for a script"),
    ),
    "vm snapshot-create": (
        ("tonnage vm snapshot-create web before", "disks and memory"),
        ("tonnage vm snapshot-create web before --external", "an overlay on each disk"),
    ),
    "vm snapshot-list": (("tonnage vm snapshot-list web", "its snapshots"),),
    "vm snapshot-revert": (("tonnage vm snapshot-revert web before", "back to a snapshot"),),
    "vm snapshot-delete": (("tonnage vm snapshot-delete web before", "remove a snapshot"),),
    "vm dumpxml": (("tonnage vm dumpxml web --inactive", "as it is at its next start"),),
    "vm define": (("tonnage vm define web.xml", "a machine from its XML"),),
    "vm edit": (("tonnage vm edit web", "its XML in your $EDITOR"),),
    "vm attach-disk": (("tonnage vm attach-disk web data.qcow2", "while it runs, too"),),
    "vm detach-disk": (("tonnage vm detach-disk web vdb", "the file stays"),),
    "vm attach-interface": (("tonnage vm attach-interface web", "a further network card"),),
    "vm detach-interface": (
        ("tonnage vm detach-interface web 52:54:00:12:34:56", "the card with that address"),
    ),
    "vm setvcpus": (("tonnage vm setvcpus web 2", "its number of CPUs"),),
    "vm setmem": (("tonnage vm setmem web 1G", "its memory, by the balloon"),),
    "vm attach-memory": (("tonnage vm attach-memory web 1G", "a memory module"),),
    "vm detach-memory": (("tonnage vm detach-memory web dimm0", "a memory module"),),
    "vm blockresize": (("tonnage vm blockresize web vda 20480", "its disk to 20 GiB"),),
    "vm domifaddr": (
        ("tonnage vm domifaddr web", "its addresses"),
        ("tonnage vm domifaddr web --source agent", "as its guest agent tells them"),
    ),
    "vm ssh": (
        ("tonnage vm ssh root@web", "log in"),
        ("tonnage vm ssh root@web -c 'uname -r'", "run a command"),
    ),
    "vm change-media": (
        ("tonnage vm change-media web tools.iso", "insert an ISO"),
        ("tonnage vm change-media web --eject", "empty the drive"),
    ),
    "vm undefine": (
        ("tonnage vm undefine web", "remove it, keep its disks"),
        ("tonnage vm undefine web --remove-all-storage", "with its disks"),
    ),
    "vm console": (("tonnage vm console web", "its serial console"),),
    "vm screenshot": (("tonnage vm screenshot web web.png", "its screen as a picture"),),
    "vm exec": (("tonnage vm exec web -- uname -r", "run a command in it"),),
    "vm cp": (
        ("tonnage vm cp app.conf web:/etc/app.conf", "into the machine"),
        ("tonnage vm cp web:/var/log/app.log .", "out of it"),
    ),
}

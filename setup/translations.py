"""Update the messages of the documentation from its pages, and drop what needs no translation.

    python setup/translations.py build/docs/messages

A catalogue is kept for each page that has a translation or is named in PAGES. Messages that changed
lose their translation: an old one that is shown would be wrong unnoticed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
LOCALE = ROOT / "docs" / "locale"
LANGUAGE = "zh"
# Pages that are to be translated; messages of another page appear after a first translation.
PAGES = ("index", "tutorial")


def tidy(path: Path) -> bool:
    """Rewrite a catalogue without dates and obsolete messages; return False if it is not needed."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=LANGUAGE)
    messages = [message for message in catalogue if message.id]
    for message in messages:
        if message.fuzzy:
            message.flags.discard("fuzzy")
            message.string = ""
    page = path.relative_to(LOCALE / LANGUAGE / "LC_MESSAGES").with_suffix("").as_posix()
    if page not in PAGES and not any(message.string for message in messages):
        return False
    # Of a page whose title alone is translated, for the navigation, only that is kept.
    translated = [message for message in messages if message.string]
    comment = "The translation of a page: `make translations` updates it."
    if page not in PAGES and len(translated) <= 2 and len(messages) > 2:
        comment = "Only the title is translated: `make translations` updates it."
        for message in messages:
            if not message.string:
                catalogue.delete(message.id)
    catalogue.header_comment = f"# {comment}"
    catalogue.fuzzy = False
    with path.open("wb") as file:
        write_po(
            file, catalogue, width=100, no_location=True, ignore_obsolete=True, omit_header=False
        )
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    dated = ('"POT-Creation-Date', '"PO-Revision-Date', '"Last-Translator', '"Language-Team',
             '"Generated-By', '"Project-Id-Version', '"Report-Msgid')  # fmt: skip
    path.write_text("".join(line for line in lines if not line.startswith(dated)), encoding="utf-8")
    return True


def main() -> None:
    """Update the catalogues from the templates in the folder that the command line names."""
    subprocess.run(
        [Path(sys.executable).parent / "sphinx-intl", "update", "--pot-dir", sys.argv[1],
         "--locale-dir", LOCALE, "--language", LANGUAGE, "--line-width", "100"],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    for path in sorted(LOCALE.rglob("*.po")):
        if path.stem == "sphinx":  # words of the theme
            continue
        if not tidy(path):
            path.unlink()
    for folder in sorted(LOCALE.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    main()

"""The documentation as a site: `make docs` builds it in English and Chinese, without a network.

A page is Markdown (MyST). Notebooks are those of `notebooks/`; the reference of the commands is
made from their parsers, the one of the packages from their docstrings.
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(Path(__file__).parent)]

from extensions import notebooks  # noqa: E402
from extensions.chinese_search import register  # noqa: E402

from lab.version import document as version_document  # noqa: E402

project = "tonnage"
release = version = str(version_document()["version"])
author = "The tonnage authors"
project_copyright = "The tonnage authors"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "extensions.command_reference",
    "extensions.docstrings",
    "extensions.language_switch",
    "extensions.notebooks",
    "extensions.package_reference",
    "extensions.project_links",
]
exclude_patterns = [
    "extensions", "locale", "templates", "**/.*", "notebooks/*.toml", "notebooks/README.md",
    *notebooks.paired(PROJECT / "notebooks"),
]  # fmt: skip
templates_path = ["templates"]
nitpicky = True
# Names of the standard library and of private modules: there is no inventory without a network.
nitpick_ignore_regex = [("py:.*", ".*")]

# Languages: one build each, with -D language=zh for the second. Messages are in locale/.
language = "en"
# Absolute: Sphinx looks for the words of its search (sphinx.js) from the working directory.
locale_dirs = [str(Path(__file__).parent / "locale")]
gettext_compact = False
gettext_location = False
register()

# Markdown
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page that is included begins with a deeper heading

# Notebooks: outputs are cached, so a second build executes nothing.
nb_execution_mode = "cache"
nb_execution_cache_path = os.environ.get(
    "TONNAGE_DOCS_CACHE", str(PROJECT / "build" / "docs" / ".notebooks")
)
nb_execution_excludepatterns = notebooks.not_executable(PROJECT / "notebooks")
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # CommonMark, the default, knows no tables

# Docstrings are plain text with names in single backquotes.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True

# HTML
html_theme = "furo"
html_title = "tonnage"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# A copied command has neither its prompt nor its output.
copybutton_prompt_text = r"\$ |# |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

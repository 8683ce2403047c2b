"""Sphinx configuration: ``make docs`` builds these pages into build/docs."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_PROJECT = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]

project = "fastckpt"
author = "The fastckpt authors"
copyright = author
release = version = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"fastckpt {release}"
# Links such as errors.md#closederror, with the anchors that code hosts make.
myst_heading_anchors = 3

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"  # docstrings say it in words
napoleon_google_docstring = False
napoleon_use_ivar = True

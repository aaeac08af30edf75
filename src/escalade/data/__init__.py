"""Data in: reading, recognising columns, splitting, finding duplicates, and rendering records as text."""

from escalade.data.answers import parse_label, parse_output, parse_tags
from escalade.data.columns import Because, Reading, guess
from escalade.data.contamination import Contaminated, contaminated
from escalade.data.duplicates import Duplicates, Overlap, duplicates
from escalade.data.general import documentation, general_text
from escalade.data.language import Language, dominant_script, guess_language
from escalade.data.lengths import rough_tokens
from escalade.data.prepare import Prepared, prepare, read_texts, sources_of
from escalade.data.read import read, source_digest
from escalade.data.refused import RefusedRow
from escalade.data.running import documents, is_running
from escalade.data.split import Placed, assign
from escalade.data.store import load, save
from escalade.data.table import SourceRow, Table
from escalade.data.templates import Template, render_input, render_output, render_prompt, template_for

__all__ = [
    "Because",
    "Contaminated",
    "Duplicates",
    "Language",
    "Overlap",
    "Placed",
    "Prepared",
    "Reading",
    "RefusedRow",
    "SourceRow",
    "Table",
    "Template",
    "assign",
    "documentation",
    "documents",
    "dominant_script",
    "contaminated",
    "duplicates",
    "general_text",
    "guess",
    "guess_language",
    "is_running",
    "load",
    "parse_label",
    "parse_output",
    "parse_tags",
    "prepare",
    "read",
    "read_texts",
    "render_input",
    "render_output",
    "render_prompt",
    "rough_tokens",
    "save",
    "source_digest",
    "sources_of",
    "template_for",
]

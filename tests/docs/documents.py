"""The documents as the tests read them: their code, links and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """Without fenced code."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        return [body for _, named, body in _FENCE.findall(self.text) if named == language]

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def code(self) -> Iterator[str]:
        """Inline code, line breaks within it joined, and the lines of shell blocks."""
        yield from _CODE.findall(re.sub(r"(?<=\S)\n(?=\S)", " ", self.prose))
        for block in self.blocks("sh"):
            yield from block.replace("\\\n", " ").splitlines()

    @property
    def anchors(self) -> set[str]:
        """As the usual renderers make them from headings."""
        plain = [
            re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(self.prose)
        ]
        return {heading.replace(" ", "-") for heading in plain}

    def rows(self, first_column: str) -> list[list[str]]:
        """The rows of the table whose first column has this title."""
        lines = self.text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
        rows = []
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        return rows


def documents() -> list[Document]:
    return [Document(ROOT / "README.md"), *map(Document, sorted((ROOT / "docs").rglob("*.md")))]


def document(name: str) -> Document:
    return Document(ROOT / name)

"""What the pages say there is, is what there is: routes, settings, commands."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from pydantic import BaseModel

from perfsvc.api import build
from perfsvc.cli import app
from perfsvc.settings import MetricRule, Settings
from perfsvc.store import Store

DOCS = Path(__file__).parents[2] / "docs"

#: Keys that the page does not have yet. What is added to Settings goes onto the page, not in here.
NOT_TOLD: set[str] = set()

PARTS = {"project", "ingest", "detect", "guards", "environment", "measure", "night", "notify", "dashboard"}


def rows(page: str) -> list[str]:
    """The first cell of each row of the page's tables."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")]


#: Told once for all pages.
PAGING = {"limit", "cursor"}


def test_the_page_of_the_api_lists_its_routes(sqlite_store: Store, tmp_path: Path) -> None:
    described = build(sqlite_store, Settings(home=tmp_path)).openapi()
    written = {
        (method.upper(), _unnamed(path)): {p["name"] for p in told.get("parameters", []) if p["in"] == "query"} - PAGING
        for path, methods in described["paths"].items()
        for method, told in methods.items()
    }
    cells = [cell.strip("`") for cell in rows("api.md") if cell.startswith(("`/", "`POST /"))]
    told = [("GET " + cell if cell.startswith("/") else cell).split(" ", 1) for cell in cells]
    assert {
        (method, _unnamed(path.split("?")[0])): set(re.findall(r"[?&](\w+)=", path)) for method, path in told
    } == written


def _unnamed(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def test_the_page_of_settings_lists_their_keys() -> None:
    known = {
        *(f"PERFSVC_{name.upper()}" for name in Settings.model_fields if name not in PARTS | {"metrics", "folder"}),
        "PERFSVC_SECRETS_DIR",
        *(f"metrics.{key}" for key in MetricRule.model_fields),
        *(f"{part}.{key}" for part in PARTS for key in _section(part).model_fields),
    }
    told: set[str] = set()
    for cell in rows("operating.md"):
        told.update(re.findall(r"`(PERFSVC_\w+)`", cell))
        if found := re.fullmatch(r"`\[+(\w+)\]+ ([\w, ]+)`", cell):
            told.update(f"{found[1]}.{key.strip()}" for key in found[2].split(","))
    assert told - known == set()
    assert known - told <= NOT_TOLD


def _section(part: str) -> type[BaseModel]:
    section = Settings.model_fields[part].annotation
    assert isinstance(section, type)
    assert issubclass(section, BaseModel)
    return section


def test_the_pages_name_only_commands_that_there_are() -> None:
    known = set(getattr(typer.main.get_command(app), "commands"))  # noqa: B009  typer's own group type is private
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]
    for page in pages:
        for command in re.findall(r"(?:`|\$ )perfsvc ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert command in known, f"{page.name} names `perfsvc {command}`"

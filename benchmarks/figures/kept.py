"""Where figures are kept: a file a script in ``results/``, and in ``results/quick/`` what quick runs say, which replaces no full figure."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from figures.figure import AREAS, Figure, Record

RESULTS = Path(__file__).resolve().parents[1] / "results"
GATHERED = "figures.json"
OF_THIS_MACHINE = ("--folder", "--bentoml", "--jobs", "--results")
"""Options that say where or how something is run, and change no figure: not part of its command."""


def folder_of(*, quick: bool) -> Path:
    """Made where it is not there."""
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def raw_file(script: str, *, quick: bool) -> Path:
    """Where ``script`` keeps all that it measured, in a form of its own: beside the figures, and not under version control."""
    folder = folder_of(quick=quick) / "raw"
    folder.mkdir(exist_ok=True)
    return folder / f"{Path(script).stem}.json"


def report(script: str, figures: Iterable[Figure], *, quick: bool, folder: Path | None = None) -> None:
    """Keep a script's figures as measured now, on this machine, by this command: those of the same names are replaced, others stay."""
    file = (folder or folder_of(quick=quick)) / f"{Path(script).stem}.json"
    origin = {"script": f"benchmarks/{Path(script).name}", "command": command_of(sys.argv), "measured": f"{date.today():%Y-%m-%d}"}
    records = {record.figure.name: record for record in _read(file)}
    records |= {each.name: Record(figure=each, machine=this_machine(), quick=quick, **origin) for each in figures}
    write(file, {"figures": [record.as_json() for record in records.values()]})


def command_of(arguments: list[str]) -> str:
    """The command line as anybody would type it in the project's folder: no paths, and of a database only its kind."""
    kept, given = [f"benchmarks/{Path(arguments[0]).name}"], iter(arguments[1:])
    for word in given:
        option, has_value, value = word.partition("=")
        if option in OF_THIS_MACHINE:
            if not has_value:
                next(given, None)
        elif option == "--database-url":
            kept += [option, (value if has_value else next(given, "")).partition(":")[0] + "://..."]
        else:
            kept.append(word)
    return "python " + " ".join(word if word.endswith("://...") else shlex.quote(word) for word in kept)


def this_machine() -> dict[str, Any]:
    """Model of the processor, cores and memory; nothing that tells whose it is."""
    info = Path("/proc/cpuinfo")
    models = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(), "memory_gb": round(memory)}


def gather(folder: Path) -> list[Record]:
    """The figures of all scripts in that folder, by area; files of other forms are none of ours."""
    records = [record for file in sorted(folder.glob("*.json")) for record in _read(file)]
    place = {area: number for number, area in enumerate(AREAS)}
    return sorted(records, key=lambda record: (place.get(record.figure.area, len(AREAS)), record.figure.area))


def gathered(folder: Path) -> list[Record]:
    """What was last gathered there."""
    return [Record.of_json(told) for told in json.loads((folder / GATHERED).read_text(encoding="utf-8"))]


def write(file: Path, told: object) -> None:
    """JSON that shows a change of one figure as a change of one line."""
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(file: Path) -> list[Record]:
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return [Record.of_json(each) for each in told["figures"]] if isinstance(told, dict) and "figures" in told else []

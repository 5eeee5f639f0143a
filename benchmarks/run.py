"""Run every benchmark, one after the other, and write what they found as one table and one page of pictures.

    python benchmarks/run.py [--quick] [--only NAME] [--write]

Every script of this folder runs as a process of its own; one that fails, or whose real data or peers are not at hand, does not keep the
others from running, and is named at the end of the table. All of them take hours; ``--quick`` takes small companies and writes into
``results/quick/``, so that it never replaces a full figure. ``--only`` names scripts (may be repeated; the figures of others stay);
``--write`` runs none and writes table and pictures anew. Exit code 1 if a script failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from figures.kept import GATHERED, RESULTS, folder_of, gather, write
from figures.picture import svg
from figures.table import Run, markdown

HERE = Path(__file__).resolve().parent
RUNS = "runs.json"
LEFT_OUT = ("skipped:", " is missing", "left out,", " has no environment", " cannot be imported")
"""How scripts say that something was not at hand."""


def scripts() -> list[Path]:
    """Every file of this folder that can be run, but this one."""
    files = sorted(HERE.glob("*.py"))
    return [file for file in files if file != Path(__file__).resolve() and 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")]


def run(script: Path, *, quick: bool) -> Run:
    """One script, what it prints shown as it comes."""
    started = time.monotonic()
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    environment = {"COLUMNS": "180"} | os.environ | {"PYTHONUNBUFFERED": "1"}
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.strip():
                said.append(line.strip())
    seconds = time.monotonic() - started
    if process.returncode:
        return Run(
            script.name, "failed", seconds, f"exit code {process.returncode}: {without_paths(said[-1] if said else 'it said nothing')}"
        )
    missing = [" ".join(without_paths(line).replace("│", " ").split()) for line in said if any(mark in line for mark in LEFT_OUT)]
    return Run(script.name, "left out" if missing else "done", seconds, "; ".join(dict.fromkeys(missing)))


def without_paths(text: str) -> str:
    """Folders of this machine are nobody's business, and differ on the next one."""
    places = {os.environ.get("PREDICTKPI_REAL_DATA"): "$PREDICTKPI_REAL_DATA", str(HERE.parent): ".", tempfile.gettempdir(): "(temporary)"}
    places |= {str(Path.home()): "~"}
    for place, name in places.items():
        text = text.replace(place, name) if place and place != "/" else text
    return text


def publish(folder: Path, runs: list[Run]) -> int:
    """The gathered figures, what became of every script, the table and the pictures, written; how many figures."""
    records = gather(folder)
    write(folder / RUNS, [asdict(each) for each in runs])
    write(folder / GATHERED, [record.as_json() for record in records])
    above = "../README.md" if folder == RESULTS else "../../README.md"
    (folder / "README.md").write_text(markdown(records, runs, above=above), encoding="utf-8")
    (folder / "figures.svg").write_text(svg(records), encoding="utf-8")
    return len(records)


def last_runs(folder: Path) -> list[Run]:
    """What became of every script when it was run last."""
    file = folder / RUNS
    return [Run(**each) for each in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="small companies; results/quick/ instead of results/")
    made.add_argument("--only", action="append", metavar="NAME", help="only this script, such as drift (may be repeated)")
    made.add_argument("--write", action="store_true", help="run nothing, write table and pictures anew")
    return made


def chosen(names: list[str] | None) -> list[Path]:
    """The scripts of these names, all without; raises `SystemExit` that names the known ones."""
    by_name = {file.stem: file for file in scripts()}
    wanted = [name.removesuffix(".py") for name in names] if names else list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise SystemExit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


def run_all(files: list[Path], *, quick: bool) -> list[Run]:
    """One after the other, with a line before and after each."""
    found = []
    for number, file in enumerate(files, start=1):
        print(f"[{number}/{len(files)}] {file.name} ...", flush=True)
        found.append(run(file, quick=quick))
        print(f"[{number}/{len(files)}] {file.name}: {found[-1].outcome} after {found[-1].seconds:.0f} s", flush=True)
    return found


def main() -> None:
    options = parser().parse_args()
    folder = folder_of(quick=options.quick)
    ran = [] if options.write else run_all(chosen(options.only), quick=options.quick)
    kept = {each.script: each for each in [*last_runs(folder), *ran]}
    count = publish(folder, list(kept.values()))
    print(f"{count} figures: {(folder / 'README.md').relative_to(RESULTS.parents[1])}, and figures.svg beside it")
    if any(each.outcome == "failed" for each in ran):
        sys.exit(1)


if __name__ == "__main__":
    main()

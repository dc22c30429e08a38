"""Commands for the paper, re-run: list, run, show, and the ledger."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import joblib
from matplotlib.backend_bases import FigureCanvasBase

from dropout_lessons import experiments
from dropout_lessons.experiments.entries import cost, ledger
from dropout_lessons.experiments.experiment import SCALES, Experiment, Result
from dropout_lessons.experiments.page import ledger_page
from dropout_lessons.experiments.records import UNITS, is_recorded, reached
from dropout_lessons.experiments.store import kept, write


def list_all(options: argparse.Namespace) -> int:
    for name in experiments.names():
        experiment = experiments.get(name)
        state = "not recorded"
        if is_recorded(name):
            try:
                state = str(experiments.recorded(name).verdict)
            except ValueError:
                state = "to be run again"  # `show` says why
        print(f"{name:<28} {', '.join(experiment.scales):<30} {state:<16} {experiment.title}")
    return 0


def run(options: argparse.Namespace) -> int:
    if bool(options.names) == options.all:
        raise ValueError("give the names of experiments, or --all; `dropout-lessons experiments list` lists them")
    chosen = [experiments.get(name) for name in options.names or experiments.names()]
    if options.scale not in SCALES:
        raise ValueError(f"--scale must be one of {list(SCALES)}, got {options.scale!r}")
    if options.all:
        chosen = [experiment for experiment in chosen if options.scale in experiment.scales]
    for experiment in chosen:
        experiment.config(options.scale)  # to hear of a scale that one does not have before the others run
    if options.record and options.scale == "lecture":
        raise ValueError("--record takes --scale workstation or paper: the lecture scale is too small to be reported")
    jobs = options.jobs
    if jobs is None:
        jobs = 1 if options.device == "cuda" or options.scheduler else joblib.cpu_count()
    failed = 0
    for experiment in chosen:
        try:
            result = experiments.run(
                experiment,
                options.scale,
                folder=_folder(options),
                jobs=jobs,
                device=options.device,
                scheduler=options.scheduler,
            )
        except experiments.UnitsFailed as error:
            print(f"dropout-lessons: {error}", file=sys.stderr)
            failed = 1
            continue
        except KeyboardInterrupt:
            options.kept = _kept(options, experiment)
            raise
        _report(result)
        if options.record and options.scale == "workstation":
            place = experiments.record(result)
        else:
            place = Path(_folder(options), experiment.name, options.scale)
        print(f"  kept in {os.path.relpath(place)}\n")
    return failed


def _folder(options: argparse.Namespace) -> str | Path:
    """Where finished units are kept: at the paper's scale, with those that the package ships if the run is to be recorded."""
    return UNITS if options.record and options.scale == "paper" else options.folder


def show(options: argparse.Namespace) -> int:
    experiment = experiments.get(options.name)
    if options.figure:
        _check_figure(options.figure)
    result = None
    if options.scale:
        experiment.config(options.scale)  # says which there are
        shipped = reached(experiment, "paper") if options.scale == "paper" else None
        result = shipped or kept(options.folder, experiment, options.scale)
    elif is_recorded(options.name) or options.figure:
        result = experiments.recorded(options.name)  # or says why there is none
    print(f"{experiment.title}\n{experiment.source}\n\n{experiment.claim}\n")
    for number in experiment.reported:
        print(f"  {number.what}: {number.value} ({number.where})")
    if result:
        print()
        _report(result)
    if experiment.remark:
        print(f"\n{experiment.remark}")
    if experiment.not_run:
        print(f"\n{experiment.not_run}")
    print(f"\nCost, in seconds of one core:\n{cost(experiment).to_string(index=False)}")
    if result and options.figure:
        try:
            result.draw().savefig(options.figure, bbox_inches="tight")
        except OSError as error:
            raise ValueError(f"--figure {options.figure} cannot be written: {error.strerror or error}") from error
    return 0


def _check_figure(name: str) -> None:
    kinds = FigureCanvasBase.get_supported_filetypes()
    if Path(name).suffix[1:].lower() not in kinds:
        raise ValueError(f"--figure must be a file that ends in one of .{', .'.join(kinds)}, got {name!r}")


def print_ledger(options: argparse.Namespace) -> int:
    if options.out:
        write(Path(options.out), ledger_page())
    else:
        for (name, source), rows in ledger().groupby(["experiment", "source"], sort=False):
            print(f"{name} ({source})")
            for row in rows.to_dict("records"):
                where = f", {row['scale']} scale, {row['data']}" if row["scale"] else ""
                required = f"; agrees if {row['required']}" if row["required"] else ""
                print(f"  {row['statement']}\n    paper: {row['paper'] or 'no number'}")
                print(f"    here:  {row['ours']}{where}{required}\n    {row['verdict']}")
            print(f"  {rows.note.iloc[0]}\n" if rows.note.iloc[0] else "")
    return 0


def _report(result: Result) -> None:
    print(f"{result.experiment.name}, {result.scale}: {result.verdict}")
    for finding in result.findings:
        primary = " (primary)" if finding.primary else ""
        print(f"  {finding.statement}{primary}\n    {finding.judgement.summary}")
        if finding.evidence.note:
            print(f"    {finding.evidence.note}")
    device = result.provenance["device"]
    print(f"  {result.provenance['seconds']:.0f} seconds {'of one core' if device == 'cpu' else f'on {device}'}")


def _kept(options: argparse.Namespace, experiment: Experiment) -> str:
    folder = Path(_folder(options), experiment.name, options.scale, "units")
    return f"; {len(list(folder.glob('*.json')))} finished units of {experiment.name} are kept in {folder}"

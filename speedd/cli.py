"""The command line. Commands import what they need when they run, so that ``speedd --help`` answers at once."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from speedd import __version__
from speedd.errors import SpeeddError, UsageError

cli = typer.Typer(
    name="speedd",
    help="Turns books dropped into a folder into finished audiobooks, unattended.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE", show_default=False)
]
InboxOption = Annotated[
    Path | None, typer.Option("--inbox", help="Where books are dropped.", metavar="DIR", show_default=False)
]
OutboxOption = Annotated[
    Path | None, typer.Option("--outbox", "-o", help="Where audiobooks go.", metavar="DIR", show_default=False)
]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="Where speedd keeps its state.", metavar="DIR", show_default=False)
]
EngineOption = Annotated[str | None, typer.Option("--engine", "-e", help="What speaks.", show_default=False)]
VoiceOption = Annotated[
    str | None, typer.Option("--voice", "-v", help="The voice; refused if it is not there.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main() -> None:
    """Run the command line; errors raised on purpose become a line on stderr and their exit code."""
    # Mastering has threads of its own; those of BLAS spin beside them and cost a twentieth of its processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        cli(standalone_mode=True)
    except SpeeddError as error:
        typer.echo(f"speedd: {error.message}", err=True)
        if error.hint:
            typer.echo(f"        {error.hint}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone, `speedd plan book | head` say; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"speedd {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Turns books dropped into a folder into finished audiobooks, unattended."""


def _overrides(**sections: dict[str, Any]) -> dict[str, Any]:
    """Keep what the command line set; paths become absolute."""
    kept = {}
    for section, values in sections.items():
        given = {
            key: value.absolute() if isinstance(value, Path) else value
            for key, value in values.items()
            if value is not None
        }
        if given:
            kept[section] = given
    return kept


@cli.command()
def run(
    *,
    config: ConfigOption = None,
    inbox: InboxOption = None,
    outbox: OutboxOption = None,
    state: StateOption = None,
    engine: EngineOption = None,
    voice: VoiceOption = None,
    once: Annotated[bool, typer.Option("--once", help="Take what is in the inbox, then end.")] = False,
) -> None:
    """Watch the inbox and narrate what is dropped, until stopped.

    With --once: exit code 0 if all is published, 1 if something failed or was refused, 75 if something has to wait.
    """
    from speedd.commands.run import run_daemon  # noqa: PLC0415

    overrides = _overrides(
        paths={"inbox": inbox, "outbox": outbox, "state": state}, engine={"name": engine, "voice": voice}
    )
    raise typer.Exit(run_daemon(config, overrides, once=once))


@cli.command()
def narrate(
    book: Annotated[Path, typer.Argument(help="A book, a chunk JSON or a folder.", metavar="BOOK")],
    *,
    outbox: OutboxOption = None,
    engine: EngineOption = None,
    voice: VoiceOption = None,
    chapters: Annotated[
        str | None, typer.Option("--chapters", help="Only these, as in 3 or 1-2.", metavar="N[-M]", show_default=False)
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Narrate one book, or some of its chapters, without a daemon. By default into the current folder."""
    from speedd.commands.book import narrate_one  # noqa: PLC0415

    overrides = _overrides(
        paths={"outbox": outbox or Path.cwd(), "state": state}, engine={"name": engine, "voice": voice}
    )
    raise typer.Exit(narrate_one(book, config, overrides, chapters=chapters))


@cli.command()
def plan(
    book: Annotated[Path, typer.Argument(help="A book, a chunk JSON or a folder.", metavar="BOOK")],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default stdout.", metavar="FILE", show_default=False)
    ] = None,
    engine: EngineOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a book's chunk JSON: to look at, or to edit and drop into the inbox."""
    from speedd.commands.book import plan_book  # noqa: PLC0415

    plan_book(book, out, config, _overrides(engine={"name": engine}))


@cli.command()
def status(*, as_json: JsonOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Show what is at work, what waits and what became of the latest books."""
    from speedd.commands.jobs import gather_status, print_status  # noqa: PLC0415

    found = gather_status(config, _overrides(paths={"state": state}))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_status(found)


@cli.command()
def retry(
    job: Annotated[str, typer.Argument(help="Its id, or the beginning of it (see `speedd status`).", metavar="JOB")],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Put a job that ended back into the queue; what was rendered is kept."""
    from speedd.commands.jobs import retry_job  # noqa: PLC0415

    typer.echo(retry_job(job, config, _overrides(paths={"state": state})))


@cli.command()
def cancel(
    job: Annotated[str, typer.Argument(help="Its id, or the beginning of it (see `speedd status`).", metavar="JOB")],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Stop a job, at work or not."""
    from speedd.commands.jobs import cancel_job  # noqa: PLC0415

    typer.echo(cancel_job(job, config, _overrides(paths={"state": state})))


@cli.command()
def voices(
    *,
    preview: Annotated[
        str | None, typer.Option("--preview", help="Let this voice say a sentence.", metavar="NAME", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The preview's WAV; by default preview-NAME.wav.", metavar="FILE", show_default=False
        ),
    ] = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the voices, and say which samples in the voices folder cannot be used and why; or let one be heard."""
    from speedd.commands.voices import list_voices, preview_voice  # noqa: PLC0415

    overrides = _overrides(engine={"name": engine})
    if preview is not None:
        heard = preview_voice(preview, out, config, overrides)
        if as_json:
            typer.echo(json.dumps({**asdict(heard), "path": str(heard.path)}, indent=2))
            return
        typer.echo(f"{heard.path}  ({heard.voice} of {heard.engine}, {heard.duration_s:.1f} s)")
        if heard.fault:
            typer.echo(f"speedd: a book would turn this down: {heard.fault}", err=True)
        return
    if out is not None:
        raise UsageError("-o names the file of a preview.", hint="Say which voice: --preview NAME.")
    found = list_voices(config, overrides)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for voice in found["voices"]:
        told = f"not usable: {voice['fault']}" if voice["fault"] else voice["origin"]
        typer.echo(f"{voice['name']:20} {voice['engine']:12} {told}")
    if not found["clones_voices"]:
        typer.echo(f"The engine {found['engine']} does not clone voices; samples in {found['folder']} are not used.")


@cli.command()
def check(
    *,
    download: Annotated[
        bool, typer.Option("--download", help="First fetch what the engine needs, which nothing else does.")
    ] = False,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    inbox: InboxOption = None,
    outbox: OutboxOption = None,
    state: StateOption = None,
) -> None:
    """Say whether this machine and its configuration are fit to run."""
    from speedd.commands.machine import check_machine, prepare_engine  # noqa: PLC0415

    overrides = _overrides(paths={"inbox": inbox, "outbox": outbox, "state": state}, engine={"name": engine})
    if download:
        typer.echo(prepare_engine(config, overrides), err=True)
    found = check_machine(config, overrides)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for finding in found["findings"]:
            typer.echo(f"{'ok  ' if finding['ok'] else 'FAIL'}  {finding['what']}: {finding['says']}")
    raise typer.Exit(0 if found["ok"] else 1)


@cli.command()
def bench(
    book: Annotated[
        Path | None, typer.Argument(help="By default a text of our own.", metavar="[BOOK]", show_default=False)
    ] = None,
    *,
    minutes: Annotated[
        float, typer.Option("--minutes", help="About how much audio to make, in whole chapters.", min=0.1)
    ] = 10.0,
    memory: Annotated[
        bool, typer.Option("--memory", help="Narrate the text ten times over too, and compare the memory.")
    ] = False,
    idle: Annotated[
        float, typer.Option("--idle", help="Watch an idle daemon for so long, too.", metavar="SECONDS", min=0.0)
    ] = 0.0,
    engine: EngineOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine narrates, stage by stage, against a naive loop on the same text."""
    from speedd.commands.bench.contest import run_bench  # noqa: PLC0415
    from speedd.commands.bench.report import print_report  # noqa: PLC0415

    def tell(what: str) -> None:
        typer.echo(f"measuring: {what}", err=True)

    report = run_bench(book, config, engine, minutes=minutes, memory=memory, idle_s=idle, tell=tell)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_report(report, typer.echo)

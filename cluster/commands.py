"""Jobs as commands: a module of `jobs` that defines a Job of its own name is one, and its fields are the flags."""

from __future__ import annotations

import importlib
import pkgutil
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
import yaml

import jobs as jobs_package
from jobs.spec import Job, SpecError, nearest

HELP = {"help_option_names": ["-h", "--help"]}
"""Settings of every command: how help is asked for."""


class Lazy(click.Group):
    """A group whose commands are imported when called; `commands_at` maps a name to (`module:command`, help)."""

    def __init__(self, *args: Any, commands_at: Mapping[str, tuple[str, str]], **words: Any) -> None:
        super().__init__(*args, **words)
        self._at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._at:
            raise click.UsageError(f"no command {cmd_name!r}{nearest(cmd_name, list(self._at))}", ctx)
        module, _, name = self._at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._at.items()])


def job_names() -> list[str]:
    """The modules of `jobs` that define a Job of their own name."""
    folder = Path(jobs_package.__path__[0])
    names = [module.name for module in pkgutil.iter_modules([str(folder)]) if not module.ispkg]
    return [name for name in names if f"\nclass {_class_name(name)}(" in (folder / f"{name}.py").read_text()]


def job_class(name: str) -> type[Job]:
    """The job of a name.

    Raises:
        SpecError: if there is none, with the nearest.
    """
    if name not in job_names():
        raise SpecError(f"there is no job {name!r}{nearest(name, job_names())} (jobs: {', '.join(job_names())})")
    found: type[Job] = getattr(importlib.import_module(f"jobs.{name}"), _class_name(name))
    return found


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


class Jobs(click.Group):
    """A command for each job, its flags made from the job's fields; `act` gets (job, options) when one is called.

    `begin` is called before the job's module is imported, where one will be run: not for its help, nor to rehearse it.
    `more` are options of the command itself, beside those that all such commands have.
    """

    def __init__(
        self,
        *args: Any,
        act: Callable[[Job, dict[str, Any]], int],
        begin: Callable[[], None] | None = None,
        more: Sequence[click.Parameter] = (),
        **words: Any,
    ) -> None:
        super().__init__(*args, **words)
        self._act, self._begin, self._own = act, begin, (*_common(), *more)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return job_names()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        only_read = {"--dry-run", *ctx.help_option_names}
        if self._begin is not None and not ctx.resilient_parsing and only_read.isdisjoint(args):
            self._begin()
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        job = job_class(cmd_name)

        def call(spec: str | None, **given: Any) -> int:
            options = {own.name: given.pop(own.name) for own in self._own if own.name}
            flags = {_word(job, name): value for name, value in given.items() if value not in (None, ())}
            return self._act(job.parse({**_from_file(spec, cmd_name, job.specs), **flags}), options)

        return click.Command(
            cmd_name,
            callback=call,
            help=(job.__doc__ or "").split("\n\n")[0],
            params=[click.Argument(["spec"], required=False, metavar="[SPEC.yaml]"), *_options(job), *self._own],
        )


def _common() -> list[click.Parameter]:
    return [
        click.Option(["--dry-run"], is_flag=True, help="print the job and what it would cost, and stop"),
        click.Option(["--format"], type=click.Choice(["text", "json"]), default="text", help="what stdout gets"),
        click.Option(["--tag"], multiple=True, callback=pairs, metavar="NAME=VALUE", help="a tag of the MLflow run"),
    ]


def pairs(_ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`name=value` words as a map."""
    for value in values:
        if not value.partition("=")[0] or "=" not in value:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE", param=parameter)
    return dict(value.split("=", 1) for value in values)


def _options(job: type[Job]) -> list[click.Parameter]:
    """A flag for each field: first those that must be given, last those that only say how the work is spread."""
    from jobs.records import Spread

    def order(word: tuple[str, Any]) -> tuple[bool, bool]:
        return word[0] in Spread.model_fields, not word[1].is_required()

    return [_option(word, info) for word, info in sorted(job.words().items(), key=order)]


def _option(word: str, info: Any) -> click.Option:
    flag, kind = "--" + word.replace("_", "-"), _without_none(info.annotation)
    text = info.description or ""
    if info.is_required():
        text += "  [required]"
    elif info.default not in (None, (), ""):
        text += f"  [default: {info.default}]"
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", word], default=None, help=text)
    if get_origin(kind) is Literal:
        return click.Option([flag, word], type=click.Choice([str(value) for value in get_args(kind)]), help=text)
    if get_origin(kind) is tuple:
        return click.Option([flag, word], multiple=True, callback=_listed, help=text, metavar="A,B,...")
    return click.Option([flag, word], type=kind if kind in (int, float) else str, help=text)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


def _listed(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _word(job: type[Job], name: str) -> str:
    """click lowers names; a field is found again whatever its case."""
    return next(word for word in job.words() if word.lower() == name.lower())


def _from_file(path: str | None, name: str, shipped: str | None) -> dict[str, Any]:
    """The fields in a YAML file, or in one that travels with the package; a `job:` there must be this one."""
    if path is None:
        return {}
    try:
        fields = yaml.safe_load(_spec(path, shipped))
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}{_others(path, shipped)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(fields, dict):
        raise SpecError(f"{path} is not a map of field: value")
    if fields.pop("job", name) != name:
        raise SpecError(f"{path} is a spec of another job than {name}")
    return {str(field).replace("-", "_"): value for field, value in fields.items()}


def _spec(path: str, shipped: str | None) -> str:
    """The text of a file; where there is none of that path, of the package's spec of that name."""
    if not Path(path).exists() and path in _shipped(shipped):
        return _shipped(shipped)[path].read_text()
    return Path(path).read_text()


def _shipped(folder: str | None) -> dict[str, Path]:
    """The specs in a folder of `jobs`, by their names."""
    found = Path(jobs_package.__path__[0], folder).glob("*.yaml") if folder else ()
    return {path.stem: path for path in sorted(found)}


def _others(path: str, shipped: str | None) -> str:
    """What else may be called by name."""
    known = list(_shipped(shipped))
    return f"{nearest(path, known)} (by name there are: {', '.join(known)})" if known else ""


def _begin() -> None:
    from cluster import aside

    aside.prepare()


def _run(job: Job, options: dict[str, Any]) -> int:
    from cluster.running import carry_out

    return carry_out(job, **options)


run = Jobs(
    "run",
    act=_run,
    begin=_begin,
    help="Run a job here: fields as flags, or in a YAML file that flags override.",
    context_settings=HELP,
)

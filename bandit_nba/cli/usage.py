"""How a command that was called wrongly fails: as ever for people, and as a JSON problem where JSON was asked for."""

from typing import Any

from typer.core import TyperGroup

from bandit_nba.cli.failure import WRONG_INPUT, as_dict
from bandit_nba.cli.printing import print_json
from bandit_nba.errors import InputError


class Usage(TyperGroup):
    """All commands. Unknown options, missing arguments and bad values keep their words on stderr and exit code 2."""

    _asks_for_json = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See the whole command line, before any of it is understood."""
        self._asks_for_json = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is named; what is wrong with its options is known here first."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if self._asks_for_json and _is_usage(error) and not _is_a_file(error):
                print_json({"problem": as_dict(_problem(error))})
            raise


def _is_usage(error: Any) -> bool:
    """Whether it is the parser's own: by what these have, since typer moved them between releases."""
    return hasattr(error, "format_message") and getattr(error, "exit_code", None) == WRONG_INPUT


def _is_a_file(error: Any) -> bool:
    """Whether this command's `--json` names a file, and its stdout is for people."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    return any("--json" in p.opts and not getattr(p, "is_flag", False) for p in getattr(command, "params", ()))


def _problem(error: Any) -> InputError:
    near = sorted(getattr(error, "possibilities", None) or ())
    context = getattr(error, "ctx", None)
    command = "nba COMMAND" if context is None else context.command_path
    hint = f"{command} --help says what there is"
    if near:
        hint = "did you mean " + " or ".join(f'"{one}"' for one in near) + "?"
    return InputError(error.format_message(), where=_where(error), hint=hint)


def _where(error: Any) -> str:
    """The option, or the argument by its name in the help; "" where it is neither."""
    parameter = getattr(error, "param", None)
    if parameter is None:
        return str(getattr(error, "option_name", None) or "")
    dashed = [name for name in parameter.opts if name.startswith("-")]
    return str(dashed[0] if dashed else parameter.metavar or parameter.human_readable_name)

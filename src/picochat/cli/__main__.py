"""`python -m picochat.cli` and `picochat`: parse, run, and turn every refusal into three lines and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback

import click

from picochat.cli.app import cli
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.redact import redact, register_secrets


def main(argv: list[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    register_secrets(os.environ.items())
    arguments = sys.argv[1:] if argv is None else argv
    debug = "--debug" in arguments
    if "WORLD_SIZE" in os.environ:
        importlib.import_module("picochat.cli.launch").begin_launched()
    try:
        failpoints.arm(os.environ.get("PICOCHAT_FAILPOINT", ""), int(os.environ.get("RANK", "0")))
        # Outside of standalone mode click returns the code of ctx.exit, or what the command returned.
        result = cli.main(args=[a for a in arguments if a != "--debug"], prog_name="picochat", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except PicochatError as err:
        if debug:
            _complain(traceback.format_exc().splitlines())
        _complain(err.lines())
        code = err.exit_code
    except click.exceptions.Exit as err:
        code = err.exit_code
    except click.ClickException as err:
        context = getattr(err, "ctx", None)
        command = context.command_path if context else "picochat"
        _complain([f"error: {err.format_message()}", f"fix:   {command} --help shows what it takes"])
        code = 2
    except (KeyboardInterrupt, click.Abort):
        _complain(
            ["error: interrupted before a checkpoint could be saved", "fix:   run the same command again with --resume"]
        )
        code = 130
    except BrokenPipeError:
        # The reader went away, as `head` does: nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception:  # a bug of ours: the one case that shows a traceback
        _complain(
            [
                *traceback.format_exc().splitlines(),
                "error: this is a bug in Picochat",
                "fix:   report it with the lines above",
            ]
        )
        code = 1
    sys.exit(code)


def _complain(lines: list[str]) -> None:
    rank = os.environ.get("RANK", "0")
    before = "" if rank == "0" else f"rank {rank}: "
    print("\n".join(before + redact(line) for line in lines), file=sys.stderr)


if __name__ == "__main__":
    main()

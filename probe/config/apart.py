"""Reads a configuration in a process of its own.

For two reasons. The configuration model and the YAML parser cost about 10 MiB that the agent
would carry for ever for a moment's work. And parsing is Python code: in a thread of the agent
it would hold the interpreter's lock and make probes late at every reload.

The child answers with a pickle of the `Spec`, or of the problems. It is our own program, started
by us with our own environment, so what it writes is trusted.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import trio

from probe.documents.packed import pickled
from probe.documents.problem import DocumentError
from probe.flow.confined import keep_to_itself
from probe.model.spec import Spec

PATIENCE = 60.0
"""Seconds. The largest configuration that is accepted takes a few."""


class LoaderError(Exception):
    """The child did not answer: out of memory, killed, or a defect of ours."""


def load_apart(path: Path, *, region: str | None = None, environ: Mapping[str, str]) -> Spec:
    """Do as `reload_apart` where no event loop runs yet. Blocks.

    Without one, because a handler of SIGTERM may raise SystemExit here, which no loop survives.
    Such a signal waits while the child is being started: else it would be left behind.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        with subprocess.Popen(  # noqa: S603 - our own program, arguments as a list
            _command(path, region),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                out, err = child.communicate(timeout=PATIENCE)
            except BaseException:
                child.kill()
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unread(path, error) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _answer(path, subprocess.CompletedProcess(child.args, child.returncode, out, err))


async def reload_apart(
    path: Path, *, region: str | None = None, environ: Mapping[str, str]
) -> Spec:
    """`loading.load`, in a process of its own; cancelled, it ends at once with its child.

    Raises:
        DocumentError: with every problem.
        LoaderError: the child failed; the message holds the end of what it said.
    """
    try:
        with trio.fail_after(PATIENCE):
            done = await trio.run_process(
                _command(path, region),
                env=dict(environ),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                deliver_cancel=_kill,
            )
    except (OSError, trio.TooSlowError) as error:
        raise _unread(path, error) from error
    return _answer(path, done)


def _command(path: Path, region: str | None) -> list[str]:
    return [sys.executable, "-P", "-m", __name__, str(path), region or ""]


def _unread(path: Path, error: Exception) -> LoaderError:
    why = error.strerror if isinstance(error, OSError) else f"no answer in {PATIENCE:g} s"
    return LoaderError(f"cannot read {path} apart: {why}")


def _answer(path: Path, done: subprocess.CompletedProcess[bytes]) -> Spec:
    """What the child said. Raises DocumentError or LoaderError."""
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise LoaderError(f"reading {path} ended with {done.returncode}: {' '.join(said)}")
    answer = pickle.loads(done.stdout)  # noqa: S301 - our own child wrote it
    if isinstance(answer, Spec):
        return answer
    raise DocumentError(*answer)


async def _kill(child: trio.Process) -> None:
    child.kill()


def main(path: str, region: str) -> None:
    """The child: write the spec, or the problems, to standard output."""
    keep_to_itself()  # our environment is the agent's
    from probe.config.loading import load  # noqa: PLC0415 - what the parent must not load

    answer: object
    try:
        answer = load(Path(path), region=region or None, environ=os.environ)
    except DocumentError as error:
        answer = error.problems
    sys.stdout.buffer.write(pickled(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])

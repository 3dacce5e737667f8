"""The program that forks processes of `booper`: it has imported all that they need.

It runs no thread and no event loop, so that a fork of it is like an interpreter that has just
imported booper. It ends when nobody can send it a request any more.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module

# What `booper serve` and the other commands import when they run, beside what `booper.cli` does.
MODULES = ("booper.cli.serve", "uvicorn.lifespan.off", "encodings.idna")
MAX_REQUEST = 1 << 17
FILES = 4
"""Standard input, output and error, and the socket that is told the process's number and end."""


def serve(requests: socket.socket) -> list[str] | None:
    """Fork a process for each request until there can be no more.

    Returns None in the server, and the arguments of `booper` in each process that it forked.
    """
    ready = selectors.DefaultSelector()
    ready.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is not requests:
                _report_end(ready, key)
                continue
            message, files, _, _ = socket.recv_fds(requests, MAX_REQUEST, FILES)
            if not message:
                return None
            if not (pid := os.fork()):
                _close(ready, requests)
                return _become(message, files)
            _watch(ready, pid, files)


def _watch(ready: selectors.BaseSelector, pid: int, files: list[int]) -> None:
    """Report a process's number, and wait for its end beside all else."""
    *streams, status = files
    for stream in streams:
        os.close(stream)
    os.write(status, str(pid).encode())
    ready.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))


def _report_end(ready: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, status = key.data
    ready.unregister(key.fileobj)
    os.close(key.fd)
    _, code = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # whoever started it has gone
        os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
    os.close(status)


def _close(ready: selectors.BaseSelector, requests: socket.socket) -> None:
    """Close the server's files in a forked process."""
    for key in ready.get_map().values():
        if key.data is not None:
            os.close(key.fd)
            os.close(key.data[1])
    ready.close()
    requests.close()


def _become(message: bytes, files: list[int]) -> list[str]:
    """Take the streams, folder and environment that a process was asked for."""
    arguments, folder, environment, streams = json.loads(message)
    for number, file in zip(streams, files, strict=False):  # the last file is of the server
        os.dup2(file, number)
    for file in files:
        os.close(file)
    for number in {0, 1, 2} - set(streams):
        _close_stream(number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return [str(argument) for argument in arguments]


def _close_stream(number: int) -> None:
    """Close a standard stream, for which Python then has None (`sys.stdin`)."""
    name = ("stdin", "stdout", "stderr")[number]
    os.close(number)
    setattr(sys, name, None)
    setattr(sys, f"__{name}__", None)


def main() -> None:
    """Serve on the socket whose number is the argument; in a forked process, run `booper`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everyone
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()  # or the end of each process would look at all that was imported
    arguments = serve(socket.socket(fileno=int(sys.argv[1])))
    if arguments is not None:
        sys.argv[1:] = arguments
        runpy.run_module("booper", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

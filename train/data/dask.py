"""
Jobs of `train/data/parallel.py` on a Dask cluster: on many machines, or on this one's cores.

    dask scheduler                                          on one machine; prints its address
    dask worker tcp://SCHEDULER:8786 --nworkers auto        on each of the others, in an environment
    with mammo-edge[train,cluster]
    mammo-train prepare RECIPE --data DATA --out RUN --cluster tcp://SCHEDULER:8786

Every machine must see the data under the same path (NFS or alike): only paths go out, only prepared
images come back. Dask runs what it is sent: keep scheduler and workers inside a network that you
trust, or give it TLS (its own configuration, `distributed.comm`).
"""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from train.data.parallel import Engine, Jobs, Work, one_thread_each
from train.errors import DataError, TrainError
from train.progress import say

if TYPE_CHECKING:
    from distributed import Client, LocalCluster
    from tornado.ioloop import IOLoop

LOCAL: Final = "local"
PATIENCE_S: Final = 60
"""Seconds to wait for a scheduler, and for its first worker."""
AHEAD: Final = 4
"""
Jobs sent out ahead for each thread.

Enough to keep a thread busy, few enough for the memory that holds results until they are fetched.
"""


@contextmanager
def on_cluster(address: str) -> Iterator[Engine]:
    """
    Connect to a cluster, and do jobs there.

    Args:
        address: of the scheduler, `tcp://host:8786`; or `local`: one is started on this machine, a
            process a core.

    Raises:
        TrainError: Dask is not installed, or nobody is at that address.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        msg = "Dask is not installed, expected the extra: pip install 'mammo-edge[cluster]'"
        raise TrainError(msg) from None
    with ExitStack() as stack:
        place: Any = address
        try:
            if address == LOCAL:
                place = stack.enter_context(_local(stack.enter_context(_loop())))
            client = stack.enter_context(
                distributed.Client(place, timeout=PATIENCE_S, set_as_default=False)
            )
            client.register_worker_callbacks(setup=one_thread_each)
            client.wait_for_workers(1, timeout=PATIENCE_S)
        # A time-out is an OSError; a worker that does not come up gives an AssertionError.
        except (OSError, ValueError, AssertionError) as error:
            msg = (
                f"{address}: no Dask scheduler with a worker ({error}), expected one "
                "at an address like tcp://host:8786, or `local`"
            )
            raise TrainError(msg) from None
        threads = sum(client.nthreads().values())
        say(f"{len(client.nthreads())} workers with {threads} threads at {address}")
        yield lambda work, jobs: _done(client, work, jobs, AHEAD * threads)


@contextmanager
def _loop() -> "Iterator[IOLoop]":
    """
    Run an event loop in a thread of its own.

    Dask would give its thread ten seconds to start, and a busy machine needed more.
    """
    from tornado.ioloop import IOLoop  # noqa: PLC0415 - comes with Dask

    started: Future[tuple[IOLoop, asyncio.Event]] = Future()

    async def until_stopped() -> None:
        stop = asyncio.Event()
        started.set_result((IOLoop.current(), stop))
        await stop.wait()

    def run() -> None:
        try:
            asyncio.run(until_stopped())
        except OSError as error:  # no descriptor is left
            started.set_exception(error)

    thread = Thread(target=run, name="cluster", daemon=True)
    thread.start()
    loop, stop = started.result(timeout=PATIENCE_S)
    try:
        yield loop
    finally:
        loop.add_callback(stop.set)
        # Tasks that Dask left in the loop may refuse to end, and our work is done.
        thread.join(PATIENCE_S)


def _local(loop: "IOLoop") -> "LocalCluster":
    """Start a process a core, reached from this machine only, on ports that are free."""
    import distributed  # noqa: PLC0415 - an extra

    # Comes with Dask; in a container it counts the cores that we may use.
    from dask.system import CPU_COUNT  # noqa: PLC0415

    return distributed.LocalCluster(
        n_workers=CPU_COUNT,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        # Otherwise a worker whose process lives but never reports is waited for without end.
        death_timeout=PATIENCE_S,
        silence_logs=logging.ERROR,
        loop=loop,
    )


def _done(client: "Client", work: Work, jobs: Jobs, ahead: int) -> Iterator[tuple[int, Any]]:
    """Yield number and result of each job, as they get done."""
    import distributed  # noqa: PLC0415 - an extra

    waiting = iter(enumerate(jobs))
    running = distributed.as_completed(loop=client.loop, with_results=True)
    numbers: dict[Any, int] = {}

    def send(count: int) -> None:
        for number, job in islice(waiting, count):
            future = client.submit(work, *job, pure=False)
            numbers[future.key] = number
            running.add(future)

    send(ahead)
    try:
        for future, result in running:
            send(1)
            yield numbers.pop(future.key), result
    except distributed.KilledWorker as error:
        msg = f"workers died over one image ({error}); run the command again, it goes on from there"
        raise DataError(msg) from None

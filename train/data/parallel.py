"""
The same function over many jobs at once, on the cores of this machine.

`train/data/dask.py` does the same on a cluster.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeAlias

import cv2

from train.errors import DataError

Work: TypeAlias = Callable[..., Any]
"""A function that can be pickled, of arguments that can be pickled."""
Jobs: TypeAlias = Sequence[tuple[Any, ...]]
"""The arguments of each call."""
Engine: TypeAlias = Callable[[Work, Jobs], Iterator[tuple[int, Any]]]
"""A function that gives number and result of each job, as they get done; an error ends it all."""


def on_this_machine(work: Work, jobs: Jobs) -> Iterator[tuple[int, Any]]:
    """
    Do the jobs in as many processes as there are cores; they never see TensorFlow.

    Raises:
        DataError: a process died.
    """
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=get_context("spawn"), initializer=one_thread_each
    ) as pool:
        futures = {pool.submit(work, *job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            msg = (
                "a process died while it decoded an image (out of memory, or a broken "
                "file); run the command again, it goes on from there"
            )
            raise DataError(msg) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def right_here(work: Work, jobs: Jobs) -> Iterator[tuple[int, Any]]:
    """Do the jobs one after the other in this process: for a few, starting others takes longer."""
    return ((number, work(*job)) for number, job in enumerate(jobs))


def one_thread_each() -> None:
    """Start as many processes as cores, one thread each: OpenCV's threads would be in the way."""
    cv2.setNumThreads(1)

"""The model that examines new images, and former ones that finish theirs."""

from edge.daemon.workers.serving import Serving


class CurrentModel:
    """
    The bundle that gets new images; it changes between two images only.

    After a swap the former workers finish what they have, and are closed once they are idle. All
    methods but `overdue` are called in the dispatcher's thread, or before it runs.

    Args:
        serving: a bundle and workers that have proved it.
    """

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.held = False
        """True while no image is given to a worker."""
        self._retired: list[Serving] = []

    def swap(self, serving: Serving) -> None:
        """Give new images to another bundle, or to other workers with the same."""
        same = serving.bundle.bundle_id == self.serving.bundle.bundle_id
        self.held = self.held and same  # other workers make it no other model
        self._retired.append(self.serving)
        self.serving = serving

    def hold(self) -> None:
        """Give no image to a worker until `release`, or until another bundle is swapped in."""
        self.held = True

    def release(self) -> None:
        """Go on with the bundle that serves."""
        self.held = False

    @property
    def in_work(self) -> int:
        """Number of files at workers, those of former models included."""
        return sum(serving.workers.in_work for serving in self._all())

    def overdue(self) -> bool:
        """Tell if an image, with whichever model, is past its time limit; from any thread."""
        return any(serving.workers.overdue() for serving in self._all())

    def tidy(self) -> None:
        """Close former workers that are idle, and reopen pools that hang."""
        for serving in list(self._retired):
            if serving.workers.in_work == 0:
                serving.workers.close()
                self._retired.remove(serving)
        for serving in self._all():
            if serving.workers.overdue():
                serving.workers.reopen()

    def close(self) -> None:
        """End all workers at once; what they had is interrupted."""
        for serving in self._all():
            serving.workers.close()

    def _all(self) -> tuple[Serving, ...]:
        return (*self._retired, self.serving)

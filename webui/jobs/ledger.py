"""What must be written down and must not be lost: now, or when the disk allows it again."""

import logging
import threading
from collections.abc import Callable

from webui.jobs.bell import Bell
from webui.modules.errors import StorageError

log = logging.getLogger(__name__)


class Ledger:
    """Writes things down in their order; what cannot be written now is kept for later."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._lock = threading.RLock()
        self._unsettled: list[Callable[[], None]] = []

    def later(self, settling: Callable[[], None]) -> None:
        """Write something down that must not be lost."""
        with self._lock:
            self._unsettled.append(settling)
        try:
            self.settle()
        except StorageError as problem:
            log.warning("%s", problem)

    def settle(self) -> None:
        """Write down what is left.

        Raises:
            StorageError: If the disk does not allow it yet.
        """
        with self._lock:
            while self._unsettled:
                self._unsettled[0]()
                self._unsettled.pop(0)
                self._bell.ring()

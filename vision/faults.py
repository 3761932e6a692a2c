"""What goes wrong with an image file, told in one line: its own faults, and a limit on the time it may take."""

from __future__ import annotations

import re
import signal
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

_STUMBLES = (LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, struct.error)


class CorruptImage(ValueError):
    """Bytes that give no picture. The message is one short line saying why."""


class _TimeUp(BaseException):
    """Not an Exception, so that no handler on the way takes it for a fault of the file."""


@contextmanager
def time_limit_s(seconds: float | None) -> Iterator[None]:
    """Within it, work that lasts longer than `seconds` of wall time ends with `CorruptImage`.

    It rides on SIGALRM, so it holds in the main thread only and does nothing elsewhere. Python sees the signal
    between calls into C: Pillow feeds JPEG, PNG and GIF in blocks of 64 KB and stops soon; WebP, AVIF, JPEG 2000 and
    compressed TIFF are decoded in one call and are stopped after it. An outer timer is put back with what it had left.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, _time_up)
    outer = signal.setitimer(signal.ITIMER_REAL, seconds)
    left = 0.0
    try:
        try:
            yield
        finally:
            left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
    except _TimeUp:
        raise CorruptImage(f"took longer than {seconds:g} s to decode") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if outer[0]:
            signal.setitimer(signal.ITIMER_REAL, max(outer[0] - (seconds - left), 1e-3), outer[1])


def _time_up(*_: object) -> None:
    raise _TimeUp


@contextmanager
def faults(kind: str | None) -> Iterator[str]:
    """Whatever goes wrong inside is the file's fault, told in one line."""
    # Pillow warns of odd files; here a file is read, or refused with a reason. `catch_warnings` would be the usual
    # way to silence it, but is not safe among threads; and a filter set once is lost when somebody else uses it.
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=_QUIET[3].pattern)
    try:
        yield kind or ""
    except CorruptImage:
        raise
    except MemoryError:
        raise CorruptImage(f"{kind} that needs more memory than there is") from None
    except Exception as error:
        raise CorruptImage(f"damaged {kind}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    text = " ".join(re.sub(r"<[^>]*>|[^ -~]+", " ", str(error)).split())
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "the file is cut short"
    if "too large" in text.lower():
        return "a compressed text or profile in it is larger than allowed"
    # A codec that stumbles tells of its own inside, not of the file.
    if "not identified by this driver" in text or isinstance(error.__cause__, _STUMBLES):
        return "its header makes no sense"
    if isinstance(error, _STUMBLES) or "decoder error" in text or not text:
        return "its contents make no sense"
    return text[:100]

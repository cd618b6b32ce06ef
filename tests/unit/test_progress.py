"""Progress bars."""

from __future__ import annotations

import pytest

from portvec._hub.progress import TerminalProgress
from portvec._progress import Progress


@pytest.mark.parametrize("kind", [Progress, TerminalProgress])
def test_nothing_is_printed_if_a_signal_interrupts_the_constructor(
    kind: type[Progress], capsys: pytest.CaptureFixture[str]
) -> None:
    """The destructor then meets an object without attributes. Its exceptions are printed, not raised."""
    bar = kind.__new__(kind)
    bar.__del__()
    assert capsys.readouterr() == ("", "")

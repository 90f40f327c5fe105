"""Text from outside of a file as the value that it stands for, where a key or a field takes more than one type."""

import re

from mjpegd.config.schema import ControlValue

_SWITCH = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


def scalar(text: str) -> ControlValue:
    """`10` as a number, `true` and `false` as what they say, anything else as it is."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return _SWITCH.get(text.lower(), text)

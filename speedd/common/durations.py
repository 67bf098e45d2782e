"""Lengths of time in words."""


def duration(seconds: float) -> str:
    """Say a length of time as people do: ``3 s``, ``2 min 5 s``, ``3 h 12 min``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""Whether the memory of this machine is enough for a film, known before anything is encoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from events.errors import LimitExceeded, OutOfMemory
from events.plan import StitchPlan
from media.treatment import Target, Treatment

#: What our own program takes beside its FFmpegs.
_OURS_BYTES = 100 * 1024 * 1024
#: What one FFmpeg takes, and how many pictures of the larger of clip and film it holds. Measured with FFmpeg 9: a chunk
#: of 4K takes 770 MiB; the window of a fade 910 MiB in 4K and 3.3 GiB in 8K.
_PROGRAM_BYTES = 60 * 1024 * 1024
_PICTURES, _PICTURES_OF_FADES = 60, 70


def memory_bytes(plan: StitchPlan, target: Target) -> int:
    """Give the memory that a film takes with one FFmpeg at a time; 0 where no picture is encoded.

    Args:
        plan: the clips.
        target: what they become.
    """
    treated = zip(plan.clips, target.clips, strict=True)
    sizes = [
        clip.facts.width_px * clip.facts.height_px
        for clip, each in treated
        if plan.has_fades or each.treatment is Treatment.ENCODE
    ]
    if not sizes:
        return 0
    largest_px = max(target.picture.width_px * target.picture.height_px, *sizes)
    pictures = _PICTURES_OF_FADES if plan.has_fades else _PICTURES
    # 4:2:0 has three bytes for two pixels.
    return _OURS_BYTES + _PROGRAM_BYTES + pictures * largest_px * 3 // 2


def require_memory(
    plan: StitchPlan, target: Target, available_bytes: int | None = None, *, may_grow: bool = False
) -> None:
    """Refuse to begin what the kernel would end.

    Args:
        plan: the clips.
        target: what they become.
        available_bytes: of this machine; None for what it says.
        may_grow: whether another try may be given a larger machine.

    Raises:
        OutOfMemory: one FFmpeg alone takes more memory than there is, and a larger machine has not been asked for yet.
        LimitExceeded: it takes more than there is, and no other machine will be had.
    """
    needed = memory_bytes(plan, target)
    available = machine_bytes() if available_bytes is None else available_bytes
    if needed > available:
        what = "with fades " if plan.has_fades else ""
        text = (
            f"stitch {len(plan.clips)} clips of job {plan.job_id}: encoding pictures of this size {what}needs about "
            f"{_gibibytes(needed)} GiB of memory, this machine has {_gibibytes(available)} GiB; "
        )
        if may_grow and not plan.larger:
            # As if the kernel had ended it: whoever started us takes the larger machine for the next try.
            raise OutOfMemory(f"{text}it is tried again on a larger one")
        spare = "leave out the fades, " if plan.has_fades else ""
        raise LimitExceeded(f"{text}use one that has more, {spare}or give smaller clips")


def machine_bytes(root: Path = Path("/")) -> int:
    """Give the memory that we may use: the machine's, or what our control groups leave us of it.

    Args:
        root: where `proc` and `sys` are looked for; none need be there.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, and `cgroup-v1/memory.html` beside it.
    """
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers not in ("", "memory"):
            continue
        kind, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
        top = root / "sys/fs/cgroup" / kind
        own = top / group.strip("/")
        # A group has no more than the ones that it is in; in a container those above are not seen.
        for folder in (own, *(parent for parent in own.parents if parent.is_relative_to(top))):
            said = _read(folder / name).strip()
            if said.isdecimal():
                yield int(said)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # Not every system has control groups.
        return ""


def _gibibytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f}"

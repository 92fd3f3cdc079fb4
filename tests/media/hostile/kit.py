"""What hostile files are made of: a good clip and places that nobody may look at. And the list of all cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import cast

from tests.media.clips import ClipSpec, make_clip, run_ffmpeg
from tests.media.hostile.trap import Trap

#: The good clip: a second of 160x96 at 24 frames a second with sound, its index at the end.
GOOD = ClipSpec(1)


@dataclass(frozen=True)
class Kit:
    """What a case may use."""

    folder: Path
    trap: Trap
    #: The good clip's bytes.
    good: bytes

    def ffmpeg(self, name: str, *args: str) -> bytes:
        """Run ffmpeg to make a file, and give its bytes."""
        output = self.folder / f"made-{name}"
        run_ffmpeg([*args, str(output)])
        return output.read_bytes()

    @property
    def good_path(self) -> Path:
        """Give the good clip's file."""
        return self.folder / "good.mp4"


def make_kit(folder: Path, trap: Trap) -> Kit:
    """Encode the good clip, and lay a copy of it into the trap."""
    good = make_clip(GOOD, folder / "good.mp4").read_bytes()
    trap.file.write_bytes(good)
    return Kit(folder, trap, good)


#: Gives a file's bytes; or, where they are too many for memory, writes it.
Maker = Callable[[Kit], bytes]
Writer = Callable[[Kit, Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile file."""

    name: str
    make: Maker | Writer
    #: What the probe must say of it, a regular expression; None where it may pass.
    refusal: str | None

    def write(self, kit: Kit) -> Path:
        """Make the file; it is always called `.mp4`."""
        path = kit.folder / f"{self.name}.mp4"
        if not path.exists():
            if len(signature(self.make).parameters) == 1:
                path.write_bytes(cast(Maker, self.make)(kit))
            else:
                cast(Writer, self.make)(kit, path)
        return path


CASES: dict[str, Case] = {}


def hostile(refusal: str | None = None) -> Callable[[Maker], Maker]:
    """Make a case of a function, which is named by what its file does.

    Args:
        refusal: what the probe must say; None where the file may pass as long as it does no harm.
    """

    def add(make: Maker) -> Maker:
        name = make.__name__.replace("_", "-")
        assert name not in CASES, name
        CASES[name] = Case(name, make, refusal)
        return make

    return add

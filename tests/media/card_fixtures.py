"""Small cards for the tests of `media/card_*`: rendered once each, and read back with PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from media.cards.card import Card, render_card
from media.cards.faces import Faces

LONG_PROMPT = (
    "The camera glides over a frozen lake as the first light touches the mountains; a lone skater draws long "
    "curves, breath hanging in the air, and the ice sings under the blades. "
) * 30

#: Prompts of many writings, each with something that is easily got wrong.
PROMPTS = {
    "short": "A boat.",
    "usual": "A quiet harbour at dawn, fishing boats rocking gently, gulls overhead, slow dolly in, 35mm film grain",
    "paragraphs": "INT. KITCHEN – NIGHT\r\nRain on the window.\n\n\nShe lights\ta candle.",
    "long words": "Der Donaudampfschifffahrtskapitän im Rindfleischetikettierungsüberwachungsaufgabenübertragungsamt",
    "arabic": "ميناء هادئ عند الفجر، قوارب الصيد تتمايل ببطء. لقطة 35mm بطيئة.",
    "hebrew": "נמל שקט עם שחר, scene 3.5, סירות דיג.",
    "japanese": "夜明けの静かな港。漁船が揺れ、カメラは「ゆっくり」前進する。",
    "emoji": "🚀 Launch ✨ cheers 👍🏽 👩‍🚀 🇩🇪 – slow 🎬",
    "marks": "e\u0323\u0301 n\u0303 x\u0302 Việt Nam",
    "no font": "\U00012000\U00012001 \u1b05 \ue000",
    "controls": "a\x00\x07b\u200bc\u202ed\ufeff",
    "blank": " \n \t ",
    "one word": "x" * 300,
    "4000": LONG_PROMPT[:4000],
}


@dataclass(frozen=True, slots=True)
class Film:
    """A card as read back."""

    path: Path
    data: bytes
    #: Luma of every frame, float, shape (frames, rows, columns).
    luma: Any
    #: Mean colour of the middle frame, RGB.
    mean_rgb: Any
    #: Left and right, float, full scale 1.0.
    sound: Any
    picture_parameters: bytes
    sound_parameters: bytes
    picture_seconds: Fraction
    sound_seconds: Fraction
    picture_start: int
    sound_start: int
    key_frames: tuple[int, ...]


def card(
    prompt: str = PROMPTS["usual"], *, scene: int = 1, count: int = 12, title: str = "The Film", seed: int = 7
) -> Card:
    return Card(scene_number=scene, scene_count=count, prompt=prompt, title=title, seed=seed)


def rendered(
    folder: Path, made: Card, *, width: int = 128, height: int = 72, rate: Fraction = Fraction(12), ms: int = 1000
) -> Film:
    path = folder / f"{abs(hash((made, width, height, rate, ms)))}.mp4"
    render_card(made, path, width_px=width, height_px=height, frame_rate=rate, duration_ms=ms)
    return read_back(path)


def read_back(path: Path) -> Film:
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.duration is not None
        assert audio.duration is not None
        assert video.time_base is not None
        assert audio.time_base is not None
        frames: list[av.VideoFrame] = []
        heard: list[av.AudioFrame] = []
        for frame in container.decode(video, audio):
            if isinstance(frame, av.VideoFrame):
                frames.append(frame)
            elif isinstance(frame, av.AudioFrame):
                heard.append(frame)
        return Film(
            path=path,
            data=path.read_bytes(),
            luma=np.stack([frame.to_ndarray(format="gray").astype(float) for frame in frames]),
            mean_rgb=frames[len(frames) // 2].to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0),
            sound=np.concatenate([frame.to_ndarray() for frame in heard], axis=1),
            picture_parameters=bytes(video.codec_context.extradata or b""),
            sound_parameters=bytes(audio.codec_context.extradata or b""),
            picture_seconds=video.duration * video.time_base,
            sound_seconds=audio.duration * audio.time_base,
            picture_start=video.start_time or 0,
            sound_start=audio.start_time or 0,
            key_frames=tuple(index for index, frame in enumerate(frames) if frame.key_frame),
        )


@cache
def bundled_faces() -> Faces:
    """Give the fonts of this project alone, so that a test sees the same on every machine."""
    return Faces(())

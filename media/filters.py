"""FFmpeg filter graphs that bring one clip's picture and sound to the film's: pure text, nothing is run.

Rotation is done by FFmpeg itself before the first filter (`-autorotate`, on by default): sizes are as shown.
Source: https://ffmpeg.org/ffmpeg-filters.html.
"""

from __future__ import annotations

from fractions import Fraction

from events.plan import Fit
from media.colour import Colour
from media.treatment import Picture, SoundFormat

#: How long the last frame is held at most where a clip ends earlier than its headers say; a larger gap is a
#: clip that breaks off, which the caller must hear of.
HELD_MAX = Fraction(1, 10)

#: Gaps in the times of sound from here on are filled with silence; what is shorter is only a clock that trembles.
#: FFmpeg's own 100 ms are seen on lips (ITU-R BT.1359: from 45 ms on).
_GAP_MIN = Fraction(1, 25)

#: FFmpeg's `scale` names of H.273 matrix coefficients (table 4).
_MATRIX_NAMES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}

#: Untagged pictures of at least this height are taken as BT.709, smaller ones as BT.601, as players do.
_HD_HEIGHT_PX = 720

#: The blurred backdrop is made this many times smaller: the blur hides it and costs a sixty-fourth.
_BACKDROP_SHRINK = 8


def video_filter(
    picture: Picture,
    fit: Fit,
    *,
    source_size: tuple[int, int],
    source_colour: Colour | None,
    square_pixels: bool = True,
    frames: range,
    from_start: bool = True,
    starts_at: Fraction = Fraction(0),
    is_held: bool = True,
) -> str:
    """Give the `-vf` text that makes the film's picture of a clip's: rate, shape, size, colours, format.

    Args:
        picture: what comes out.
        fit: what to do with a clip of another shape.
        source_size: the clip's width and height as shown.
        source_colour: the clip's colours; None where they are not known, so that FFmpeg finds out.
        square_pixels: False for a clip whose pixels are not, which must be stretched first.
        frames: which frames come out, counted at the film's rate from the clip's start. It also stops a file whose
            broken time stamps would be filled with frames without end.
        from_start: whether the clip is decoded from its start; else its first frame is no reason to fill what is
            before it.
        starts_at: at which second its first frame comes, which is where the film begins to show it.
        is_held: whether the last frame is shown on, for `HELD_MAX`, where the clip ends before `frames` do.
    """
    steps = [
        at_rate(picture.frame_rate, starts_at, from_start=from_start),
        *([f"tpad=stop_mode=clone:stop_duration={_seconds(HELD_MAX)}"] if is_held else []),
        # A filter and no `-frames:v`; behind `fps` a time stamp is the number of a frame.
        f"trim=start_pts={frames.start}:end_pts={frames.stop},setpts=PTS-STARTPTS",
    ]
    if source_colour and source_colour.is_high_dynamic_range and not picture.colour.is_high_dynamic_range:
        steps += _to_standard_range(source_colour)
        source_colour = Colour(1, 1, 1)
    if source_colour and not source_colour.can_be_written:
        # FFmpeg converts nothing that it is told such a matrix of; the nearest is named where it is converted.
        steps.append("setparams=colorspace=2")
    if not square_pixels:
        steps.append("scale=w='max(2,round(iw*sar))':h=ih,setsar=1")
    steps.append(_fitted(picture, fit, _colour_options(picture, source_size, source_colour)))
    steps += ["setsar=1", "format=yuv420p", colour_tags(picture.colour)]
    return ",".join(steps)


def at_rate(frame_rate: Fraction, starts_at: Fraction = Fraction(0), *, from_start: bool = True) -> str:
    """Give the filters that show a frame at every tick of a rate from a second on, repeating or leaving out as needed.

    A frame is shown from the tick that is nearest to its time; of several the last one.
    """
    moved = f"setpts=PTS-{float(starts_at):.6f}/TB," if starts_at else ""
    return f"{moved}fps=fps={frame_rate}{':start_time=0' if from_start else ''}"


def audio_filter(
    sound: SoundFormat,
    *,
    frame_count: int,
    frame_rate: Fraction,
    source_channels: int | None,
    first_sample: int = 0,
) -> str:
    """Give the `-af` text that makes exactly as much sound as picture: gaps filled, the end cut or silent.

    Args:
        sound: what comes out.
        frame_count: how many frames the picture has.
        frame_rate: how many of them in a second.
        source_channels: of the clip; None where unknown.
        first_sample: which of the samples that come in is heard with the first frame; negative for silence before them.
    """
    samples = round(frame_count * sound.sample_rate_hz / frame_rate)
    steps = [f"aresample={sound.sample_rate_hz}:async=1:min_hard_comp={_seconds(_GAP_MIN)}:first_pts=0"]
    if first_sample > 0:
        steps.append(f"atrim=start_sample={first_sample},asetpts=PTS-STARTPTS")
    elif first_sample < 0:
        steps.append(f"adelay=delays={-first_sample}S:all=1")
    if source_channels == 1 and sound.channel_count == 2:
        # FFmpeg's own mixing makes mono 3 dB quieter on its way to stereo.
        steps.append("pan=stereo|c0=c0|c1=c0")
    steps.append(f"aformat=sample_fmts=fltp:channel_layouts={channel_layout(sound.channel_count)}")
    return ",".join([*steps, "apad", f"atrim=end_sample={samples}"])


def silence_source(sound: SoundFormat) -> str:
    """Give the `lavfi` input that is silent forever."""
    return f"anullsrc=sample_rate={sound.sample_rate_hz}:channel_layout={channel_layout(sound.channel_count)}"


def channel_layout(channel_count: int) -> str:
    """Give FFmpeg's name of the usual layout of so many channels; 1, 2 or 6."""
    return {1: "mono", 2: "stereo", 6: "5.1"}[channel_count]


def _seconds(length: Fraction) -> str:
    return f"{float(length):.3f}"


def _fitted(picture: Picture, fit: Fit, colours: str) -> str:
    size = f"{picture.width_px}:{picture.height_px}"
    cover = f"scale={size}:force_original_aspect_ratio=increase{colours},crop={size}"
    inside = f"scale={size}:force_original_aspect_ratio=decrease:force_divisible_by=2{colours}"
    if fit is Fit.CROP:
        return cover
    if fit is Fit.PAD:
        return f"{inside},setsar=1,format=yuv420p,pad={size}:-1:-1:color=black"
    small = f"{max(2, picture.width_px // _BACKDROP_SHRINK)}:{max(2, picture.height_px // _BACKDROP_SHRINK)}"
    backdrop = f"scale={small}:force_original_aspect_ratio=increase{colours},crop={small},gblur=sigma=4,scale={size}"
    return (
        f"split[front][back];[back]{backdrop},setsar=1,format=yuv420p[backdrop];"
        f"[front]{inside},setsar=1,format=yuv420p[inside];[backdrop][inside]overlay=(W-w)/2:(H-h)/2"
    )


def _colour_options(picture: Picture, source_size: tuple[int, int], source: Colour | None) -> str:
    # Without the names FFmpeg takes every untagged picture as BT.601, which shifts the colours of an HD clip.
    wide = "full" if picture.colour.full_range else "limited"
    into = f":out_color_matrix={_matrix_name(picture.colour, picture.height_px)}:out_range={wide}"
    if source is None or source.matrix == 0:
        return into  # Matrix 0 is RGB.
    return f":in_color_matrix={_matrix_name(source, min(source_size))}{into}"


def _matrix_name(colour: Colour, height_px: int) -> str:
    return _MATRIX_NAMES.get(colour.matrix, "bt709" if height_px >= _HD_HEIGHT_PX else "smpte170m")


def colour_tags(colour: Colour) -> str:
    """Give the filter that says how the numbers of a picture mean colours, and changes none of them."""
    wide = "full" if colour.full_range else "limited"
    return (
        f"setparams=color_primaries={colour.primaries}:color_trc={colour.transfer}"
        f":colorspace={colour.matrix}:range={wide}"
    )


def _to_standard_range(source: Colour) -> list[str]:
    transfer = {16: "smpte2084", 18: "arib-std-b67"}[source.transfer]
    return [
        f"zscale=transferin={transfer}:primariesin=bt2020:matrixin=bt2020nc:transfer=linear:npl=100",
        "format=gbrpf32le",
        "zscale=primaries=bt709",
        "tonemap=tonemap=hable:desat=0",
        "zscale=transfer=bt709:matrix=bt709:range=limited",
        "format=yuv420p",
    ]

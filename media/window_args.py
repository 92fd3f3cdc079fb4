"""FFmpeg arguments for the window around one join: pure, nothing is run here.

Each of its two clips comes as an excerpt, a file of its own that starts where decoding can start, so that frames are
counted and nothing is sought by time. The sound is laid to the sample where the copied sound beside the window lies.
Source: https://ffmpeg.org/ffmpeg-filters.html: overlay, fade, concat, afade, amix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from events.plan import Transition
from media.encoder import AUDIO_BITRATE_BPS, START_ARGS, file_url
from media.ffmpeg_limits import INPUT_LIMITS
from media.filters import channel_layout, colour_tags
from media.transition import Fade
from media.treatment import Picture, Quality, SoundFormat, Target
from media.video_encoders import VIDEO_ENCODERS, is_large

#: How much finer than its clips a window is encoded where they are encoded too, in steps of x264's rate factor.
_FINER = 3
#: x264's constant rate factor at most of a window beside frames that are kept. Measured on fades of noise against the
#: same frames without loss: the least SSIM of a frame is 0.987, the mean 0.990; at 17 frames fall to 0.93.
_CRF_MAX = 9


#: As in `media.encoder.START_ARGS`, for a graph of several inputs.
_GRAPH_THREADS = ("-filter_complex_threads", "1")

#: So fine a rate leaves little to gain by looking long: for motion and its fractions, for kinds of blocks, for where
#: B-frames are best, and ahead. Without, x264 takes half its time and, in 1080p, 70 MiB less; noise gets about as many
#: bits as with it, of the same least SSIM.
_BRISK_PARAMS = "subme=0:me=dia:partitions=none:b-adapt=0:rc-lookahead=4"
#: The simple code for bits instead of the arithmetic one: a fifth less time to write them, half of it to read them,
#: for a tenth more of them. Windows can have it if they have parameter sets of their own.
_OWN_PARAMS = "cabac=0:sps-id={}"

#: How far x264 looks ahead in windows of large pictures, in frames.
_LEAN_LOOKAHEAD = 4

#: From 64 kb/s on, the fast way to code is the better one as well, and takes two fifths of the time.
#: Source: https://ffmpeg.org/ffmpeg-codecs.html#aac, `aac_coder`.
_AAC = ("-c:a", "aac", "-aac_coder", "fast")

#: Samples of an AAC packet.
PACKET_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class WindowClip:
    """What a window shows of one clip."""

    #: Absolute; an MP4 whose first frame can be decoded alone.
    excerpt: Path
    #: Frames of the excerpt that are shown: from the first to before the end.
    first_frame: int
    end_frame: int
    #: Where the first sample of the excerpt belongs among those that come out; negative where they begin later.
    sound_at: int = 0

    @property
    def frame_count(self) -> int:
        """How many frames are shown."""
        return self.end_frame - self.first_frame


@dataclass(frozen=True, slots=True)
class WindowSound:
    """How much sound a window gets, in samples."""

    #: A multiple of `PACKET_SAMPLES`.
    sample_count: int
    #: Where the fade out begins and how long it takes; the same of the fade in.
    out_at: int
    out_samples: int
    into_at: int
    into_samples: int


@dataclass(frozen=True, slots=True)
class WindowEncode:
    """One window to be made."""

    out: WindowClip
    into: WindowClip
    fade: Fade
    frame_count: int
    #: None for a film without sound.
    sound: WindowSound | None


def window_args(
    window: WindowEncode, target: Target, output: Path, encoder: str = "libx264", own_id: int | None = None
) -> list[str]:
    """Give the arguments, without the program's name, that make a window as an MP4.

    Args:
        window: what is in it.
        target: the film.
        output: absolute.
        encoder: a key of `media.video_encoders.VIDEO_ENCODERS`.
        own_id: of parameter sets that nothing in the film has but its windows; None where there is none, so that
            they share those of the clips that are encoded.
    """
    args = [*START_ARGS, *_GRAPH_THREADS]
    for clip in (window.out, window.into):
        args += _input_args(clip.excerpt)
    graph = _picture_graph(window, target.picture)
    if target.sound and window.sound:
        graph += ";" + _sound_graph(window, window.sound, target.sound)
    quality = window_quality(target) if encoder == "libx264" else target.quality
    coded = VIDEO_ENCODERS[encoder](target.picture, quality)
    if encoder == "libx264":
        if quality.crf <= _CRF_MAX:
            own = [] if own_id is None else [_OWN_PARAMS.format(own_id)]
            coded = _with_params(coded, ":".join([_BRISK_PARAMS, *own]))
        coded = _lean(coded) if is_large(target.picture) else coded
    args += ["-filter_complex", graph, "-map", "[picture]", *coded]
    args += _sound_args(target.sound) if window.sound else ["-an"]
    args += ["-max_muxing_queue_size", "4096", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]
    return [*args, "-f", "mp4", file_url(output)]


def _lean(args: Sequence[str]) -> list[str]:
    """Let x264 hold fewer large pictures: beside it are those of two decoders. 4K: 910 instead of 1110 MiB."""
    lean = _with_params(args, f"rc-lookahead={_LEAN_LOOKAHEAD}")
    lean[args.index("-threads") + 1] = "1"
    return lean


def _with_params(args: Sequence[str], more: str) -> list[str]:
    params = args.index("-x264-params") + 1
    return [*args[:params], f"{args[params]}:{more}", *args[params + 1 :]]


def decode_args(excerpt: Path, *, has_sound: bool) -> list[str]:
    """Give the arguments that decode all of an excerpt and write nothing: they fail where it is broken.

    Args:
        excerpt: absolute.
        has_sound: whether its sound is decoded as well.
    """
    sound = ["-map", "0:a:0"] if has_sound else []
    return [*START_ARGS, *_input_args(excerpt), "-map", "0:v:0", *sound, "-f", "null", "-"]


def _input_args(excerpt: Path) -> list[str]:
    # An MP4 may name other files as its data; FFmpeg must not follow them.
    references = ["-enable_drefs", "0", "-use_absolute_path", "0"]
    return [*INPUT_LIMITS, "-f", "mov", *references, "-i", file_url(excerpt)]


def window_quality(target: Target) -> Quality:
    """Give how well libx264 encodes the windows of a film."""
    crf = max(0, target.quality.crf - _FINER)
    return replace(target.quality, crf=crf if target.reference_index is None else min(crf, _CRF_MAX))


def _picture_graph(window: WindowEncode, picture: Picture) -> str:
    rate = picture.frame_rate
    if window.fade.transition is Transition.CROSSFADE:
        chains, pieces = _crossfade(window, picture)
    else:
        chains, pieces = _through_black(window, picture)
    joined = f"{''.join(pieces)}concat=n={len(pieces)}:v=1:a=0"
    # Times of the pieces need not be whole frames.
    evenly = f"setpts=round(N/({rate})/TB),fps=fps={rate}"
    tail = f"{evenly},{_format(picture)},{colour_tags(picture.colour)},trim=end_frame={window.frame_count}"
    return ";".join([*chains, f"{joined},{tail}[picture]"])


def _crossfade(window: WindowEncode, picture: Picture) -> tuple[list[str], list[str]]:
    """Give chains, and the names of what they make, in order: before the fade, in it, behind it.

    Only what fades goes through a filter that touches pixels, and that is `overlay`: FFmpeg's `xfade` has no code for
    vectors and takes ten times as long.
    """
    out, into, count = window.out, window.into, window.fade.overlap_frames
    fading, faded = out.end_frame - count, into.first_frame + count
    shown = f"fade=type=in:start_frame=0:nb_frames={count}:alpha=1"
    chains = [
        f"{_frames(0, fading, out.end_frame, picture)},{_format(picture)}[below]",
        f"{_frames(1, into.first_frame, faded, picture)},{_format(picture, 'yuva420p')},{shown}[above]",
        f"[below][above]overlay=format=yuv420,{_format(picture)}[fade]",
    ]
    pieces = ["[fade]"]
    if out.first_frame < fading:
        chains.append(f"{_frames(0, out.first_frame, fading, picture)},{_format(picture)}[before]")
        pieces.insert(0, "[before]")
    if faded < into.end_frame:
        chains.append(f"{_frames(1, faded, into.end_frame, picture)},{_format(picture)}[behind]")
        pieces.append("[behind]")
    return chains, pieces


def _through_black(window: WindowEncode, picture: Picture) -> tuple[list[str], list[str]]:
    out, into, fade = window.out, window.into, window.fade
    ends = f"fade=type=out:start_frame={out.frame_count - fade.out_frames}:nb_frames={fade.out_frames}"
    begins = f"fade=type=in:start_frame=0:nb_frames={fade.in_frames}"
    return [
        f"{_frames(0, out.first_frame, out.end_frame, picture)},{_format(picture)},{ends}[out]",
        f"{_frames(1, into.first_frame, into.end_frame, picture)},{_format(picture)},{begins}[into]",
    ], ["[out]", "[into]"]


def _frames(number: int, first: int, end: int, picture: Picture) -> str:
    """Give the start of a chain: some frames of an excerpt, in a clock of frames, so that two keep in step."""
    rate = picture.frame_rate
    return f"[{number}:v:0]trim=start_frame={first}:end_frame={end},setpts=PTS-STARTPTS,fps=fps={rate}"


def _format(picture: Picture, name: str = "yuv420p") -> str:
    # All clips have the film's size and colours already; only what FFmpeg calls them may differ.
    wide = "full" if picture.colour.full_range else "limited"
    return f"scale=in_range={wide}:out_range={wide},format={name},setsar=1"


def _sound_graph(window: WindowEncode, plan: WindowSound, sound: SoundFormat) -> str:
    chains = [
        f"{_laid(0, window.out, sound)},{_faded('out', plan.out_at, plan.out_samples)}[out_sound]",
        f"{_laid(1, window.into, sound)},{_faded('in', plan.into_at, plan.into_samples)}[into_sound]",
    ]
    mixed = "[out_sound][into_sound]amix=inputs=2:normalize=0:duration=longest"
    # Counted anew, in whole packets: where its inputs end, amix now and then stamps a frame too early.
    whole = f"apad,atrim=end_sample={plan.sample_count},asetnsamples=n={PACKET_SAMPLES}:p=1,asetpts=round(N/SR/TB)"
    return ";".join([*chains, f"{mixed},{whole}[sound]"])


def _laid(number: int, clip: WindowClip, sound: SoundFormat) -> str:
    """Give the start of a chain: the excerpt's sound in the film's format, moved to its place."""
    into_format = (
        f"[{number}:a:0]aresample={sound.sample_rate_hz}:async=1:first_pts=0,"
        f"aformat=sample_fmts=fltp:channel_layouts={channel_layout(sound.channel_count)}"
    )
    if clip.sound_at < 0:
        return f"{into_format},atrim=start_sample={-clip.sound_at},asetpts=round(N/SR/TB)"
    return f"{into_format},adelay=delays={clip.sound_at}S:all=1,asetpts=round(N/SR/TB)"


def _faded(way: str, start: int, count: int) -> str:
    # Equal power: two sounds that know nothing of each other are as loud together as each alone.
    return f"afade=type={way}:start_sample={start}:nb_samples={max(1, count)}:curve=qsin"


def _sound_args(sound: SoundFormat | None) -> Sequence[str]:
    if sound is None:
        return ["-an"]
    bitrate_bps = AUDIO_BITRATE_BPS * sound.channel_count
    return ["-map", "[sound]", *_AAC, "-profile:a", "aac_low", "-b:a", str(bitrate_bps)]

"""Reading what a user hands to `longreel make`: YAML or JSON with a request, or a text with a prompt a line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from embedded.terminal import say_error
from events.errors import InvalidRequest

#: Longest script, in bytes: 200 prompts of 4,000 characters of 4 bytes, and room around them.
SCRIPT_SIZE_BYTES_MAX = 8_000_000

_STRUCTURED = {".yaml", ".yml", ".json"}
#: A text with such a line is a YAML request, whatever its name; as a prompt it would be an odd one.
_REQUEST_LINE = re.compile(r"^prompts[ \t]*:([ \t]|$)", re.MULTILINE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_script(source: str) -> dict[str, Any]:
    """Read a script.

    Args:
        source: a path, or `-` for standard input.

    Returns:
        The request as a JSON value, not yet checked.

    Raises:
        InvalidRequest: it cannot be read, or is no request and holds no prompt.
    """
    if source == "-":
        if sys.stdin.isatty():
            say_error("Reading prompts from the terminal, one a line; Ctrl-D ends them.")
        return parse_script(sys.stdin.buffer.read(SCRIPT_SIZE_BYTES_MAX + 1), "standard input")
    path = Path(source)
    try:
        with path.open("rb") as file:
            content = file.read(SCRIPT_SIZE_BYTES_MAX + 1)
    except FileNotFoundError as exc:
        step = "name a file with a prompt a line, or pipe prompts in and name -"
        raise InvalidRequest("", f"there is no script {source}; {step}") from exc
    except IsADirectoryError as exc:
        raise InvalidRequest("", f"{source} is a folder; name a file in it") from exc
    except (OSError, ValueError) as exc:
        raise InvalidRequest("", f"read the script {source}: {getattr(exc, 'strerror', None) or exc}") from exc
    return _with_music_beside(parse_script(content, source, structured=path.suffix.lower() in _STRUCTURED), path)


def _with_music_beside(request: dict[str, Any], script: Path) -> dict[str, Any]:
    """Find the music that a script names from the script's own folder, wherever the user is."""
    music = request.get("music")
    if not isinstance(music, str) or music.startswith(("gs://", "~")):
        return request
    return {**request, "music": str(script.parent / music)}


def parse_script(content: bytes, name: str, *, structured: bool = False) -> dict[str, Any]:
    """Make a request of a script's bytes.

    Args:
        content: UTF-8.
        name: what to call it in an error.
        structured: whether it must be YAML or JSON; else a text of lines is taken too.
    """
    if len(content) > SCRIPT_SIZE_BYTES_MAX:
        raise InvalidRequest("", f"read {name}: a script has at most {SCRIPT_SIZE_BYTES_MAX:,} bytes")
    text = _decode(content, name)
    if structured or text.lstrip().startswith("{") or _REQUEST_LINE.search(text):
        return _as_request(_load(text, name), name)
    prompts = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not prompts:
        raise InvalidRequest("prompts", f"{name} holds no prompt: write one a line, or a YAML file with `prompts:`")
    return {"prompts": prompts}


def _decode(content: bytes, name: str) -> str:
    if content.startswith(_UTF_16):
        raise InvalidRequest("", f"read {name}: it is UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        from media.container import SNIFF_BYTES, UNKNOWN, sniff

        kind = sniff(content[:SNIFF_BYTES])
        is_binary = kind is not UNKNOWN and kind.name != "text"
        is_what = kind.title if is_binary else f"no UTF-8 text (byte {exc.start} is wrong)"
        raise InvalidRequest("", f"read {name}: it is {is_what}; a script is a text of prompts, YAML or JSON") from exc
    if "\0" in text:
        raise InvalidRequest("", f"read {name}: it is no text, because it holds a zero byte")
    return text


def _as_request(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, list):
        return {"prompts": value}
    if not isinstance(value, dict):
        raise InvalidRequest("", f"read {name}: it should hold fields such as `title:` and `prompts:`")
    return {str(key): item for key, item in value.items()}


def _load(text: str, name: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as exc:
            raise InvalidRequest("", f"read {name}: line {exc.lineno} is no JSON: {exc.msg}") from exc
        except RecursionError as exc:
            raise InvalidRequest("", f"read {name}: its brackets are nested too deeply") from exc
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        line = f"line {exc.problem_mark.line + 1} is" if exc.problem_mark else "it is"
        raise InvalidRequest("", f"read {name}: {line} no YAML: {exc.problem}") from exc
    except RecursionError as exc:
        raise InvalidRequest("", f"read {name}: its brackets are nested too deeply") from exc
    except (yaml.YAMLError, ValueError) as exc:
        # A ValueError is a date that no calendar has.
        raise InvalidRequest("", f"read {name}: it is no YAML that can be read: {exc}") from exc


def with_scene_length(request: dict[str, Any], scene_ms: int | None) -> dict[str, Any]:
    """Give every prompt that names no length the length that the user wants, in milliseconds."""
    prompts = request.get("prompts")
    if scene_ms is None or not isinstance(prompts, list):
        return request
    scenes = [{"prompt": item} if isinstance(item, str) else item for item in prompts]
    timed = [{"durationMs": scene_ms, **scene} if isinstance(scene, dict) else scene for scene in scenes]
    return {**request, "prompts": timed}

"""A user's own area in the bucket: `users/{uid}/…`. What a caller names must lie there, and nowhere else."""

from __future__ import annotations

import re

from events.errors import InvalidRequest, NotAllowed
from events.names import parse_uri
from events.requests import LongFormRequest, Request

#: User ids of Firebase are letters and digits; those that a team makes itself may hold a little more, but no path.
_USER_ID = re.compile(r"[A-Za-z0-9_=@+:|-][A-Za-z0-9_=@+:|.-]{0,127}")


def own_area(user_id: str) -> str:
    """Give the beginning of the names of all objects of a user.

    >>> own_area("u1")
    'users/u1/'

    Raises:
        NotAllowed: the id cannot be part of an object's name.
    """
    if not _USER_ID.fullmatch(user_id):
        raise NotAllowed(f"find the area of user {user_id!r}: the id should be letters, digits and _ = @ + : | . -")
    return f"users/{user_id}/"


def check_own_area(request: Request, bucket: str, user_id: str) -> None:
    """Refuse objects that are not the caller's own, before a job exists.

    Raises:
        InvalidRequest: an object lies in another bucket.
        NotAllowed: an object lies outside the caller's area.
    """
    area = own_area(user_id)
    for field, uri in _objects(request):
        where = parse_uri(uri)
        if where.bucket != bucket:
            raise InvalidRequest(field, f"should be in gs://{bucket}/{area}, not in the bucket {where.bucket}")
        if not where.name.startswith(area):
            raise NotAllowed(f"{field}: should be in gs://{bucket}/{area}, which is yours, not {uri}")


def _objects(request: Request) -> list[tuple[str, str]]:
    """Give every object that a request names, with its field."""
    named: list[tuple[str, str | None]] = [("music", request.music)]
    if isinstance(request, LongFormRequest):
        named += [(f"prompts[{index}].startImage", scene.start_image) for index, scene in enumerate(request.prompts)]
    else:
        named += [(f"clips[{index}]", uri) for index, uri in enumerate(request.clips)]
        named.append(("outputPath", request.output_path))
    return [(field, uri) for field, uri in named if uri is not None]

"""Looking at the music when a job is created: a film of paid clips must not fail at its end for a wrong file."""

from __future__ import annotations

from events.errors import InvalidRequest, NotFound, UnknownJob
from events.names import job_id_of_request
from events.requests import Request
from functions.services import Services
from pipeline.object_reader import ObjectReader


def check_music(services: Services, request: Request, user_id: str) -> None:
    """Refuse music that is not there or no music by its headers; what sounds is found out when the film is made.

    Args:
        services: the outside.
        request: not yet a job.
        user_id: who asks. The same request again finds its job, whatever became of the music since.

    Raises:
        InvalidRequest: says what is wrong with the file.
        Unavailable: it cannot be looked at now.
    """
    if request.music is None or _is_made(services, request, user_id):
        return
    info = services.objects.stat(request.music)
    if info is None:
        raise InvalidRequest("music", f"there is no object {request.music}; put it there first")
    # Imported only here: what reads sound files is loaded for jobs with music alone.
    from media.music_file import music_fault

    try:
        fault = music_fault(ObjectReader(services.objects, info))
    except NotFound as exc:
        raise InvalidRequest("music", f"{request.music} was taken away just now; put it there again") from exc
    if fault is not None:
        raise InvalidRequest("music", f"{request.music.rsplit('/', 1)[-1]} {fault}")


def _is_made(services: Services, request: Request, user_id: str) -> bool:
    if request.request_id is None:
        return False
    try:
        services.jobs.load(job_id_of_request(user_id, request.project_id, request.kind, request.request_id))
    except UnknownJob:
        return False
    return True

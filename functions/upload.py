"""Leave to upload: a signed URL into the caller's own area."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from events.uploads import UploadRequest
from functions.own_area import own_area
from functions.services import Services
from pipeline.upload_port import SignedUpload, Uploads

#: How long a URL may be used: a slow phone needs minutes for a clip, and nobody needs hours.
EXPIRES_IN = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Upload:
    """Where a file goes."""

    #: `gs://bucket/object`, to be named in a request once it is there.
    uri: str
    signed: SignedUpload


def create_upload(services: Services, uploads: Uploads, value: object, user_id: str) -> Upload:
    """Give leave to upload one file into the caller's own area.

    Args:
        services: the outside.
        uploads: signs.
        value: the request as a JSON value, an `UploadRequest`.
        user_id: who asks.

    Raises:
        InvalidRequest: names the field and what would be right.
        NotAllowed: the user's id cannot have an area; or the service account may not sign.
        Unavailable: nothing can be signed now.
    """
    request = UploadRequest.of(value)
    # Two files of one name are two objects, and nobody can guess where another's clip lies.
    token = services.new_job_id().removeprefix("job_")
    name = f"{own_area(user_id)}uploads/{token}/{request.filename}"
    signed = uploads.sign(name, str(request.content_type), request.size_bytes, EXPIRES_IN)
    return Upload(f"gs://{services.bucket}/{name}", signed)

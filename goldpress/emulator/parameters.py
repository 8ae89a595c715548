"""Owns SSM parameters that name AMIs: validated, and silently not written when they are wrong.

[D] "Native parameter support for Amazon Machine Image IDs": PutParameter with the data type
`aws:ec2:image` answers with success before the value is validated; when the validation fails,
the parameter is not created, or keeps its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse

from goldpress.emulator import patches
from goldpress.emulator.images import images_of
from goldpress.emulator.world import current

IMAGE = "aws:ec2:image"
_DONE = "_goldpress_parameters"


#: Writes that AWS has taken and still looks at: from when on they are there, and how.
_PENDING: list[tuple[float, Callable[[], object]]] = []


def extend_parameters() -> None:
    """Teach moto's SSM the data type. Raises RuntimeError when moto has changed."""
    put = patches.original(SimpleSystemManagerResponse, "put_parameter", ("self",))
    get = patches.original(SimpleSystemManagerResponse, "get_parameter", ("self",))
    if not hasattr(SimpleSystemManagerResponse, _DONE):
        setattr(SimpleSystemManagerResponse, "put_parameter", _putting(put))  # noqa: B010
        setattr(SimpleSystemManagerResponse, "get_parameter", _getting(get))  # noqa: B010
        setattr(SimpleSystemManagerResponse, _DONE, True)


def _putting(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def put_parameter(self: Any) -> ActionResult:
        if self._get_param("DataType") != IMAGE:
            return original(self)
        with current().lock:
            _settle()
            value = self._get_param("Value")
            images = images_of(self.current_account, self.region)
            good = any(image.id == value and image.state == "available" for image in images)
            before = self.ssm_backend.get_parameter(self._get_param("Name"))
            late = current().settings.parameter_seconds
            # What AWS refuses at once is told at once.
            refused = before is not None and not self._get_param("Overwrite")
            if refused or (good and not late):
                return original(self)
            if good:
                _PENDING.append((current().clock.now() + late, lambda: original(self)))
            return ActionResult(
                {"Version": before.version + 1 if before else 1, "Tier": "Standard"}
            )

    return put_parameter


def _getting(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def get_parameter(self: Any) -> ActionResult:
        with current().lock:
            _settle()
        return original(self)

    return get_parameter


def _settle() -> None:
    now = current().clock.now()
    due = [row for row in _PENDING if row[0] <= now]
    _PENDING[:] = [row for row in _PENDING if row[0] > now]
    for _, write in due:
        write()

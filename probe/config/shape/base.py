"""What all shapes share: no unknown keys, no guessing of types, our own words for errors.

Shapes say what one value may be. Whatever needs two values (names that must exist, an interval
beside a time-out) is decided in ``resolve``, so that a problem in one place hides none elsewhere.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from probe.documents.nodes import Block, Mapping

OURS: Final = "probe"
"""Type of the errors whose message is already what a person should read."""


def wrong(message: str) -> PydanticCustomError:
    """An error with a message of ours."""
    return PydanticCustomError(OURS, "{message}", {"message": message})


class Shape(BaseModel):
    """A mapping of the configuration file."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, data: object, info: ValidationInfo) -> object:
        """Note which shape a mapping was read as: messages about unknown keys need it.

        A key with nothing behind it counts as left out: a section whose entries are all
        commented out is no mistake.
        """
        if not isinstance(data, Block):
            return data
        if isinstance(info.context, ReadAs):
            info.context.shapes[data.node] = cls
        return {key: value for key, value in data.items() if value is not None}


class ReadAs:
    """Which shape each mapping was read as, filled while validating."""

    def __init__(self) -> None:
        self.shapes: dict[Mapping, type[Shape]] = {}

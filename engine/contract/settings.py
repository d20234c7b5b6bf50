"""Settings from the environment and a ``.env`` file (the environment wins), read once at startup."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.contract.redis_url import check_redis_url

ENV_FILE = Path(".env")


class SettingError(Exception):
    """An invalid setting; the message is one sentence that says what would be valid."""


class Settings(BaseModel):
    """Settings that bot and engine share; ``REDIS_URL`` sets the field ``redis_url``, and so on.

    ``lease``: seconds after which another worker reclaims the jobs of one that stopped renewing them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
    key_prefix: str = "poem:"
    lease: Annotated[float, Field(gt=0, le=3600)] = 5.0
    job_deadline: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str) -> str:
        check_redis_url(url)
        return url

    @classmethod
    def read(cls, environ: Mapping[str, str], env_file: Path | None = ENV_FILE) -> Self:
        """Settings from a mapping such as ``os.environ``, which takes precedence over ``env_file``.

        Empty values count as unset. Raises SettingError, which never contains the value: it may be a secret.
        """
        try:
            written = dotenv_values(env_file) if env_file is not None and env_file.is_file() else {}
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{env_file} cannot be read as UTF-8 text ({type(error).__name__}).") from error
        merged = {**written, **environ}
        try:
            return cls.model_validate(
                {name: merged[name.upper()] for name in cls.model_fields if merged.get(name.upper())}
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # concerns several settings; the reason names them
                raise SettingError(f"{reason}.") from error
            name = str(first["loc"][0]).upper()
            raise SettingError(f"{name} is wrong: {reason[0].lower()}{reason[1:]}.") from error

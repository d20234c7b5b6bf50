"""The bot's settings."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from engine.contract.settings import Settings

TELEGRAM_URL = "https://api.telegram.org/bot"


class BotSettings(Settings):
    """Without a token the bot serves HTTP only; without ``webhook_url`` it polls, and deletes an existing webhook only
    if ``delete_webhook`` is set. ``reply_deadline``: seconds after which a reply that Telegram does not accept becomes
    a dead letter. Limits of 0 mean no limit."""

    telegram_bot_token: SecretStr | None = None
    telegram_base_url: str = TELEGRAM_URL
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    delete_webhook: bool = False
    reply_deadline: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600.0
    admin_ids: frozenset[int] = frozenset()
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    queue_max: Annotated[int, Field(ge=1)] = 2000
    user_per_minute: Annotated[int, Field(ge=0)] = 6
    user_per_day: Annotated[int, Field(ge=0)] = 200
    blocklist_file: Path | None = None
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    site_names: frozenset[str] = frozenset()

    @field_validator("admin_ids", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return frozenset(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("must be whole numbers separated by commas, for example 12345,67890") from None

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("must be addresses or networks separated by commas: 127.0.0.1,10.0.0.0/8") from None

    @field_validator("site_names", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        if not all(re.fullmatch(r"[a-z0-9_.-]{1,253}", name) for name in names):
            raise ValueError("must be host names separated by commas, for example poems.example.org")
        return names

    @field_validator("telegram_bot_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", token.get_secret_value()):
            raise ValueError("must look like 123456:ABC-def, as given by BotFather")
        return token

    @field_validator("telegram_base_url", "webhook_url")
    @classmethod
    def _web(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^/?#:@\s]+\S*", url):
            raise ValueError("must be https:// and a host (or http:// for your own server)")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret.get_secret_value()):
            raise ValueError("must be 1 to 256 letters, digits, _ and -")
        return secret

    @model_validator(mode="after")
    def _webhook(self) -> BotSettings:
        if self.webhook_url is None:
            return self
        if self.webhook_secret is None:
            raise ValueError("WEBHOOK_URL requires WEBHOOK_SECRET, 1 to 256 letters, digits, _ and -")
        if not self.webhook_url.startswith("https://") and self.telegram_base_url == TELEGRAM_URL:
            raise ValueError(
                "WEBHOOK_URL must begin with https://, since Telegram calls no other; "
                "http:// is for your own Bot API server, set with TELEGRAM_BASE_URL"
            )
        return self

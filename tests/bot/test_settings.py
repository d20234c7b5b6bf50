"""Settings: read from a mapping before a file; invalid ones are named in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import BotSettings
from engine.contract.settings import SettingError, Settings
from engine.settings import EngineSettings
from train.settings import TrainSettings

TOKEN = "123456:ABC-def_1"


def test_nothing_set_is_enough() -> None:
    settings = BotSettings.read({}, None)
    assert (settings.http_host, settings.http_port, settings.queue_max) == ("127.0.0.1", 8080, 2000)
    assert (settings.user_per_minute, settings.user_per_day, settings.job_deadline) == (6, 200, 60)
    assert settings.telegram_bot_token is None
    engine = EngineSettings.read({}, None)
    assert (engine.candidates, engine.write_budget) == (64, 0.5)


def test_the_environment_wins_over_the_file_and_an_empty_value_is_none(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HTTP_PORT=1234\nKEY_PREFIX=file:\nADMIN_IDS=1,2\n", "utf-8")
    settings = BotSettings.read({"HTTP_PORT": "4321", "QUEUE_MAX": "", "WEBHOOK_URL": ""}, file)
    assert (settings.http_port, settings.key_prefix, settings.queue_max) == (4321, "file:", 2000)
    assert settings.admin_ids == {1, 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "eighty"),
        ("HTTP_PORT", "70000"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("ADMIN_IDS", "me"),
        ("TELEGRAM_BOT_TOKEN", "secret"),
        ("WEBHOOK_SECRET", "not allowed!"),
        ("WEBHOOK_URL", "ftp://x"),
        ("WEBHOOK_URL", "https:///x"),
        ("WEBHOOK_URL", "https://?x"),
        ("WEBHOOK_URL", "http://:8443"),
        ("WEBHOOK_URL", "https://poems example.org"),
        ("WEBHOOK_URL", "https://example.org/tele gram"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LEASE", "0"),
        ("USER_PER_MINUTE", "-1"),
        ("JOB_DEADLINE", "soon"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence_that_does_not_show_it(name: str, value: str) -> None:
    with pytest.raises(SettingError) as error:
        BotSettings.read({"WEBHOOK_SECRET": "word", name: value}, None)
    sentence = str(error.value)
    assert sentence.startswith(f"{name} is wrong: ")
    assert "\n" not in sentence
    assert value not in sentence or len(value) < 3


def test_settings_that_do_not_go_together_are_told_by_their_names_as_they_are_spelt() -> None:
    with pytest.raises(SettingError, match=r"^WEBHOOK_URL requires WEBHOOK_SECRET"):
        BotSettings.read({"WEBHOOK_URL": "https://example.org"}, None)


def test_a_webhook_without_tls_is_for_a_bot_api_server_of_ones_own() -> None:
    plain = {"WEBHOOK_URL": "http://10.0.0.1/telegram", "WEBHOOK_SECRET": "word"}
    with pytest.raises(SettingError, match=r"^WEBHOOK_URL must begin with https://"):
        BotSettings.read(plain, None)
    own = BotSettings.read({**plain, "TELEGRAM_BASE_URL": "http://10.0.0.2:8081/bot"}, None)
    assert own.webhook_url == "http://10.0.0.1/telegram"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/rest@127.0.0.1:6379/0",
        "redis://:12/hunter2@127.0.0.1:6379/0",
        "redis://user:hunter2#rest@127.0.0.1/0",
        "redis://user:hunter2?rest@127.0.0.1/0",
        "redis://127.0.0.1:hunter2/0",
        "redis://127.0.0.1:99999/0",
        "redis://[::1/0",
        "redis://127.0.0.1/hunter2",
        "redis://127.0.0.1/0?socket_timeout=hunter2",
        "redis://127.0.0.1/0?hunter2=1",
        "redis://127.0.0.1/0?protocol=9",
        "redis://127.0.0.1/0?encoding=hunter2",
        "redis://:hunter2@127.0.0.1/0?credential_provider=x",
        "rediss://127.0.0.1/0?ssl_cert_reqs=hunter2",
    ],
)
@pytest.mark.parametrize("settings", [Settings, BotSettings, EngineSettings, TrainSettings])
def test_a_redis_address_that_cannot_be_read_is_refused_without_a_piece_of_its_password(
    settings: type[Settings], url: str
) -> None:
    with pytest.raises(SettingError, match="REDIS_URL is wrong: it must have the form") as error:
        settings.read({"REDIS_URL": url}, None)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:a%2Fb%40c@127.0.0.1:6379/0",
        "redis://[::1]:6379",
        "rediss://:word@localhost:6379/0?ssl_ca_certs=/etc/ssl/ca.pem",
        "unix:///tmp/valkey.sock",
        "unix://user:word@/tmp/valkey.sock?db=1",
    ],
)
def test_every_form_of_a_redis_address_is_taken(url: str) -> None:
    assert Settings.read({"REDIS_URL": url}, None).redis_url == url


def test_a_webhook_needs_a_secret() -> None:
    with pytest.raises(SettingError, match="WEBHOOK_SECRET"):
        BotSettings.read({"WEBHOOK_URL": "https://example.org"}, None)


def test_no_secret_is_shown_by_the_settings_themselves() -> None:
    settings = BotSettings.read({"TELEGRAM_BOT_TOKEN": TOKEN, "WEBHOOK_SECRET": "s3cret"}, None)
    assert TOKEN not in repr(settings)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("candidates", ["0", "65", "many"])
def test_the_engine_holds_its_settings_to_what_it_can_do(candidates: str) -> None:
    with pytest.raises(SettingError, match="CANDIDATES"):
        EngineSettings.read({"CANDIDATES": candidates}, None)


def test_every_setting_stands_in_the_operators_table() -> None:
    table = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    for name in BotSettings.model_fields.keys() | EngineSettings.model_fields.keys():
        assert f"`{name.upper()}`" in table, name

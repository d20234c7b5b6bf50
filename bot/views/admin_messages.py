"""Texts for administrators about training and model versions, as Telegram HTML; values are escaped here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bot.views.messages import Language, escape, pick
from engine.contract.queue.models import DesiredVersion, Serving
from engine.contract.queue.training import Failure, Order, Phase, TrainingReport
from engine.contract.version_info import VersionInfo

MAX_FILES_NAMED = 5
"""How many unreadable files are named in a message."""
INSTALL_TRAINER = "pip install -c constraints.txt -e '.[train]'"
USAGE = (
    "用法：<code>/retrain [轮数] [continue|scratch]</code>，例如 <code>/retrain 1</code>；轮数 0.01 到 100。\n"
    "<code>/retrain status</code> 看进度，<code>/retrain cancel</code> 取消，<code>/model</code> 看各版本。",
    "Usage: <code>/retrain [epochs] [continue|scratch]</code>, for example <code>/retrain 1</code>; epochs from 0.01 "
    "to 100.\n<code>/retrain status</code> shows progress, <code>/retrain cancel</code> ends it, <code>/model</code> "
    "lists versions.",
)
NO_TRAINER = (
    f"没有训练进程。请安装训练所需：<code>{INSTALL_TRAINER}</code>，然后重新 <code>make run</code>，或另起一个 "
    "<code>python -m train worker</code>。",
    f"No trainer is running. Install what training needs: <code>{INSTALL_TRAINER}</code>, then start "
    "<code>make run</code> again, or a <code>python -m train worker</code> beside it.",
)
PRIVATE = ("请在与我的私聊里用这个命令。", "Please use this command in a private chat with me.")
HELP = (
    "管理员：\n/retrain [轮数]　再训练，例如 <code>/retrain 1</code>\n/model　模型版本与切换\n/stats　今日统计",
    "Administrators:\n/retrain [epochs]　train the model further, for example <code>/retrain 1</code>\n"
    "/model　list and change model versions\n/stats　today in numbers",
)
NO_TRAINING = ("没有训练在进行。", "No training is in progress.")
CANCELLING = ("正在取消……", "Cancelling …")
MODEL_USAGE = (
    "用法：<code>/model</code>，或 <code>/model use 版本</code>。",
    "Usage: <code>/model</code>, or <code>/model use VERSION</code>.",
)
NO_VERSIONS = ("还没有版本可列：没有写诗进程报到过。", "No version is known yet: no worker has reported.")

_PHASES: dict[Phase, tuple[str, str]] = {
    "queued": ("排队，等训练进程来取", "queued, waiting for a trainer"),
    "waiting": ("等另一个训练结束", "waiting for another training in the same TRAIN_DIR"),
    "preparing": ("准备语料", "preparing the corpus"),
    "training": ("训练中", "training"),
    "aligning": ("对齐中", "aligning"),
    "measuring": ("测量中", "measuring"),
    "paused": (
        "训练进程停了；下一个会从存档接着练",
        "the trainer stopped; the next one will continue from the checkpoint",
    ),
    "done": ("完成", "finished"),
    "failed": ("失败", "failed"),
    "cancelled": ("已取消", "cancelled"),
}
_UNREAD_REASONS: dict[str, tuple[str, str]] = {
    "no_folder": ("OWN_POEMS_DIR 所指不是文件夹", "OWN_POEMS_DIR is not a folder"),
    "kind": ("只收 .txt、.json、.npz", "its name must end in .txt, .json or .npz"),
    "empty": ("其中没有够长的中文诗", "it has no Chinese poem that is long enough"),
    "json": ("不是 chinese-poetry 格式：应为一列诗，各有 paragraphs", "not a list of poems with paragraphs"),
    "large": ("文件太大，请分成几份", "it is too large; split it into several files"),
    "utf8": ("不是 UTF-8 文本，请另存为 UTF-8", "it is not UTF-8 text; save it as UTF-8"),
    "npz": ("不是教程的 .npz，或已损坏", "it is not the tutorial's .npz, or it is damaged"),
    "special": ("不是普通文件（例如管道或设备）", "it is not a regular file, but for example a pipe or a device"),
    "unreadable": ("打不开，请看文件权限", "it cannot be opened; check its permissions"),
}
_FAILURES: dict[Failure, tuple[str, str]] = {
    "": ("", ""),
    "corpus": (
        "语料不可用，请重做 python -m train prepare。",
        "The corpus cannot be used; run python -m train prepare.",
    ),
    "npm": (
        "还没有语料，而且取不到：请安装 npm，或先用 python -m train prepare --source 目录 准备好。",
        "There is no corpus and it cannot be fetched: install npm, or prepare one with python -m train prepare "
        "--source DIR.",
    ),
    "small": (
        "语料太少，留不出验证用的诗：至少要有几百首。",
        "The corpus is too small for held-out poems: a few hundred are needed.",
    ),
    "disk": ("磁盘写不下了；腾出空间后再来一次。", "The disk is full; free some space and try again."),
    "model": ("起步用的模型读不了。", "The model to start from cannot be read."),
    "paddle": (f"缺少 Paddle：{INSTALL_TRAINER}", f"Paddle is missing: {INSTALL_TRAINER}"),
    "died": (
        "训练进程一再中断（也许内存不够）；已放弃。",
        "The training was killed repeatedly (perhaps for lack of memory) and was abandoned.",
    ),
    "moved": (
        "这次训练的存档不在这里：TRAIN_DIR 换过或清空过，所以不接着练；需要就再发一次 /retrain。",
        "The checkpoints of this training are gone: TRAIN_DIR was changed or emptied. It was dropped; send /retrain "
        "to start again.",
    ),
    "other": ("训练没有成功，日志里有详情。", "The training failed; the log has the details."),
}
_MEASURES = {
    "perplexity, validation": "验证困惑度",
    "perplexity, test": "测试困惑度",
    "rhyme": "押韵",
    "tone": "平仄",
    "attested_words": "有据之词",
    "coherence": "连贯",
}


def progress(order: Order, report: TrainingReport, alive: bool, language: Language) -> str:
    """The progress message. ``alive``: whether a trainer is alive."""
    phase: Phase = report.phase
    if phase in ("preparing", "training", "aligning", "measuring") and not alive:
        phase = "paused"
    version = escape(report.version)
    lines = [(f"<b>再训练</b> {version}".rstrip(), f"<b>Retraining</b> {version}".rstrip()), _PHASES[phase]]
    if report.step:
        bar, epoch = f"{_progress_bar(report.part)} {report.part:.0%}", f"{report.epoch:.2f} / {order.epochs:g}"
        lines += [(bar, bar), (f"第 {epoch} 轮", f"epoch {epoch}")]
    if report.loss is not None:
        loss, held_out = f"{report.loss:.3f}", "–" if report.validation is None else f"{report.validation:.1f}"
        lines.append((f"损失 {loss}　验证困惑度 {held_out}", f"loss {loss}, held-out perplexity {held_out}"))
    if phase == "training" and report.speed:
        speed, (zh, en) = f"{report.speed:,.0f}", _format_duration(report.seconds_left)
        lines.append((f"每秒 {speed} 字　约剩 {zh}", f"{speed} tokens/s, {en} left"))
    if report.interruptions:
        times = "once" if report.interruptions == 1 else f"{report.interruptions} times"
        zh, en = f"中断过 {report.interruptions} 次", f"interrupted {times}"
        if report.resumed is not None and phase in ("training", "aligning", "measuring"):
            zh, en = f"{zh}，从第 {report.resumed} 步接着练", f"{en}, continued from step {report.resumed}"
        lines.append((f"（{zh}）", f"({en})"))
    if report.own_poems:
        lines.append((f"自备的诗：{report.own_poems} 首", f"own poems: {report.own_poems}"))
    for name, why in list(report.skipped.items())[:MAX_FILES_NAMED]:
        zh, en = (escape(reason) for reason in _UNREAD_REASONS.get(why, (why, why)))
        lines.append((f"未读：{escape(name)}（{zh}）", f"not read: {escape(name)} ({en})"))
    if (others := max(0, len(report.skipped) - MAX_FILES_NAMED) + report.more_skipped) > 0:
        lines.append((f"另有 {others} 个文件未读", f"also not read: {others} files"))
    if phase == "failed":
        detail = f"\n<code>{escape(report.detail[:300])}</code>" if report.detail else ""
        zh, en = _FAILURES[report.failure]
        lines.append((zh + detail, en + detail))
    return "\n".join(pick(texts, language) for texts in lines)


def ending(report: TrainingReport, language: Language) -> str:
    """The final message: the table and the outcome. Under 1,024 characters, as it is a picture's caption."""
    head = f"<b>{escape(report.before or '?')} → {escape(report.version)}</b>"
    lines = [(head, head)]
    for name, before, after in report.table:
        change = f"{_format_measure(before)} → {_format_measure(after)}"
        lines.append((f"{_MEASURES.get(name, name)}　{change}", f"{name}: {change}"))
    use = f"<code>/model use {escape(report.version)}</code>"
    if report.promoted:
        lines.append(("验证更好，已启用。", "Better on the held-out poems: now in use."))
    else:
        lines.append(
            (
                f"验证没有更好，旧版继续用。若仍要用它：{use}",
                f"Not better on the held-out poems: the old version stays in use. To use it anyway: {use}",
            )
        )
    return "\n".join(pick(texts, language) for texts in lines)


def versions(
    known_versions: Mapping[str, VersionInfo],
    serving: Iterable[Serving],
    desired: DesiredVersion | None,
    language: Language,
) -> str:
    """The answer to ``/model``."""
    if not known_versions:
        return pick(NO_VERSIONS, language)
    workers = list(serving)
    lines = []
    for version, each in known_versions.items():
        notes = []
        if each.home:
            notes.append(("原版", "released"))
        if each.validation is not None:
            validation, test = _format_measure(each.validation), _format_measure(each.test)
            notes.append(
                (f"困惑度：验证 {validation}，测试 {test}", f"perplexity: validation {validation}, test {test}")
            )
        if each.date:
            notes.append((each.date, each.date))
        if desired is not None and desired.version == version:
            notes.append(("选定", "wanted"))
        if count := sum(one.version == version for one in workers):
            notes.append((f"{count} 个进程在用", f"serving: {count}"))
        colon, between = (": ", ", ") if language == "en" else ("：", "，")
        lines.append(f"<code>{escape(version)}</code>{colon}{between.join(pick(note, language) for note in notes)}")
    label = pick(("没能载入：", "not loaded: "), language)
    lines += [f"{label}{escape(error)}" for error in sorted({one.error for one in workers if one.error})]
    return "\n".join([*lines, pick(MODEL_USAGE, language)])


def unknown_version(version: str, language: Language) -> str:
    name = escape(version[:64])
    return pick(
        (f"没有 {name} 这个版本；/model 列出有的。", f"There is no version {name}; /model lists all versions."),
        language,
    )


def version_changing(version: str, language: Language) -> str:
    name = escape(version)
    return pick((f"正在换用 {name}……", f"Changing to {name} …"), language)


def version_changed(desired: DesiredVersion, serving: Iterable[Serving], language: Language) -> str:
    """The outcome of a request for another version, once the workers have answered."""
    workers = list(serving)
    using = sum(one.version == desired.version for one in workers)
    failed = {(one.version, one.error) for one in workers if one.version != desired.version and one.error}
    name, lines = escape(desired.version), []
    if using:
        lines.append((f"已换用 {name}（{using} 个进程）。", f"{name} is in use ({using} worker{'s' * (using > 1)})."))
    for old, why in ((escape(version), escape(error)) for version, error in failed):
        lines.append((f"{name} 没能载入，{old} 继续用：{why}", f"{name} did not load, still using {old}: {why}"))
    if not lines:
        lines.append((f"还没有进程换用 {name}。", f"No worker has changed to {name} yet."))
    return "\n".join(pick(texts, language) for texts in lines)


def _progress_bar(part: float) -> str:
    done = round(10 * part)
    return "▓" * done + "░" * (10 - done)


def _format_duration(seconds: float | None) -> tuple[str, str]:
    if seconds is None:
        return "?", "?"
    if seconds < 60:
        return f"{math.ceil(seconds)} 秒", f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} 分钟", f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} 小时 {minutes} 分", f"{hours} h {minutes} min"


def _format_measure(value: object) -> str:
    if not isinstance(value, int | float):
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"

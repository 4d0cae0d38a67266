"""A form as it is drawn: by the hosted page's template and by the script, from the same parts."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel

from services.capture.baits.fields import FieldDeclaration
from services.capture.baits.live import LiveBait, LiveForm
from services.shared.reasons import Language

Kind = Literal[
    "email", "tel", "text", "lines", "integer", "number", "date", "box", "select", "radios", "boxes"
]

_MANY_CHOICES = 6

_CONTACTS: Mapping[str, tuple[str, str, Kind, str]] = {
    "email": ("邮箱", "E-mail", "email", "email"),
    "phone": ("手机号", "Phone number", "tel", "tel"),
    "wechat_id": ("微信号", "WeChat ID", "text", "off"),
    "qq": ("QQ 号", "QQ number", "integer", "off"),
}
_KINDS: Mapping[str, Kind] = {
    "text": "text",
    "integer": "integer",
    "number": "number",
    "date": "date",
    "boolean": "box",
    "multi_choice": "boxes",
}
_TEXTS: Mapping[str, tuple[str, str]] = {
    "submit": ("马上领取", "Get it now"),
    "sending": ("正在提交…", "Sending…"),
    "thanks": ("提交成功，谢谢！", "Done, thank you!"),
    "mail": (
        "请查收邮件，点开其中的链接即可领取。",
        "Look into your mailbox: the link in our mail opens it.",
    ),
    "kept_only": ("我们会与您联系。", "We will be in touch."),
    "go_on": ("打开", "Open it"),
    "failed": ("网络不通，请再试一次。", "The network failed. Please try again."),
    "one_of": ("以下联系方式填一项即可", "One of these contacts is enough"),
    "optional": ("选填", "optional"),
    "choose": ("请选择", "Please choose"),
    "check": ("请检查标出的内容。", "Please look at the marked fields."),
    "qq_mail": (
        "会发送到您的 QQ 邮箱（QQ 号@qq.com）。",
        "It is sent to your QQ mailbox (<number>@qq.com).",
    ),
}


class Option(BaseModel):
    """One thing to choose."""

    value: str
    label: str


class Input(BaseModel):
    """One question. `id` is its name in JSON bodies and errors, `name` the one in plain forms."""

    id: str
    name: str
    label: str
    kind: Kind
    required: bool = False
    longest: int = 254
    autocomplete: str = "off"
    hint: str = ""
    options: list[Option] = []


class ConsentBox(BaseModel):
    """A box of its own, never ticked beforehand."""

    id: str
    name: str
    text: str
    required: bool = False


class FormView(BaseModel):
    """Everything that is needed to draw a form. `language` is that of the bait's own texts."""

    slug: str
    version: int
    language: str
    lang: Language
    title: str
    description: str
    one_of: bool
    contacts: list[Input]
    inputs: list[Input]
    consents: list[ConsentBox]
    mailed: bool
    texts: dict[str, str]


def texts(language: Language) -> dict[str, str]:
    """The words around a form."""
    pick = 0 if language == "zh-CN" else 1
    return {name: pair[pick] for name, pair in _TEXTS.items()}


def form_view(bait: LiveBait, form: LiveForm, language: Language, *, mailed: bool) -> FormView:
    """The view of a form; `mailed`: whether its first contact gets a mail."""
    document = form.document
    words = texts(language)
    one_of = document.contacts_needed == "one" and len(document.contacts) > 1
    return FormView(
        slug=bait.slug,
        version=form.version,
        language=document.language,
        lang=language,
        title=document.title,
        description=document.description,
        one_of=one_of,
        contacts=[
            _contact(channel, language, words["qq_mail"] if document.qq_mail else "", not one_of)
            for channel in document.contacts
        ],
        inputs=[_input(declared) for declared in document.fields],
        consents=[
            ConsentBox(
                id=f"consents.{consent.name}",
                name=f"consent.{consent.name}",
                text=consent.text,
                required=consent.required,
            )
            for consent in document.consents
        ],
        mailed=mailed,
        texts=words,
    )


def _contact(channel: str, language: Language, qq_hint: str, required: bool) -> Input:
    chinese, english, kind, autocomplete = _CONTACTS[channel]
    return Input(
        id=f"contact.{channel}",
        name=channel,
        label=chinese if language == "zh-CN" else english,
        kind=kind,
        required=required,
        autocomplete=autocomplete,
        hint=qq_hint if channel == "qq" else "",
    )


def _input(declared: FieldDeclaration) -> Input:
    kind = _KINDS.get(declared.type, "select")
    if declared.type == "text" and declared.lines:
        kind = "lines"
    elif declared.type == "choice" and len(declared.choices) < _MANY_CHOICES:
        kind = "radios"
    return Input(
        id=f"fields.{declared.name}",
        name=declared.name,
        label=declared.label,
        kind=kind,
        required=declared.required,
        longest=declared.longest if declared.type == "text" else 100,
        options=[Option(value=c.value, label=c.label) for c in declared.choices],
    )


Typed = Mapping[str, Sequence[str]]
"""What somebody typed, by the names of a plain form."""

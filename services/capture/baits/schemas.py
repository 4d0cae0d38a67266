"""What a bait is told by its operator, and what it says of itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_validator,
    model_validator,
)

from services.capture.baits.fields import ConsentText, FieldDeclaration
from services.capture.baits.texts import Description, Greeting, LongText, Title, Word
from services.shared.contact import BadAddress, Channel, parse_contact

Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=63),
    Field(
        description="The bait's name in addresses, such as /b/price-list", examples=["price-list"]
    ),
]
LanguageTag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", max_length=35),
]
FormChannel = Literal["email", "phone", "wechat_id", "qq"]


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not_url") from None
    plain = value.isprintable() and not set(value) & set(' \\"<>')
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or not plain:
        raise ValueError("not_url")
    return value


def _origin(value: str) -> str:
    text = _http_url(value.rstrip("/")).lower()
    parts = urlsplit(text)
    if parts.path or parts.query or parts.fragment:
        raise ValueError("not_url")
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}"


def _email(value: str) -> str:
    try:
        return parse_contact(Channel.EMAIL, value).address
    except BadAddress:
        raise ValueError("not_email") from None


HttpUrl = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_http_url)]
Origin = Annotated[
    str,
    StringConstraints(max_length=300),
    AfterValidator(_origin),
    Field(examples=["https://shop.example"]),
]
StaffAddress = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileResource(_Part):
    """An uploaded file, named by the SHA-256 under which it is stored."""

    kind: Literal["file"]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    name: Title
    media_type: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}$")
    ] = "application/octet-stream"
    size: int = Field(default=0, ge=0)


class UrlResource(_Part):
    """A page or file that stands elsewhere."""

    kind: Literal["url"]
    url: HttpUrl


class TextResource(_Part):
    """A text or a coupon, shown on the page."""

    kind: Literal["text"]
    text: LongText


AnyResource = Annotated[FileResource | UrlResource | TextResource, Field(discriminator="kind")]


class BaitDocument(_Part):
    """Everything that an operator says of a bait. Each change is a new version of it."""

    title: Title
    description: Description = ""
    language: LanguageTag = "zh-CN"
    contacts: tuple[FormChannel, ...] = Field(default=("email",), min_length=1, max_length=4)
    contacts_needed: Literal["one", "all"] = Field(
        default="one", description="Whether one of the contacts is enough or all are needed."
    )
    fields: tuple[FieldDeclaration, ...] = Field(default=(), max_length=40)
    tags: tuple[Word, ...] = Field(default=(), max_length=20)
    resource: AnyResource | None = None
    consents: tuple[ConsentText, ...] = Field(default=(), max_length=12)
    origins: tuple[Origin, ...] = Field(
        default=(), max_length=50, description="Sites that may post this form; empty: any."
    )
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    release: Literal["at_once", "verified"] = "verified"
    staff: tuple[StaffAddress, ...] = Field(
        default=(), max_length=20, description="Who is told by mail of each new lead."
    )
    sender: Greeting = Field(
        default="", description="Who greets in the bait mail, such as 'Li Na, Shop'."
    )
    qq_mail: StrictBool = Field(
        default=False, description="Send to <qq>@qq.com when a QQ number is left; the form says so."
    )
    others_on_page: StrictBool = Field(
        default=False,
        description="Give the resource on the thanks page to contacts that no channel can reach.",
    )

    @field_validator("contacts", "tags", "origins", "staff")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("repeated_field")
        return value

    @field_validator("fields")
    @classmethod
    def _names_once(cls, value: Sequence[FieldDeclaration]) -> Sequence[FieldDeclaration]:
        if len({field.name for field in value}) != len(value):
            raise ValueError("repeated_field")
        return value

    @field_validator("consents")
    @classmethod
    def _consents_once(cls, value: Sequence[ConsentText]) -> Sequence[ConsentText]:
        if len({consent.name for consent in value}) != len(value):
            raise ValueError("repeated_field")
        return value

    @model_validator(mode="after")
    def _order_of_time(self) -> "BaitDocument":
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("out_of_range")
        return self


class NewBait(BaitDocument):
    """A bait to be made."""

    slug: Slug


class ChannelState(BaseModel):
    """What becomes of a lead that leaves this kind of contact."""

    channel: FormChannel
    connected: bool = Field(description="Whether a connected channel can send to it.")
    resource: Literal["mail", "thanks_page", "kept_only"] = Field(
        description="How the person gets the resource; kept_only: not at all, as it is set up."
    )


class BaitState(BaseModel):
    """A bait as it is now."""

    id: str
    slug: str
    version: int
    state: Literal["open", "not_yet", "over", "retired"]
    resource_state: Literal["ready", "missing"]
    delivery: list[ChannelState] = Field(description="By kind of contact, the first one first.")
    created_at: datetime
    changed_at: datetime
    retired_at: datetime | None
    page: str = Field(description="Address of the hosted page.")
    bait: BaitDocument


class BaitList(BaseModel):
    """A page of baits, by slug."""

    items: list[BaitState]
    next: str | None = Field(description="Give it as `after` for the next page; null: the end.")


class BaitVersionState(BaseModel):
    """What a bait said in one of its versions."""

    slug: str
    version: int
    created_at: datetime
    bait: BaitDocument

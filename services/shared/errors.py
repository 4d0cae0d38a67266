"""Every error that Baitwell answers with, as one tree; each becomes a problem document (RFC 9457).

Problem
├── Invalid 422            a field is wrong: `fields` says which and why
├── Malformed 400          the request could not be read at all
├── Unauthenticated 401
├── Forbidden 403
├── NotFound 404
├── MethodNotAllowed 405
├── Conflict 409
│   └── InProgress 409     the same request is being handled now
├── Gone 410               it was there and is over
├── PreconditionFailed 412 If-Match names another version
├── PreconditionRequired 428
├── TooLarge 413
├── UnsupportedMedia 415
├── TooMany 429
└── Unavailable 503        nothing was accepted; come again after `retry_after`
    └── DatabaseUnavailable
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from services.shared.reasons import Language, sentence


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: its name (dots for nesting) and a word of `reasons.REASONS`."""

    field: str
    reason: str
    detail: str | None = None

    def as_json(self, language: Language) -> dict[str, str]:
        message = sentence(self.reason, language)
        if self.detail:
            message = f"{message} {self.detail}"
        return {"field": self.field, "reason": self.reason, "message": message}


class Problem(Exception):
    """An error with an HTTP status and a text in both languages.

    `detail` is (zh-CN, en) and must hold nothing personal and nothing secret.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    titles: ClassVar[tuple[str, str]] = ("服务器内部错误", "Internal server error")

    def __init__(
        self,
        detail: tuple[str, str] | None = None,
        *,
        fields: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        code: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail[1] if detail else self.titles[1])
        self.detail = detail
        self.fields = fields
        self.retry_after = retry_after
        self.problem_code = code or self.code
        self.extra = extra or {}

    def document(self, language: Language, instance: str | None = None) -> dict[str, Any]:
        """The problem document of RFC 9457, in one language."""
        pick = 0 if language == "zh-CN" else 1
        body: dict[str, Any] = {
            "type": f"urn:baitwell:problem:{self.problem_code}",
            "title": self.titles[pick],
            "status": self.status,
        }
        if self.detail:
            body["detail"] = self.detail[pick]
        if self.fields:
            body["errors"] = [field.as_json(language) for field in self.fields]
        if instance:
            body["instance"] = instance
        return body | self.extra


class Invalid(Problem):
    status = 422
    code = "invalid"
    titles = ("提交的内容有误", "Something in the request is not valid")


class Malformed(Problem):
    status = 400
    code = "malformed"
    titles = ("无法读取请求", "The request could not be read")


class Unauthenticated(Problem):
    status = 401
    code = "unauthenticated"
    titles = ("需要有效的密钥或登录", "A valid key or log-in is needed")


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    titles = ("没有权限", "This is not allowed")


class NotFound(Problem):
    status = 404
    code = "not-found"
    titles = ("没有找到", "Not found")


class MethodNotAllowed(Problem):
    status = 405
    code = "method-not-allowed"
    titles = ("不支持此方法", "This method is not allowed here")


class Conflict(Problem):
    status = 409
    code = "conflict"
    titles = ("与现有状态冲突", "This conflicts with what is there")


class InProgress(Conflict):
    code = "in-progress"
    titles = ("同一请求正在处理", "The same request is being handled")


class Gone(Problem):
    status = 410
    code = "gone"
    titles = ("已失效", "This is over")


class PreconditionFailed(Problem):
    status = 412
    code = "precondition-failed"
    titles = ("内容已被他人修改", "It was changed in the meantime")


class PreconditionRequired(Problem):
    status = 428
    code = "precondition-required"
    titles = ("修改需要 If-Match 版本号", "An edit needs If-Match with the version")


class TooLarge(Problem):
    status = 413
    code = "too-large"
    titles = ("内容过大", "This is too large")


class UnsupportedMedia(Problem):
    status = 415
    code = "unsupported-media-type"
    titles = ("不支持的内容类型", "This content type is not supported")


class TooMany(Problem):
    status = 429
    code = "too-many-requests"
    titles = ("请求过于频繁", "Too many requests")


class Unavailable(Problem):
    status = 503
    code = "unavailable"
    titles = ("服务暂时不可用", "The service is not available for the moment")

    def __init__(self, detail: tuple[str, str] | None = None, *, retry_after: int = 2) -> None:
        super().__init__(detail, retry_after=retry_after)


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"


class SetupError(Exception):
    """The process can't start as it is set up. The message is one line that says what to do."""

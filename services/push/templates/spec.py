"""What a template version says, as values: channel, kind, variables, content per language."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.push.templates.variables import Variable
from services.shared.reasons import Language

TemplateKind = Literal["marketing", "transactional"]
TemplateChannel = Literal["email", "webhook"]


@dataclass(frozen=True, slots=True)
class Source:
    """The parts of one language as they were written. Without a text part one is made of the HTML."""

    subject: str
    text: str | None
    html: str | None


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """One version of a template."""

    channel: TemplateChannel
    kind: TemplateKind
    variables: tuple[Variable, ...]
    default_language: Language
    contents: Mapping[Language, Source]

    def language_for(self, wanted: str | None) -> Language:
        """The language in which somebody who reads `wanted` gets it."""
        for language in self.contents:
            if wanted and wanted.lower().partition("-")[0] == language.lower().partition("-")[0]:
                return language
        return self.default_language

    def document(self) -> dict[str, Any]:
        """As it is kept in the database."""
        return {
            "channel": self.channel,
            "kind": self.kind,
            "variables": [asdict(variable) for variable in self.variables],
            "default_language": self.default_language,
            "contents": {language: asdict(source) for language, source in self.contents.items()},
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "TemplateSpec":
        """From what is kept."""
        return cls(
            document["channel"],
            document["kind"],
            tuple(Variable(**variable) for variable in document["variables"]),
            document["default_language"],
            {language: Source(**source) for language, source in document["contents"].items()},
        )

"""The words by which Baitwell says what is wrong with a field, and their sentences in both languages."""

from typing import Literal

Language = Literal["zh-CN", "en"]

REASONS: dict[str, tuple[str, str]] = {
    "required": ("请填写此项。", "This field is required."),
    "one_of_required": ("请至少填写其中一项联系方式。", "Fill in one of these contacts."),
    "too_long": ("内容过长。", "This is too long."),
    "too_short": ("内容过短。", "This is too short."),
    "not_email": ("请填写有效的邮箱地址。", "This is not an e-mail address."),
    "not_phone": ("请填写有效的电话号码。", "This is not a phone number."),
    "not_qq": ("请填写有效的 QQ 号。", "This is not a QQ number."),
    "not_wechat_id": ("请填写有效的微信号。", "This is not a WeChat id."),
    "not_wechat": ("OpenID 无效。", "This is not an openid."),
    "not_qq_bot": ("OpenID 无效。", "This is not an openid."),
    "not_integer": ("请填写整数。", "This is not a whole number."),
    "not_number": ("请填写数字。", "This is not a number."),
    "not_date": ("请填写日期（年-月-日）。", "This is not a date (YYYY-MM-DD)."),
    "not_choice": ("请从列出的选项中选择。", "Choose one of the options."),
    "not_boolean": ("只能为是或否。", "This must be true or false."),
    "not_text": ("此处须为文字。", "This must be text."),
    "forbidden_characters": (
        "包含不允许的字符。",
        "This contains characters that are not allowed.",
    ),
    "unknown_field": ("没有这个字段。", "There is no such field."),
    "repeated_field": ("此字段只能出现一次。", "This field may appear only once."),
    "too_many_fields": ("字段过多。", "There are too many fields."),
    "wrong_type": ("类型不正确。", "This has the wrong type."),
    "invalid": ("内容无效。", "This is not valid."),
    "out_of_range": ("超出允许范围。", "This is out of range."),
    "not_url": ("请填写 http 或 https 网址。", "This is not an http or https address."),
    "taken": ("已被占用。", "This is taken."),
    "type_conflict": (
        "同名字段在另一个诱饵中已是其他类型。",
        "Another bait declares this field with another type.",
    ),
    "no_such_thing": ("所指的对象不存在。", "What this names does not exist."),
    "undeclared_variable": ("使用了未声明的变量。", "This variable is not declared."),
    "unused_variable": ("声明的变量没有用到。", "This variable is declared and not used."),
    "template_syntax": ("模板语法有误。", "The template has a mistake."),
    "personal_link": (
        "链接地址不能包含个人变量。",
        "A link's address may hold no personal variable.",
    ),
    "not_in_templates": (
        "模板中不允许使用此语法。",
        "This is not allowed in a template.",
    ),
    "too_complex": ("内容过于复杂。", "This is too complex."),
    "variable_in_markup": (
        "变量只能出现在文字或带引号的属性值中。",
        "A variable may stand only in text or in a quoted attribute.",
    ),
    "branch_in_markup": (
        "条件分支不能出现在 HTML 标签内部。",
        "A condition may not begin or end inside of a tag.",
    ),
    "broken_html": ("HTML 结构有误。", "The HTML is broken."),
    "element_not_allowed": (
        "邮件中不允许使用此元素。",
        "This element or attribute is not allowed in a message.",
    ),
    "not_marketing": (
        "活动只能使用营销类模板。",
        "A campaign needs a template of kind marketing.",
    ),
    "locked_by_run": (
        "活动开始后不能再更改此项。",
        "This can't be changed any more once the campaign has begun.",
    ),
    "value_missing": ("缺少变量的值。", "The value of a variable is missing."),
    "render_failed": ("用这些值无法生成内容。", "The content can't be made with these values."),
    "in_the_past": ("时间已过。", "This is in the past."),
    "consent_text_missing": ("缺少同意条款文本。", "The consent text is missing."),
    "too_large_rule": (
        "规则过深或条件过多。",
        "The rule is too deep or has too many conditions.",
    ),
    "wrong_comparison": (
        "此类型的字段不能这样比较。",
        "A field of this type can't be compared in this way.",
    ),
}


def sentence(reason: str, language: Language) -> str:
    """The sentence for a reason; the word itself where the table has none."""
    chinese, english = REASONS.get(reason, (reason, reason))
    return chinese if language == "zh-CN" else english

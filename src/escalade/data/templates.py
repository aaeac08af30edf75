"""From a record to the text a model reads: the one renderer of training, prompting, grading and serving.

A Template is stored with the model, so that what is served is what was trained. Its layout is Jinja in a sandbox: a
template may come with a model folder from anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from escalade.data.answers import join_words, tagged_text
from escalade.errors import BadInput
from escalade.records import Chat, Question, Record, Related, Tagged, input_text, output_text
from escalade.values import Facts, Kind, Value

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    autoescape=False, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
)
PromptLanguage = Literal["en", "zh"]


class Template(Value):
    """How records become prompts.

    The prompt is the instruction, the demonstrations each followed by its output, and the question, joined by the
    separator. A layout ends where the output begins: on a new line, so that no tokenizer merges the two.
    """

    name: str
    language: PromptLanguage
    instruction: str
    layout: str
    """Jinja source of one record; it knows ``input``, ``text``, ``head``, ``tail``, ``question``, ``context``,
    ``messages`` (each with ``role`` and ``content``) and ``roles``, as far as the record has them."""
    separator: str = "\n\n"

    @classmethod
    def from_json(cls, stored: object) -> Template:
        """The template that ``to_json`` wrote.

        Raises:
            BadInput: It is no template.
        """
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            raise BadInput("data.template_stored", problem=error.errors()[0]["msg"]) from None


_LAYOUTS: dict[PromptLanguage, dict[Kind, str]] = {
    "en": {
        "classification": "Text: {{ text }}\nLabel:\n",
        "token-classification": "Text: {{ text }}\nEntities:\n",
        "relation-extraction": "Text: {{ text }}\nFirst: {{ head }}\nSecond: {{ tail }}\nRelation:\n",
        "question-answering": "Context: {{ context }}\nQuestion: {{ question }}\nAnswer:\n",
        "summarization": "Text: {{ input }}\nSummary:\n",
        "translation": "Text: {{ input }}\nTranslation:\n",
        "generation": "Input: {{ input }}\nOutput:\n",
        "embedding": "{{ input }}",
    },
    "zh": {
        "classification": "文本：{{ text }}\n标签：\n",
        "token-classification": "文本：{{ text }}\n实体：\n",
        "relation-extraction": "文本：{{ text }}\n实体一：{{ head }}\n实体二：{{ tail }}\n关系：\n",
        "question-answering": "材料：{{ context }}\n问题：{{ question }}\n回答：\n",
        "summarization": "原文：{{ input }}\n摘要：\n",
        "translation": "原文：{{ input }}\n译文：\n",
        "generation": "输入：{{ input }}\n输出：\n",
        "embedding": "{{ input }}",
    },
}
_CHAT = "{% for turn in messages %}{{ roles[turn.role] }}: {{ turn.content }}\n{% endfor %}{{ roles.assistant }}:\n"
_ROLES: dict[PromptLanguage, dict[str, str]] = {
    "en": {"system": "System", "user": "User", "assistant": "Assistant"},
    "zh": {"system": "系统", "user": "用户", "assistant": "助手"},
}
_INSTRUCTIONS: dict[PromptLanguage, dict[Kind, str]] = {
    "en": {
        "classification": "Classify the text. Answer with its label only.",
        "token-classification": "List the entities of the text in order, each as `entity: type`, parted by `; `; "
        "answer `none` where there are none.",
        "relation-extraction": "Say which relation the first entity has to the second. Answer with the relation only.",
        "question-answering": "Answer the question with words of the context.",
        "summarization": "Summarize the text.",
        "translation": "Translate the text.",
        "generation": "Write the output that belongs to the input.",
    },
    "zh": {
        "classification": "判断文本的类别，只回答标签。",
        "token-classification": "按顺序列出文本中的实体，写成 `实体: 类型`，以 `; ` 分隔；没有实体时回答 `none`。",
        "relation-extraction": "说明实体一与实体二的关系，只回答关系名称。",
        "question-answering": "用材料中的文字回答问题。",
        "summarization": "为原文写一段摘要。",
        "translation": "翻译原文。",
        "generation": "根据输入写出对应的输出。",
    },
}
_CHOICES: dict[PromptLanguage, tuple[str, str, str]] = {
    "en": ("Labels: ", ", ", "."),
    "zh": ("可选标签：", "、", "。"),
}
_TYPES: dict[PromptLanguage, tuple[str, str, str]] = {"en": ("Types: ", ", ", "."), "zh": ("类型：", "、", "。")}


def template_for(facts: Facts, instruction: str | None = None, *, list_labels: bool = True) -> Template:
    """The template of a task, in Chinese for Chinese data and else in English.

    Args:
        facts: Kind, labels and language.
        instruction: The project's own words in place of the general ones for the kind.
        list_labels: Whether the labels are named after the instruction; it costs their length in every prompt.
    """
    language: PromptLanguage = "zh" if facts.language == "zh" else "en"
    said = instruction if instruction is not None else _INSTRUCTIONS[language].get(facts.kind, "")
    if list_labels and facts.labels:
        choices = entity_types(facts.labels) if facts.kind == "token-classification" else list(facts.labels)
        before, between, after = (_TYPES if facts.kind == "token-classification" else _CHOICES)[language]
        said = f"{said}\n{before}{between.join(choices)}{after}".lstrip("\n")
    layout = _CHAT if facts.kind == "chat" else _LAYOUTS[language][facts.kind]
    return Template(name=f"{facts.kind}-{language}", language=language, instruction=said, layout=layout)


def entity_types(tags: Sequence[str]) -> list[str]:
    """The types behind BIO tags; tags of another shape as they are."""
    return sorted({tag[2:] if tag[:2] in ("B-", "I-") else tag for tag in tags} - {"O"})


def render_input(record: Record, template: Template) -> str:
    """One record in the template's layout, up to where its output begins.

    Raises:
        BadInput: The layout is no Jinja, asks for what the record has not, or does what the sandbox forbids.
    """
    try:
        return _compiled(template.layout).render(_fields(record), roles=_ROLES[template.language])
    except Exception as error:  # a layout is a program: it can fail in any way
        raise BadInput("data.template_wrong", place=template.name, problem=error) from None


def render_output(record: Record) -> str:
    """What the model should answer, as text."""
    return tagged_text(record) if isinstance(record, Tagged) else output_text(record)


def render_prompt(record: Record, template: Template, demonstrations: Sequence[Record] = ()) -> str:
    """The whole text before the answer: instruction, demonstrations with their outputs, question.

    Raises:
        BadInput: As ``render_input``.
    """
    shown = [render_input(d, template) + render_output(d) for d in demonstrations]
    parts = [template.instruction, *shown, render_input(record, template)]
    return template.separator.join(part for part in parts if part)


@cache
def _compiled(layout: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(layout)


def _fields(record: Record) -> dict[str, Any]:
    """What a layout may name."""
    match record:
        case Tagged(tokens=tokens):
            joined = join_words(tokens)
            return {"input": joined, "text": joined}
        case Related(text=text, head=head, tail=tail):
            return {"input": input_text(record), "text": text, "head": head, "tail": tail}
        case Question(question=question, context=context):
            return {"input": input_text(record), "text": context, "question": question, "context": context}
        case Chat(messages=messages):
            turns = [{"role": turn.role, "content": turn.content} for turn in messages[:-1]]
            return {"input": input_text(record), "text": input_text(record), "messages": turns}
        case _:
            return {"input": input_text(record), "text": input_text(record)}

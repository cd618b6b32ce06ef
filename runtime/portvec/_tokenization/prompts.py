"""Prompts: texts that a model wants before others, by the names that sentence-transformers gives them."""

from __future__ import annotations

from collections.abc import Mapping

from portvec._messages import describe_unknown
from portvec._tokenization.texts import refuse_surrogates
from portvec.errors import InputError, OptionError


def choose_prompt(
    prompts: Mapping[str, str], default_name: str | None, name: str | None, prompt: str | None
) -> str:
    """Return the text to put before texts: `prompt`, or the one called `name`, or else the default one.

    Raises:
        OptionError: both are given, or there is no prompt of this name.
        InputError: `prompt` is not a str, or has a lone surrogate.
    """
    if prompt is not None:
        if name is not None:
            raise OptionError(f"prompt is {prompt!r} and prompt_name {name!r}; leave out one of them")
        if not isinstance(prompt, str):
            raise InputError(f"prompt is of type {type(prompt).__name__}, expected str")
        refuse_surrogates([prompt], name="prompt")
        return prompt
    if name is None:
        return "" if default_name is None else prompts[default_name]
    if name not in list(prompts):  # a list, since the name may be anything
        raise OptionError(describe_unknown("prompt_name", name, prompts))
    return prompts[name]

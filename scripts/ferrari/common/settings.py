"""The settings, checked against the schema before any job; errors name the nearest valid key."""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ferrari.common import text_files
from ferrari.common.errors import FerrariError
from ferrari.common.places import ROOT
from ferrari.common.setting_places import Places

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

DEFAULTS = ROOT / "config" / "config.yaml"
SCHEMA = ROOT / "config" / "config.schema.yaml"
#: A number with a decimal comma, in quotes or with a unit behind it.
_NUMBER = re.compile(r"\s*([+-]?[\d][\d,.']*)\s*[a-zA-Z]*\s*")
_THOUSANDS = re.compile(r"\d{1,3}([,']\d{3})+")
_INDENT = ": indent with spaces, not with tabs"


class SettingsError(FerrariError, ValueError):
    """The merged configuration breaks the schema, or a setting asks for what is not there; the
    message names every setting at fault.
    """


def load(*overlays: str | os.PathLike) -> dict:
    """The defaults with settings files laid over them, as Snakemake merges them; unchecked, but
    SettingsError for a file that cannot be read, or that says a setting twice.
    """
    merged: dict = {}
    for path in (DEFAULTS, *overlays):
        _lay_over(merged, read_file(path))
    require_said_once(overlays)
    return merged


def read_file(file: str | os.PathLike) -> dict:
    """The settings in a file; SettingsError, with the file and the line, if it holds none.

    Snakemake's own error names neither.
    """
    place = os.fspath(file)
    try:
        said = yaml.safe_load(_text(file))
    except OSError as error:
        raise SettingsError(
            f"the settings file {place} cannot be read ({error.strerror}): correct its name or its "
            "place"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        cure = _INDENT if "'\\t'" in str(error.problem) else ""
        raise SettingsError(
            f"the settings file {place}{line} is no YAML: {error.problem}{cure}"
        ) from error
    except yaml.reader.ReaderError as error:
        raise SettingsError(
            f"the settings file {place} holds a control character (character "
            f"{error.position + 1}, U+{error.character:04X}): take it out"
        ) from error
    if not isinstance(said, dict):
        raise SettingsError(f"the settings file {place} names no setting: write one, as `seed: 1`")
    return said


def _text(file: str | os.PathLike) -> str:
    """The text of a settings file, without a byte order mark.

    Raises OSError, and SettingsError if it is not UTF-8.
    """
    try:
        return Path(file).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"the settings file {os.fspath(file)}{text_files.not_utf_8(error)}: save it as "
            "UTF-8 (an editor's 'Save as', encoding UTF-8)"
        ) from error


def require_said_once(files: Iterable[str | os.PathLike]) -> None:
    """Raise SettingsError if a settings file has a key twice: of two sections with one name, YAML
    silently drops the first.
    """
    for file in files:
        try:
            document = yaml.compose(_text(file))
        except yaml.YAMLError:  # JSON, or invalid: reading the settings reports it
            continue
        for mapping in _mappings(document):
            if twice := _key_twice(mapping):
                raise SettingsError(
                    f"{os.fspath(file)}: {twice}, and only the last would count: put what both "
                    "say into one"
                )


def _key_twice(mapping: yaml.MappingNode) -> str:
    """'fps is there twice, in lines 3 and 9' of the first such key; "" if each is there once."""
    lines: dict[str, int] = {}
    for key, _ in mapping.value:
        line = key.start_mark.line + 1
        first = lines.get(key.value)
        if first is not None:
            where = f"line {line}" if line == first else f"lines {first} and {line}"
            return f"{key.value} is there twice, in {where}"
        lines[key.value] = line
    return ""


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """The mappings in a YAML document, the outer ones first."""
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def completed(config: Mapping) -> dict:
    """The defaults with `config` laid over them; unchecked."""
    merged = load()
    _lay_over(merged, config)
    return merged


def _lay_over(below: dict, above: Mapping) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = value


def read_text(config: dict, schema_path: str | Path) -> None:
    """Convert text to the types that the schema wants, in place.

    Values nested in a `--config` option, such as `warm_workers=false`, reach the workflow as text.
    """
    validator = _validator(schema_path)
    for fault in list(validator.iter_errors(config)):
        if fault.validator != "type" or not isinstance(fault.instance, str):
            continue
        try:
            meant = yaml.safe_load(fault.instance)
        except yaml.YAMLError:  # it is what `check` will say of it
            continue
        if validator.evolve(schema={"type": fault.validator_value}).is_valid(meant):
            *above, name = fault.absolute_path
            functools.reduce(lambda part, key: part[key], above, config)[name] = meant


@functools.cache
def _validator(schema_path: str | Path) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # 60 ms, and only the workflow itself checks

    return Draft202012Validator(yaml.safe_load(Path(schema_path).read_text()))


def check(
    config: Mapping, schema_path: str | Path, files: Sequence[str | os.PathLike] = ()
) -> None:
    """Raise SettingsError naming each setting that the schema refuses, the nearest valid one, and
    the line where one of the settings `files` says it.
    """
    validator = _validator(schema_path)
    faults = sorted(validator.iter_errors(dict(config)), key=lambda error: list(error.path))
    if not faults:
        return
    places = Places(files)
    lines = [
        f"{line} ({place})" if (place := places.of(path, value)) else line
        for fault in faults
        for path, value, line in _explain(fault)
    ]
    raise SettingsError("the configuration is not valid:\n  " + "\n  ".join(lines))


def _explain(fault: ValidationError) -> Iterator[tuple[list, object, str]]:
    """The path of each setting that a fault is about, its value, and an explanation."""
    place = ".".join(str(part) for part in fault.absolute_path)
    schema = fault.schema if isinstance(fault.schema, Mapping) else {}
    instance: Any = fault.instance
    if fault.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for name in sorted(set(instance) - set(known), key=str):
            hint = _near(name, known) or f"; known here: {', '.join(known)}"
            said = f"{_dotted(place, name)!r} was unexpected{hint}"
            yield [*fault.absolute_path, name], instance[name], said
        return
    unit = schema.get("description", "")
    known = schema.get("enum", []) if fault.validator == "enum" else []
    said = f"{place or 'config'}: {fault.message}" + (f" ({unit})" if unit else "")
    said += _near(instance, known) or _meant(fault)
    yield list(fault.absolute_path), instance, said


def _meant(fault: ValidationError) -> str:
    """What to write instead of text that was meant as a number or a list; "" if that is unclear."""
    types: Any = fault.validator_value if fault.validator == "type" else ()
    wanted = {types} if isinstance(types, str) else set(types)
    if not isinstance(fault.instance, str):
        return ""
    number = _NUMBER.fullmatch(fault.instance)
    if number and wanted & {"number", "integer"}:
        text = number[1]
        if _THOUSANDS.fullmatch(text) and "number" not in wanted:
            text = text.replace(",", "").replace("'", "")
        return f"; write {text.replace(',', '.')}"
    return f"; write [{fault.instance}]" if wanted == {"array"} else ""


def _near(said: object, known: Iterable) -> str:
    """The `known` word that was probably meant by a misspelt one; empty if none is near."""
    near = difflib.get_close_matches(str(said), [str(one) for one in known], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _dotted(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)

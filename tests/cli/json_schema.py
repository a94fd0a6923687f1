"""Checks documents against the part of JSON Schema that docs/schemas uses.

A keyword that is not known here is an error, so that no schema is taken for
stricter than it is.
"""

import json
import re

_TYPES = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}


class Invalid(AssertionError):
    pass


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check(document, schema, root=None, where="$"):
    """Raises Invalid, naming the place, if `document` does not fit."""
    root = root or schema
    for keyword, rule in schema.items():
        if keyword not in _ANNOTATIONS:
            _CHECKS[keyword](document, rule, schema, root, where)


def _fail(where, text, *args):
    raise Invalid("%s: %s" % (where, text % args))


def _type(value, rule, schema, root, where):
    names = rule if isinstance(rule, list) else [rule]
    if not any(_TYPES[name](value) for name in names):
        _fail(where, "is %r, not of type %s", value, rule)


def _const(value, rule, schema, root, where):
    if value != rule:
        _fail(where, "is %r, not %r", value, rule)


def _enum(value, rule, schema, root, where):
    if value not in rule:
        _fail(where, "is %r, not one of %r", value, rule)


def _minimum(value, rule, schema, root, where):
    if _TYPES["number"](value) and value < rule:
        _fail(where, "is %r, less than %r", value, rule)


def _maximum(value, rule, schema, root, where):
    if _TYPES["number"](value) and value > rule:
        _fail(where, "is %r, more than %r", value, rule)


def _min_length(value, rule, schema, root, where):
    if isinstance(value, str) and len(value) < rule:
        _fail(where, "is %r, shorter than %d", value, rule)


def _max_items(value, rule, schema, root, where):
    if isinstance(value, list) and len(value) > rule:
        _fail(where, "has %d elements, more than %d", len(value), rule)


def _pattern(value, rule, schema, root, where):
    if isinstance(value, str) and not re.search(rule, value):
        _fail(where, "is %r, which does not match %s", value, rule)


def _required(value, rule, schema, root, where):
    if isinstance(value, dict):
        for name in rule:
            if name not in value:
                _fail(where, "has no member %r", name)


def _properties(value, rule, schema, root, where):
    if isinstance(value, dict):
        for name, inner in rule.items():
            if name in value:
                check(value[name], inner, root, "%s.%s" % (where, name))


def _additional(value, rule, schema, root, where):
    if not isinstance(value, dict):
        return
    for name in value.keys() - schema.get("properties", {}).keys():
        if rule is False:
            _fail(where, "has a member %r that is not in the schema", name)
        if isinstance(rule, dict):
            check(value[name], rule, root, "%s.%s" % (where, name))


def _items(value, rule, schema, root, where):
    if isinstance(value, list):
        for i, element in enumerate(value):
            check(element, rule, root, "%s[%d]" % (where, i))


def _one_of(value, rule, schema, root, where):
    problems = []
    for alternative in rule:
        try:
            check(value, alternative, root, where)
        except Invalid as problem:
            problems.append(str(problem))
    if len(problems) != len(rule) - 1:
        _fail(where, "fits %d alternatives: %s", len(rule) - len(problems), problems)


def _ref(value, rule, schema, root, where):
    target = root
    for step in rule[2:].split("/"):
        target = target[step]
    check(value, target, root, where)


_CHECKS = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxItems": _max_items,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "oneOf": _one_of,
    "$ref": _ref,
}

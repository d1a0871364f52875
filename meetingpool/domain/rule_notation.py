"""How administrators write the rule of a parameter on one line: `duration<90`. Read and shown by `meetingpool tenants rules`."""

from meetingpool.domain.parameters import InvalidRule, Operator, Rule

# The first of these signs ends the name; a removal has none of them, and a hyphen at its end.
_SIGNS = {"=": Operator.OVERRIDE, "?": Operator.DEFAULT, "<": Operator.CAP, "+": Operator.APPEND}
_REMOVAL = "-"
NOTATION = "name=value to enforce, name?value as a default, name<number as a limit, name+value to append, name- to remove"


def split_rule(text: str) -> tuple[Operator, str, str]:
    """The operator, the name and the value of a rule. Raises InvalidRule for what is none."""
    sign = min((sign for sign in _SIGNS if sign in text), key=text.index, default="")
    if sign:
        name, _, value = text.partition(sign)
        return _SIGNS[sign], name.strip(), value.strip()
    if text.rstrip().endswith(_REMOVAL):
        return Operator.REMOVE, text.rstrip().removesuffix(_REMOVAL).strip(), ""
    raise InvalidRule(f"write {NOTATION}")


def written(rule: Rule) -> str:
    """The rule as `split_rule` reads it, if its name holds none of the signs."""
    if rule.operator is Operator.REMOVE:
        return f"{rule.name}{_REMOVAL}"
    (sign,) = (sign for sign, operator in _SIGNS.items() if operator is rule.operator)
    return f"{rule.name}{sign}{rule.value}"

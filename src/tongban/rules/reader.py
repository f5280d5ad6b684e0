"""From SQLGlot's tree to ours: the allow-list of nodes, the types, and the gate against silence.

A node that has no entry in `_READERS` is refused by its name. COALESCE, IS NULL and the branches of
CASE turn "the register does not know" into an answer; over columns that can be silent they are refused
unless the rule says in `missing_means`, with an article, what silence means in law. Asked values are compared for
equality only: whoever may choose a bound finds a register's value in a few calls.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from sqlglot import exp

from tongban.rules import expr
from tongban.rules.expr import Expr
from tongban.rules.facts import INT_HIGH, INT_LOW, SCALARS, Type
from tongban.rules.language import LanguageError, Scope, tree
from tongban.rules.vocabulary import VOCABULARY

DEEPEST_TREE = 100
LONGEST_IN = 200  #: values written out in one IN; longer lists are parameters
MOST_COALESCED = 8

Node = Any  #: a node of SQLGlot's tree, whose parts are not typed

_FAMILY = {Type.CODE: Type.TEXT}
_ORDERED = (Type.INT, Type.DATE)


def read(text: str, scope: Scope) -> Expr:
    """The typed tree of a condition. Raises LanguageError."""
    root = tree(text)
    found = _Reader(scope).read(root, 0)
    if found.type is not Type.BOOL:
        raise LanguageError("not a condition", "Write something that is true or false, such as a = b.", _position(root))
    return found


def _position(node: Node) -> int:
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts, default=0)


def family(kind: Type | None) -> Type | None:
    """The type as comparisons see it: a code is a text."""
    return _FAMILY.get(kind, kind) if kind else None


class _Reader:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def read(self, node: Node, depth: int) -> Expr:
        if depth > DEEPEST_TREE:
            raise LanguageError("nested too deeply", "Split the rule.", _position(node))
        if isinstance(node, exp.Null):
            raise LanguageError("NULL has no place here", "Write x IS NULL to ask for a missing x.", _position(node))
        reader = _READERS.get(type(node))
        if reader is None:
            what = f"{type(node).__name__} has no place in a rule"
            remedy = "Use comparison, AND OR NOT, IN, BETWEEN, IS NULL, CASE, COALESCE, + - * and the vocabulary."
            raise LanguageError(what, remedy, _position(node))
        return reader(self, node, depth + 1)

    def bool(self, node: Node, depth: int) -> Expr:
        found = self.read(node, depth)
        if found.type is not Type.BOOL:
            raise LanguageError("a condition is expected here", "Compare the value with something.", _position(node))
        return found

    def value(self, node: Node, depth: int, *kinds: Type) -> Expr:
        """A single value of one of the families `kinds`; any scalar without them."""
        found = self.read(node, depth)
        if isinstance(found, expr.Given) and isinstance(found.value, tuple):
            raise LanguageError(f"{found.name} is a list", "Lists stand only in x IN ({name}).", _position(node))
        wanted = kinds or tuple(SCALARS)
        if family(found.type) not in wanted:
            words = " or ".join(kind.value for kind in kinds) if kinds else "a single value"
            raise LanguageError(f"{words} is expected here", _remedy_for(found.type), _position(node))
        return found

    # -- leaves

    def column(self, node: Node, _depth: int) -> Expr:
        table = node.args.get("table")
        if node.args.get("db") or not isinstance(node.this, exp.Identifier):
            raise LanguageError("a name has at most one dot", "Write a column, or asked.<column>.", _position(node))
        if table and table.name != "asked":
            what = f"{table.name}.{node.name} is not a column"
            raise LanguageError(what, "Only asked.<column> has a dot.", _position(node))
        known = self.scope.asked if table else self.scope.columns
        if node.name not in known:
            what = f"there is no column {'asked.' if table else ''}{node.name}"
            raise LanguageError(what, f"The columns are: {', '.join(sorted(known)) or 'none'}.", _position(node))
        return expr.Field(known[node.name], asked=bool(table))

    def given(self, node: Node, _depth: int) -> Expr:
        name = str(node.this)
        if name == "at":
            return expr.At()
        if name not in self.scope.parameters:
            known = ", ".join(sorted(self.scope.parameters)) or "none"
            raise LanguageError(f"there is no parameter {name}", f"The parameters are: at, {known}.")
        parameter = self.scope.parameters[name]
        return expr.Given(parameter.value, parameter.type, name)

    def literal(self, node: Node, _depth: int) -> Expr:
        if node.is_string:
            return expr.Literal(str(node.this), Type.TEXT)
        number = int(node.this) if str(node.this).isdecimal() else INT_HIGH + 1
        if number > INT_HIGH:
            raise LanguageError("not a whole number of 64 bits", "Write amounts in fen.", _position(node))
        return expr.Literal(number, Type.INT)

    def boolean(self, node: Node, _depth: int) -> Expr:
        return expr.Literal(bool(node.this), Type.BOOL)

    def day(self, node: Node, _depth: int) -> Expr:
        inner = node.this
        plain = isinstance(inner, exp.Literal) and inner.is_string and node.to.this == exp.DataType.Type.DATE
        try:
            return expr.Literal(date.fromisoformat(str(inner.this) if plain else ""), Type.DATE)
        except ValueError:
            raise LanguageError("not a date", "Write DATE '2014-06-08'.", _position(node)) from None

    def paren(self, node: Node, depth: int) -> Expr:
        return self.read(node.this, depth)

    # -- conditions

    def compare(self, node: Node, depth: int) -> Expr:
        left, right = self.value(node.left, depth), self.value(node.right, depth)
        op = _COMPARISONS[type(node)]
        self._check_alike(left, right, node)
        if op not in ("=", "<>") and left.type not in _ORDERED:
            what = f"{op} compares whole numbers and dates only"
            raise LanguageError(what, "Compare texts with = <> IN.", _position(node))
        if op not in ("=", "<>"):
            self._refuse_weighing(op, node, left, right)
        self._check_codes(left, right, node)
        self._check_codes(right, left, node)
        return expr.Compare(op, left, right)

    def junction(self, node: Node, depth: int) -> Expr:
        op = "AND" if isinstance(node, exp.And) else "OR"
        # A chain hangs to the left, as deep as it is long: take it apart in a loop.
        parts: list[Node] = []
        rest = node
        while isinstance(rest, type(node)):
            parts.append(rest.right)
            rest = rest.left
        read = [self.bool(part, depth) for part in (rest, *reversed(parts))]
        flat = [arg for part in read for arg in (part.children() if _is(part, op) else (part,))]
        return expr.Junction(op, tuple(flat))

    def negation(self, node: Node, depth: int) -> Expr:
        return expr.Not(self.bool(node.this, depth))

    def one_of(self, node: Node, depth: int) -> Expr:
        if set(node.args) - {"this", "expressions"} or not node.expressions or len(node.expressions) > LONGEST_IN:
            what = f"IN needs a written list of at most {LONGEST_IN} values"
            raise LanguageError(what, "Write x IN ('a', 'b') or x IN ({parameter}).", _position(node))
        arg = self.value(node.this, depth)
        items = [self._item(item, depth) for item in node.expressions]
        for item in items:
            self._check_alike(arg, item, node)
            self._check_codes(arg, item, node)
        return expr.OneOf(arg, tuple(items))

    def _item(self, node: Node, depth: int) -> expr.Fixed:
        found = self.read(node, depth)
        if not isinstance(found, expr.Fixed) or found.value is None:
            raise LanguageError("a list holds only values and parameters", "Use OR for more.", _position(node))
        return found

    def between(self, node: Node, depth: int) -> Expr:
        if set(node.args) - {"this", "low", "high"} and node.args.get("symmetric"):
            raise LanguageError("BETWEEN knows no such form", "Write x BETWEEN a AND b.", _position(node))
        parts = [self.value(node.args[key], depth, *_ORDERED) for key in ("this", "low", "high")]
        self._check_alike(parts[0], parts[1], node)
        self._check_alike(parts[0], parts[2], node)
        self._refuse_weighing("BETWEEN", node, *parts)
        return expr.Between(*parts)

    def is_null(self, node: Node, depth: int) -> Expr:
        if not isinstance(node.expression, exp.Null):
            raise LanguageError("IS is followed by NULL only", "Write a condition itself, or NOT.", _position(node))
        found = self.read(node.this, depth)
        if not isinstance(found, expr.Field):
            raise LanguageError("IS NULL asks about a column", "Ask about each column by itself.", _position(node))
        if not self.scope.choosing:
            self._refuse_silence("IS NULL", node, found)
        return expr.IsNull(found)

    # -- values

    def arithmetic(self, node: Node, depth: int) -> Expr:
        left, right = (self.value(part, depth, Type.INT) for part in (node.left, node.right))
        self._refuse_weighing(_ARITHMETIC[type(node)], node, left, right)
        return expr.Arithmetic(_ARITHMETIC[type(node)], left, right)

    def minus(self, node: Node, depth: int) -> Expr:
        inner = self.value(node.this, depth, Type.INT)
        if isinstance(inner, expr.Literal) and isinstance(inner.value, int) and inner.value > INT_LOW:
            return expr.Literal(-inner.value, Type.INT)
        self._refuse_weighing("-", node, inner)
        return expr.Arithmetic("-", expr.Literal(0, Type.INT), inner)

    def case(self, node: Node, depth: int) -> Expr:
        if node.this is not None:
            raise LanguageError("CASE is followed by WHEN", "Write CASE WHEN a = b THEN ….", _position(node))
        whens = [(self.bool(part.this, depth), self._result(part.args["true"], depth)) for part in node.args["ifs"]]
        default = node.args.get("default")
        otherwise = None if default is None else self._result(default, depth)
        kind = self._common_type([*(result for _, result in whens), *([otherwise] if otherwise else [])], node)
        # A condition that is unknown lets the next branch speak; after the last one without ELSE nobody does.
        heard = whens if otherwise is not None else whens[:-1]
        self._refuse_silence("CASE with a further branch", node, *(when for when, _ in heard))
        return expr.Case(tuple(whens), otherwise, kind)

    def _result(self, node: Node, depth: int) -> Expr:
        return expr.Literal(None, None) if isinstance(node, exp.Null) else self.value(node, depth)

    def call(self, node: Node, depth: int) -> Expr:
        name = str(node.this)
        if name.upper() == "COALESCE":
            return self._coalesce(node, depth)
        function = VOCABULARY.get(name)
        if function is None:
            what = f"there is no function {name}"
            raise LanguageError(what, f"The vocabulary: {', '.join(sorted(VOCABULARY))}.", _position(node))
        if len(node.expressions) != len(function.args):
            what = f"{name} takes {len(function.args)} values, not {len(node.expressions)}"
            raise LanguageError(what, function.say_en, _position(node))
        pairs = zip(node.expressions, function.args, strict=True)
        args = tuple(self._argument(part, kind, depth) for part, kind in pairs)
        self._refuse_weighing(name, node, *args)
        return expr.Call(function, args)

    def _argument(self, node: Node, kind: Type, depth: int) -> Expr:
        if kind in SCALARS:
            return self.value(node, depth, kind)
        found = self.read(node, depth)
        if not isinstance(found, expr.Field) or found.type is not kind:
            raise LanguageError(f"a column of type {kind.value} is expected here", "Name it.", _position(node))
        return found

    def _coalesce(self, node: Node, depth: int) -> Expr:
        if not 2 <= len(node.expressions) <= MOST_COALESCED:
            what = f"COALESCE takes 2 to {MOST_COALESCED} values"
            raise LanguageError(what, "Write COALESCE(a, b).", _position(node))
        args = [self.value(part, depth) for part in node.expressions]
        self._refuse_silence("COALESCE", node, *args[:-1])
        return expr.Coalesce(tuple(args), self._common_type(args, node))

    # -- checks

    def _common_type(self, parts: list[Expr], node: Node) -> Type | None:
        kinds = {family(part.type) for part in parts if part.type is not None}
        if len(kinds) != 1:
            raise LanguageError("its results are of different types", "Let all be of one type.", _position(node))
        return kinds.pop()

    def _check_alike(self, left: Expr, right: Expr, node: Node) -> None:
        if family(left.type) is not family(right.type):
            names = [kind.value if kind else "NULL" for kind in (left.type, right.type)]
            what = f"{names[0]} cannot be compared with {names[1]}"
            raise LanguageError(what, "Compare values of one type.", _position(node))

    def _check_codes(self, side: Expr, other: Expr, node: Node) -> None:
        """A code outside the column's list would silently never match."""
        if side.type is not Type.CODE or not isinstance(side, expr.Field):
            return
        if not isinstance(other, expr.Fixed):
            return
        values = other.value if isinstance(other.value, tuple) else (other.value,)
        if strange := [str(value) for value in values if value not in side.column.codes]:
            what = f"{side.name} has no code {strange[0]!r}"
            raise LanguageError(what, f"Its codes: {', '.join(side.column.codes)}.", _position(node))

    def _refuse_silence(self, word: str, node: Node, *parts: Expr) -> None:
        for name, column in sorted({(f.name, f.column) for part in parts for f in expr.fields(part)}, key=str):
            if column.may_be_silent and name not in self.scope.missing_means:
                what = f"{word} would turn silence about {name} into an answer"
                remedy = f"Say under missing_means what a missing {name} means, with the article; or leave it unknown."
                raise LanguageError(what, remedy, _position(node))

    def _refuse_weighing(self, word: str, node: Node, *parts: Expr) -> None:
        """A value that the asker chooses, held against a register's by size, gives that away by halving."""
        if name := next((name for part in parts for name in _handed_on(part)), None):
            what = f"{word} would weigh {name}, which the asker chooses"
            remedy = f"Use {name} with = <> IN only, and write the steps out: {name} = 'a' AND amount >= 100 OR …"
            raise LanguageError(what, remedy, _position(node))


def _handed_on(part: Expr) -> Iterator[str]:
    """Asked columns whose value may be that of `part`; what a condition looks at is not handed on."""
    match part:
        case expr.Field():
            yield from (part.name,) if part.asked else ()
        case expr.Coalesce():
            for arg in part.args:
                yield from _handed_on(arg)
        case expr.Case():
            for result in (*(then for _, then in part.whens), *([part.otherwise] if part.otherwise else [])):
                yield from _handed_on(result)


def _is(part: Expr, op: str) -> bool:
    return isinstance(part, expr.Junction) and part.op == op


def _remedy_for(kind: Type | None) -> str:
    if kind in (Type.MONTHS, Type.YEARS, Type.YEAR_AMOUNTS):
        return "Such a column is looked at through the vocabulary's functions."
    return f"This is {kind.value if kind else 'NULL'}."


_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}

#: The allow-list. NULL has no entry: it stands only behind IS, THEN and ELSE, which look for it themselves.
_READERS: dict[type[Node], Callable[[_Reader, Node, int], Expr]] = {
    exp.Column: _Reader.column,
    exp.Placeholder: _Reader.given,
    exp.Literal: _Reader.literal,
    exp.Boolean: _Reader.boolean,
    exp.Cast: _Reader.day,
    exp.Paren: _Reader.paren,
    **dict.fromkeys(_COMPARISONS, _Reader.compare),
    exp.And: _Reader.junction,
    exp.Or: _Reader.junction,
    exp.Not: _Reader.negation,
    exp.In: _Reader.one_of,
    exp.Between: _Reader.between,
    exp.Is: _Reader.is_null,
    **dict.fromkeys(_ARITHMETIC, _Reader.arithmetic),
    exp.Neg: _Reader.minus,
    exp.Case: _Reader.case,
    exp.Anonymous: _Reader.call,
}

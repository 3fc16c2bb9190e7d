#!/usr/bin/env python3
"""Exhaustive check of a statement in autocommit that moves a unique value from one of its documents to another.

A has the value x and B has y. The unit gives z to A and x to B, in any order, as its writes are made side by side. At
the same time one writer changes something else in A, another something else in B, a third makes the document C with x
or y, and the unit's process may die anywhere. If it dies with an intent standing, another process decides the unit.

Run: python3 moved_values_model.py             every state must keep the invariants
     python3 moved_values_model.py RULE        leave one rule out and see the counterexample
     python3 moved_values_model.py --alive     the unit's process does not die

Rules: intent  the unit is written down first, and its documents are marked (backend.intents)
       wait    nobody builds on a marked document before the unit is decided
       await   who would take an orphan over waits until units under way are decided

Time is abstract: a claim may be an orphan as soon as the unit does nothing any more.

Invariants, whenever no unit is under way or waits to be decided: no two documents have one value, and each value's
claim names the document that has it, as its holder or as the former one.
"""

import sys
from collections import deque, namedtuple

RULES = ("intent", "wait", "await")
OFF = set(sys.argv[1:]) - {"--alive"}
DIES = "--alive" not in sys.argv
assert OFF <= set(RULES), f"rules: {RULES}"

BEFORE, AFTER = {"A": "x", "B": "y"}, {"A": "z", "B": "x"}
ACTIVE = ("read", "announced", "z taken", "claimed", "applied", "failed", "undone")

# docs: {name: Doc}; claims: {value: Claim}; base, applied: {name: version}, all as sorted tuples of pairs
State = namedtuple("State", "docs claims intent unit base applied editors maker recovery")
Doc = namedtuple("Doc", "value version marked by")  # by: "unit" where the body is the one that the unit wrote
Claim = namedtuple("Claim", "holder former version")
Editor = namedtuple("Editor", "pc seen")  # changes something else in a document that it has read
Maker = namedtuple("Maker", "pc value claim")  # claim: as it was seen, which is an orphan's
Recovery = namedtuple("Recovery", "pc forward todo")


def on(rule):
    return rule not in OFF


def put(pairs, name, value):
    return tuple(sorted({**dict(pairs), name: value}.items()))


def without(pairs, name):
    return tuple(pair for pair in pairs if pair[0] != name)


def start():
    docs = tuple((name, Doc(value, 0, False, "")) for name, value in BEFORE.items())
    claims = (("x", Claim("A", None, 0)), ("y", Claim("B", None, 0)))
    editors = (("A", Editor("idle", None)), ("B", Editor("idle", None)))
    return State(docs, claims, False, "idle", (), (), editors, Maker("idle", None, None), Recovery("idle", False, ()))


def with_doc(state, name, value, marked, by):
    version = dict(state.docs)[name].version + 1 if name in dict(state.docs) else 0
    return state._replace(docs=put(state.docs, name, Doc(value, version, marked, by)))


def with_claim(state, value, holder, former=None):
    before = dict(state.claims).get(value)
    version = before.version + 1 if before else 0
    return state._replace(claims=put(state.claims, value, Claim(holder, former, version)))


def unit(state):
    docs, claims = dict(state.docs), dict(state.claims)
    pc = state.unit
    if DIES and pc in ACTIVE:
        yield "unit dies", state._replace(unit="dead")
    if pc == "idle":
        base = tuple((name, docs[name].version) for name in ("A", "B"))
        yield "unit reads", state._replace(unit="read", base=base)
    elif pc == "read":
        yield "unit is written down", state._replace(unit="announced", intent=on("intent"))
    elif pc == "announced":
        yield "unit claims z", with_claim(state._replace(unit="z taken"), "z", "A")
    elif pc == "z taken":
        if claims["x"].holder == "A":
            yield "unit claims x", with_claim(state._replace(unit="claimed"), "x", "B", "A")
        else:
            yield "unit is refused x", state._replace(unit="failed")
    elif pc == "claimed":
        for name in sorted(set("AB") - dict(state.applied).keys()):
            if docs[name].version == dict(state.base)[name]:
                done = with_doc(state, name, AFTER[name], on("intent"), "unit")
                done = done._replace(applied=put(done.applied, name, dict(done.docs)[name].version))
                yield f"unit writes {name}", done._replace(unit="applied" if len(done.applied) == 2 else "claimed")
            else:
                yield f"unit meets a changed {name}", state._replace(unit="failed")
    elif pc == "failed":
        yield from undo(state, docs)
    elif pc == "undone":
        yield "unit ends, taken back", state._replace(unit="done", intent=False)
    elif pc == "applied":
        freed = without(state.claims, "y") if claims["y"].holder == "B" else state.claims
        yield "unit ends, applied", state._replace(unit="done", intent=False, claims=freed)


def undo(state, docs):
    """Documents that others have changed since stand, and keep their claims."""
    standing = {name for name, version in state.applied if docs[name].version != version}
    todo = dict(state.applied).keys() - standing
    for name in sorted(todo):
        taken_back = with_doc(state, name, BEFORE[name], False, "")
        yield f"unit takes {name} back", taken_back._replace(applied=without(state.applied, name))
    if not todo:
        claims = dict(state.claims)
        if "A" not in standing and claims["z"].holder == "A":
            state = state._replace(claims=without(state.claims, "z"))
        if "B" not in standing and claims["x"].holder == "B":
            state = with_claim(state, "x", "A")
        yield "unit gives its claims back", state._replace(unit="undone")


def editor(state, name):
    pc, seen = dict(state.editors)[name]
    now = dict(state.docs)[name]
    if pc == "idle":
        yield f"editor reads {name}", state._replace(editors=put(state.editors, name, Editor("read", now)))
    elif pc == "read" and not (on("wait") and seen.marked and state.intent):
        done = state._replace(editors=put(state.editors, name, Editor("done", None)))
        if now.version == seen.version:
            done = with_doc(done, name, seen.value, False, "editor")
        yield f"editor writes {name}" if now.version == seen.version else f"editor meets a changed {name}", done


def maker(state):
    pc, value, seen = state.maker
    claims = dict(state.claims)
    if pc == "idle":
        for wanted in "xy":
            yield f"maker wants {wanted}", state._replace(maker=Maker("wants", wanted, None))
    elif pc == "wants":
        claim = claims.get(value)
        if claim is None:
            yield "maker takes a free claim", with_claim(state._replace(maker=Maker("holds", value, None)), value, "C")
        elif state.unit not in ACTIVE and not (on("await") and state.intent):
            stands = any(holder and dict(state.docs)[holder].value == value for holder in (claim.holder, claim.former))
            after = Maker("refused", value, None) if stands else Maker("orphan", value, claim)
            yield "maker is refused" if stands else "maker finds an orphan", state._replace(maker=after)
    elif pc == "orphan":
        if claims.get(value) == seen:
            taken = state._replace(maker=Maker("holds", value, None))
            yield "maker takes the orphan over", with_claim(taken, value, "C", seen.holder)
        else:
            yield "maker looks again", state._replace(maker=Maker("wants", value, None))
    elif pc == "holds":
        yield "maker writes C", with_doc(state._replace(maker=Maker("done", value, None)), "C", value, False, "")


def recovery(state):
    docs, base = dict(state.docs), dict(state.base)
    pc, forward, todo = state.recovery
    if state.unit != "dead" or not state.intent:
        return
    if pc == "idle":
        open_ = [name for name in "AB" if docs[name].version == base[name]]
        applied = [name for name in "AB" if docs[name].by == "unit"]
        forward = all(name in open_ or name in applied or docs[name].marked for name in "AB")
        seen = tuple((name, docs[name].version) for name in (open_ if forward else applied))
        yield "recovery looks", state._replace(recovery=Recovery("writes", forward, seen))
    elif pc == "writes":
        for name, version in todo:
            if docs[name].version != version:
                yield f"recovery meets a changed {name}", state._replace(recovery=Recovery("idle", False, ()))
                continue
            left = state._replace(recovery=Recovery("writes", forward, without(todo, name)))
            if forward:
                claimed = with_claim(left, AFTER[name], name, "A" if name == "B" else None)
                yield f"recovery writes {name}", with_doc(claimed, name, AFTER[name], True, "unit")
            else:
                yield f"recovery takes {name} back", with_doc(left, name, BEFORE[name], False, "")
        if not todo:
            yield "recovery ends", settled(state, docs, forward)._replace(intent=False)


def settled(state, docs, forward):
    """The claims that were given up are freed; or those that were taken are handed back to who has the value."""
    claims = dict(state.claims)
    if forward:
        return state._replace(claims=without(state.claims, "y")) if claims["y"].holder == "B" else state
    if "z" in claims and claims["z"].holder == "A" and docs["A"].value != "z":
        state = state._replace(claims=without(state.claims, "z"))
    if claims["x"].holder == "B" and docs["B"].value != "x":
        state = with_claim(state, "x", "A") if docs["A"].value == "x" else state._replace(claims=without(state.claims, "x"))
    return state


def broken(state):
    if state.unit in ACTIVE or state.intent:
        return None
    values = [doc.value for _name, doc in state.docs]
    if len(set(values)) < len(values):
        return "two documents have one value"
    claims = dict(state.claims)
    for name, doc in state.docs:
        if doc.value not in claims or name not in claims[doc.value][:2]:
            return f"{name} has {doc.value} without its claim"
    return None


def steps(state):
    yield from unit(state)
    yield from editor(state, "A")
    yield from editor(state, "B")
    yield from maker(state)
    yield from recovery(state)


def explore():
    first = start()
    came_from, queue = {first: None}, deque((first,))
    while queue:
        state = queue.popleft()
        problem = broken(state)
        if problem:
            return problem, state, came_from
        for name, after in steps(state):
            if after not in came_from:
                came_from[after] = (state, name)
                queue.append(after)
    return None, None, came_from


problem, state, came_from = explore()
if problem:
    trace = []
    while came_from[state]:
        state, name = came_from[state]
        trace.append(name)
    print(f"BROKEN: {problem}, by these steps:")
    print("\n".join(f"  {number}. {name}" for number, name in enumerate(reversed(trace), 1)))
    sys.exit(1)
print(f"ok: {len(came_from):,} states")

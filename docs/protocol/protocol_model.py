#!/usr/bin/env python3
"""Exhaustive check of the index trust protocol on one document, two writers, one reader's lease,
one rebuild, one sweeper, and these faults: a writer crashes anywhere, Redis is flushed at any moment,
one writer is cut off from Redis at any moment.

Run: python3 protocol_model.py [--delete]        every state must keep I1 and exact extras (30 s)
     python3 protocol_model.py --without RULE    leave one rule out and see the counterexample
     (rules: flip lease suspect_wait deadline final_pass marker_guard backfill_guard abort_keeps_justified
     finish_order sweep_guard sweep_deadline building_flip); with --delete the second writer deletes
     python3 protocol_model.py --create [--flushes=N] [--cuts=N] [--crashes=N] [--rebuild=N] [--without RULE]
     the document is absent at first, two writers create it (on the condition of absence alone) and a third deletes
     it; N is 1 unless given, and fewer faults at a time keep it short (rules besides: unclear_record unclear_note
     sweep_all sweep_same_notes drain)
     --hand, with either: once, the document is changed or lost by other means than the protocol, and sb_check mends the
     record of the complete epoch; from then on every state must keep I1 and exact extras again (rules besides:
     mend_record mend_notes mend_alone)

Time is abstract: "wait a lease" blocks until no reader holds a manifest older than the flip;
"wait the write deadline" blocks until writers that began before the epoch was registered are done;
"drain" blocks until the notes are gone that were left in the new epoch up to then.

State invariant I1: whenever a reader's lease and the marker make an epoch trusted, the committed value
of the document is in that epoch's set.  Exactness: any other value in that set is justified by a
pending write, so that index-only answers know which documents to look at.
"""
import sys
from collections import deque, namedtuple

RULES = ["flip", "lease", "suspect_wait", "deadline", "final_pass", "marker_guard",
         "backfill_guard", "abort_keeps_justified", "finish_order", "sweep_guard", "sweep_deadline", "building_flip",
         "unclear_record", "unclear_note", "sweep_all", "sweep_same_notes", "drain", "mend_record", "mend_notes", "mend_alone"]
OFF = {a for a in sys.argv[1:] if not a.startswith("--")}
assert OFF <= set(RULES), f"rules: {RULES}"
def on(rule): return rule not in OFF

# doc: (value, version); manifest: (state "ready" | "suspect", epoch, epoch being built | None, version)
# redis: marker, live epochs, sets {(e, v)}, committed map ((e, ticket, value, version)...), pend {(e, writer, ticket, value)}, counters
S = namedtuple("S", "doc man marker live sets cmap pend tick w1 w2 w3 lease reb sweep flushes cuts crashes cut nexte mender hand")
W = namedtuple("W", "pc read tk val sus ex")       # pc: idle begin put finish abort done crashed d1 d2
R = namedtuple("R", "pc e man read snap")       # rebuild

VAL = {"w1": "b", "w2": "c"}
VAL["w3"] = None
if "--delete" in sys.argv: VAL["w2"] = None
CREATE = "--create" in sys.argv          # the document is absent at first; a write of what is absent is conditional on absence
NAMES = ("w1", "w2", "w3") if CREATE else ("w1", "w2")
def cap(name, default):
    for a in sys.argv:
        if a.startswith("--" + name + "="): return int(a.split("=")[1])
    return default
FLUSHES, CUTS, CRASHES, REBUILD = cap("flushes", 1), cap("cuts", 1), cap("crashes", 1), cap("rebuild", 1)
NEW = W("idle", None, (), None, None, True)
INIT = S((None, 0) if CREATE else ("a", 0), ("ready", 1, None, 0), 1, frozenset({1}), frozenset() if CREATE else frozenset({(1, "a")}),
         frozenset() if CREATE else frozenset({(1, 0, "a", 0)}), frozenset(),
         ((1, 0),), NEW, NEW, NEW if CREATE else NEW._replace(pc="done"), None, R("idle" if REBUILD else "none", 0, None, None, None), None,
         0, 0, 0, False, 2, None, "none")

def entry(s, e):
    for m in s.cmap:
        if m[0] == e: return m
    return None
def setmap(s, e, m):
    return frozenset([x for x in s.cmap if x[0] != e] + ([m] if m else []))
def tickets(s): return dict(s.tick)
def justified(s, e, v, but=None):
    m = entry(s, e)
    return (m is not None and m[2] == v) or any(p[0] == e and p[3] == v and p[1] != but for p in s.pend)
def prune(s, e, v):
    """Take v out of epoch e's set unless the committed map or a pending write justifies it."""
    if v is None or (on("abort_keeps_justified") and justified(s, e, v)): return s
    return s._replace(sets=s.sets - {(e, v)})

def bury(s, e):
    """A complete epoch forgets a deletion once no note stands."""
    m = entry(s, e)
    if CREATE and m and m[2] is None and s.marker == e and not any(p[0] == e for p in s.pend): return s._replace(cmap=setmap(s, e, None))
    return s

def writer(s, name):
    w = getattr(s, name); put = lambda **k: s._replace(**{name: w._replace(**k)})
    reach = not (s.cut and name == "w1")
    if w.pc == "idle":
        if s.doc[0] is None and VAL[name] is None: return      # nothing to delete yet
        yield "read", put(pc="begin", read=s.doc[1], val=VAL[name], ex=s.doc[0] is not None)
    elif w.pc == "begin":
        if reach and s.live:
            t, sets, pend, tk = tickets(s), set(s.sets), set(s.pend), []
            for e in s.live:
                t[e] = t.get(e, 0) + 1; tk.append((e, t[e])); pend.add((e, name, t[e], w.val, w.ex))
                if w.val is not None: sets.add((e, w.val))
            yield "begin", put(pc="put", tk=tuple(sorted(tk)))._replace(sets=frozenset(sets), pend=frozenset(pend), tick=tuple(sorted(t.items())))
        else:
            yield "begin-unreachable", put(pc="d1" if on("flip") else "put", tk=())
    elif w.pc == "d1":                      # read the manifest
        st, e, building, v = s.man
        if st == "suspect" and (building is None or not on("building_flip")):
            yield "suspect-seen", put(pc="d2" if on("suspect_wait") else "put", sus=v)
        else:
            yield "flip", put(pc="d2", sus=v + 1)._replace(man=("suspect", None, None, v + 1))
    elif w.pc == "d2":                      # wait out the lease
        if not on("lease") or s.lease is None or s.lease[3] >= w.sus:
            yield "lease-out", put(pc="put")
    elif w.pc == "put":
        if s.doc[1] == w.read if w.ex else s.doc[0] is None:
            yield "PUT", put(pc="finish", read=s.doc[1])._replace(doc=(w.val, s.doc[1] + 1))
        else:
            yield "PUT-412", put(pc="abort")
    elif w.pc in ("finish", "abort"):
        if not reach:
            yield w.pc + "-unreachable", put(pc="done")
        else:
            s2 = s
            for e, t in w.tk:
                if (e, name, t, w.val, w.ex) not in s2.pend: continue      # flushed, or the epoch is gone
                m = entry(s2, e)
                if w.pc == "finish" and not w.ex and e in s2.live:
                    if on("unclear_record") and m is not None and m[1] >= t: continue
                    if on("unclear_note") and any(p[0] == e and p[4] and p[2] > t for p in s2.pend): continue
                s2 = s2._replace(pend=s2.pend - {(e, name, t, w.val, w.ex)})
                if e not in s2.live: continue
                if w.pc == "finish" and (m is None or t > m[1] or not on("finish_order")):
                    s2 = s2._replace(cmap=setmap(s2, e, (e, t, w.val, w.read + 1)))
                    if w.val is not None: s2 = s2._replace(sets=s2.sets | {(e, w.val)})
                    if m and m[2] != w.val: s2 = prune(s2, e, m[2])
                else:
                    s2 = prune(s2, e, w.val)
                s2 = bury(s2, e)
            yield w.pc, s2._replace(**{name: w._replace(pc="done")})
    if w.pc not in ("idle", "done", "crashed") and s.crashes < CRASHES:
        yield "CRASH", put(pc="crashed")._replace(crashes=s.crashes + 1)

def inflight_unknown(s, e):
    """Writers that may still PUT and whose begin did not feed epoch e (they began before it was registered)."""
    for name in NAMES:
        w = getattr(s, name)
        if w.pc in ("put", "d2") and not any(x[0] == e for x in w.tk):
            return True
    return False

def rebuild(s):
    r = s.reb; put = lambda **k: s._replace(reb=r._replace(**k))
    if r.pc == "idle":
        e = s.nexte; man = (s.man[0], s.man[1], e, s.man[3] + 1)    # the ready epoch stays trusted meanwhile
        yield "claim", put(pc="register", e=e, man=man)._replace(man=man, nexte=e + 1)
    elif r.pc == "register":
        yield "register", put(pc="read")._replace(live=s.live | {r.e}, tick=tuple(sorted({**tickets(s), r.e: 0}.items())))
    elif r.pc == "read":
        yield "read", put(pc="fill", read=s.doc)
    elif r.pc == "fill":
        if r.e not in s.live: yield "lost", put(pc="failed"); return
        v, ver = r.read
        if entry(s, r.e) is None or not on("backfill_guard"):
            s2 = s._replace(cmap=setmap(s, r.e, (r.e, 0, v, ver)))
            if v is not None: s2 = s2._replace(sets=s2.sets | {(r.e, v)})
            yield "fill", s2._replace(reb=r._replace(pc="wait", read=None))
        else:
            yield "fill-skip", put(pc="wait", read=None)
    elif r.pc == "wait":
        if not on("deadline") or not inflight_unknown(s, r.e):
            yield "deadline", put(pc="drain" if on("final_pass") else "ready", read=tickets(s).get(r.e, 0))
    elif r.pc == "drain":                   # writes that fed the epoch while others did not know of it end first
        if r.e not in s.live: yield "lost", put(pc="failed"); return
        if not on("drain") or not any(p[0] == r.e and p[2] <= r.read for p in s.pend):
            yield "drain", put(pc="list", read=None)
    elif r.pc == "list":
        yield "list", put(pc="mend", read=s.doc, snap=entry(s, r.e))
    elif r.pc == "mend":
        if r.e not in s.live: yield "lost", put(pc="failed"); return
        m = entry(s, r.e); v, ver = r.read
        if m != r.snap: yield "again", put(pc="list", read=None, snap=None)
        elif m is None or m[3] != ver:
            s2 = s._replace(cmap=setmap(s, r.e, (r.e, m[1] if m else 0, v, ver)))
            if v is not None: s2 = s2._replace(sets=s2.sets | {(r.e, v)})
            if m and m[2] != v: s2 = prune(s2, r.e, m[2])
            yield "mend", s2._replace(reb=r._replace(pc="ready", read=None, snap=None))
        else: yield "same", put(pc="ready", read=None, snap=None)
    elif r.pc == "ready":
        if s.man == r.man:
            yield "publish", put(pc="mark")._replace(man=("ready", r.e, None, s.man[3] + 1))
        else: yield "manifest-changed", put(pc="failed")._replace(live=s.live - {r.e})
    elif r.pc == "mark":
        if r.e in s.live or not on("marker_guard"):
            yield "mark", put(pc="done")._replace(marker=r.e, live=frozenset({r.e}), sets=frozenset(x for x in s.sets if x[0] == r.e),
                cmap=frozenset(x for x in s.cmap if x[0] == r.e), pend=frozenset(x for x in s.pend if x[0] == r.e))
        else: yield "lost", put(pc="failed")

def sweeper(s):
    """Resolves a crashed writer's pending note once it is older than the write deadline."""
    if s.sweep is None:
        for p in sorted(s.pend, key=str):
            older = [n for n in NAMES if n != p[1] and getattr(s, n).pc in ("put", "finish", "abort")
                     and any(e == p[0] and t < p[2] for e, t in getattr(s, n).tk)]
            if on("sweep_deadline") and older: continue     # they began earlier, so they are over the deadline too
            if not p[4] and on("sweep_all") and any(q[0] == p[0] and getattr(s, q[1]).pc in ("put", "finish", "abort") for q in s.pend): continue
            if getattr(s, p[1]).pc in ("crashed", "done"):
                yield "sweep-snap", s._replace(sweep=("snap", p, entry(s, p[0]), None, frozenset(q for q in s.pend if q[0] == p[0])))
                if not CREATE: return
    else:
        st, p, snap, doc, notes = s.sweep
        if st == "snap":
            yield "sweep-read", s._replace(sweep=("got", p, snap, s.doc, notes))
        else:
            e = p[0]; m = entry(s, e)
            all_ = not p[4] and on("sweep_all")
            if p not in s.pend or (on("sweep_guard") and m != snap) or (
                    all_ and on("sweep_same_notes") and notes != frozenset(q for q in s.pend if q[0] == e)):
                yield "sweep-again", s._replace(sweep=None)
            else:
                v, ver = doc
                gone = {q for q in s.pend if q[0] == e} if all_ else {p}
                s2 = s._replace(pend=s.pend - gone, sweep=None, cmap=setmap(s, e, (e, max([q[2] for q in gone] + [m[1] if m else 0]), v, ver)))
                if v is not None: s2 = s2._replace(sets=s2.sets | {(e, v)})
                for x in {q[3] for q in gone} | ({m[2]} if m else set()):
                    if x != v: s2 = prune(s2, e, x)
                yield "sweep-done", bury(s2, e)

def mender(s):
    """Makes the record of the complete epoch what the document says, if no writer is at it and it has not changed
    since before the document was read.  s.hand: "none", "done", or the version that was made by hand, until mended."""
    if s.mender is None:
        if not isinstance(s.hand, int) or s.marker is None or s.marker not in s.live: return
        m = entry(s, s.marker)
        if m is not None or not on("mend_record"): yield "mender.look", s._replace(mender=(s.marker, m, None))
    elif s.mender[2] is None:
        yield "mender.read", s._replace(mender=(s.mender[0], s.mender[1], s.doc))
    else:
        e, snap, (v, ver) = s.mender; m = entry(s, e)
        hand = "done" if isinstance(s.hand, int) and ver >= s.hand else s.hand
        if e not in s.live or (on("mend_alone") and s.live != frozenset({e})) or m != snap or (
                on("mend_notes") and any(p[0] == e for p in s.pend)):
            yield "mender.again", s._replace(mender=None)
        elif m is not None and m[3] == ver:
            yield "mender.same", s._replace(mender=None, hand=hand)
        else:
            s2 = s._replace(mender=None, hand=hand, cmap=setmap(s, e, (e, m[1] if m else 0, v, ver)))
            if v is not None: s2 = s2._replace(sets=s2.sets | {(e, v)})
            if m and m[2] != v: s2 = prune(s2, e, m[2])
            yield "mender.mend", s2

def env(s):
    if "--hand" in sys.argv and s.hand == "none" and s.doc[0] is not None:
        for name, v in (("HAND-EDIT", "x"), ("HAND-LOSS", None)):
            yield name, s._replace(doc=(v, s.doc[1] + 1), hand=s.doc[1] + 1)
    if s.flushes < FLUSHES:
        yield "FLUSH", s._replace(flushes=s.flushes + 1, marker=None, live=frozenset(), sets=frozenset(), cmap=frozenset(), pend=frozenset(), tick=())
    if s.cuts < CUTS: yield "CUT", s._replace(cuts=1, cut=True)
    elif s.cut: yield "HEAL", s._replace(cut=False)
    if s.lease != s.man: yield "lease", s._replace(lease=s.man)
    if s.lease is not None: yield "lease-expires", s._replace(lease=None)

def nexts(s):
    for name in NAMES:
        for a, n in writer(s, name): yield name + "." + a, n
    for a, n in rebuild(s): yield "rebuild." + a, n
    for a, n in sweeper(s): yield a, n
    for a, n in mender(s): yield a, n
    for a, n in env(s): yield a, n

def broken(s):
    v = s.doc[0]
    if isinstance(s.hand, int): return None         # until it is mended, nothing is promised
    if s.lease and s.lease[0] == "ready" and s.marker == s.lease[1]:
        e = s.marker
        if v is not None and (e, v) not in s.sets: return f"I1: {v!r} is committed and trusted epoch {e} misses it"
        for (x, y) in s.sets:
            if x == e and y != v and not any(p[0] == e for p in s.pend):
                return f"exactness: {y!r} in epoch {e} is justified by nothing"
    return None

seen, todo, n = {INIT: None}, deque([INIT]), 0
while todo:
    s = todo.popleft(); n += 1
    why = broken(s)
    if why:
        path = []
        while seen[s]: a, s = seen[s]; path.append(a)
        print(f"BROKEN after {n} states: {why}"); print("  " + " > ".join(reversed(path))); sys.exit(1)
    for a, t in nexts(s):
        if t not in seen: seen[t] = (a, s); todo.append(t)
print(f"holds in all {n} states; rules off: {sorted(OFF) or 'none'}")

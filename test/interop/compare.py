#!/usr/bin/python3
"""
compare.py CASES OURS THEIRS...: holds our verdicts against those of the peers and
against what the RFCs say.

Fails, with the case in full, where we accept what an RFC refuses or refuse what is
valid, and where a peer disagrees with us and differences.json does not say why.
The last line is "N passed, N failed", counting cases.

compare.py --table prints differences.json as the table of docs/differences.md.
"""
import collections
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MAX_SHOWN = 20
# some of the payloads nest deep
sys.setrecursionlimit(20000)


def differences():
    with open(os.path.join(HERE, "differences.json"), encoding="utf-8") as file:
        return json.load(file)


def table():
    print("| class | we | others | why | source |\n| --- | --- | --- | --- | --- |")
    for d in differences():
        peers = dict.fromkeys(peer for condition in d["cases"] for peer in condition["peers"])
        print(f"| {d['class']} | {d['we']} | {', '.join(peers)} | {d['why']} | {d['source']} |")


def double(value):
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def same_payload(a, b):
    """As far as a double can tell"""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_payload(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_payload, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return double(a) == double(b)
    return a == b


def matches(condition, case, peer, ours, theirs):
    return (
        peer in condition["peers"]
        and any(re.search(condition.get("mutation", ""), name) for name in case["mutations"] or [""])
        and re.search(condition.get("algorithm", ""), case["algorithm"])
        and re.search(condition.get("our_reason", ""), ours.get("error") or "")
        and re.search(condition.get("their_reason", ""), theirs.get("error") or ""))


def explains(difference, case, peer, verb, ours, theirs):
    """Whether this class is about such a case"""
    return difference["we"] == verb and any(
        matches(condition, case, peer, ours, theirs) for condition in difference["cases"])


def disagreement(ours, theirs):
    """What we do that the peer does not, or None"""
    if ours["valid"] != ("ok" in theirs):
        return "accept" if ours["valid"] else "refuse"
    if ours["valid"] and not same_payload(ours["payload"], theirs["ok"]):
        return "read otherwise"
    return None


def judge(case, ours, answers, known, counts):
    """What is wrong with our verdict, in words"""
    faults = []
    if ours["valid"] and case["says"] == "refuse":
        faults.append("accepted, against the RFCs")
    if not ours["valid"] and case["says"] == "valid":
        faults.append(f"refused ({ours['error']}), but valid")
    for peer, theirs in answers.items():
        verb = disagreement(ours, theirs)
        if verb is None:
            counts["", peer] += 1
            continue
        difference = next((d for d in known if explains(d, case, peer, verb, ours, theirs)), None)
        if difference is None:
            faults.append(f"we {verb} ({ours['error']}), {peer} does not ({theirs.get('error')}): not explained")
        else:
            counts[difference["class"], peer] += 1
    return faults


def report(counts, known, peers):
    width = max(len(d["class"]) for d in known)
    print(f"\n{'':{width}}  we      {'  '.join(f'{peer:>12}' for peer in peers)}")
    rows = [("the same verdict", "", "")] + [(d["class"], d["we"], d["class"]) for d in known]
    for title, verb, name in rows:
        print(f"{title:{width}}  {verb:6}  {'  '.join(f'{counts[name, peer]:12}' for peer in peers)}")


def main():
    known = differences()
    counts = collections.Counter()
    passed = failed = 0
    peers = {}
    files = [open(name, encoding="utf-8") for name in sys.argv[1:]]
    for case, ours, *theirs in zip(*files, strict=True):
        case, ours = json.loads(case), json.loads(ours)
        answers = {peer: answer for line in theirs for peer, answer in json.loads(line).items()}
        peers.update(answers)
        faults = judge(case, ours, answers, known, counts)
        if faults:
            failed += 1
            if failed <= MAX_SHOWN:
                print("\n".join(faults), json.dumps(case), sep="\n", end="\n\n")
        else:
            passed += 1
    report(counts, known, list(peers))
    print(f"\n{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


table() if sys.argv[1:] == ["--table"] else main()

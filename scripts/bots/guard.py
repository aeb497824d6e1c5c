#!/usr/bin/env python3
# Keeps order in a room: whoever says one of the words in WORDS, a file, or more than five messages in five seconds, is
# warned in private, the next time muted for ten minutes, then banned for a day; what they said last is taken back.
# It forgets after an hour, or when an op, who may do all, says "!pardon NICK". NICK must own its name, and be an op.
# Run it as:  guard.py HOST PORT ROOM WORDS [NICK]  (CHINWAG_PASSWORD: the server's; CHINWAG_TOKEN: one of NICK)
import collections, os, re, signal, socket, sys, time
people = {}  # of each nick: how often they were at fault, when last, and when they said what they said last
def fault(nick, text):  # what is to be done about it, if anything is
    len(people) > 10000 and people.pop(next(iter(people)))  # who came first
    count, last, times = people.setdefault(nick, (0, 0, collections.deque(maxlen=6)))
    times.append(time.monotonic())
    flood = "slow down" if len(times) == 6 and times[5] - times[0] < 5 else ""
    why = "mind your words" if re.search(words, text) else flood
    if why:
        count = count + 1 if times[-1] - last < 3600 else 1
        people[nick] = count, times[-1], collections.deque(maxlen=6)
        step = f"/msg {nick} {why}, or you will be muted" if count == 1 else f"/mute {room} {nick} 10m {why}"
        return f"/ban {room} {nick} 1d {why}" if count > 2 else step

def talk(sock):
    asked, held, details, ops = collections.deque(), collections.deque(), [], set()
    def ask(*commands):  # each gets exactly one + or !, in order: such a line answers the oldest in "asked"
        asked.extend(commands)
        sock.sendall("".join(command + "\n" for command in commands).encode())
    for line in sock.makefile(encoding="utf-8", errors="replace", newline="\n"):
        kind, _, text = line.rstrip("\n").partition(" ")
        if line.startswith("* locked "):
            ask("/pass " + os.environ.get("CHINWAG_PASSWORD", ""))
        elif line.startswith("* hello "):
            ask(f"/login {nick} token:{token}", "/set stamp on", f"/join {room}", f"/op {room}")
        elif kind == "-":
            details.append(text)
        elif kind in ("+", "!") and text != "ping alive":
            command, rows, details = asked.popleft(), details, []
            if kind == "!":
                sys.exit(text) if text.startswith(("join ", "login ", "pass ")) else print(text, file=sys.stderr)
            elif command == f"/op {room}":
                ops = {row.split(" ")[1] for row in rows if not row.startswith("voice ")}
                nick in ops or print(f"{nick} is no op of {room} yet: its founder says /op {nick} there", file=sys.stderr)
        elif kind == room and (said := re.match(r"\[(\d+)@\S+ <(\S+)> (.*)", text)):
            held.append(said)
        elif kind == room and (event := re.match(r"\S+ \* (\S+) (made|renamed|joined)(?: (\S+))?", text)):
            ask(f"/op {room}"), event[2] == "renamed" and event[1] in people and people.update({event[3]: people.pop(event[1])})
        while held and f"/op {room}" not in asked:  # who is an op is known, under the name that they have now
            if (said := held.popleft())[2] in ops:
                said[3].startswith("!pardon ") and people.pop(said[3][8:], None)
            elif answer := fault(said[2], said[3]):
                ask(f"/erase {room} {said[1]}", answer)

len(sys.argv) > 4 or sys.exit("usage: guard.py HOST PORT ROOM WORDS [NICK]")
(host, port, room, path, nick), token = (sys.argv[1:] + ["guard"])[:5], os.environ.get("CHINWAG_TOKEN")
words = rf"(?i)\b(?:{'|'.join(map(re.escape, open(path, encoding='utf-8').read().split())) or '(?!)'})\b"
while True:
    try:
        with socket.create_connection((host, port), 75) as sock:  # silent for so long, nobody is there any more
            signal.signal(signal.SIGALRM, lambda *_: sock.sendall(b"/ping alive\n")), signal.setitimer(signal.ITIMER_REAL, 30, 30)
            talk(sock)
    except OSError as error:
        print(error, file=sys.stderr)
    signal.setitimer(signal.ITIMER_REAL, 0), time.sleep(2)

#!/usr/bin/env python3
# Writes what is said in a room to a file, a message a line: [SEQ@TIME] <nick> text. Started again, it asks what it missed.
# Run it as:  logger.py HOST PORT ROOM FILE [NICK]  (CHINWAG_PASSWORD: the server's; CHINWAG_TOKEN: one of NICK)
import collections, os, random, re, signal, socket, sys, time
seq = lambda line: int(line[1:].partition("@")[0]) if re.match(r"\[\d+@", line) else 0
def talk(sock, log):
    start = log.seek(max(0, log.tell() - 50000))
    *lines, half = log.read().split(b"\n")
    log.truncate(log.tell() - len(half))  # a disk that was full leaves half a line
    known = collections.deque((line.decode() for line in lines[start > 0:]), 200)
    asked, details, last = collections.deque(), [], known[-1] if known else ""
    def ask(*commands):  # each gets exactly one + or !, in order: such a line answers the oldest in "asked"
        asked.extend(commands)
        sock.sendall("".join(command + "\n" for command in commands).encode())
    def write(lines):
        nonlocal last
        for last in [line for line in lines if seq(line) > seq(last)]:
            last in known or (known.append(last), log.write(last.encode() + b"\n"), log.flush())
    def check(line):  # is its number reached there, and is it still the same? What comes for the first question only tells that
        ask(f"/history {room} AFTER {seq(line)}", f"/history {room} after {max(0, seq(line) - 1)}")
        return line
    for line in filter(lambda line: line[-1] == "\n", sock.makefile(encoding="utf-8", errors="replace", newline="\n")):
        kind, _, text = line.rstrip("\n").partition(" ")  # of whole lines; the last may be cut off in the middle
        if line.startswith("* locked "):
            ask("/pass " + os.environ.get("CHINWAG_PASSWORD", ""))
        elif line.startswith("* hello "):
            ask(f"/login {nick} token:{token}" if token else f"/nick {nick}", "/set presence off", "/set stamp on")
            ask(f"/join {room}"), check(last)
        elif line.startswith("* bye "):
            print(text, file=sys.stderr)
        elif kind == "-":
            details.append(text)
        elif kind in ("+", "!") and text != "ping alive":
            command, found, details = asked.popleft(), details, []
            if text.startswith("nick taken "):
                ask(f"/nick {nick}{random.randint(2, 99)}")
            elif kind == "!" and text.startswith(("join ", "login ", "pass ")):
                sys.exit(text)
            elif " AFTER " in command:
                is_reached = kind == "+"
            elif command.startswith("/history "):
                is_same = is_reached and (not found or last in found or seq(found[0]) > seq(last))  # or it was erased
                if command.endswith(f" {seq(last) - 1}") and not is_same:
                    last = check("" if last == known[0] else known[0])  # it lost its end, or else counts from 1
                elif found:  # ask on until there is nothing more
                    write(found), ask(f"/history {room} after {seq(last)}")
        elif kind.startswith("#") and not any(command.startswith("/history ") for command in asked):
            write([text])  # nothing while a /history is open: that brings it too
            re.match(r"\S+ \* \S+ missed ", text) and ask(f"/history {room} after {seq(last)}")

len(sys.argv) > 4 or sys.exit("usage: logger.py HOST PORT ROOM FILE [NICK]")
(host, port, room, path, nick), token = (sys.argv[1:] + ["logger"])[:5], os.environ.get("CHINWAG_TOKEN")
while True:
    try:
        with open(path, "a+b") as log, socket.create_connection((host, port), 75) as sock:  # silent so long, it is gone
            signal.signal(signal.SIGALRM, lambda *_: sock.sendall(b"/ping alive\n")), signal.setitimer(signal.ITIMER_REAL, 30, 30)
            talk(sock, log)
    except OSError as error:
        print(error, file=sys.stderr)
    signal.setitimer(signal.ITIMER_REAL, 0), time.sleep(2)

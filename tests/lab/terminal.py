#!/usr/bin/env python3
"""Runs a command in a new session on a new terminal, and answers its prompts in order:

    terminal.py TRANSCRIPT [PROMPT ANSWER]... -- COMMAND...

The command has this program's stdin, stdout and stderr. Only /dev/tty is the terminal, and its output goes to
TRANSCRIPT. Each answer is typed ANSWER_AFTER seconds after its prompt, if that variable is set, and followed by Enter.
The answers ^C and ^D are these keys, and "hangup" closes the terminal.
"""
import os, pty, select, signal, sys, time

MAX_TIME = float(os.environ.get("MAX_TIME", 120))
KEYS = {"^C": b"\x03", "^D": b"\x04"}

transcript, *arguments = sys.argv[1:]
separator = arguments.index("--")
pairs, command = arguments[:separator], arguments[separator + 1:]
prompts = list(zip(pairs[::2], pairs[1::2]))
streams = [os.dup(fd) for fd in (0, 1, 2)]
child, terminal = pty.fork()
if child == 0:
    for fd, stream in enumerate(streams):
        os.dup2(stream, fd)
    os.execvp(command[0], command)

output, answered, status = b"", 0, None
end = time.monotonic() + MAX_TIME
while status is None:
    pid, raw = os.waitpid(child, os.WNOHANG)
    status = raw if pid else None
    if status is None and time.monotonic() > end:
        os.kill(child, signal.SIGKILL)
    try:
        while select.select([terminal], [], [], 0.02)[0]:
            output += os.read(terminal, 1024)
            if prompts and prompts[0][0].encode() in output[answered:]:
                answered, (_, answer) = len(output), prompts.pop(0)
                time.sleep(float(os.environ.get("ANSWER_AFTER", 0)))
                if answer == "hangup":
                    os.close(terminal)
                else:
                    os.write(terminal, KEYS.get(answer, answer.encode() + b"\n"))
    except (OSError, ValueError):  # No process has the terminal open, or it is closed.
        time.sleep(0.02)
with open(transcript, "wb") as file:
    file.write(output)
sys.exit(os.waitstatus_to_exitcode(status) % 256)

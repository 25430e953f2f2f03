#!/usr/bin/env python3
"""Runs a command in a session of its own, on a terminal of its own, and answers one prompt:

    terminal.py TRANSCRIPT PROMPT ANSWER COMMAND...

stdin, stdout and stderr are ours; only /dev/tty is the terminal. What was shown on it goes to TRANSCRIPT. The answer
is typed ANSWER_AFTER seconds after the prompt, if that variable is set.
"""
import os, pty, select, sys, time

transcript, prompt, answer, *command = sys.argv[1:]
kept = [os.dup(fd) for fd in (0, 1, 2)]
child, terminal = pty.fork()
if child == 0:
    for fd, saved in enumerate(kept):
        os.dup2(saved, fd)
    os.execvp(command[0], command)

shown, status, is_answered = b"", None, False
while status is None:
    ended, raw = os.waitpid(child, os.WNOHANG)
    status = raw if ended else None
    try:
        while select.select([terminal], [], [], 0.02)[0]:
            shown += os.read(terminal, 1024)
            if not is_answered and prompt.encode() in shown:
                time.sleep(float(os.environ.get("ANSWER_AFTER", 0)))
                os.write(terminal, answer.encode() + b"\n")
                is_answered = True
    except OSError:  # EIO: nobody has the terminal open, not yet or no more.
        time.sleep(0.02)
with open(transcript, "wb") as file:
    file.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))

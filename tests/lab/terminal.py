#!/usr/bin/env python3
"""Runs a command in a new session on a new terminal, and answers one prompt:

    terminal.py TRANSCRIPT PROMPT ANSWER COMMAND...

The command has this program's stdin, stdout and stderr. Only /dev/tty is the terminal, and its output goes to
TRANSCRIPT. The answer is typed ANSWER_AFTER seconds after the prompt, if that variable is set.
"""
import os, pty, select, sys, time

transcript, prompt, answer, *command = sys.argv[1:]
streams = [os.dup(fd) for fd in (0, 1, 2)]
child, terminal = pty.fork()
if child == 0:
    for fd, stream in enumerate(streams):
        os.dup2(stream, fd)
    os.execvp(command[0], command)

output, status, is_answered = b"", None, False
while status is None:
    pid, raw = os.waitpid(child, os.WNOHANG)
    status = raw if pid else None
    try:
        while select.select([terminal], [], [], 0.02)[0]:
            output += os.read(terminal, 1024)
            if not is_answered and prompt.encode() in output:
                time.sleep(float(os.environ.get("ANSWER_AFTER", 0)))
                os.write(terminal, answer.encode() + b"\n")
                is_answered = True
    except OSError:  # EIO: no process has the terminal open, because the command has not started or has exited.
        time.sleep(0.02)
with open(transcript, "wb") as file:
    file.write(output)
sys.exit(os.waitstatus_to_exitcode(status))

/* How the servers' authentication modules ask tests/lab/verifier.py about a token.
 *
 * One connection per question: send USER, a NUL and the token, close our side, read
 * one byte. Anything but 'Y' (no verifier, a timeout, half an answer) is a refusal. */
#ifndef ASK_VERIFIER_H
#define ASK_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static bool send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        /* A verifier that went away must not end the server by SIGPIPE. */
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

static int connect_to(const char *socket_path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(socket_path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, socket_path);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct timeval patience = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool verifier_accepts(const char *socket_path, const char *user, size_t user_length,
                             const char *token, size_t token_length)
{
    int fd = connect_to(socket_path);
    if (fd < 0)
        return false;
    char answer = 'N';
    bool accepted = send_all(fd, user, user_length) && send_all(fd, "", 1)
                    && send_all(fd, token, token_length) && shutdown(fd, SHUT_WR) == 0
                    && read(fd, &answer, 1) == 1 && answer == 'Y';
    close(fd);
    return accepted;
}

#endif

/* The client of tests/lab/verifier.py, for the servers' authentication modules.
 *
 * Each question has its own connection: send USER, a NUL and the token, shut down the
 * sending side, read one byte. Anything but 'Y', including an error or a timeout, is a
 * refusal. */
#ifndef VERIFIER_CLIENT_H
#define VERIFIER_CLIENT_H

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
        /* SIGPIPE would kill the server if the verifier closed the connection. */
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
    struct timeval timeout = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
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

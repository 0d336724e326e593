#include "app/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "app/base/buf.h"

enum { QUEUE = 128 };

/* Takes "host:port" apart; the brackets of an IPv6 address are removed. False when it is not of that form. */
static bool split(const char *address, char **host, char **port)
{
    const char *colon = strrchr(address, ':');
    size_t digits = colon ? strlen(colon + 1) : 0;
    if (digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") != digits || strtol(colon + 1, NULL, 10) > 65535)
        return false;
    size_t len = (size_t)(colon - address);
    bool brackets = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    if (!brackets && memchr(address, ':', len))
        return false; /* an IPv6 address without brackets: where would its port begin? */
    *host = brackets ? strndup(address + 1, len - 2) : strndup(address, len);
    *port = strdup(colon + 1);
    return *host && *port;
}

static int bind_one(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    int one = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, QUEUE) == 0)
        return fd;
    int errnum = errno;
    auto_close(&fd);
    errno = errnum;
    return -1;
}

static char *url_of(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    return text_format(bound.ss_family == AF_INET6 ? "http://[%s]:%s" : "http://%s:%s", host, port);
}

int listener_open(const char *address, char **url, struct error *err)
{
    AUTO_FREE char *host = NULL;
    AUTO_FREE char *port = NULL;
    struct addrinfo *found = NULL;
    if (!split(address, &host, &port))
        return error_set(err, ERROR_CONFIG, "server.listen: \"%s\" is not host:port, such as 127.0.0.1:3000", address);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int code = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (code != 0)
        return error_set(err, ERROR_CONFIG, "server.listen: %s: %s", address, gai_strerror(code));
    int fd = -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = bind_one(at);
    int errnum = errno;
    freeaddrinfo(found);
    char *text = fd < 0 ? NULL : url_of(fd);
    if (text) {
        *url = text;
        return fd;
    }
    auto_close(&fd);
    error_system(err, errnum, "server.listen: %s", address);
    error_wrap(err, "%s", errnum == EADDRINUSE ? "another program listens there" : "cannot listen");
    if (err)
        err->code = ERROR_CONFIG;
    return -1;
}

int listener_adopt(int fd, char **url, struct error *err)
{
    int listens = 0;
    socklen_t len = sizeof listens;
    bool good = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
    char *text = good ? url_of(fd) : NULL;
    if (!text)
        return error_set(err, ERROR_CONFIG, "socket activation: descriptor %d is not a listening TCP socket", fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    *url = text;
    return fd;
}

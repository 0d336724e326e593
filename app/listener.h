/* A listening socket, made by `assay serve` and handed to the receiver: while a receiver that died is started again,
 * connections wait in the socket's queue and nothing is refused. */
#ifndef APP_LISTENER_H
#define APP_LISTENER_H

#include "app/base/error.h"

/* Listens on "host:port", "[::1]:port" or ":port" (every address); port 0 takes a free one. *url becomes where it
 * listens, for people ("http://127.0.0.1:3000"), heap. The socket (close-on-exec), or -1 with ERROR_CONFIG. */
int listener_open(const char *address, char **url, struct error *err);

/* The same for a socket that somebody else has made (systemd): checks that it listens, makes it close-on-exec. -1 with
 * ERROR_CONFIG when it is no listening TCP socket; it stays open then. */
int listener_adopt(int fd, char **url, struct error *err);

#endif

/* Control files of the kernel: read and written in one call each; they report no size, so fs_read() does not fit. */
#ifndef SANDBOX_CGROUP_FILE_H
#define SANDBOX_CGROUP_FILE_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app/base/buf.h"

/* At most size - 1 bytes, NUL-terminated, "" on failure. 0, or -1 with errno. */
static inline int cgroup_file_read(const char *path, char *text, size_t size)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    text[got < 0 ? 0 : got] = '\0';
    return got < 0 ? -1 : 0;
}

/* 0, or -1 with errno. */
static inline int cgroup_file_write(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -1;
}

#endif

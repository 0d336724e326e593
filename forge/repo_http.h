/* Git's smart HTTP protocol for libgit2, over our own HTTP client: so that a fetch or push has a deadline, can be
 * cancelled while the server is silent, follows no redirect to another host, and sends the token nowhere else.
 * (libgit2's own transport knows no timeout.) Protocol: git-scm.com, gitprotocol-http. */
#ifndef FORGE_REPO_HTTP_H
#define FORGE_REPO_HTTP_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "forge/repo_internal.h"

/* One conversation with a remote. Set up by repo_remote.c, lives until libgit2 has let go of the transport. */
struct repo_session {
    const struct repo_remote *remote;
    const char *spool;    /* directory for received packs on their way to the indexer */
    int64_t deadline;     /* monotonic ms */
    struct error failure; /* why the conversation broke; code ERROR_NONE while it has not */
    git_oid lease;        /* for a push: what the branch must still be at; all zero: it must not exist */
    git_smart_subtransport_definition definition;
};

/* True for an address that this transport is for. */
bool repo_http_speaks(const char *url);

/* For git_remote_callbacks.transport, with the session as payload. */
int repo_http_transport(git_transport **out, git_remote *owner, void *session);

/* True, with the session's failure set, once it is cancelled or its time is up. */
bool repo_session_is_over(struct repo_session *session);

#endif

/* Fetch and push. */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "forge/repo_http.h"
#include "forge/repo_internal.h"

#define TIMEOUT_MS       (10 * 60 * 1000)
#define FOREIGN_WALK_MAX 1000 /* commits of ours that a branch may hold; more is not ours to judge */

/* ---- the session with a remote ---- */

static int transport_for(git_transport **out, git_remote *owner, void *context)
{
    const struct repo_session *session = context;
    if (repo_http_speaks(session->remote->url))
        return repo_http_transport(out, owner, context);
    return git_transport_local(out, owner, NULL);
}

static int on_progress(const git_indexer_progress *stats, void *context)
{
    (void)stats;
    return repo_session_is_over(context) ? GIT_EUSER : 0;
}

static int on_pack_progress(int stage, uint32_t current, uint32_t total, void *context)
{
    (void)stage, (void)current, (void)total;
    return repo_session_is_over(context) ? GIT_EUSER : 0;
}

static int on_push_progress(unsigned current, unsigned total, size_t bytes, void *context)
{
    (void)current, (void)total, (void)bytes;
    return repo_session_is_over(context) ? GIT_EUSER : 0;
}

static void set_callbacks(git_remote_callbacks *callbacks, struct repo_session *session)
{
    callbacks->transport = transport_for;
    callbacks->transfer_progress = on_progress;
    callbacks->pack_progress = on_pack_progress;
    callbacks->push_transfer_progress = on_push_progress;
    callbacks->payload = session;
}

/* Local paths, file:// and HTTP; ssh and git:// would bring their own credentials and know no deadline. */
static int check_url(const char *url, struct error *err)
{
    bool has_scheme = strstr(url, "://"), is_file = !strncasecmp(url, "file://", 7);
    bool scp_like = !has_scheme && *url != '/' && *url != '.' && strchr(url, ':');
    if (repo_http_speaks(url))
        return 0;
    if ((has_scheme && !is_file) || scp_like)
        return error_set(err, ERROR_INPUT,
                         "only http, https and local repositories can be reached; use the https address");
    if (!fs_exists(is_file ? url + 7 : url))
        return error_set(err, ERROR_NOT_FOUND, "there is no such directory");
    return 0;
}

/* The address for an error: without what may stand before the host. */
static const char *label_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *at = host ? strchr(host + 3, '@') : NULL;
    return at && at < host + 3 + strcspn(host + 3, "/") ? at + 1 : url;
}

/* The reason of a failed conversation: ours when we ended it, else libgit2's. Always -1. */
static int explain(const struct repo_session *session, int status, struct error *err)
{
    if (!session->failure.code)
        return repo_git_error(err, status, status == GIT_EAUTH ? ERROR_DENIED : ERROR_FORGE, "git");
    if (err)
        *err = session->failure;
    return -1;
}

static struct repo_session session_with(struct repo *repo, const struct repo_remote *remote)
{
    return (struct repo_session){
        .remote = remote,
        .spool = git_repository_path(repo->git),
        .deadline = clock_monotonic_ms() + (remote->timeout_ms ? remote->timeout_ms : TIMEOUT_MS),
    };
}

/* A remote that is nowhere configured, and whose address no `insteadOf` rewrites. */
static int create_remote(struct repo *repo, const char *url, git_remote **out)
{
    git_remote_create_options options;
    git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
    options.repository = repo->git;
    options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    return git_remote_create_with_opts(out, url, &options);
}

static int open_remote(struct repo *repo, struct repo_session *session, git_direction direction, git_remote **out,
                       struct error *err)
{
    git_remote_connect_options options;
    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    set_callbacks(&options.callbacks, session);
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE; /* our HTTP client decides */
    if (check_url(session->remote->url, err) < 0)
        return -1;
    if (repo_session_is_over(session))
        return explain(session, 0, err);
    int status = create_remote(repo, session->remote->url, out);
    if (status == 0)
        status = git_remote_connect_ext(*out, direction, &options);
    return status < 0 ? explain(session, status, err) : 0;
}

/* ---- fetch ---- */

/* Pruned before the tips are set: a branch "a" that is gone would be in the way of a new "a/b". */
static int fetch(struct repo *repo, struct repo_session *session, git_strarray *refspecs, git_remote *remote,
                 struct error *err)
{
    git_fetch_options options;
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    set_callbacks(&options.callbacks, session);
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_AUTO;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    int status = git_remote_download(remote, refspecs, &options);
    if (status == 0 && repo->mirror)
        status = git_remote_prune(remote, &options.callbacks);
    if (status == 0)
        status = git_remote_update_tips(remote, &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_AUTO, NULL);
    return status < 0 || session->failure.code ? explain(session, status, err) : 0;
}

/* origin's HEAD is what HEAD means in a mirror. An empty repository has none. */
static void follow_head(struct repo *repo, git_remote *remote)
{
    git_buf branch = {0};
    REPO_AUTO(git_reference) *head = NULL;
    if (git_remote_default_branch(&branch, remote) == 0 && !strncmp(branch.ptr, "refs/heads/", 11)) {
        AUTO_FREE char *target = text_format(REPO_ORIGIN "%s", branch.ptr + 11);
        if (target)
            git_reference_symbolic_create(&head, repo->git, REPO_ORIGIN "HEAD", target, 1, NULL);
    }
    git_buf_dispose(&branch);
}

int repo_fetch(struct repo *repo, const struct repo_remote *remote, struct error *err)
{
    const char *extra = remote->extra_ref;
    AUTO_FREE char *wanted =
        extra ? text_format("+%s:refs/assay/%s", extra, !strncmp(extra, "refs/", 5) ? extra + 5 : extra) : NULL;
    char *list[] = {"+refs/heads/*:" REPO_ORIGIN "*", wanted};
    git_strarray refspecs = {.strings = list, .count = wanted ? 2 : 1};
    struct repo_session session = session_with(repo, remote);
    REPO_AUTO(git_remote) *handle = NULL;
    if (open_remote(repo, &session, GIT_DIRECTION_FETCH, &handle, err) < 0 ||
        fetch(repo, &session, &refspecs, handle, err) < 0)
        return error_wrap(err, "fetch from %s", label_of(remote->url));
    follow_head(repo, handle);
    return 0;
}

/* ---- push ---- */

struct push {
    struct repo *repo;
    const struct repo_remote *remote;
    char *ref; /* "refs/heads/…" there */
    git_oid commit, base;
    git_oid there; /* where the branch is now; all zero when it does not exist */
    const char *own_email;
    bool force;
};

static int find_there(struct push *push, struct error *err)
{
    struct repo_session session = session_with(push->repo, push->remote);
    REPO_AUTO(git_remote) *handle = NULL;
    const git_remote_head **heads;
    size_t count;
    if (open_remote(push->repo, &session, GIT_DIRECTION_PUSH, &handle, err) < 0)
        return -1;
    int status = git_remote_ls(&heads, &count, handle);
    if (status < 0)
        return explain(&session, status, err);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(heads[i]->name, push->ref))
            push->there = heads[i]->oid;
    return 0;
}

/* The commits there must be known before they can be judged. */
static int fetch_there(struct push *push, struct error *err)
{
    REPO_AUTO(git_commit) *known = NULL;
    if (git_commit_lookup(&known, push->repo->git, &push->there) == 0)
        return 0;
    AUTO_FREE char *refspec = text_format("+%s:refs/assay/there", push->ref);
    git_strarray refspecs = {.strings = &refspec, .count = 1};
    struct repo_session session = session_with(push->repo, push->remote);
    REPO_AUTO(git_remote) *handle = NULL;
    if (!refspec)
        return error_set(err, ERROR_INTERNAL, "out of memory for a branch name");
    if (open_remote(push->repo, &session, GIT_DIRECTION_FETCH, &handle, err) < 0)
        return -1;
    return fetch(push->repo, &session, &refspecs, handle, err);
}

static bool is_own(const git_commit *commit, const char *email)
{
    return !strcasecmp(git_commit_author(commit)->email, email) &&
           !strcasecmp(git_commit_committer(commit)->email, email);
}

/* Names up to three commits of other people's above the base. */
static int look_for_foreign(struct push *push, git_revwalk *walk, struct buf *foreign, struct error *err)
{
    git_oid oid;
    int status;
    size_t seen = 0, named = 0;
    while ((status = git_revwalk_next(&oid, walk)) == 0 && named < 3) {
        REPO_AUTO(git_commit) *commit = NULL;
        if (++seen > FOREIGN_WALK_MAX)
            return error_set(err, ERROR_CONFLICT, "the branch has more than %d commits; choose another",
                             FOREIGN_WALK_MAX);
        if ((status = git_commit_lookup(&commit, push->repo->git, &oid)) < 0)
            break;
        if (is_own(commit, push->own_email))
            continue;
        const git_signature *author = git_commit_author(commit);
        bool own_author = !strcasecmp(author->email, push->own_email);
        buf_printf(foreign, "%s%.10s by %.80s", named++ ? ", " : "", git_oid_tostr_s(&oid),
                   own_author ? git_commit_committer(commit)->email : author->email);
    }
    return status < 0 && status != GIT_ITEROVER ? repo_git_error(err, status, ERROR_IO, "walk the branch") : 0;
}

/* A push that only adds is always fine; one that replaces, when everything that it replaces is ours. */
static int judge(struct push *push, struct error *err)
{
    AUTO_BUF struct buf foreign = BUF_INIT(KiB(1));
    REPO_AUTO(git_revwalk) *walk = NULL;
    git_repository *git = push->repo->git;
    int adds = git_graph_descendant_of(git, &push->commit, &push->there);
    if (adds == 1)
        return 0;
    int status = adds < 0 ? adds : git_revwalk_new(&walk, git);
    if (status == 0)
        status = git_revwalk_push(walk, &push->there);
    if (status == 0)
        status = git_revwalk_hide(walk, &push->base);
    if (status < 0)
        return repo_git_error(err, status, ERROR_IO, "walk the branch");
    if (look_for_foreign(push, walk, &foreign, err) < 0)
        return -1;
    if (foreign.len)
        return error_set(err, ERROR_CONFLICT, "the branch holds commits that are not ours and would be lost: %s",
                         buf_text(&foreign));
    push->force = true;
    return 0;
}

/* The last look before anything is sent: libgit2 sends this same old id, and the server compares it once more. */
static int on_negotiation(const git_push_update **updates, size_t count, void *context)
{
    struct repo_session *session = context;
    if (count == 1 && git_oid_equal(&updates[0]->src, &session->lease))
        return 0;
    error_set(&session->failure, ERROR_CONFLICT, "somebody has moved the branch in the meantime");
    return GIT_EUSER;
}

static int on_refusal(const char *ref, const char *status, void *context)
{
    (void)ref;
    struct repo_session *session = context;
    static const char *const races[] = {"non-fast-forward",     "fetch first", "stale info",
                                        "failed to update ref", "lock",        "already exists"};
    if (!status)
        return 0;
    enum error_code code = ERROR_FORGE;
    for (size_t i = 0; i < sizeof races / sizeof races[0]; i++)
        if (strstr(status, races[i]))
            code = ERROR_CONFLICT;
    error_set(&session->failure, code, "the server refuses the branch: %.300s", status);
    return 0;
}

static int send_commit(struct push *push, struct error *err)
{
    /* libgit2 pushes references, not ids. */
    static const char local[] = "refs/assay/push";
    REPO_AUTO(git_reference) *source = NULL;
    AUTO_FREE char *refspec = text_format("%s%s:%s", push->force ? "+" : "", local, push->ref);
    git_strarray refspecs = {.strings = &refspec, .count = 1};
    struct repo_session session = session_with(push->repo, push->remote);
    REPO_AUTO(git_remote) *handle = NULL;
    git_push_options options;
    git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
    set_callbacks(&options.callbacks, &session);
    options.callbacks.push_negotiation = on_negotiation;
    options.callbacks.push_update_reference = on_refusal;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    session.lease = push->there;
    int status = git_reference_create(&source, push->repo->git, local, &push->commit, 1, NULL);
    if (status < 0 || !refspec)
        return repo_git_error(err, status, ERROR_IO, "name the commit");
    int result = open_remote(push->repo, &session, GIT_DIRECTION_PUSH, &handle, err);
    status = result == 0 ? git_remote_upload(handle, &refspecs, &options) : 0;
    git_reference_delete(source);
    if (status == GIT_ENONFASTFORWARD)
        return error_set(err, ERROR_CONFLICT, "somebody has moved the branch in the meantime");
    return result == 0 && (status < 0 || session.failure.code) ? explain(&session, status, err) : result;
}

/* The answer may be lost after the server has acted; a repeated request is then refused as somebody else's move. */
static bool has_arrived(const struct push *push)
{
    struct push now = *push;
    now.there = (git_oid){0};
    return find_there(&now, NULL) == 0 && git_oid_equal(&now.there, &push->commit);
}

static int push_commit(struct push *push, struct error *err)
{
    if (find_there(push, err) < 0)
        return -1;
    if (git_oid_equal(&push->there, &push->commit))
        return 0; /* an earlier attempt got this far */
    if (!git_oid_is_zero(&push->there) && (fetch_there(push, err) < 0 || judge(push, err) < 0))
        return -1;
    struct error failure = {0};
    if (send_commit(push, &failure) == 0 || has_arrived(push))
        return 0;
    if (err)
        *err = failure;
    return -1;
}

int repo_push(struct repo *repo, const struct repo_remote *remote, const char *branch, const char *commit,
              const char *base, const char *own_email, struct error *err)
{
    AUTO_FREE char *ref = text_format("refs/heads/%s", branch);
    struct push push = {.repo = repo, .remote = remote, .ref = ref, .own_email = own_email};
    int valid = 0;
    if (!ref || git_reference_name_is_valid(&valid, ref) < 0 || !valid)
        return error_set(err, ERROR_INPUT, "push to branch %.200s: not a name that git allows", branch);
    if (git_oid_fromstr(&push.commit, commit) < 0 || git_oid_fromstr(&push.base, base) < 0)
        return error_set(err, ERROR_INPUT, "push to branch %s: no commit id", branch);
    if (push_commit(&push, err) < 0)
        return error_wrap(err, "push to branch %s of %s", branch, label_of(remote->url));
    return 0;
}

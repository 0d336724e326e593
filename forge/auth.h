/* Who we are for GitHub: an App that signs short JWTs and trades them for installation tokens, or one fixed token.
 *
 * An installation token is asked for one repository and for the permissions that Assay uses, no more; it is kept
 * until ten minutes before it expires. The private key never leaves this module.
 */
#ifndef FORGE_AUTH_H
#define FORGE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/secret.h"
#include "forge/forge.h"

struct auth;

/* Reads the credentials and proves the key by signing once. `secrets` is borrowed: tokens are added to it. */
struct auth *auth_new(const struct forge_config *config, struct secrets *secrets, struct error *err);
void auth_free(struct auth *auth);

bool auth_is_app(const struct auth *auth);

/* The App's JWT (RS256) for this wall time: issued 60 s ago, valid for 9 minutes. Owned by the caller. */
int auth_jwt(const struct auth *auth, int64_t now_ms, struct secret *out, struct error *err);

/* Our clock is off by so much from the server's (theirs minus ours): later JWTs are dated by theirs. */
void auth_set_skew(struct auth *auth, int64_t skew_ms);

/* The token for a repository (one without a name: for the list of its installation's repositories): the installation's
 * (asked for when there is none with ten minutes to live), or the fixed one. Borrowed from `auth` until the next call.
 */
const char *auth_token(struct forge *forge, const struct forge_repo *repo, struct error *err);

/* Drops the repository's token: the server has refused it. True when there was one. */
bool auth_forget(struct auth *auth, const struct forge_repo *repo);

/* "Authorization: …" for a call that speaks for `repo`; NULL: for the App itself (or the fixed token's user). */
int auth_header(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err);

/* The same with any token that is at hand, for what everybody may read; an empty secret when there is none. */
int auth_header_of_anyone(struct forge *forge, struct secret *out, struct error *err);

#endif

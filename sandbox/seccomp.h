/* The system calls that a guest may make: an allowlist, in the form that an OCI bundle carries. */
#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include <jansson.h>

/* The "linux.seccomp" object. A call that is not listed fails with EPERM. NULL without memory; owned by the caller. */
json_t *seccomp_profile(void);

#endif

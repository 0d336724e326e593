/* Functions that this code base does not use, refused at compile time.
 *
 * The Makefile includes this file before every source (-include), after the headers that declare the
 * functions, so a use anywhere is a build error that names the replacement.
 */
#ifndef APP_BASE_BANNED_H
#define APP_BASE_BANNED_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fortified headers have macros of these names. */
#undef strncpy
#undef sprintf
#undef vsprintf

#define ASSAY_BANNED(name, instead) banned_##name##_use_##instead
#define strcpy(a, b)                ASSAY_BANNED(strcpy, buf)
#define strcat(a, b)                ASSAY_BANNED(strcat, buf)
#define strncpy(a, b, n)            ASSAY_BANNED(strncpy, buf)
#define strncat(a, b, n)            ASSAY_BANNED(strncat, buf)
#define sprintf(...)                ASSAY_BANNED(sprintf, snprintf)
#define vsprintf(...)               ASSAY_BANNED(vsprintf, vsnprintf)
#define strtok(a, b)                ASSAY_BANNED(strtok, strsep)
#define gmtime(t)                   ASSAY_BANNED(gmtime, gmtime_r)
#define localtime(t)                ASSAY_BANNED(localtime, localtime_r)
#define ctime(t)                    ASSAY_BANNED(ctime, clock_rfc3339)
#define asctime(t)                  ASSAY_BANNED(asctime, clock_rfc3339)
#define atoi(s)                     ASSAY_BANNED(atoi, strtol)
#define atol(s)                     ASSAY_BANNED(atol, strtol)
#define system(s)                   ASSAY_BANNED(system, proc_run)
#define popen(a, b)                 ASSAY_BANNED(popen, proc_run)
#define tmpnam(s)                   ASSAY_BANNED(tmpnam, mkstemp)
#define mktemp(s)                   ASSAY_BANNED(mktemp, mkstemp)

#endif

/* Any bytes as a delivery: no crash, no leak; a refusal is ERROR_INPUT, and what is accepted has all its texts. The
 * first byte picks the event, the rest is the payload. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "forge/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "ping",
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "installation",
    "installation_repositories",
    "push",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event event;
    struct error err = {0};
    if (!size)
        return 0;
    json_auto_t *payload = json_read((const char *)data + 1, size - 1, JSON_LIMITS_WEBHOOK, &err);
    if (!payload)
        return 0;
    if (event_read(names[data[0] % (sizeof names / sizeof names[0])], payload, &event, &err) < 0) {
        if (err.code != ERROR_INPUT)
            abort();
        return 0;
    }
    const char *const texts[] = {event.action, event.repo.owner,   event.repo.name,      event.default_branch,
                                 event.sender, event.title,        event.body,           event.author,
                                 event.label,  event.comment_body, event.comment_author, event.comment_path};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!texts[i])
            abort();
    for (size_t i = 0; i < event.label_count; i++)
        if (!event.labels[i])
            abort();
    if (event.kind == EVENT_ISSUE_COMMENT && (event.comment_id <= 0 || event.number <= 0 || !*event.comment_author))
        abort();
    event_release(&event);
    return 0;
}

#include "app/receiver_head.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "forge/webhook.h"

const struct refusal receiver_too_large = {413, "the body is larger than 25 MiB, the most that GitHub sends", NULL,
                                           NULL};

/* ---- answers ---- */

enum MHD_Result receiver_answer(struct MHD_Connection *connection, unsigned status, const json_t *body,
                                const char *header, const char *value)
{
    AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (!text)
        return MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (header)
        MHD_add_response_header(response, header, value);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result receiver_refuse(struct MHD_Connection *connection, const struct refusal *refusal)
{
    json_auto_t *body = json_pack("{s:s}", "error", refusal->error);
    return receiver_answer(connection, refusal->status, body, refusal->header, refusal->value);
}

const char *receiver_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* ---- the head ---- */

static const struct receiver_forge *find_forge(const struct receiver_config *config, const char *name)
{
    for (size_t i = 0; i < config->forge_count; i++)
        if (strcmp(config->forges[i].name, name) == 0)
            return &config->forges[i];
    return NULL;
}

/* The path and the method: which of our three addresses is it? */
static struct refusal route(const struct receiver_config *config, struct request_head *head, const char *path,
                            const char *method)
{
    static const char prefix[] = "/webhooks/";
    if (strncmp(path, prefix, strlen(prefix)) == 0) {
        head->forge = find_forge(config, path + strlen(prefix));
        if (!head->forge)
            return (struct refusal){404, "no forge of this name is configured here", NULL, NULL};
        return strcmp(method, "POST") == 0 ? (struct refusal){0}
                                           : (struct refusal){405, "deliveries are sent by POST", "Allow", "POST"};
    }
    head->asks_store = strcmp(path, "/readyz") == 0;
    if (!head->asks_store && strcmp(path, "/healthz") != 0)
        return (struct refusal){404, "there is nothing at this address", NULL, NULL};
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0
               ? (struct refusal){0}
               : (struct refusal){405, "this address is read by GET", "Allow", "GET, HEAD"};
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = type ? strcspn(type, " \t;") : 0;
    return len == strlen(json) && strncasecmp(type, json, len) == 0;
}

static struct refusal check_type(const char *type)
{
    if (is_json(type))
        return (struct refusal){0};
    if (type && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
        return (struct refusal){415, "choose application/json as the content type in the webhook's settings", NULL,
                                NULL};
    return (struct refusal){415, "the content type is not application/json", NULL, NULL};
}

struct framing {
    int lengths, encodings;
};

static enum MHD_Result count_framing(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = context;
    (void)kind;
    (void)value;
    framing->lengths += strcasecmp(name, "Content-Length") == 0;
    framing->encodings += strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* Two answers to how long the body is would be two readings of it, ours and a proxy's. */
static struct refusal check_framing(struct MHD_Connection *connection, size_t max, size_t *length)
{
    struct framing framing = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_framing, &framing);
    if (framing.lengths + framing.encodings > 1)
        return (struct refusal){400, "the body's length is given more than once", NULL, NULL};
    const char *text = receiver_header(connection, "Content-Length");
    *length = text ? strtoull(text, NULL, 10) : 0;
    return *length > max ? receiver_too_large : (struct refusal){0};
}

static struct refusal check_delivery(struct MHD_Connection *connection)
{
    if (!receiver_header(connection, "X-Hub-Signature-256"))
        return (struct refusal){401, "X-Hub-Signature-256 is missing; set the webhook's secret on the forge", NULL,
                                NULL};
    if (!webhook_event_name_is_clean(receiver_header(connection, "X-GitHub-Event")))
        return (struct refusal){400, "X-GitHub-Event is missing or is not an event's name", NULL, NULL};
    if (!webhook_delivery_id_is_clean(receiver_header(connection, "X-GitHub-Delivery")))
        return (struct refusal){400, "X-GitHub-Delivery is missing or is not a delivery's id", NULL, NULL};
    return (struct refusal){0};
}

struct refusal receiver_read_head(const struct receiver_config *config, struct MHD_Connection *connection,
                                  const char *path, const char *method, struct request_head *out)
{
    struct refusal framing = check_framing(connection, config->body_max, &out->length);
    struct refusal refusal = framing.status == 400 ? framing : route(config, out, path, method);
    if (!refusal.status)
        refusal = framing;
    if (!refusal.status && out->forge)
        refusal = check_type(receiver_header(connection, "Content-Type"));
    if (!refusal.status && out->forge)
        refusal = check_delivery(connection);
    return refusal;
}

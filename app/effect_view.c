#include "app/effect_view.h"

#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/table.h"

static json_t *effect_json(const struct effect_row *row)
{
    char first[CLOCK_TEXT_SIZE];
    char last[CLOCK_TEXT_SIZE];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:O*}", "kind", row->kind, "key", row->key, "state",
                     row->state, "external_id", row->external_id, "note", row->note, "tries", (json_int_t)row->tries,
                     "first", clock_rfc3339(row->first_ms, first), "last", clock_rfc3339(row->last_ms, last),
                     "would_send", row->request);
}

json_t *effect_view_json(const struct effect_row *rows, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, effect_json(&rows[i]));
    return list;
}

static enum tone tone_of(const char *state)
{
    if (strcmp(state, "done") == 0)
        return TONE_GOOD;
    return strcmp(state, "refused") == 0 ? TONE_BAD : TONE_WARN;
}

static void print_lines(const struct screen *screen, const char *text, FILE *file)
{
    for (const char *line = text; *line;) {
        int len = (int)strcspn(line, "\n");
        AUTO_FREE char *copy = text_format("%.*s", len, line);
        screen_put(screen, file, TONE_FAINT, copy ? copy : "");
        fputc('\n', file);
        line += len + (line[len] == '\n');
    }
}

static void print_withheld(const struct screen *screen, const json_t *request, FILE *file)
{
    AUTO_FREE char *head =
        text_format("would %s %s", json_text_at(request, "method", "?"), json_text_at(request, "path", "?"));
    AUTO_FREE char *body = json_dumps(json_object_get(request, "body"), JSON_INDENT(2) | JSON_ENCODE_ANY);
    fputc('\n', file);
    screen_put(screen, file, TONE_PLAIN, head ? head : "");
    fputc('\n', file);
    print_lines(screen, body ? body : "", file);
}

void effect_view_print(const struct effect_row *rows, size_t count, FILE *file)
{
    static const char *const titles[] = {"EFFECT", "STATE", "TRIES", "WHICH", "NOTE"};
    struct screen screen = screen_of(file);
    struct table *table = table_new(titles, 5);
    for (size_t i = 0; table && i < count; i++) {
        AUTO_FREE char *tries = text_format("%lld", (long long)rows[i].tries);
        const char *const cells[] = {rows[i].kind, rows[i].state, tries ? tries : "", rows[i].key, rows[i].note};
        table_row(table, cells,
                  (const enum tone[]){TONE_PLAIN, tone_of(rows[i].state), TONE_FAINT, TONE_PLAIN, TONE_FAINT});
    }
    if (table && count) {
        fprintf(file, "\non the forge\n");
        table_print(table, &screen, file);
    }
    table_free(table);
    for (size_t i = 0; i < count; i++) {
        size_t n;
        json_t *request;
        json_array_foreach (rows[i].request, n, request)
            print_withheld(&screen, request, file);
    }
}

#include "app/annotation.h"

#include "app/base/buf.h"
#include "app/base/json.h"

static void add(json_t *list, const json_t *place, const char *message)
{
    json_int_t first = json_int_at(place, "first", 0);
    json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:s}", "path", json_text_at(place, "path", ""),
                                          "start_line", first, "end_line", json_int_at(place, "last", first),
                                          "annotation_level", "warning", "message", message));
}

static void add_uncovered(json_t *list, const json_t *place)
{
    json_int_t to = json_int_at(place, "to", -1);
    if (to < 0)
        return add(list, place, "No test runs this.");
    AUTO_FREE char *message = to ? text_format("No test goes on from here to line %lld.", (long long)to) : NULL;
    add(list, place, message ? message : "No test leaves the function from here.");
}

static void add_survivor(json_t *list, const json_t *place)
{
    AUTO_FREE char *message = text_format("No test fails when this line becomes: %s", json_text_at(place, "now", ""));
    if (message && !json_true_at(place, "maybe_equivalent"))
        add(list, place, message);
}

json_t *annotations_of(const struct run *run)
{
    json_t *list = json_array(), *place;
    size_t index;
    json_array_foreach (json_at(run->evidence, "coverage.uncovered"), index, place)
        add_uncovered(list, place);
    json_array_foreach (json_at(run->evidence, "mutation.survivors"), index, place)
        add_survivor(list, place);
    return list;
}

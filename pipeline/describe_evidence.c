/* Evidence beyond red and green, in words for templates/replies. */
#include <math.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/base/markdown.h"
#include "pipeline/describe.h"

enum { PLACES_SHOWN = 20 };

long long describe_percent(double share)
{
    return (long long)floor(100 * share + 1e-9);
}

/* "src/shop/text.py:4", or with a last line: "src/shop/text.py:4-6". */
static json_t *place_of(const json_t *item)
{
    long long first = (long long)json_int_at(item, "first", 0), last = (long long)json_int_at(item, "last", first);
    AUTO_FREE char *place = first == last ? text_format("%s:%lld", json_text_at(item, "path", ""), first)
                                          : text_format("%s:%lld-%lld", json_text_at(item, "path", ""), first, last);
    return describe_code(place ? place : "", false);
}

static void set_coverage(json_t *view, const json_t *coverage)
{
    json_t *places = json_array(), *item;
    size_t index;
    json_array_foreach (json_object_get(coverage, "uncovered"), index, item)
        if (index < PLACES_SHOWN)
            json_array_append_new(places,
                                  json_pack("{s:o, s:b, s:I}", "place", place_of(item), "branch",
                                            json_object_get(item, "to") != NULL, "to", json_int_at(item, "to", 0)));
    bool some = json_array_size(places) > 0;
    json_object_set_new(view, "coverage",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:b}", "percent",
                                  describe_percent(json_number_value(json_object_get(coverage, "share"))), "lines",
                                  json_int_at(coverage, "lines", 0), "lines_run", json_int_at(coverage, "lines_run", 0),
                                  "branches", json_int_at(coverage, "branches", 0), "branches_run",
                                  json_int_at(coverage, "branches_run", 0), "unknown",
                                  *json_text_at(coverage, "trouble", "") != '\0', "places", places, "some", some));
}

static void set_mutation(json_t *view, const json_t *mutation)
{
    json_t *survivors = json_array(), *names = json_array(), *item;
    size_t index;
    json_array_foreach (json_object_get(mutation, "survivors"), index, item)
        if (index < PLACES_SHOWN)
            json_array_append_new(survivors, json_pack("{s:o, s:o, s:o, s:b}", "place", place_of(item), "was",
                                                       describe_code(json_text_at(item, "was", ""), false), "now",
                                                       describe_code(json_text_at(item, "now", ""), false), "alike",
                                                       json_true_at(item, "maybe_equivalent")));
    json_array_foreach (json_object_get(mutation, "added"), index, item)
        json_array_append_new(names, describe_code(json_string_value(item), false));
    json_int_t killed = json_int_at(mutation, "killed", 0), survived = json_int_at(mutation, "survived", 0);
    size_t added = json_array_size(names);
    bool some = json_array_size(survivors) > 0;
    json_object_set_new(view, "mutation",
                        json_pack("{s:I, s:I, s:b, s:b, s:b, s:o, s:I, s:b, s:o}", "killed", killed, "of",
                                  killed + survived, "unknown", *json_text_at(mutation, "trouble", "") != '\0', "some",
                                  some, "more", added > 0, "survivors", survivors, "added_count", (json_int_t)added,
                                  "added_one", added == 1, "added", names));
}

static void set_properties(json_t *view, const json_t *properties)
{
    json_t *names = json_array(), *broken = json_array(), *item;
    size_t index;
    json_array_foreach (json_object_get(properties, "names"), index, item)
        json_array_append_new(names, describe_code(json_string_value(item), false));
    json_array_foreach (json_object_get(properties, "counterexamples"), index, item)
        json_array_append_new(broken, json_pack("{s:o, s:o}", "property",
                                                describe_code(json_text_at(item, "property", ""), false), "example",
                                                describe_code(json_text_at(item, "example", ""), false)));
    AUTO_BUF struct buf block = BUF_INIT(KiB(64));
    markdown_block(&block, "", json_text_at(properties, "text", ""));
    json_int_t kept = json_int_at(properties, "kept", 0), count = (json_int_t)json_array_size(broken);
    json_object_set_new(view, "properties",
                        json_pack("{s:I, s:b, s:I, s:I, s:I, s:b, s:o, s:o, s:s}", "kept", kept, "one", kept == 1,
                                  "examples", json_int_at(properties, "examples", 0), "seed",
                                  json_int_at(properties, "seed", 0), "broken_count", count, "broken_one", count == 1,
                                  "names", names, "broken", broken, "text", buf_text(&block)));
}

void describe_evidence(json_t *view, const struct run *run)
{
    const json_t *coverage = json_object_get(run->evidence, "coverage"),
                 *mutation = json_object_get(run->evidence, "mutation"),
                 *properties = json_object_get(run->evidence, "properties");
    if (coverage)
        set_coverage(view, coverage);
    if (json_int_at(properties, "kept", 0))
        set_properties(view, properties);
    if (mutation)
        set_mutation(view, mutation);
}

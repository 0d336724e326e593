/* Two evaluations of the same tasks: what differs, and whether that may be chance. */
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/eval.h"
#include "app/stats.h"

/* Results by task. A file that holds several ways would compare anything with anything. */
static json_t *by_task(const json_t *lines, const char *which, struct error *err)
{
    const json_t *first = json_array_get(lines, 0);
    json_auto_t *out = json_object();
    size_t index;
    json_t *line;
    json_array_foreach (lines, index, line) {
        if (!eval_is_same(first, line)) {
            error_set(err, ERROR_USAGE, "%s holds results made in several ways: keep one file for each", which);
            return NULL;
        }
        json_object_set(out, json_text_at(line, "task_id", ""), line);
    }
    return json_incref(out);
}

static const char *const measures[] = {"hidden", "first_try", "after_repair", "proven"};

enum { MEASURES = sizeof measures / sizeof measures[0] };

static json_t *measure_both(const json_t *a, const json_t *b, const char *measure)
{
    json_t *only_a = json_array(), *only_b = json_array(), *left;
    json_int_t both = 0, neither = 0;
    const char *id;
    json_object_foreach ((json_t *)a, id, left) {
        const json_t *right = json_object_get(b, id);
        if (!right)
            continue;
        bool in_a = eval_holds(left, measure), in_b = eval_holds(right, measure);
        both += in_a && in_b;
        neither += !in_a && !in_b;
        if (in_a != in_b)
            json_array_append_new(in_a ? only_a : only_b, json_string(id));
    }
    json_int_t a_alone = (json_int_t)json_array_size(only_a), b_alone = (json_int_t)json_array_size(only_b);
    double p = stats_mcnemar((size_t)a_alone, (size_t)b_alone);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:f}", "name", measure, "a", both + a_alone, "b",
                     both + b_alone, "both", both, "neither", neither, "only_a", only_a, "only_b", only_b, "p", p);
}

/* A single shot has no locked tests, and so nothing to say but of the hidden one. */
static bool is_told(const json_t *results, const char *measure)
{
    const json_t *any = json_object_iter_value(json_object_iter((json_t *)results));
    return strcmp(measure, "hidden") == 0 || strcmp(json_text_at(any, "mode", ""), "single-shot") != 0;
}

/* Tokens of B for one of A, at the median task and in all. */
static json_t *tokens_ratio(const json_t *a, const json_t *b)
{
    json_t *left;
    const char *id;
    double sums[2] = {0, 0}, *ratios = calloc(json_object_size(a) + 1, sizeof *ratios);
    size_t count = 0;
    json_object_foreach ((json_t *)a, id, left) {
        const json_t *right = json_object_get(b, id);
        double one = (double)(json_int_at(left, "tokens_in", 0) + json_int_at(left, "tokens_out", 0));
        double other = (double)(json_int_at(right, "tokens_in", 0) + json_int_at(right, "tokens_out", 0));
        if (!ratios || !right || one <= 0)
            continue;
        sums[0] += one;
        sums[1] += other;
        ratios[count++] = other / one;
    }
    double median = ratios ? stats_quantile(ratios, count, 0.5) : 0;
    free(ratios);
    return json_pack("{s:f, s:f}", "median", median, "total", sums[0] > 0 ? sums[1] / sums[0] : 0.0);
}

json_t *eval_compare(const json_t *a, const json_t *b, struct error *err)
{
    json_auto_t *left = by_task(a, "A", err), *right = left ? by_task(b, "B", err) : NULL;
    if (!right)
        return NULL;
    json_int_t common = 0;
    const char *id;
    json_t *line;
    json_object_foreach (left, id, line)
        common += json_object_get(right, id) != NULL;
    if (!common) {
        error_set(err, ERROR_USAGE, "the two files have no task in common");
        return NULL;
    }
    json_t *rates = json_array();
    for (size_t i = 0; i < MEASURES; i++)
        if (is_told(left, measures[i]) && is_told(right, measures[i]))
            json_array_append_new(rates, measure_both(left, right, measures[i]));
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "tasks", common, "only_in_a",
                     (json_int_t)json_object_size(left) - common, "only_in_b",
                     (json_int_t)json_object_size(right) - common, "tokens_b_per_a", tokens_ratio(left, right), "rates",
                     rates);
}

static void print_ids(const char *what, const json_t *ids, FILE *out)
{
    size_t index;
    json_t *id;
    if (json_array_size(ids))
        fprintf(out, "    %s:", what);
    json_array_foreach (ids, index, id)
        fprintf(out, " %s", json_string_value(id));
    if (json_array_size(ids))
        fputc('\n', out);
}

void eval_compare_print(const json_t *comparison, FILE *out)
{
    double tasks = (double)json_int_at(comparison, "tasks", 1);
    size_t index;
    json_t *rate;
    fprintf(
        out, "%.0f tasks in both (%lld only in A, %lld only in B); B takes %.2f times the tokens of A (median task)\n",
        tasks, (long long)json_int_at(comparison, "only_in_a", 0), (long long)json_int_at(comparison, "only_in_b", 0),
        json_number_value(json_at(comparison, "tokens_b_per_a.median")));
    json_array_foreach (json_object_get(comparison, "rates"), index, rate) {
        double a = (double)json_int_at(rate, "a", 0), b = (double)json_int_at(rate, "b", 0);
        fprintf(out,
                "  %-13s A %5.1f %%  B %5.1f %%  %+5.1f points; only A %zu, only B %zu; McNemar's exact p = %.4f\n",
                json_text_at(rate, "name", ""), 100 * a / tasks, 100 * b / tasks, 100 * (b - a) / tasks,
                json_array_size(json_object_get(rate, "only_a")), json_array_size(json_object_get(rate, "only_b")),
                json_number_value(json_object_get(rate, "p")));
        print_ids("only A", json_object_get(rate, "only_a"), out);
        print_ids("only B", json_object_get(rate, "only_b"), out);
    }
}

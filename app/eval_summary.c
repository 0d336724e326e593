#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/eval.h"
#include "app/stats.h"

/* ---- rates ---- */

bool eval_holds(const json_t *line, const char *what)
{
    return json_true_at(line, what) || strcmp(json_text_at(line, "status", ""), what) == 0;
}

/* Each rate: of the lines that `of` holds for (NULL: all), the share that `has` holds for. */
static const struct rate {
    const char *name, *has, *of;
    bool pipeline_only;
    const char *help;
} rates[] = {
    {"first_try", "first_try", NULL, true, "the first implementation passed the locked tests"},
    {"after_repair", "after_repair", NULL, true, "the code passed the locked tests in the end"},
    {"static", "static", NULL, true, "the first implementation passed the static gate"},
    {"rejected", "rejected", NULL, false, "stopped by a check that fails closed"},
    {"proven", "proven", NULL, true, "called proven"},
    {"hidden", "hidden", NULL, false, "the final code passes the hidden test"},
    {"precision", "hidden", "proven", true, "of what was called proven, passes the hidden test"},
    {"recall", "proven", "hidden", true, "of what passes the hidden test, was called proven"},
};

enum { RATE_COUNT = sizeof rates / sizeof rates[0] };

static json_t *share(size_t passed, size_t of)
{
    struct interval sure = stats_wilson(passed, of);
    json_t *rate = of ? json_real((double)passed / (double)of) : json_null();
    return json_pack("{s:I, s:I, s:o, s:f, s:f}", "count", (json_int_t)passed, "of", (json_int_t)of, "rate", rate,
                     "low", sure.low, "high", sure.high);
}

static json_t *rates_of(const json_t *lines, bool single_shot)
{
    json_t *out = json_object();
    for (size_t i = 0; i < RATE_COUNT; i++) {
        size_t passed = 0, of = 0, index;
        json_t *line;
        if (rates[i].pipeline_only && single_shot)
            continue;
        json_array_foreach (lines, index, line)
            if (!rates[i].of || eval_holds(line, rates[i].of)) {
                of++;
                passed += eval_holds(line, rates[i].has);
            }
        json_object_set_new(out, rates[i].name, share(passed, of));
    }
    return out;
}

/* ---- amounts ---- */

/* {total, mean, median, p90} of a number in each line. */
static json_t *amount(const json_t *lines, const char *key)
{
    size_t count = json_array_size(lines), index;
    double *values = calloc(count + 1, sizeof *values), total = 0;
    json_t *line;
    if (!values)
        return json_null();
    json_array_foreach (lines, index, line) {
        values[index] = json_number_value(json_object_get(line, key));
        total += values[index];
    }
    json_t *out = json_pack("{s:f, s:f, s:f, s:f}", "total", total, "mean", count ? total / (double)count : 0, "median",
                            stats_quantile(values, count, 0.5), "p90", stats_quantile(values, count, 0.9));
    free(values);
    return out;
}

static json_t *cost_of(const json_t *lines)
{
    static const int volumes[] = {200, 5000, 150000}; /* functions a month */
    json_t *out = amount(lines, "cost_usd"), *monthly = json_object();
    double mean = json_number_value(json_object_get(out, "mean"));
    for (size_t i = 0; i < sizeof volumes / sizeof volumes[0]; i++) {
        AUTO_FREE char *volume = text_format("%d", volumes[i]);
        json_object_set_new(monthly, volume ? volume : "", json_real(mean * volumes[i]));
    }
    json_object_set_new(out, "monthly", monthly);
    return out;
}

static json_t *count_by(const json_t *lines, const char *key)
{
    json_t *out = json_object(), *line;
    size_t index;
    json_array_foreach (lines, index, line) {
        const char *value = json_text_at(line, key, "");
        json_object_set_new(out, value, json_integer(json_int_at(out, value, 0) + 1));
    }
    return out;
}

/* ---- one run ---- */

static json_t *summary_of(const json_t *lines)
{
    const json_t *first = json_array_get(lines, 0);
    bool single_shot = strcmp(json_text_at(first, "mode", ""), "single-shot") == 0;
    return json_pack("{s:s, s:s, s:s, s:s, s:O*, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model",
                     json_text_at(first, "model", ""), "configured", json_text_at(first, "configured", ""), "templates",
                     json_text_at(first, "templates", ""), "mode", json_text_at(first, "mode", ""), "without",
                     json_object_get(first, "without"), "repair_rounds", json_int_at(first, "repair_rounds", 0),
                     "tasks", (json_int_t)json_array_size(lines), "status", count_by(lines, "status"), "rates",
                     rates_of(lines, single_shot), "rounds", amount(lines, "rounds"), "tokens_in",
                     amount(lines, "tokens_in"), "tokens_out", amount(lines, "tokens_out"), "cost_usd", cost_of(lines),
                     "seconds", amount(lines, "seconds"));
}

static bool belongs(const json_t *group, const json_t *line)
{
    const json_t *first = json_array_get(group, 0);
    return eval_is_same(first, line) && json_equal(json_object_get(first, "model"), json_object_get(line, "model"));
}

json_t *eval_summary(const json_t *lines)
{
    json_auto_t *groups = json_array();
    json_t *runs = json_array(), *line, *group;
    size_t index, at;
    json_array_foreach (lines, index, line) {
        for (at = 0; (group = json_array_get(groups, at)) && !belongs(group, line);)
            at++;
        if (!group)
            json_array_append_new(groups, group = json_array());
        json_array_append(group, line);
    }
    json_array_foreach (groups, at, group)
        json_array_append_new(runs, summary_of(group));
    return json_pack("{s:o}", "runs", runs);
}

/* ---- for people ---- */

static void print_rate(const struct rate *rate, const json_t *value, FILE *out)
{
    if (!value)
        return;
    const json_t *share_of = json_object_get(value, "rate");
    if (!json_is_number(share_of)) {
        fprintf(out, "  %-13s    –    of nothing            %s\n", rate->name, rate->help);
        return;
    }
    AUTO_FREE char *counts =
        text_format("%lld/%lld", (long long)json_int_at(value, "count", 0), (long long)json_int_at(value, "of", 0));
    fprintf(out, "  %-13s %5.1f %%  %-8s [%5.1f, %5.1f]  %s\n", rate->name, 100 * json_number_value(share_of),
            counts ? counts : "", 100 * json_number_value(json_object_get(value, "low")),
            100 * json_number_value(json_object_get(value, "high")), rate->help);
}

static double number(const json_t *run, const char *path)
{
    return json_number_value(json_at(run, path));
}

static void print_run(const json_t *run, FILE *out)
{
    const json_t *count;
    const char *status;
    fprintf(out, "%s, %lld tasks with %s (templates %.12s, %s)\n", json_text_at(run, "mode", ""),
            (long long)json_int_at(run, "tasks", 0), json_text_at(run, "model", ""), json_text_at(run, "templates", ""),
            json_text_at(run, "configured", ""));
    AUTO_FREE char *without = json_dumps(json_object_get(run, "without"), 0);
    if (json_array_size(json_object_get(run, "without")))
        fprintf(out, "  without %s\n", without ? without : "");
    for (size_t i = 0; i < RATE_COUNT; i++)
        print_rate(&rates[i], json_object_get(json_object_get(run, "rates"), rates[i].name), out);
    fprintf(out, "  outcomes     ");
    json_object_foreach ((json_t *)json_object_get(run, "status"), status, count)
        fprintf(out, " %s %lld", *status ? status : "none", (long long)json_integer_value(count));
    fprintf(out, "\n  rounds        mean %.2f (of %lld)\n", number(run, "rounds.mean"),
            (long long)json_int_at(run, "repair_rounds", 0));
    fprintf(out, "  tokens        in: median %.0f, mean %.0f; out: median %.0f, mean %.0f\n",
            number(run, "tokens_in.median"), number(run, "tokens_in.mean"), number(run, "tokens_out.median"),
            number(run, "tokens_out.mean"));
    fprintf(out, "  seconds       median %.1f, mean %.1f, 90 %% under %.1f\n", number(run, "seconds.median"),
            number(run, "seconds.mean"), number(run, "seconds.p90"));
    fprintf(out,
            "  cost          $%.4f in all, $%.5f a task; a month: $%.2f for 200, $%.2f for 5,000, $%.2f for 150,000\n",
            number(run, "cost_usd.total"), number(run, "cost_usd.mean"), number(run, "cost_usd.monthly.200"),
            number(run, "cost_usd.monthly.5000"), number(run, "cost_usd.monthly.150000"));
}

void eval_summary_print(const json_t *summary, FILE *out)
{
    size_t index;
    json_t *run;
    json_array_foreach (json_object_get(summary, "runs"), index, run)
        print_run(run, out);
}
